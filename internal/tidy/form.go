package tidy

import (
	"go/ast"
	"path"
	"regexp"
	"strings"
)

// packageComment is the comment of a directory's doc.go, or nothing.
func (t *Tree) packageComment(dir string) string {
	for _, i := range t.packages[dir] {
		if f := t.files[i]; path.Base(f.path) == "doc.go" && f.ast.Doc != nil {
			return f.ast.Doc.Text()
		}
	}
	return ""
}

// checkDocs wants a doc.go with a package comment in every package.
func checkDocs(t *Tree) []Violation {
	var found []Violation
	for _, dir := range t.dirs() {
		first := t.files[t.packages[dir][0]]
		name := strings.TrimSuffix(first.ast.Name.Name, "_test")
		start := "Package " + name + " "
		if name == "main" {
			start = "Command "
		}
		if !strings.HasPrefix(t.packageComment(dir), start) {
			found = append(found, Violation{
				Path: path.Join(dir, "doc.go"), Line: 1,
				Text: "write a package comment that starts with \"" + start + "\" and says what it owns, what it refuses, where to read first",
			})
		}
	}
	return found
}

// markers are the words of work left undone.
var markers = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

// checkMarkers refuses comments that promise work.
func checkMarkers(t *Tree) []Violation {
	const instead = "do it now, or file an issue and say here what the limit is"
	var found []Violation
	for _, f := range t.files {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				if word := markers.FindString(c.Text); word != "" {
					found = append(found, Violation{Path: f.path, Line: t.line(c.Pos()), Text: word + ": " + instead})
				}
			}
		}
	}
	for name, text := range t.protos {
		for i, line := range strings.Split(text, "\n") {
			if word := markers.FindString(line); word != "" {
				found = append(found, Violation{Path: name, Line: i + 1, Text: word + ": " + instead})
			}
		}
	}
	return found
}

// checkPrints keeps standard output for commands.
func checkPrints(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.files {
		if f.test || f.generated || f.ast.Name.Name == "main" || under(f.dir, "cmd") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := printed(f, call)
			if name != "" {
				found = append(found, Violation{
					Path: f.path, Line: t.line(n.Pos()),
					Text: name + " writes to the terminal; return an error, or log with the logger that was passed in",
				})
			}
			return true
		})
	}
	return found
}

// printed names the printing function a call goes to, or nothing.
func printed(f *file, call *ast.CallExpr) string {
	if id, ok := call.Fun.(*ast.Ident); ok && id.Obj == nil && hasWord("print println", id.Name) {
		return id.Name
	}
	pkg, name, ok := f.selected(call.Fun)
	if !ok {
		return ""
	}
	if pkg == "fmt" && hasWord("Print Printf Println", name) || pkg == "log" && name != "New" {
		return pkg + "." + name
	}
	return ""
}

// checkSkips refuses tests that do not run.
func checkSkips(t *Tree) []Violation {
	return t.testCalls(func(_ *file, call *ast.CallExpr) string {
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !hasWord("Skip Skipf SkipNow", sel.Sel.Name) {
			return ""
		}
		if id, ok := sel.X.(*ast.Ident); !ok || !hasWord("t b f tb", id.Name) {
			return ""
		}
		return "a skipped test proves nothing; make it run everywhere or delete it"
	})
}

// checkSleeps refuses tests that wait for the wall clock.
func checkSleeps(t *Tree) []Violation {
	return t.testCalls(func(f *file, call *ast.CallExpr) string {
		if pkg, name, ok := f.selected(call.Fun); ok && pkg == "time" && name == "Sleep" {
			return "a sleeping test is slow or flaky; step the simulated world to a condition, or wait on a channel"
		}
		return ""
	})
}

// testCalls asks judge about every call in test files.
func (t *Tree) testCalls(judge func(*file, *ast.CallExpr) string) []Violation {
	var found []Violation
	for _, f := range t.files {
		if !f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if text := judge(f, call); text != "" {
					found = append(found, Violation{Path: f.path, Line: t.line(call.Pos()), Text: text})
				}
			}
			return true
		})
	}
	return found
}
