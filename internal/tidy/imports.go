package tidy

import (
	"go/ast"
	"path"
	"strings"
)

// layer is one row of the import table of DESIGN section 6. The first row whose
// dir matches a package judges it.
type layer struct {
	dir     string   // a directory and all below it; "/*" at the end: its children only
	may     []string // module directories it may import, same notation; its own directory always
	tests   []string // what its tests may import besides
	outside []string // third-party prefixes: nil for none, {"*"} for any
	never   []string // third-party prefixes refused although outside is {"*"}
}

var (
	anyModule = []string{"*"}
	// allActors may be seen only by the composition, its simulation and its facade.
	allActors = []string{"cluster", "messages", "store", "actors"}
	protoOnly = []string{"google.golang.org/protobuf", "github.com/cespare/xxhash"}
	frameless = []string{"github.com/asynkron/protoactor-go"}
)

// layers is the table. Nobody may import cmd, bench or the internal tests; see importable.
var layers = []layer{
	{dir: "cluster/model"},
	{dir: "cluster/catalog", may: []string{"cluster/model", "messages", "store"}, outside: protoOnly},
	{dir: "cluster/logconf", may: []string{"cluster/model"}, outside: []string{"google.golang.org/protobuf", "go.etcd.io/raft"}},
	{dir: "cluster/voters", may: []string{"cluster/model", "cluster/election", "messages"}, outside: protoOnly},
	{dir: "cluster/volumes", may: []string{"cluster/model", "cluster/placement", "cluster/tier", "messages"}, outside: protoOnly},
	{dir: "cluster", may: []string{"cluster/model", "messages"}, outside: protoOnly},
	{dir: "messages", may: []string{"cluster/model"}, outside: protoOnly},
	{dir: "store", may: []string{"cluster/model"}, outside: anyModule, never: frameless},
	{
		dir: "actors/runtime", may: []string{"cluster/model", "messages", "store", "actors/runtime"},
		outside: anyModule,
	},
	{dir: "actors/simtest", may: allActors, outside: anyModule},
	{dir: "actors/edge", may: allActors, outside: anyModule},
	{
		dir: "actors/*", may: []string{"cluster", "messages", "store", "actors/runtime/."},
		tests: []string{"actors/runtime"}, outside: anyModule,
	},
	{dir: "actors", may: allActors, outside: anyModule},
	{dir: "httpapi", may: []string{"messages", "cluster/model"}, outside: anyModule, never: frameless},
	{
		dir: "cmd", may: []string{"cluster", "messages", "store", "actors", "httpapi", "internal/version", "internal/latency", "cmd"},
		tests: []string{"internal/procs"}, outside: anyModule,
	},
	{dir: "bench/controller", may: allActors, outside: anyModule}, // it runs the master's actors in simulation
	{dir: "bench", may: []string{"bench", "internal/version", "internal/latency", "internal/procs"}, outside: anyModule, never: frameless},
	{dir: "examples", may: []string{"cluster", "messages", "store", "actors", "httpapi"}, outside: anyModule},
	{dir: "internal/version"},
	{dir: "internal", outside: anyModule, never: frameless},
}

// layerOf finds the row of a package directory.
func layerOf(dir string) (layer, bool) {
	for _, l := range layers {
		if matches(dir, l.dir) {
			return l, true
		}
	}
	return layer{}, false
}

// matches reads the notation of the table: "d" is d and all below it, "d/*" what
// is below it, "d/." only d itself.
func matches(dir, pattern string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/*"); ok {
		return dir != parent && under(dir, parent)
	}
	if only, ok := strings.CutSuffix(pattern, "/."); ok {
		return dir == only
	}
	return under(dir, pattern)
}

// checkImports holds every import against the table.
func checkImports(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.files {
		l, known := layerOf(f.dir)
		if !known {
			if t.files[t.packages[f.dir][0]] != f {
				continue // said once a package
			}
			found = append(found, Violation{
				Path: f.path, Line: 1,
				Text: "the package has no row in the import table; put the code into a layer of DESIGN section 6, or add a row to internal/tidy/imports.go",
			})
			continue
		}
		for _, spec := range f.ast.Imports {
			target := strings.Trim(spec.Path.Value, `"`)
			if text := t.judgeImport(f, l, target); text != "" {
				found = append(found, Violation{Path: f.path, Line: t.line(spec.Pos()), Text: text})
			}
		}
	}
	return found
}

// judgeImport says what is wrong with one import, or nothing.
func (t *Tree) judgeImport(f *file, l layer, target string) string {
	inner, ours := strings.CutPrefix(target, module+"/")
	if !ours {
		return judgeOutside(f, l, target)
	}
	switch {
	case inner == f.dir: // an external test of its own package
		return ""
	case under(inner, "cmd") && !under(f.dir, "cmd"), under(inner, "bench") && !under(f.dir, "bench"):
		return "nobody imports " + inner + "; it wires or measures, move what is shared below it"
	case under(inner, "actors/edge") && under(f.dir, "actors") && !isComposition(f.dir):
		return "no actor imports actors/edge: it blocks; send a message and handle the reply"
	}
	allowed := l.may
	if f.test {
		allowed = append(append([]string(nil), l.may...), l.tests...)
	}
	for _, pattern := range allowed {
		if matches(inner, pattern) {
			return ""
		}
	}
	if under(f.dir, "cluster") && path.Dir(inner) == "cluster" {
		if f.dir != "cluster/model" && strings.Contains(t.packageComment(f.dir), inner) {
			return ""
		}
		return f.dir + " may import a sibling only when its doc.go names it: write there why it needs " + inner
	}
	return f.dir + " may not import " + inner + " (DESIGN section 6); pass what it needs as a value or a message, or declare a small interface here"
}

// isComposition names the packages that may see every actor.
func isComposition(dir string) bool {
	return dir == "actors" || under(dir, "actors/simtest") || under(dir, "actors/edge")
}

// judgeOutside says what is wrong with an import from outside the module. Tests
// may use any library, but no test brings a framework into a layer without it.
func judgeOutside(f *file, l layer, target string) string {
	if !strings.Contains(strings.SplitN(target, "/", 2)[0], ".") {
		return "" // standard library
	}
	for _, prefix := range l.never {
		if under(target, prefix) {
			return l.dir + " may not import " + target + ": actors are behind its own small interface"
		}
	}
	if f.test {
		return ""
	}
	for _, prefix := range l.outside {
		if prefix == "*" || under(target, prefix) {
			return ""
		}
	}
	return l.dir + " may not import " + target + ": this layer stands on the standard library and what internal/tidy/imports.go lists"
}

// catalogMayUse is what cluster/catalog may name of package store.
var catalogMayUse = map[string]bool{"Index": true, "SnapshotWalk": true, "Pair": true}

// checkCatalogUsesOnlyTheIndex keeps files and fsync out of the state machine.
func checkCatalogUsesOnlyTheIndex(t *Tree) []Violation {
	var found []Violation
	for _, f := range t.files {
		if f.test || !under(f.dir, "cluster/catalog") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			e, isExpr := n.(ast.Expr)
			if !isExpr {
				return true
			}
			if pkg, name, ok := f.selected(e); ok && pkg == module+"/store" && !catalogMayUse[name] {
				found = append(found, Violation{
					Path: f.path, Line: t.line(n.Pos()),
					Text: "the catalog uses only the index interface of store, not store." + name + "; let the actor do I/O",
				})
			}
			return true
		})
	}
	return found
}
