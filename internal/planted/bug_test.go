package planted

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const header = "what: w\nrule: r\npackage: ./p\nrun: Test\n"

const edit = "--- file p/a.go\n--- old\n\told\n--- new\n--- end\n"

func TestParse_ReadsHeaderAndEdits(t *testing.T) {
	bug, err := Parse("name", `what: acknowledges before fsync
rule: DESIGN 7.1
package: ./actors/simtest
run: TestSeeds/durability$
env: TIERCEL_SEEDS=200 TIERCEL_SEED=1
expect: lost .* write
timeout: 30s

--- file actors/worker/volume.go
--- old
	sync()

	reply()
--- new
	reply()
	sync()
--- end

--- file store/volume.go
--- old
	check()
--- new
--- end
`)
	require.NoError(t, err)
	assert.Equal(t, "lost .* write", bug.Expect.String())
	bug.Expect = nil
	assert.Equal(t, Bug{
		Name: "name", What: "acknowledges before fsync", Rule: "DESIGN 7.1", Package: "./actors/simtest",
		Run: "TestSeeds/durability$", Env: []string{"TIERCEL_SEEDS=200", "TIERCEL_SEED=1"}, Timeout: 30 * time.Second,
		Edits: []Edit{
			{File: "actors/worker/volume.go", Old: "\tsync()\n\n\treply()", New: "\treply()\n\tsync()"},
			{File: "store/volume.go", Old: "\tcheck()", New: ""},
		},
	}, bug)
}

func TestParse_RefusesWhatItDoesNotUnderstand(t *testing.T) {
	_, err := Parse("good", header+edit)
	require.NoError(t, err)
	for _, c := range []struct{ name, text, problem string }{
		{"no edits", header, "no edits"},
		{"no header", edit, "the header needs"},
		{"an unknown header", "who: me\n" + header + edit, `unknown header "who"`},
		{"a header without a value", "env:\n" + header + edit, "key: value"},
		{"a bad pattern", header + "expect: (\n" + edit, "missing closing"},
		{"a bad timeout", header + "timeout: soon\n" + edit, "invalid duration"},
		{"a bad environment", header + "env: SEEDS\n" + edit, "NAME=value"},
		{"many packages", "package: ./...\n" + "what: w\nrule: r\nrun: T\n" + edit, "one package"},
		{"an edit without an end", header + "--- file a.go\n--- old\nx\n--- new\ny\n", "no --- end"},
		{"sections out of order", header + "--- file a.go\n--- new\n", "--- new where --- old belongs"},
		{"an edit of nothing", header + "--- file a.go\n--- old\n--- new\ny\n--- end\n", "changes nothing"},
		{"an edit that changes nothing", header + "--- file a.go\n--- old\nx\n--- new\nx\n--- end\n", "changes nothing"},
		{"a file outside the module", header + "--- file ../a.go\n", "inside the module"},
		{"text between edits", header + edit + "text\n" + edit, "unexpected text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("bad", c.text)
			require.ErrorContains(t, err, c.problem)
		})
	}
}

func TestShare_EachBugIsInExactlyOneOfThem(t *testing.T) {
	all, err := ParseShare("")
	require.NoError(t, err)
	for _, name := range []string{"a", "b", "quota_leaks", "seal_below_committed"} {
		assert.True(t, all.Has(name))
		n := 0
		for _, text := range []string{"1/4", "2/4", "3/4", "4/4"} {
			share, err := ParseShare(text)
			require.NoError(t, err)
			if share.Has(name) {
				n++
			}
		}
		assert.Equal(t, 1, n, name)
	}
	for _, wrong := range []string{"4", "0/4", "5/4", "a/b", "1/4/2", "-1/4"} {
		_, err := ParseShare(wrong)
		assert.Error(t, err, wrong)
	}
}
