package model_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func TestCheckPath_TakesCanonicalAbsolutePathsOnly(t *testing.T) {
	longest := "/" + strings.Repeat("a", model.MaxPathBytes-1)
	for _, c := range []struct {
		path    string
		refusal string // a part of the message; empty: allowed
	}{
		{"/a", ""},
		{"/a/b.emm", ""},
		{"/.gitignore", ""},
		{"/..a/b../...", ""},
		{"/with space/+%41", ""}, // decoded once: a percent sign is a percent sign
		{`/back\slash`, ""},
		{"/données/日本", ""},
		{longest, ""},

		{"", "must start with"},
		{"a", "must start with"},
		{"../a", "must start with"},
		{longest + "a", "1025 bytes; at most 1024"},
		{"/", "empty segment"},
		{"//", "empty segment"},
		{"//a", "empty segment"},
		{"/a//b", "empty segment"},
		{"/a/", "empty segment"},
		{"/.", `"." segment`},
		{"/./a", `"." segment`},
		{"/a/./b", `"." segment`},
		{"/..", `".." segment`},
		{"/../etc/passwd", `".." segment`},
		{"/a/../../b", `".." segment`},
		{"/a/..", `".." segment`},
		{"/a\x00b", "control character (U+0000)"},
		{"/a\nb", "control character (U+000A)"},
		{"/a\x7fb", "control character (U+007F)"},
		{"/a\u0085b", "control character (U+0085)"},
		{"/a\xff", "not valid UTF-8"},
		{"/a\xed\xa0\x80", "not valid UTF-8"},      // a surrogate
		{"/\xc0\xae\xc0\xae/a", "not valid UTF-8"}, // ".." in overlong form
	} {
		assertRefusal(t, model.CheckPath(c.path), c.refusal, c.path)
	}
}

func TestCheckPrefix_TakesWhatAPathCouldBeginWith(t *testing.T) {
	for _, c := range []struct{ prefix, refusal string }{
		{"", ""},
		{"/", ""},
		{"/a", ""},
		{"/a/", ""},
		{"/a/b", ""},
		{"/.", ""},  // of /.gitignore
		{"/..", ""}, // of /..a
		{"/a/.", ""},
		{"/a/..", ""},
		{"/" + strings.Repeat("a", model.MaxPathBytes-1), ""},

		{"a", "must start with"},
		{"//", "empty segment"},
		{"//a", "empty segment"},
		{"/a//", "empty segment"},
		{"/./", `"." segment`},
		{"/../", `".." segment`},
		{"/../a", `".." segment`},
		{"/a/../b", `".." segment`},
		{"/../.", `".." segment`},
		{"/a\x00", "control character"},
		{"/\xff", "not valid UTF-8"},
		{"/" + strings.Repeat("a", model.MaxPathBytes), "at most 1024"},
	} {
		assertRefusal(t, model.CheckPrefix(c.prefix), c.refusal, c.prefix)
	}
}

// Whatever CheckPath takes can be listed: each of its beginnings is a prefix.
func TestCheckPrefix_TakesEveryBeginningOfAPath(t *testing.T) {
	for _, path := range []string{"/a/b/c.txt", "/.config/..hidden/...", "/one"} {
		require.NoError(t, model.CheckPath(path))
		for end := range len(path) + 1 {
			assert.NoError(t, model.CheckPrefix(path[:end]), "%q", path[:end])
		}
	}
}

func TestCheckTenant_TakesShortLowerCaseNames(t *testing.T) {
	for _, c := range []struct {
		tenant string
		ok     bool
	}{
		{model.DefaultTenant, true},
		{"a", true},
		{"0", true},
		{"a-b_c9", true},
		{strings.Repeat("a", 63), true},

		{"", false},
		{"-a", false},
		{"_a", false},
		{"A", false},
		{"a.b", false},
		{"a/b", false},
		{"a b", false},
		{"a\x00", false},
		{"é", false},
		{strings.Repeat("a", 64), false},
	} {
		refusal := ""
		if !c.ok {
			refusal = "the tenant must be 1 to 63 of"
		}
		assertRefusal(t, model.CheckTenant(c.tenant), refusal, c.tenant)
	}
}

func FuzzCheckPath(f *testing.F) {
	for _, seed := range []string{"/a/b", "/../a", "//", "/a\x00", "/%2e%2e", "/\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if model.CheckPath(path) != nil {
			return
		}
		require.LessOrEqual(t, len(path), model.MaxPathBytes)
		require.NoError(t, model.CheckPrefix(path))
		for _, segment := range strings.Split(path, "/")[1:] {
			require.NotContains(t, []string{"", ".", ".."}, segment)
		}
		require.NotContains(t, path, "\x00")
	})
}

// assertRefusal wants err to be invalid_argument with a part of its message, or nil.
func assertRefusal(t *testing.T, err error, part, input string) {
	t.Helper()
	if part == "" {
		assert.NoError(t, err, "%q", input)
		return
	}
	if assert.Error(t, err, "%q", input) {
		assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err))
		assert.ErrorContains(t, err, part, "%q", input)
	}
}

func TestJoinPath_NoPathLeadsOutOfThePrefix(t *testing.T) {
	for _, c := range []struct{ prefix, path, want string }{
		{"", "/a", "/a"}, {"", "a", "/a"}, {"/", "a/b", "/a/b"},
		{"/p", "a", "/p/a"}, {"/p/", "/a", "/p/a"}, {"/p/q", ".gitignore", "/p/q/.gitignore"},
		{"/p", "", ""}, {"/p", "/", ""}, {"/p", "..", ""}, {"/p", "a/../../b", ""}, {"/p", "./a", ""}, {"/p", "//a", ""}, {"/p", "a/", ""},
		{"/p", "a\x00", ""}, {"/p", "\xff", ""}, {"/p", strings.Repeat("x", model.MaxPathBytes), ""}, {"/p", strings.Repeat("x", model.MaxPathBytes-3), "/p/" + strings.Repeat("x", model.MaxPathBytes-3)},
	} {
		got, err := model.JoinPath(c.prefix, c.path)
		if c.want == "" {
			assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err), "%q %q", c.prefix, c.path)
			continue
		}
		assert.NoError(t, err)
		assert.Equal(t, c.want, got)
	}
}
