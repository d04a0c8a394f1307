package transfer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client/clienttest"
)

func TestRemove_TakesWhatIsBelowOnlyWhenAsked(t *testing.T) {
	s := clienttest.New(t)
	s.PageLimit = 2
	for _, path := range []string{"/a", "/a/b", "/a/c/d", "/ab", "/z"} {
		s.Store(path, "")
	}
	c := newClient(t, s)
	remove := func(o RemoveOptions, paths ...string) Summary {
		o.Jobs = 3
		sum, err := Remove(t.Context(), c, paths, o)
		require.NoError(t, err)
		return sum
	}
	assert.True(t, remove(RemoveOptions{}, "/z").OK())
	sum := remove(RemoveOptions{}, "/z", "/a/c")
	assert.Equal(t, int64(2), sum.FailedFiles)
	assert.True(t, remove(RemoveOptions{Force: true}, "/z").OK())
	assert.Len(t, s.Files(), 4)
	assert.Equal(t, int64(3), remove(RemoveOptions{Recursive: true}, "/a").Files)
	assert.Equal(t, []string{"/ab"}, keys(s.Files()))
	assert.False(t, remove(RemoveOptions{Recursive: true}, "/nothing/").OK())
	for _, paths := range [][]string{{"/a/"}, {"a"}, {"/"}} {
		_, err := Remove(t.Context(), c, paths, RemoveOptions{Jobs: 1, Recursive: paths[0] == "/"})
		assert.ErrorIs(t, err, ErrUsage)
	}
	assert.True(t, remove(RemoveOptions{Recursive: true, All: true}, "/").OK())
	assert.Empty(t, s.Files())
}

func TestRelocate_MovesAndCopiesByTheSameRuleOfNames(t *testing.T) {
	for _, c := range []struct {
		from, to string
		o        RelocateOptions
		want     string
	}{
		{"/a/f", "/n", RelocateOptions{}, "/a/s/g /n"},
		{"/a/f", "/n/", RelocateOptions{}, "/a/s/g /n/f"},
		{"/a/f", "/n", RelocateOptions{Copy: true}, "/a/f /a/s/g /n"},
		{"/a", "/n", RelocateOptions{Recursive: true}, "/n/f /n/s/g"},
		{"/a", "/n/", RelocateOptions{Recursive: true}, "/n/a/f /n/a/s/g"},
		{"/a/", "/n/", RelocateOptions{Recursive: true}, "/n/f /n/s/g"},
		{"/a/s/", "/n", RelocateOptions{Recursive: true, Copy: true}, "/a/f /a/s/g /n/g"},
	} {
		s := clienttest.New(t)
		s.Store("/a/f", "1")
		s.Store("/a/s/g", "2")
		c.o.Jobs = 2
		sum, err := Relocate(t.Context(), newClient(t, s), c.from, c.to, c.o)
		require.NoError(t, err)
		assert.True(t, sum.OK(), "%+v %+v", c, sum.Failed)
		assert.ElementsMatch(t, strings.Fields(c.want), keys(s.Files()), "%+v", c)
	}
}

func TestRelocate_RefusesWhatItCannotDoWell(t *testing.T) {
	s := clienttest.New(t)
	s.Store("/a/f", "1")
	s.Store("/b", "2")
	c := newClient(t, s)
	recursive := RelocateOptions{Recursive: true, Jobs: 1}
	for _, names := range [][2]string{{"/a", "/a/b"}, {"/a/b/", "/a/"}, {"/a", "/"}} {
		_, err := Relocate(t.Context(), c, names[0], names[1], recursive)
		assert.ErrorIs(t, err, ErrUsage, names)
	}
	_, err := Relocate(t.Context(), c, "/a/", "/c", RelocateOptions{Jobs: 1})
	assert.ErrorIs(t, err, ErrUsage)
	for _, step := range []struct {
		from, to string
		o        RelocateOptions
		code     model.Code
	}{
		{"/a/f", "/b", RelocateOptions{}, model.CodeConflict},
		{"/none", "/c", RelocateOptions{}, model.CodeNotFound},
		{"/none", "/c", recursive, model.CodeNotFound},
	} {
		sum, err := Relocate(t.Context(), c, step.from, step.to, step.o)
		require.NoError(t, err)
		require.Len(t, sum.Failed, 1)
		assert.Equal(t, step.code, sum.Failed[0].Code)
	}
	assert.Equal(t, map[string]string{"/a/f": "1", "/b": "2"}, s.Files())
}

func TestDirectories_WhereAFileIsMeantSaysWhatTakesThem(t *testing.T) {
	s := clienttest.New(t)
	s.Store("/dir/x", "1")
	c := newClient(t, s)
	const hint = "there is no such file, but there are files below it; -r takes them all (not_found)"
	for path, want := range map[string]string{"/dir": hint, "/di": "there is no such file (not_found)"} {
		for _, isCopy := range []bool{false, true} {
			sum, err := Relocate(t.Context(), c, path, "/to", RelocateOptions{Jobs: 1, Copy: isCopy})
			require.NoError(t, err)
			require.Len(t, sum.Failed, 1)
			assert.Equal(t, want, sum.Failed[0].Error)
		}
		sum, err := Remove(t.Context(), c, []string{path}, RemoveOptions{Jobs: 1})
		require.NoError(t, err)
		require.Len(t, sum.Failed, 1)
		assert.Equal(t, want, sum.Failed[0].Error)
	}
	sum, err := Remove(t.Context(), c, []string{"/dir"}, RemoveOptions{Jobs: 1, Force: true})
	require.NoError(t, err)
	assert.True(t, sum.OK())
	assert.Equal(t, map[string]string{"/dir/x": "1"}, s.Files())
}
