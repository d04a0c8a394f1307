package planted

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// toyModule writes a module with one rule, Sum, and tests of every temper.
func toyModule(t *testing.T) *Harness {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module toy\n\ngo 1.26\n",
		"sum/sum.go": `package sum

func Sum(a, b int) int {
	return a + b
}

func Spin() bool { return false }
`,
		"sum/sum_test.go": `package sum

import (
	"os"
	"testing"
)

func TestSum_Adds(t *testing.T) {
	if got := Sum(2, 3); got != 5 {
		t.Errorf("seed=17: 2 + 3 is 5, not %d", got)
	}
}

func TestSum_LooksAway(t *testing.T) { Sum(2, 3) }

func TestSum_LooksWhenAsked(t *testing.T) {
	if os.Getenv("TOY_LOOK") == "yes" && Sum(2, 3) != 5 {
		t.Error("looked")
	}
}

func TestSum_IsKilled(t *testing.T) {
	if Sum(2, 3) != 5 {
		t.Error("failed, but it goes on")
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	}
}

func TestBroken_Always(t *testing.T) { t.Error("broken") }

func TestSpin_Ends(t *testing.T) {
	for Spin() {
	}
}
`,
	} {
		name = filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	h, err := NewHarness(root, t.TempDir())
	require.NoError(t, err)
	return h
}

func toyBug(run string, env ...string) Bug {
	return Bug{
		Name: "toy", What: "it subtracts", Rule: "sums", Package: "./sum", Run: run, Env: env, Timeout: time.Minute,
		Edits: []Edit{{File: "sum/sum.go", Old: "\treturn a + b", New: "\treturn a - b"}},
	}
}

func TestHarness_TellsHowABugWasCaught(t *testing.T) {
	h := toyModule(t)
	caught, err := h.Try(t.Context(), toyBug("TestSum_Adds"))
	require.NoError(t, err)
	assert.Equal(t, "TestSum_Adds, seed 17: sum_test.go:10: seed=17: 2 + 3 is 5, not -1", caught.String())

	original, err := os.ReadFile(filepath.Join(h.root, "sum/sum.go"))
	require.NoError(t, err)
	assert.Contains(t, string(original), "a + b", "the checkout is not touched")
}

func TestHarness_PassesTheEnvironmentToTheTest(t *testing.T) {
	h := toyModule(t)
	_, err := h.Try(t.Context(), toyBug("TestSum_LooksWhenAsked"))
	require.ErrorContains(t, err, "NOT CAUGHT")
	_, err = h.Try(t.Context(), toyBug("TestSum_LooksWhenAsked", "TOY_LOOK=yes"))
	require.NoError(t, err)
}

func TestHarness_DoesNotCountAsCaught(t *testing.T) {
	h := toyModule(t)
	with := func(b Bug, change func(*Bug)) Bug {
		change(&b)
		return b
	}
	for _, c := range []struct {
		name, problem string
		bug           Bug
	}{
		{"a test that passes all the same", "NOT CAUGHT", toyBug("TestSum_LooksAway")},
		{"a test that always fails", "fails without the bug", toyBug("TestBroken_")},
		{"a pattern that runs nothing", "matches no test", toyBug("TestNoSuch")},
		{"a mutant that does not compile", "does not compile", with(toyBug("TestSum_Adds"), func(b *Bug) {
			b.Edits[0].New = "\treturn a +"
		})},
		{"an edit of text that is gone", "occurs 0 times", with(toyBug("TestSum_Adds"), func(b *Bug) {
			b.Edits[0].Old = "\treturn b + a"
		})},
		{"an edit of a part of a line", "occurs 0 times", with(toyBug("TestSum_Adds"), func(b *Bug) {
			b.Edits[0].Old = "return a + b"
		})},
		{"an edit of text that is there twice", "occurs 2 times", with(toyBug("TestSum_Adds"), func(b *Bug) {
			b.Edits = append([]Edit{{File: "sum/sum.go", Old: "func Spin() bool { return false }", New: "\treturn a + b"}}, b.Edits...)
		})},
		{"an edit of a file that is gone", "in step with the code", with(toyBug("TestSum_Adds"), func(b *Bug) {
			b.Edits[0].File = "sum/gone.go"
		})},
		{"a failure of another kind", "not as expected", with(toyBug("TestSum_Adds"), func(b *Bug) {
			b.Expect = regexp.MustCompile("durability")
		})},
		{"a test that is killed", "was killed", toyBug("TestSum_IsKilled")},
		{"a test that runs out of time", "ran out of time", with(toyBug("TestSpin_"), func(b *Bug) {
			b.Timeout = 5 * time.Second // enough for the run without the bug on a slow machine
			b.Edits[0].Old, b.Edits[0].New = "func Spin() bool { return false }", "func Spin() bool { return true }"
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := h.Try(t.Context(), c.bug)
			require.ErrorContains(t, err, c.problem)
		})
	}
}

func TestEdit_ReplacesWholeLinesWhereverTheyAre(t *testing.T) {
	for _, c := range []struct{ name, text, old, new, want string }{
		{"the first line", "a\nb\nc\n", "a", "x", "x\nb\nc\n"},
		{"the last line", "a\nb\nc\n", "c", "x", "a\nb\nx\n"},
		{"several lines by one", "a\nb\nc\n", "a\nb", "x", "x\nc\n"},
		{"a line by nothing", "a\nb\nc\n", "b", "", "a\nc\n"},
	} {
		got, err := Edit{File: "f", Old: c.old, New: c.new}.apply(c.text)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, got, c.name)
	}
}

func TestEdit_SeesLinesThatFollowTheirTwins(t *testing.T) {
	_, err := Edit{File: "f", Old: "a", New: "x"}.apply("a\na\n")
	require.ErrorContains(t, err, "occurs 2 times")
}

func TestCaught_FindsTheSeedHoweverItIsNamed(t *testing.T) {
	for text, seed := range map[string]string{
		"seed 17 fails": "17",
		"replay with: TIERCEL_SEED=103 TIERCEL_SEEDS=1": "103",
		"Seed: 0xfe":        "0xfe",
		"TIERCEL_SEEDS=200": "",
		"unseed 5":          "",
	} {
		assert.Equal(t, seed, testOutput{text: text}.caught().Seed, text)
	}
}
