package transfer

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/client/clienttest"
)

func TestGet_FollowsOneRuleOfNames(t *testing.T) {
	s := clienttest.New(t)
	s.Store("/d/x", "file")
	s.Store("/d/sub/f", "1")
	s.Store("/d/sub/g", "2")
	s.Store("/both", "file")
	s.Store("/both/f", "below")
	for _, c := range []struct{ source, dst, want string }{
		{"/d/x", "new", "new"},
		{"/d/x", "dir/", "dir/x"},
		{"/d/x", "existing", "existing/x"},
		{"/d/x", ".", "x"},
		{"/d/x", "a/b/c", "a/b/c"},
		{"/d/sub", "new", "new/f new/g"},
		{"/d/sub", "existing", "existing/f existing/g"},
		{"/d/sub", "existing/", "existing/sub/f existing/sub/g"},
		{"/d/sub", ".", "sub/f sub/g"},
		{"/d/sub/", ".", "f g"},
		{"/d/sub/", "new/", "new/f new/g"},
		{"/d", "new", "new/sub/f new/sub/g new/x"},
		{"/both", "new", "new"},
		{"/both/", "new", "new/f"},
	} {
		dir := t.TempDir()
		t.Chdir(dir)
		require.NoError(t, os.Mkdir("existing", 0o777))
		sum := get(t, s, c.source, c.dst)
		assert.True(t, sum.OK(), "%v: %+v", c, sum.Failed)
		assert.ElementsMatch(t, strings.Fields(c.want), keys(read(t, dir)), "%v", c)
	}
}

func TestGet_SaysWhenThereIsNothing(t *testing.T) {
	s := clienttest.New(t)
	for _, source := range []string{"/x", "/x/"} {
		_, err := Get(t.Context(), newClient(t, s), source, t.TempDir(), GetOptions{Jobs: 1, Progress: Silent{}})
		assert.Equal(t, model.CodeNotFound, model.CodeOf(err))
	}
}

func TestGet_DamageLeavesNothingBehind(t *testing.T) {
	s := clienttest.New(t)
	s.Store("/x", strings.Repeat("hello", 3<<20)) // large enough to be kept otherwise
	s.Fault = func(r *http.Request) clienttest.Fault { return clienttest.Fault{FlipBit: r.Method == http.MethodGet} }
	dir := write(t, map[string]string{"x": "what was there"})
	sum := get(t, s, "/x", dir)
	require.Len(t, sum.Failed, 1)
	assert.Equal(t, model.CodeCorrupt, sum.Failed[0].Code)
	assert.Equal(t, map[string]string{"x": "what was there"}, read(t, dir))
}

func TestGet_ResumesWhatAnInterruptedRunLeft(t *testing.T) {
	s := clienttest.New(t)
	content := strings.Repeat("0123456789abcdef", 1<<20) // 16 MiB
	s.Store("/x", content)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	requests := 0
	s.Fault = func(r *http.Request) clienttest.Fault {
		if r.Method != http.MethodGet {
			return clienttest.Fault{}
		}
		if requests++; requests == 1 {
			return clienttest.Fault{CutAfter: 10 << 20}
		}
		return clienttest.Fault{Before: cancel, Stall: true}
	}
	sum, err := Get(ctx, newClient(t, s), "/x", dir, GetOptions{Jobs: 1, Progress: Silent{}})
	require.NoError(t, err)
	assert.False(t, sum.OK())
	left := read(t, dir)
	require.Len(t, left, 1, "the part is kept")

	var ranges []string
	s.Lock()
	s.Fault = func(r *http.Request) clienttest.Fault {
		if r.Method == http.MethodGet {
			ranges = append(ranges, r.Header.Get("Range")+" if "+r.Header.Get("If-Match"))
		}
		return clienttest.Fault{}
	}
	s.Unlock()
	sum = get(t, s, "/x", dir)
	assert.True(t, sum.OK(), "%+v", sum.Failed)
	assert.Equal(t, []string{`bytes=10485760- if "v1"`}, ranges)
	assert.Equal(t, map[string]string{"x": content}, read(t, dir))
}

func TestGet_ADamagedPartIsFoundAndThrownAway(t *testing.T) {
	s := clienttest.New(t)
	content := strings.Repeat("0123456789abcdef", 1<<20)
	f := s.Store("/x", content)
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	p, err := newPart(root, client.File{Path: "/x", ETag: f.ETag(), SizeBytes: int64(len(content))}, ".")
	require.NoError(t, err)
	_, err = p.Write([]byte("not the beginning of it"))
	require.NoError(t, err)
	require.NoError(t, p.file.Close())

	sum := get(t, s, "/x", dir)
	assert.Equal(t, int64(1), sum.FailedFiles)
	assert.Empty(t, read(t, dir))
	assert.True(t, get(t, s, "/x", dir).OK())
}

func TestGet_NeverWritesOutsideOfTheTarget(t *testing.T) {
	outside := t.TempDir()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
	s := clienttest.New(t)
	for _, path := range []string{"/d/../../../evil", "/d//evil", "/d/a/../../evil", "/d/link/evil", "/d/good"} {
		s.Store(path, "evil")
	}
	sum := get(t, s, "/d/", dir)
	assert.Equal(t, int64(4), sum.FailedFiles, "%+v", sum.Failed)
	assert.Empty(t, read(t, outside))
	require.NoError(t, os.Remove(filepath.Join(dir, "link")))
	assert.Equal(t, map[string]string{"good": "evil"}, read(t, dir))
}

func TestLocalName_RefusesWhatCouldLeadElsewhere(t *testing.T) {
	name, err := localName("/d/", "/d/a b/ü")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join("a b", "ü"), name)
	for _, remote := range []string{"/d/", "/d", "/other/x", "d/x", "/d/../x", "/d/..", "/d//x", "/d/./x", "/d/x/", "/d/a\x00b", "/d/\xff", ""} {
		_, err := localName("/d/", remote)
		assert.Error(t, err, "%q", remote)
	}
}

func TestGet_AFileAndADirectoryOfOneNameIsAFailureOfOne(t *testing.T) {
	s := clienttest.New(t)
	for _, path := range []string{"/d/a", "/d/a/b", "/d/c"} {
		s.Store(path, path)
	}
	dir := t.TempDir()
	sum := get(t, s, "/d/", dir)
	assert.Equal(t, int64(1), sum.FailedFiles, "%+v", sum.Failed)
	assert.Equal(t, int64(2), sum.Files)
	assert.Len(t, read(t, dir), 2, "no temporary file is left")
}

func TestGet_WritesToStandardOutput(t *testing.T) {
	s := clienttest.New(t)
	s.Store("/x", "hello")
	var out bytes.Buffer
	o := GetOptions{Jobs: 1, Progress: Silent{}, Stdout: &out}
	sum, err := Get(t.Context(), newClient(t, s), "/x", "-", o)
	require.NoError(t, err)
	assert.True(t, sum.OK())
	assert.Equal(t, "hello", out.String())
	_, err = Get(t.Context(), newClient(t, s), "/", "-", o)
	assert.ErrorIs(t, err, ErrUsage)
}
