package tidy

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// mapFile is a file of an actor with a map m, a slice s and one function.
func mapFile(imports, code string) string {
	text := "package x\n"
	for path := range strings.FieldsSeq(imports) {
		text += "import \"" + path + "\"\n"
	}
	return text + `type actor struct { m named; s []string; ctx sender }
type named map[string]int
type sender interface { Send(string); Stop(...string); After(int, ...int) }
func (a *actor) tell(k string) { a.say(k) }
func (a *actor) say(k string) { a.ctx.Send(k) }
func (a *actor) f() (keys []string) {
` + code + "\nreturn\n}\n"
}

func TestMapOrder_MustNotReachTheOutside(t *testing.T) {
	const path = "actors/worker/a.go"
	for _, c := range []struct{ name, imports, code, want string }{
		{"sends in the loop", "", "for k := range a.m { a.ctx.Send(k) }", path + ":8: map-order"},
		{"sends through functions of the package", "", "for k := range a.m { a.tell(k) }", path + ":8: map-order"},
		{"sends from a local map", "", "m := map[string]int{}; for k := range m { a.ctx.Send(k) }", path + ":8: map-order"},
		{"sends over maps.Keys", "maps", "for k := range maps.Keys(a.m) { a.ctx.Send(k) }", path + ":9: map-order"},
		{"stops actors", "", "for k := range a.m { a.ctx.Stop(k) }", path + ":8: map-order"},
		{"collects for later", "", "for k := range a.m { keys = append(keys, k) }", path + ":8: map-order"},
		{"collects into a field", "", "for k := range a.m { a.s = append(a.s, k) }", path + ":8: map-order"},
		{"collects and sorts", "slices", "for k := range a.m { keys = append(keys, k) }; slices.Sort(keys)", ""},
		{"ranges over sorted keys", "maps slices", "for _, k := range slices.Sorted(maps.Keys(a.m)) { a.ctx.Send(k) }", ""},
		{"ranges over a slice", "", "for _, k := range a.s { a.ctx.Send(k) }", ""},
		{"only counts", "", "n := 0; for range a.m { n++ }; _ = n", ""},
		{"stops timers, compares times", "", "for range a.m { a.ctx.Stop(); a.ctx.After(1) }", ""},
		{"a slice that dies with the loop", "", "for k := range a.m { var s []string; s = append(s, k); _ = s }", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			assertFinds(t, sources{path: mapFile(c.imports, c.code)}, c.want)
		})
	}
}

func TestMapOrder_KnowsMapsOfOtherPackages(t *testing.T) {
	assertFinds(t, sources{
		"messages/a.go":      "package x\ntype Row struct { Meta map[string]string }\n",
		"actors/worker/a.go": "package x\nimport x2 \"tiercel/messages\"\nfunc f(r *x2.Row, ctx any) {\n\tfor k := range r.Meta {\n\t\tctx.Send(k)\n\t}\n}\n",
	}, "actors/worker/a.go:4: map-order")
}

// wantedRules lists the rule names that the expectations of a test file name.
func wantedRules(f *file) []string {
	var names []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text := strings.Trim(lit.Value, `"`)
			if i := strings.LastIndex(text, ": "); i > 0 && strings.Contains(text[:i], ":") {
				names = append(names, text[i+2:])
			}
		}
		return true
	})
	return names
}
