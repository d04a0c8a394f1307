package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// module is the import path that every package of the repository begins with.
const module = "tiercel"

// Tree is the parsed source of the module.
type Tree struct {
	fset     *token.FileSet
	files    []*file          // sorted by path
	packages map[string][]int // directory -> indexes into files
	protos   map[string]string
}

// file is one parsed Go file. Paths are slash-separated and relative to the root.
type file struct {
	path      string
	dir       string
	test      bool
	generated bool
	lines     int
	ast       *ast.File
	imports   map[string]string // name in this file -> import path
}

// Load parses every Go file under root. Directories that Go ignores (hidden,
// testdata, underscore) and those without Go code are left out.
func Load(root string) (*Tree, error) {
	texts := make(map[string]string)
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); name != root && (base == "testdata" || base[0] == '.' || base[0] == '_') {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); ext != ".go" && ext != ".proto" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		texts[filepath.ToSlash(rel)] = string(text)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the source under %s: %w", root, err)
	}
	return parse(texts)
}

// parse makes a Tree of source texts by path.
func parse(texts map[string]string) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet(), packages: make(map[string][]int), protos: make(map[string]string)}
	names := make([]string, 0, len(texts))
	for name := range texts {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if path.Ext(name) == ".proto" {
			t.protos[name] = texts[name]
			continue
		}
		parsed, err := parser.ParseFile(t.fset, name, texts[name], parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
		f := &file{
			path: name, dir: path.Dir(name), ast: parsed,
			test:      strings.HasSuffix(name, "_test.go"),
			generated: ast.IsGenerated(parsed),
			lines:     strings.Count(strings.TrimSuffix(texts[name], "\n"), "\n") + 1,
			imports:   importNames(parsed),
		}
		t.packages[f.dir] = append(t.packages[f.dir], len(t.files))
		t.files = append(t.files, f)
	}
	return t, nil
}

// importNames maps the name under which a file uses each import to its path.
func importNames(parsed *ast.File) map[string]string {
	names := make(map[string]string, len(parsed.Imports))
	for _, spec := range parsed.Imports {
		target := strings.Trim(spec.Path.Value, `"`)
		name := path.Base(target)
		if isMajorVersion(name) {
			name = path.Base(path.Dir(target))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = target
	}
	return names
}

// isMajorVersion reports whether a path element is v2, v3 and so on.
func isMajorVersion(name string) bool {
	return len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == ""
}

// line is the line of a position in its file.
func (t *Tree) line(pos token.Pos) int { return t.fset.Position(pos).Line }

// sorted directories that hold Go files.
func (t *Tree) dirs() []string {
	dirs := make([]string, 0, len(t.packages))
	for dir := range t.packages {
		dirs = append(dirs, dir)
	}
	sort.Strings(dirs)
	return dirs
}

// selected returns the import path and name when e is pkg.Name of an import of f.
func (f *file) selected(e ast.Expr) (pkg, name string, ok bool) {
	sel, isSel := e.(*ast.SelectorExpr)
	if !isSel {
		return "", "", false
	}
	id, isIdent := sel.X.(*ast.Ident)
	if !isIdent || id.Obj != nil { // a local of the same name hides the import
		return "", "", false
	}
	target, imported := f.imports[id.Name]
	return target, sel.Sel.Name, imported
}

// under reports whether dir is root or below it.
func under(dir, root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") }
