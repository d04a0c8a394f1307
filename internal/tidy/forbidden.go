package tidy

import (
	"go/ast"
	"strings"
)

// confined reports whether a package holds rules or actors: code that the
// simulation runs and must be able to repeat.
func confined(dir string) bool { return under(dir, "cluster") || under(dir, "actors") }

// ban refuses some names of one import path.
type ban struct {
	rule    string
	pkg     string
	names   string // space-separated; "*": all but those in except
	except  string
	instead string
}

// bans lists what confined packages may not call, by rule.
var bans = []ban{
	{"clock", "time", "Now Since Until After Sleep Tick NewTimer NewTicker AfterFunc", "", "take the time from the runtime, or set a timer with the context"},
	{"clock", "context", "WithTimeout WithTimeoutCause WithDeadline WithDeadlineCause", "", "a deadline on the wall clock cannot be simulated; set a timer with the context"},
	{"random", "math/rand", "*", "New NewSource NewZipf Rand Source Source64 Zipf", "draw from the runtime's random source"},
	{"random", "math/rand/v2", "*", "New NewPCG NewChaCha8 NewZipf Rand Source PCG ChaCha8 Zipf", "draw from the runtime's random source"},
	{"random", "crypto/rand", "*", "", "draw from the runtime's random source"},
	{"lock", "sync", "Mutex RWMutex Cond NewCond Locker Map WaitGroup", "", "state belongs to one actor; send it a message"},
	{"file", "os", "Open OpenFile OpenRoot OpenInRoot Create CreateTemp ReadFile WriteFile Remove RemoveAll Rename Mkdir MkdirAll MkdirTemp ReadDir Stat Lstat Truncate Chmod Chown Chtimes Link Symlink Readlink DirFS NewFile Pipe CopyFS Exit", "", "go through the runtime: FS for files, Halt to end the node"},
	{"file", "os/exec", "*", "", "actors start no processes"},
	{"network", "net", "Dial DialTimeout DialTCP DialUDP Dialer Listen ListenTCP ListenUDP ListenPacket ListenConfig", "", "send a message; the runtime is the network"},
	{"network", "net/http", "*", "", "send a message; HTTP ends in httpapi"},
}

// bansName reports whether b refuses name.
func (b ban) bansName(name string) bool {
	if b.names == "*" {
		return !hasWord(b.except, name)
	}
	return hasWord(b.names, name)
}

func hasWord(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

// forbid makes the check of one rule of bans. A dot import or a blank one of a
// banned package hides what is used and is refused whole.
func forbid(name string) func(*Tree) []Violation {
	return func(t *Tree) []Violation {
		var found []Violation
		for _, f := range t.files {
			if f.test || !confined(f.dir) {
				continue
			}
			for _, b := range bans {
				if b.rule == name {
					found = append(found, t.uses(f, b)...)
				}
			}
		}
		return found
	}
}

// uses finds what b refuses in f.
func (t *Tree) uses(f *file, b ban) []Violation {
	var found []Violation
	if f.imports["."] == b.pkg {
		found = append(found, Violation{Path: f.path, Line: 1, Text: "dot import of " + b.pkg + " hides its uses; " + b.instead})
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		e, isExpr := n.(ast.Expr)
		if !isExpr {
			return true
		}
		if pkg, name, ok := f.selected(e); ok && pkg == b.pkg && b.bansName(name) {
			found = append(found, Violation{Path: f.path, Line: t.line(n.Pos()), Text: pkg + "." + name + " is forbidden here; " + b.instead})
		}
		return true
	})
	return found
}

// checkGoStatements refuses goroutines in confined packages.
func checkGoStatements(t *Tree) []Violation {
	return t.confinedNodes(func(_ *file, n ast.Node) string {
		if _, ok := n.(*ast.GoStmt); ok {
			return "no goroutines here; hand blocking work to the context's Offload, its result comes back as a message"
		}
		return ""
	})
}

// checkFutures refuses protoactor's futures, which block the one who waits.
func checkFutures(t *Tree) []Violation {
	const instead = "an actor never waits; request, keep the request id in a map, and handle the reply"
	return t.confinedNodes(func(f *file, n ast.Node) string {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Result" && len(n.Args) == 0 {
				return ".Result() blocks; " + instead
			}
		case *ast.SelectorExpr:
			if n.Sel.Name == "RequestFuture" {
				return "RequestFuture is forbidden; " + instead
			}
			if pkg, name, ok := f.selected(n); ok && strings.HasPrefix(pkg, "github.com/asynkron/protoactor-go") &&
				(name == "Future" || name == "NewFuture") {
				return "actor." + name + " is forbidden; " + instead
			}
		}
		return ""
	})
}

// confinedNodes asks judge about every node of confined, non-test files.
func (t *Tree) confinedNodes(judge func(*file, ast.Node) string) []Violation {
	var found []Violation
	for _, f := range t.files {
		if f.test || !confined(f.dir) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if n == nil {
				return false
			}
			if text := judge(f, n); text != "" {
				found = append(found, Violation{Path: f.path, Line: t.line(n.Pos()), Text: text})
			}
			return true
		})
	}
	return found
}
