package tidy

import (
	"fmt"
	"go/ast"
)

// Limits on size, in lines. What is generated has none.
const (
	maxFileLines         = 400
	maxFunctionLines     = 80
	maxTestFunctionLines = 120 // tables of cases not counted
)

// checkFileLengths keeps a file to one idea.
func checkFileLengths(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.files {
		if !f.generated && !f.test && f.lines > maxFileLines {
			found = append(found, Violation{
				Path: f.path, Line: 1,
				Text: fmt.Sprintf("%d lines, at most %d; a file holds one idea, split it by theme", f.lines, maxFileLines),
			})
		}
	}
	return found
}

// checkFunctionLengths keeps a function in the head.
func checkFunctionLengths(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.files {
		if f.generated {
			continue
		}
		limit := maxFunctionLines
		if f.test {
			limit = maxTestFunctionLines
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := t.line(fn.End()) - t.line(fn.Pos()) + 1
			if f.test {
				lines -= t.tableLines(fn)
			}
			if lines > limit {
				found = append(found, Violation{
					Path: f.path, Line: t.line(fn.Pos()),
					Text: fmt.Sprintf("%s has %d lines, at most %d; name its steps as functions", fn.Name.Name, lines, limit),
				})
			}
		}
	}
	return found
}

// tableLines counts the lines inside the outermost slice, array and map
// literals of a test. Cases that hold code are counted as code.
func (t *Tree) tableLines(fn *ast.FuncDecl) int {
	lines := 0
	ast.Inspect(fn, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		switch lit.Type.(type) {
		case *ast.ArrayType, *ast.MapType:
			lines += t.line(lit.Rbrace) - t.line(lit.Lbrace) - t.codeLines(lit)
			return false
		}
		return true
	})
	return lines
}

// codeLines counts the lines of function literals inside a table.
func (t *Tree) codeLines(lit *ast.CompositeLit) int {
	lines := 0
	ast.Inspect(lit, func(n ast.Node) bool {
		if code, ok := n.(*ast.FuncLit); ok {
			lines += t.line(code.End()) - t.line(code.Pos())
			return false
		}
		return true
	})
	return lines
}
