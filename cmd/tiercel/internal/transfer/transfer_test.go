package transfer

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/client/clienttest"
)

func newClient(t *testing.T, s *clienttest.Server) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Server: s.URL, BackOff: time.Millisecond, Timeout: 20 * time.Second})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// write makes files of the given contents below a new directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	require.NoError(t, os.Mkdir(dir, 0o777))
	for name, content := range files {
		full := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o777))
		require.NoError(t, os.WriteFile(full, []byte(content), 0o666))
	}
	return dir
}

// read returns the regular files below dir.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		files[rel] = string(content)
		return err
	}))
	return files
}

// counting checks that what was announced and what moved agree in the end.
type counting struct{ files, done, found, moved atomic.Int64 }

func (c *counting) Found(files, bytes int64) { c.files.Add(files); c.found.Add(bytes) }
func (c *counting) Moved(bytes int64)        { c.moved.Add(bytes) }
func (c *counting) Done()                    { c.done.Add(1) }

func put(t *testing.T, s *clienttest.Server, dst string, sources ...string) Summary {
	t.Helper()
	sum, err := Put(t.Context(), newClient(t, s), sources, dst, PutOptions{Jobs: 4, Progress: Silent{}})
	require.NoError(t, err)
	return sum
}

func get(t *testing.T, s *clienttest.Server, source, dst string) Summary {
	t.Helper()
	sum, err := Get(t.Context(), newClient(t, s), source, dst, GetOptions{Jobs: 4, Progress: Silent{}, Fsync: true})
	require.NoError(t, err)
	return sum
}

func tree() map[string]string {
	files := map[string]string{
		"empty": "", "a b/ü%2F#?.txt": "odd name", "deep/er/still/x": "x", ".hidden": "h", "-": "dash",
		"large.bin": strings.Repeat("large", 500_000),
	}
	for i := range 200 {
		files[fmt.Sprintf("many/%03d", i)] = strings.Repeat("z", i)
	}
	return files
}

// faulty injects a fault into about every third request, and never twice in a row.
func faulty(s *clienttest.Server) {
	n := 0
	s.Fault = func(r *http.Request) clienttest.Fault {
		n++
		if n%3 != 0 || r.Method == http.MethodHead {
			return clienttest.Fault{}
		}
		return []clienttest.Fault{
			{Status: 503, Code: "no_master"}, {ResetFirst: true}, {Status: 429, Code: "overloaded"},
			{ResetAfter: r.Method == http.MethodPut}, {CutAfter: 10},
		}[n/3%5]
	}
}

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

func keys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
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
