package tidy

import (
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"strings"
)

// sends are the calls whose order another actor, the disk or the log can see.
const sends = "Send Request RequestWithCustomSender Reply Respond Forward Spawn SpawnNamed SpawnRoot Stop Watch Offload After Propose Append"

// checkMapOrder refuses to let the random order of a map reach the outside: a
// range over a map whose body sends (itself or through functions of its
// package) or collects into a slice, in a function that sorts nothing.
func checkMapOrder(t *Tree) []Violation {
	var found []Violation
	types := &typed{tree: t, done: make(map[string]*types.Package)}
	for _, dir := range t.dirs() {
		if !confined(dir) {
			continue
		}
		found = append(found, types.mapOrder(dir)...)
	}
	return found
}

// typed type-checks packages of the tree against each other. Everything from
// outside the module is an empty package and what uses it has an unknown type,
// so nothing needs to be built; map types of our own are all known.
type typed struct {
	tree *Tree
	done map[string]*types.Package
}

// Import makes typed a types.Importer.
func (y *typed) Import(target string) (*types.Package, error) {
	inner, ours := strings.CutPrefix(target, module+"/")
	if !ours || len(y.tree.packages[inner]) == 0 {
		name := path.Base(target)
		if isMajorVersion(name) {
			name = path.Base(path.Dir(target))
		}
		empty := types.NewPackage(target, name)
		empty.MarkComplete()
		return empty, nil
	}
	pkg, _ := y.check(inner, nil)
	return pkg, nil
}

// check types the non-test files of a directory as far as they can be.
func (y *typed) check(dir string, info *types.Info) (*types.Package, []*file) {
	var files []*file
	var parsed []*ast.File
	for _, i := range y.tree.packages[dir] {
		if f := y.tree.files[i]; !f.test {
			files, parsed = append(files, f), append(parsed, f.ast)
		}
	}
	if pkg, ok := y.done[dir]; ok && info == nil {
		return pkg, files
	}
	y.done[dir] = types.NewPackage(module+"/"+dir, path.Base(dir)) // for import cycles
	config := types.Config{Importer: y, Error: func(error) {}}
	// The errors are about outside packages, which are empty; the compiler judges the rest.
	pkg, _ := config.Check(module+"/"+dir, y.tree.fset, parsed, info)
	y.done[dir] = pkg
	return pkg, files
}

// mapOrder judges every function of a package.
func (y *typed) mapOrder(dir string) []Violation {
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object), Defs: make(map[*ast.Ident]types.Object)}
	_, files := y.check(dir, info)
	j := &orderJudge{tree: y.tree, info: info, bodies: make(map[types.Object]*ast.FuncDecl), sending: make(map[*ast.FuncDecl]bool)}
	for _, f := range files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				j.bodies[info.Defs[fn.Name]] = fn
			}
		}
	}
	var found []Violation
	for _, f := range files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && !f.generated && !sorts(f, fn.Body) {
				found = append(found, j.function(f, fn)...)
			}
		}
	}
	return found
}

// orderJudge knows the functions of one package.
type orderJudge struct {
	tree    *Tree
	info    *types.Info
	bodies  map[types.Object]*ast.FuncDecl
	sending map[*ast.FuncDecl]bool // memo; false while it is being worked out
}

// function finds the ranges over maps in fn whose order gets out.
func (j *orderJudge) function(f *file, fn *ast.FuncDecl) []Violation {
	var found []Violation
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		loop, ok := n.(*ast.RangeStmt)
		if !ok || !j.overMap(f, loop.X) {
			return true
		}
		what := ""
		switch {
		case j.sends(loop.Body):
			what = "sends"
		case collects(loop.Body):
			what = "collects into a slice"
		default:
			return true
		}
		found = append(found, Violation{
			Path: f.path, Line: j.tree.line(loop.Pos()),
			Text: "a range over a map " + what + " in random order; range over slices.Sorted(maps.Keys(m)) instead",
		})
		return true
	})
	return found
}

// overMap reports whether x is a map, or maps.Keys, Values or All of one.
func (j *orderJudge) overMap(f *file, x ast.Expr) bool {
	if call, ok := x.(*ast.CallExpr); ok {
		pkg, name, imported := f.selected(call.Fun)
		return imported && pkg == "maps" && hasWord("Keys Values All", name)
	}
	of := j.info.TypeOf(x)
	if of == nil {
		return false
	}
	_, isMap := of.Underlying().(*types.Map)
	return isMap
}

// sends reports whether a call in n sends, directly or through this package.
func (j *orderJudge) sends(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || found {
			return !found
		}
		var name *ast.Ident
		switch fun := call.Fun.(type) {
		case *ast.SelectorExpr:
			name = fun.Sel
		case *ast.Ident:
			name = fun
		default:
			return true
		}
		if fn, local := j.bodies[j.info.Uses[name]]; local && j.info.Uses[name] != nil {
			found = j.functionSends(fn)
			return !found
		}
		_, method := call.Fun.(*ast.SelectorExpr)
		found = method && sendsByName(name.Name, len(call.Args))
		return !found
	})
	return found
}

// sendsByName tells the context's methods from others of the same name:
// Timer.Stop takes nothing and time.Time's After one argument.
func sendsByName(name string, args int) bool {
	if name == "After" {
		return args == 2
	}
	return args > 0 && hasWord(sends, name)
}

func (j *orderJudge) functionSends(fn *ast.FuncDecl) bool {
	if known, ok := j.sending[fn]; ok {
		return known
	}
	j.sending[fn] = false
	j.sending[fn] = j.sends(fn.Body)
	return j.sending[fn]
}

// collects reports whether a slice that outlives the loop grows in its body.
func collects(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		as, ok := n.(*ast.AssignStmt)
		if !ok || as.Tok != token.ASSIGN || len(as.Rhs) != 1 {
			return !found
		}
		call, ok := as.Rhs[0].(*ast.CallExpr)
		if !ok {
			return !found
		}
		if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "append" && outlives(as.Lhs[0], body) {
			found = true
		}
		return !found
	})
	return found
}

// outlives reports whether the variable was declared before the loop. A slice
// inside a map, keyed like the loop, has no order across keys.
func outlives(target ast.Expr, body *ast.BlockStmt) bool {
	switch target := target.(type) {
	case *ast.Ident:
		return target.Obj == nil || target.Obj.Pos() < body.Pos()
	case *ast.SelectorExpr:
		return outlives(target.X, body)
	}
	return false
}

// sorts reports whether a function puts anything in order.
func sorts(f *file, body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok {
			pkg, name, imported := f.selected(e)
			found = found || imported && (pkg == "sort" || pkg == "slices" && strings.HasPrefix(name, "Sort"))
		}
		return !found
	})
	return found
}
