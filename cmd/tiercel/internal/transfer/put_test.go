package transfer

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/client/clienttest"
)

func TestPutAndGet_ATreeComesBackIdenticalThroughFaults(t *testing.T) {
	s := clienttest.New(t)
	s.PageLimit = 7
	faulty(s)
	files := tree()
	src, progress := write(t, files), &counting{}
	sum, err := Put(t.Context(), newClient(t, s), []string{src}, "/datasets/", PutOptions{Jobs: 8, Progress: progress})
	require.NoError(t, err)
	assert.True(t, sum.OK(), "%+v", sum.Failed)
	assert.Equal(t, int64(len(files)), sum.Files)
	assert.Equal(t, sum.Bytes, progress.found.Load())
	assert.Equal(t, sum.Bytes, progress.moved.Load())
	assert.Equal(t, progress.files.Load(), progress.done.Load())
	for path, f := range s.Tenants["default"] {
		assert.LessOrEqual(t, f.Version, uint64(len(files)), "%s was applied twice", path)
	}

	out, progress := t.TempDir(), &counting{}
	sum, err = Get(t.Context(), newClient(t, s), "/datasets/tree", out+"/", GetOptions{Jobs: 8, Progress: progress})
	require.NoError(t, err)
	assert.True(t, sum.OK(), "%+v", sum.Failed)
	assert.Equal(t, files, read(t, filepath.Join(out, "tree")))
	assert.Equal(t, sum.Bytes, progress.moved.Load())
}

func TestPut_FollowsOneRuleOfNames(t *testing.T) {
	dir := write(t, map[string]string{"sub/f": "1", "g": "2"})
	t.Chdir(dir)
	cases := []struct {
		sources, dst, want string
	}{
		{"g", "/d/", "/d/g"},
		{"g", "/d", "/d"},
		{"./g", "/d/x", "/d/x"},
		{"g", "/", "/g"},
		{"sub", "/d/", "/d/sub/f"},
		{"sub", "/d/x", "/d/x/f"},
		{"sub/", "/d/", "/d/f"},
		{"sub/", "/d/x", "/d/x/f"},
		{"sub/", "/", "/f"},
		{"sub/.", "/d/", "/d/f"},
		{".", "/d/", "/d/g /d/sub/f"},
		{dir, "/d/", "/d/tree/g /d/tree/sub/f"},
		{"g sub", "/d/", "/d/g /d/sub/f"},
		{"sub/f sub/", "/d/", "/d/f"},
	}
	for _, c := range cases {
		s := clienttest.New(t)
		sum := put(t, s, c.dst, strings.Fields(c.sources)...)
		assert.True(t, sum.OK(), "%v: %+v", c, sum.Failed)
		assert.ElementsMatch(t, strings.Fields(c.want), keys(s.Files()), "%v", c)
	}
}

func TestPut_RefusesWhatCannotBeMeant(t *testing.T) {
	dir := write(t, map[string]string{"a/f": "", "b/f": ""})
	t.Chdir(dir)
	for _, c := range []struct{ sources, dst, want string }{
		{"a b", "/d", "need a DST that ends in /"},
		{"a/f b/f", "/d/", "a/f and b/f would both become /d/f"},
		{"-", "/d/", "standard input (-) has no name"},
		{"- a", "/d/", "cannot be one of several"},
		{"a", "d", `must start with "/"`},
		{"a", "/d//", "empty segment"},
		{"a", "/d/../e", `".." segment`},
		{"a", "", `must start with "/"`},
	} {
		s := clienttest.New(t)
		_, err := Put(t.Context(), newClient(t, s), strings.Fields(c.sources), c.dst, PutOptions{Jobs: 1, Progress: Silent{}})
		require.ErrorIs(t, err, ErrUsage, "%v", c)
		assert.Contains(t, err.Error(), c.want)
		assert.Empty(t, s.Requests)
	}
}

func TestPut_OneBadFileDoesNotStopTheOthers(t *testing.T) {
	dir := write(t, map[string]string{"good": "1", "bad\xff": "2", "control\x07": "3", "zzz": "4"})
	s := clienttest.New(t)
	sum := put(t, s, "/d/", dir, filepath.Join(dir, "missing"))
	assert.Equal(t, map[string]string{"/d/tree/good": "1", "/d/tree/zzz": "4"}, s.Files())
	assert.Equal(t, int64(3), sum.FailedFiles)
	assert.False(t, sum.OK())
	var report []string
	for _, f := range sum.Failed {
		report = append(report, f.Path+": "+f.Error)
	}
	text := strings.Join(report, "\n")
	assert.Contains(t, text, `bad\xff": its name cannot be stored: the path is not valid UTF-8`)
	assert.Contains(t, text, `control\a": its name cannot be stored: the path has a control character (U+0007)`)
	assert.Contains(t, text, "missing: there is no such file or directory")
}

func TestPut_SkipsSymlinksUnlessToldToFollow(t *testing.T) {
	dir := write(t, map[string]string{"real/f": "1"})
	require.NoError(t, os.Symlink("real", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("..", filepath.Join(dir, "real", "loop")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))

	s := clienttest.New(t)
	sum := put(t, s, "/d", dir)
	assert.True(t, sum.OK())
	assert.Equal(t, int64(3), sum.SkippedSymlinks)
	assert.Equal(t, []string{"/d/real/f"}, keys(s.Files()))

	s = clienttest.New(t)
	sum = put(t, s, "/d", filepath.Join(dir, "link"))
	assert.Equal(t, []string{"/d/f"}, keys(s.Files()), "a symlink named on the command line is followed")

	s = clienttest.New(t)
	sum, err := Put(t.Context(), newClient(t, s), []string{dir}, "/d", PutOptions{Jobs: 2, Progress: Silent{}, Follow: true})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"/d/real/f", "/d/link/f"}, keys(s.Files()))
	assert.Equal(t, int64(3), sum.FailedFiles, "two loops and a dangling one: %+v", sum.Failed)
}

func TestPut_AFileThatChangesWhileItIsReadFails(t *testing.T) {
	dir := write(t, map[string]string{"f": strings.Repeat("1", 3<<20)})
	s := clienttest.New(t)
	s.Fault = func(*http.Request) clienttest.Fault {
		return clienttest.Fault{Before: func() {
			assert.NoError(t, os.Chtimes(filepath.Join(dir, "f"), time.Now(), time.Now().Add(time.Hour)))
		}}
	}
	sum := put(t, s, "/d", dir)
	require.Len(t, sum.Failed, 1)
	assert.Contains(t, sum.Failed[0].Error, "changed while it was read")
}

func TestPut_StoresStandardInput(t *testing.T) {
	for name, content := range map[string]string{"short": "hello", "empty": "", "long": strings.Repeat("0123456789", 1_000_000)} {
		s := clienttest.New(t)
		sum, err := Put(t.Context(), newClient(t, s), []string{"-"}, "/x", PutOptions{Progress: Silent{}, Stdin: strings.NewReader(content)})
		require.NoError(t, err)
		assert.True(t, sum.OK(), "%s: %+v", name, sum.Failed)
		assert.Equal(t, content, s.Files()["/x"], name)
		assert.Equal(t, int64(len(content)), sum.Bytes)
		require.NotNil(t, sum.Receipt)
	}
}

func TestPut_OfALongStreamSaysWhenItCannotBeTriedAgain(t *testing.T) {
	s := clienttest.New(t)
	s.Fault = func(*http.Request) clienttest.Fault { return clienttest.Fault{ResetAfter: true} }
	sum, err := Put(t.Context(), newClient(t, s), []string{"-"}, "/x", PutOptions{Progress: Silent{}, Stdin: strings.NewReader(strings.Repeat("x", 9<<20))})
	require.NoError(t, err)
	require.Len(t, sum.Failed, 1)
	assert.Contains(t, sum.Failed[0].Error, "can be read only once")
	assert.Equal(t, 1, s.Count("PUT"))
}

func TestPut_StopsWhenTheServerIsGone(t *testing.T) {
	dir := write(t, tree())
	s := clienttest.New(t)
	c := newClient(t, s)
	s.Listener.Close()
	sum, err := Put(t.Context(), c, []string{dir}, "/d", PutOptions{Jobs: 4, Progress: Silent{}})
	require.NoError(t, err)
	assert.Contains(t, sum.Stopped, "cannot be reached")
	assert.Len(t, sum.Failed, 1, "said once")
	assert.False(t, sum.OK())
}

func TestPut_StopsWhenInterrupted(t *testing.T) {
	dir := write(t, tree())
	s := clienttest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	once := sync.OnceFunc(cancel)
	s.Fault = func(*http.Request) clienttest.Fault { return clienttest.Fault{Before: once} }
	sum, err := Put(ctx, newClient(t, s), []string{dir}, "/d", PutOptions{Jobs: 4, Progress: Silent{}})
	require.NoError(t, err)
	assert.Contains(t, sum.Stopped, "interrupted")
	assert.Less(t, sum.Files, int64(len(tree())))
}
