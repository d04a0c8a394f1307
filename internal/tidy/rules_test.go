package tidy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sources is a small tree: path -> text.
type sources map[string]string

// with adds the packages' doc.go files, so that only the rule on trial speaks.
func (s sources) with() map[string]string {
	texts := make(map[string]string)
	for name, text := range s {
		texts[name] = text
		dir := name[:strings.LastIndexByte(name, '/')]
		if _, has := s[dir+"/doc.go"]; !has && strings.HasSuffix(name, ".go") {
			texts[dir+"/doc.go"] = "// Package x is a trial.\npackage x\n"
		}
	}
	return texts
}

// body is a file of package x with some imports and one function.
func body(imports, code string) string {
	text := "package x\n"
	for path := range strings.FieldsSeq(imports) {
		text += fmt.Sprintf("import %q\n", path)
	}
	return text + "func f() {\n" + code + "\n}\n"
}

// TestRules_CatchWhatTheyForbid shows each rule at least one text it must catch
// and, where it is easy to overdo, one it must let pass (want is empty).
func TestRules_CatchWhatTheyForbid(t *testing.T) {
	const raw = "\n_ = x"
	for _, c := range []struct {
		name  string
		files sources
		want  string // "path:line: rule", or nothing
	}{
		// The import table.
		{"the model stands on the standard library", sources{"cluster/model/a.go": body("github.com/tidwall/buntdb", "")}, "cluster/model/a.go:2: imports"},
		{"the model knows no messages", sources{"cluster/model/a.go": body("tiercel/messages", "")}, "cluster/model/a.go:2: imports"},
		{"rules know no actors", sources{"cluster/tier/a.go": body("tiercel/actors/runtime", "")}, "cluster/tier/a.go:2: imports"},
		{"rules know no store", sources{"cluster/tier/a.go": body("tiercel/store", "")}, "cluster/tier/a.go:2: imports"},
		{"rules know no framework", sources{"cluster/tier/a.go": body("github.com/asynkron/protoactor-go/actor", "")}, "cluster/tier/a.go:2: imports"},
		{"rules may use messages and the model", sources{"cluster/tier/a.go": body("tiercel/messages tiercel/cluster/model google.golang.org/protobuf/proto", "")}, ""},
		{"a sibling must be named", sources{"cluster/tier/a.go": body("tiercel/cluster/quota", "")}, "cluster/tier/a.go:2: imports"},
		{"a sibling that doc.go names", sources{
			"cluster/tier/doc.go": "// Package x uses cluster/quota for reservations.\npackage x\n",
			"cluster/tier/a.go":   body("tiercel/cluster/quota", ""),
		}, ""},
		{"the catalog uses the index only", sources{"cluster/catalog/a.go": body("tiercel/store", "var fs store.FS"+raw)}, "cluster/catalog/a.go:4: catalog-store"},
		{"the catalog may use the index", sources{"cluster/catalog/a.go": body("tiercel/store", "var i store.Index"+raw)}, ""},
		{"messages know no store", sources{"messages/a.go": body("tiercel/store", "")}, "messages/a.go:2: imports"},
		{"the store knows no messages", sources{"store/a.go": body("tiercel/messages", "")}, "store/a.go:2: imports"},
		{"the store knows no actors", sources{"store/a.go": body("github.com/asynkron/protoactor-go/actor", "")}, "store/a.go:2: imports"},
		{"an actor sees no other actor", sources{"actors/worker/a.go": body("tiercel/actors/gateway", "")}, "actors/worker/a.go:2: imports"},
		{"an actor does not choose its runtime", sources{"actors/worker/a.go": body("tiercel/actors/runtime/live", "")}, "actors/worker/a.go:2: imports"},
		{"an actor's test may choose its runtime", sources{"actors/worker/a_test.go": body("tiercel/actors/runtime/sim", "")}, ""},
		{"an actor's test sees no other actor", sources{"actors/worker/a_test.go": body("tiercel/actors/gateway", "")}, "actors/worker/a_test.go:2: imports"},
		{"an actor never blocks on the edge", sources{"actors/worker/a.go": body("tiercel/actors/edge", "")}, "actors/worker/a.go:2: imports"},
		{"the composition sees all actors", sources{"actors/tree.go": body("tiercel/actors/worker tiercel/actors/edge", "")}, ""},
		{"the simulation sees all actors", sources{"actors/simtest/a.go": body("tiercel/actors/worker", "")}, ""},
		{"the edge sees all actors", sources{"actors/edge/a.go": body("tiercel/actors/worker", "")}, ""},
		{"HTTP knows no actors", sources{"httpapi/a.go": body("tiercel/actors/edge", "")}, "httpapi/a.go:2: imports"},
		{"HTTP knows no framework", sources{"httpapi/a_test.go": body("github.com/asynkron/protoactor-go/actor", "")}, "httpapi/a_test.go:2: imports"},
		{"nobody imports a command", sources{"httpapi/a.go": body("tiercel/cmd/tiercel", "")}, "httpapi/a.go:2: imports"},
		{"nobody imports a benchmark", sources{"cmd/tiercel/a.go": body("tiercel/bench", "")}, "cmd/tiercel/a.go:2: imports"},
		{"a command sees everything", sources{"cmd/tiercel/a.go": body("tiercel/actors tiercel/httpapi tiercel/store", "")}, ""},
		{"a benchmark measures from outside", sources{"bench/a.go": body("tiercel/store", "")}, "bench/a.go:2: imports"},
		{"a package without a row", sources{"util/a.go": body("", "")}, "util/a.go:1: imports"},

		// What a simulation could not repeat.
		{"the wall clock", sources{"actors/worker/a.go": body("time", "time.Now()")}, "actors/worker/a.go:4: clock"},
		{"the wall clock by another name", sources{"cluster/tier/a.go": "package x\nimport clock \"time\"\nvar now = clock.Now\n"}, "cluster/tier/a.go:3: clock"},
		{"the age of something", sources{"cluster/tier/a.go": body("time", "time.Since(x)")}, "cluster/tier/a.go:4: clock"},
		{"a timer on the wall clock", sources{"actors/worker/a.go": body("time", "time.AfterFunc(1, f)")}, "actors/worker/a.go:4: clock"},
		{"a deadline on the wall clock", sources{"actors/worker/a.go": body("context", "context.WithTimeout(nil, 1)")}, "actors/worker/a.go:4: clock"},
		{"a duration is no clock", sources{"actors/worker/a.go": body("time", "var d time.Duration = time.Second"+raw)}, ""},
		{"a local that is called time", sources{"actors/worker/a.go": body("time", "time := x; time.Now()")}, ""},
		{"the clock of the store", sources{"store/a.go": body("time", "time.Now()")}, ""},
		{"a clock in a test", sources{"actors/worker/a_test.go": body("time", "time.Now()")}, ""},
		{"global randomness", sources{"actors/worker/a.go": body("math/rand/v2", "rand.IntN(3)")}, "actors/worker/a.go:4: random"},
		{"old global randomness", sources{"actors/worker/a.go": body("math/rand", "rand.Intn(3)")}, "actors/worker/a.go:4: random"},
		{"a seeded source", sources{"actors/worker/a.go": body("math/rand/v2", "rand.New(rand.NewPCG(1, 2))")}, ""},
		{"the machine's randomness", sources{"actors/worker/a.go": body("crypto/rand", "rand.Read(b)")}, "actors/worker/a.go:4: random"},
		{"a dot import", sources{"actors/worker/a.go": "package x\nimport . \"time\"\nvar now = Now()\n"}, "actors/worker/a.go:1: clock"},
		{"a goroutine", sources{"actors/worker/a.go": body("", "go f()")}, "actors/worker/a.go:3: goroutine"},
		{"a lock", sources{"cluster/tier/a.go": body("sync", "var mu sync.Mutex"+raw)}, "cluster/tier/a.go:4: lock"},
		{"a file", sources{"actors/worker/a.go": body("os", "os.ReadFile(name)")}, "actors/worker/a.go:4: file"},
		{"the end of the process", sources{"actors/worker/a.go": body("os", "os.Exit(1)")}, "actors/worker/a.go:4: file"},
		{"another process", sources{"actors/worker/a.go": body("os/exec", "exec.Command(name)")}, "actors/worker/a.go:4: file"},
		{"a connection", sources{"actors/worker/a.go": body("net", "net.Dial(a, b)")}, "actors/worker/a.go:4: network"},
		{"HTTP in an actor", sources{"actors/worker/a.go": body("net/http", "http.Get(url)")}, "actors/worker/a.go:4: network"},
		{"a future", sources{"actors/worker/a.go": body("", "ctx.RequestFuture(pid, m, 1)")}, "actors/worker/a.go:3: future"},
		{"waiting for a future", sources{"actors/worker/a.go": body("", "x.Result()")}, "actors/worker/a.go:3: future"},
		{"holding a future", sources{"actors/worker/a.go": body("github.com/asynkron/protoactor-go/actor", "var x *actor.Future"+raw)}, "actors/worker/a.go:4: future"},

		// Form.
		{"printing in a library", sources{"store/a.go": body("fmt", "fmt.Println(1)")}, "store/a.go:4: print"},
		{"the global logger", sources{"store/a.go": body("log", "log.Printf(`x`)")}, "store/a.go:4: print"},
		{"the builtin", sources{"store/a.go": body("", "println(1)")}, "store/a.go:3: print"},
		{"printing in a command", sources{"cmd/tiercel/a.go": body("fmt", "fmt.Println(1)")}, ""},
		{"formatting", sources{"store/a.go": body("fmt", "fmt.Sprint(1)")}, ""},
		{"a long file", sources{"store/a.go": "package x\n" + strings.Repeat("\n", maxFileLines-1) + "var a = 1\n"}, "store/a.go:1: file-length"},
		{"a file at the limit", sources{"store/a.go": "package x\n" + strings.Repeat("\n", maxFileLines-2) + "var a = 1\n"}, ""},
		{"a long generated file", sources{"store/a.go": "// Code generated by x. DO NOT EDIT.\npackage x\n" + strings.Repeat("\n", maxFileLines)}, ""},
		{"a long function", sources{"store/a.go": body("", strings.Repeat("\n", maxFunctionLines-2))}, "store/a.go:2: function-length"},
		{"a function at the limit", sources{"store/a.go": body("", strings.Repeat("\n", maxFunctionLines-3))}, ""},
		{"a long test", sources{"store/a_test.go": body("", strings.Repeat("\n", maxTestFunctionLines-2))}, "store/a_test.go:2: function-length"},
		{"a long table of cases", sources{"store/a_test.go": body("", "_ = []int{\n"+strings.Repeat("1,\n", maxTestFunctionLines)+"}")}, ""},
		{"long code in a table", sources{"store/a_test.go": body("", "_ = []any{func() {\n"+strings.Repeat("\n", maxTestFunctionLines)+"}}")}, "store/a_test.go:2: function-length"},
		{"a package without a comment", sources{"store/doc.go": "package x\n"}, "store/doc.go:1: doc"},
		{"a comment about something else", sources{"store/doc.go": "// Package y is a trial.\npackage x\n"}, "store/doc.go:1: doc"},
		{"a promise", sources{"store/a.go": "package x\n\n// TO" + "DO: later\nvar a = 1\n"}, "store/a.go:3: marker"},
		{"a promise in a test", sources{"store/a_test.go": "package x\n\nvar a = 1 // FIX" + "ME\n"}, "store/a_test.go:3: marker"},
		{"a promise in a .proto", sources{"messages/a.proto": "syntax = \"proto3\";\n// X" + "XX\n"}, "messages/a.proto:2: marker"},
		{"a skipped test", sources{"store/a_test.go": body("", "t.Skip()")}, "store/a_test.go:3: skip"},
		{"a test that skips input", sources{"store/a_test.go": body("", "scanner.Skip(1)")}, ""},
		{"a sleeping test", sources{"store/a_test.go": body("time", "time.Sleep(1)")}, "store/a_test.go:4: sleep"},
	} {
		t.Run(c.name, func(t *testing.T) { assertFinds(t, c.files, c.want) })
	}
}

// assertFinds wants exactly the violation want ("path:line: rule"), or none.
func assertFinds(t *testing.T, files sources, want string) {
	t.Helper()
	tree, err := parse(files.with())
	require.NoError(t, err)
	var got []string
	for _, v := range check(tree, nil) {
		got = append(got, fmt.Sprintf("%s:%d: %s", v.Path, v.Line, v.Rule))
		assert.NotEmpty(t, v.Text)
	}
	if want == "" {
		assert.Empty(t, got)
		return
	}
	assert.Equal(t, []string{want}, got)
}

func TestRules_EachHasATrialThatItCatches(t *testing.T) {
	tried := make(map[string]bool)
	tree, err := Load(".")
	require.NoError(t, err)
	for _, f := range tree.files {
		if f.test {
			for _, name := range wantedRules(f) {
				tried[name] = true
			}
		}
	}
	for _, r := range rules {
		assert.True(t, tried[r.name], "rule %s has no case in rules_test.go or maporder_test.go", r.name)
	}
}

func TestCheck_ReportsEverythingAtOnceInOrder(t *testing.T) {
	tree, err := parse(sources{
		"store/b.go":          body("fmt", "fmt.Println(1)\nfmt.Println(2)"),
		"actors/worker/a.go":  body("time", "go f()\ntime.Now()"),
		"cluster/model/a.go":  body("tiercel/store", ""),
		"store/sleep_test.go": body("time", "time.Sleep(1)"),
	}.with())
	require.NoError(t, err)
	var got []string
	for _, v := range check(tree, nil) {
		got = append(got, fmt.Sprintf("%s:%d: %s", v.Path, v.Line, v.Rule))
	}
	assert.Equal(t, []string{
		"actors/worker/a.go:4: goroutine",
		"actors/worker/a.go:5: clock",
		"cluster/model/a.go:2: imports",
		"store/b.go:4: print",
		"store/b.go:5: print",
		"store/sleep_test.go:4: sleep",
	}, got)
}

func TestExceptions_RelaxOnlyTheirRulesUnderTheirPath(t *testing.T) {
	tree, err := parse(sources{
		"actors/edge/a.go":   body("time", "go f()\ntime.Now()"),
		"actors/worker/a.go": body("", "go f()"),
	}.with())
	require.NoError(t, err)
	table := []exception{{"actors/edge", []string{"goroutine"}, "a reason in a sentence"}}
	var got []string
	for _, v := range check(tree, table) {
		got = append(got, fmt.Sprintf("%s:%d: %s", v.Path, v.Line, v.Rule))
	}
	assert.Equal(t, []string{"actors/edge/a.go:5: clock", "actors/worker/a.go:3: goroutine"}, got)
}

func TestExceptions_ThatNothingUsesOrNobodyExplainedAreViolations(t *testing.T) {
	tree, err := parse(sources{"store/a.go": body("", "")}.with())
	require.NoError(t, err)
	var got []string
	for _, v := range check(tree, []exception{
		{"store", []string{"clock"}, ""},
		{"gone", []string{"clock"}, "a reason in a sentence"},
		{"store", []string{"no-such-rule"}, "a reason in a sentence"},
	}) {
		got = append(got, v.String())
	}
	assert.Equal(t, []string{
		"gone:1: exception: no such path; remove it from internal/tidy/exceptions.go",
		"store:1: exception: give the reason in a sentence",
		"store:1: exception: there is no rule no-such-rule",
	}, got)
}
