package store

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// backends are the implementations that must behave alike.
var backends = []struct {
	name string
	make func(t *testing.T) FS
}{
	{"DirFS", func(t *testing.T) FS {
		d, err := NewDirFS(t.TempDir())
		require.NoError(t, err)
		return d
	}},
	{"MemFS", func(*testing.T) FS { return NewMemFS(1) }},
	{"FaultFS without rules", func(*testing.T) FS { return NewFaultFS(NewMemFS(1), 1) }},
}

func onEachBackend(t *testing.T, test func(t *testing.T, fsys FS)) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) { test(t, b.make(t)) })
	}
}

// put makes a file with content.
func put(t *testing.T, fsys FS, name, content string) {
	t.Helper()
	f, err := fsys.Create(name)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(content), 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

func content(t *testing.T, fsys FS, name string) string {
	t.Helper()
	data, err := readFile(fsys, name, 1<<30)
	require.NoError(t, err)
	return string(data)
}

func TestFS_ErrorsAreTheSameOnEveryBackend(t *testing.T) {
	cases := []struct {
		name string
		do   func(FS) error
		want error
	}{
		{"open what is not there", func(f FS) error { _, err := f.Open("d/none"); return err }, fs.ErrNotExist},
		{"open read-only what is not there", func(f FS) error { _, err := f.OpenReadOnly("d/none"); return err }, fs.ErrNotExist},
		{"create what is there", func(f FS) error { _, err := f.Create("d/file"); return err }, fs.ErrExist},
		{"create in no directory", func(f FS) error { _, err := f.Create("none/file"); return err }, fs.ErrNotExist},
		{"stat what is not there", func(f FS) error { _, err := f.Stat("none"); return err }, fs.ErrNotExist},
		{"remove what is not there", func(f FS) error { return f.Remove("d/none") }, fs.ErrNotExist},
		{"remove a directory in use", func(f FS) error { return f.Remove("d") }, syscall.ENOTEMPTY},
		{"rename what is not there", func(f FS) error { return f.Rename("d/none", "d/other") }, fs.ErrNotExist},
		{"list no directory", func(f FS) error { _, err := f.List("none"); return err }, fs.ErrNotExist},
		{"sync no directory", func(f FS) error { return f.SyncDir("none") }, fs.ErrNotExist},
		{"make a directory over a file", func(f FS) error { return f.MkdirAll("d/file") }, syscall.ENOTDIR},
		{"leave the root", func(f FS) error { _, err := f.Create("../out"); return err }, fs.ErrInvalid},
		{"an absolute name", func(f FS) error { _, err := f.Open("/etc/hosts"); return err }, fs.ErrInvalid},
		{"a lock that is held", func(f FS) error { _, err := f.Lock("LOCK"); return err }, syscall.EWOULDBLOCK},
	}
	onEachBackend(t, func(t *testing.T, fsys FS) {
		require.NoError(t, fsys.MkdirAll("d"))
		put(t, fsys, "d/file", "x")
		lock, err := fsys.Lock("LOCK")
		require.NoError(t, err)
		for _, c := range cases {
			assert.ErrorIs(t, c.do(fsys), c.want, c.name)
		}
		require.NoError(t, lock.Close())
		again, err := fsys.Lock("LOCK")
		require.NoError(t, err, "a lock that was given back can be taken")
		require.NoError(t, again.Close())
	})
}

func TestFS_ReadsWhatWasWritten(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		f, err := fsys.Create("file")
		require.NoError(t, err)
		_, err = f.WriteAt([]byte("hello"), 3)
		require.NoError(t, err)
		size, err := f.Size()
		require.NoError(t, err)
		assert.EqualValues(t, 8, size)
		assert.Equal(t, "\x00\x00\x00hello", content(t, fsys, "file"))

		require.NoError(t, f.Truncate(5))
		require.NoError(t, f.Truncate(7))
		assert.Equal(t, "\x00\x00\x00he\x00\x00", content(t, fsys, "file"), "what was cut off does not come back")

		p := make([]byte, 4)
		n, err := f.ReadAt(p, 5)
		assert.Equal(t, 2, n)
		assert.ErrorIs(t, err, io.EOF)
		n, err = f.ReadAt(p, 100)
		assert.Zero(t, n)
		assert.ErrorIs(t, err, io.EOF)

		r, err := fsys.OpenReadOnly("file")
		require.NoError(t, err)
		_, err = r.WriteAt([]byte("x"), 0)
		assert.Error(t, err, "a file that was opened for reading takes no writes")
		require.NoError(t, r.Close())
		require.NoError(t, f.Close())
		_, err = f.WriteAt([]byte("x"), 0)
		assert.ErrorIs(t, err, fs.ErrClosed)
	})
}

func TestFS_DirectoriesListSortedAndRenameReplaces(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		require.NoError(t, fsys.MkdirAll("a/b/c"))
		require.NoError(t, fsys.MkdirAll("a/b"), "making it again is no error")
		put(t, fsys, "a/2", "two")
		put(t, fsys, "a/1", "one")
		put(t, fsys, "a/b0", "")
		names, err := fsys.List("a")
		require.NoError(t, err)
		assert.Equal(t, []string{"1", "2", "b/", "b0"}, names)
		names, err = fsys.List(".")
		require.NoError(t, err)
		assert.Equal(t, []string{"a/"}, names)

		open, err := fsys.Open("a/2")
		require.NoError(t, err)
		require.NoError(t, fsys.Rename("a/1", "a/2"))
		assert.Equal(t, "one", content(t, fsys, "a/2"))
		old, err := readAll(open, 100)
		require.NoError(t, err)
		assert.Equal(t, "two", string(old), "an open file outlives its name")
		require.NoError(t, open.Close())

		require.NoError(t, fsys.Rename("a/2", "a/b/c/3"))
		require.NoError(t, fsys.SyncDir("a"))
		require.NoError(t, fsys.SyncDir("a/b/c"))
		info, err := fsys.Stat("a/b/c/3")
		require.NoError(t, err)
		assert.EqualValues(t, 3, info.Size)
		assert.False(t, info.IsDir)
		info, err = fsys.Stat("a/b")
		require.NoError(t, err)
		assert.True(t, info.IsDir)
		require.NoError(t, fsys.Remove("a/b/c/3"))
		require.NoError(t, fsys.Remove("a/b/c"), "an empty directory can be removed")

		total, free, err := fsys.Usage()
		require.NoError(t, err)
		assert.Positive(t, total)
		assert.True(t, free >= 0 && free <= total)
	})
}

func TestNewDirFS_SaysWhatStandsInTheWay(t *testing.T) {
	root := t.TempDir()
	d, err := NewDirFS(root + "/made/for/it")
	require.NoError(t, err)
	put(t, d, "file", "")
	_, err = NewDirFS(root + "/made/for/it/file")
	assert.ErrorContains(t, err, "not a directory")
	_, err = NewDirFS(root + "/made/for/it/file/below")
	assert.ErrorContains(t, err, "--data-dir")
}

func TestFaultFS_FailsByScript(t *testing.T) {
	boom := errors.New("boom")
	fsys := NewFaultFS(NewMemFS(1), 1,
		FaultRule{Op: FaultWrite, Match: "*.log", After: 1, Times: 1, Err: boom},
		FaultRule{Op: FaultWrite, Match: "full", NoSpace: true},
		FaultRule{Op: FaultWrite, Match: "short", ShortWrite: true, Times: 1},
		FaultRule{Op: FaultRead, Match: "d/flip", BitFlip: true, Times: 1},
		FaultRule{Op: FaultRename, Match: "to"},
	)
	require.NoError(t, fsys.MkdirAll("d"))
	write := func(name string) (int, error) {
		f, err := fsys.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			f, err = fsys.Create(name)
		}
		require.NoError(t, err)
		return f.WriteAt(make([]byte, 100), 0)
	}
	_, err := write("d/a.log")
	assert.NoError(t, err, "the first passes")
	_, err = write("d/a.log")
	assert.ErrorIs(t, err, boom)
	_, err = write("d/a.log")
	assert.NoError(t, err, "once is enough")
	n, err := write("full")
	assert.ErrorIs(t, err, syscall.ENOSPC)
	assert.Less(t, n, 100)
	_, err = write("short")
	assert.ErrorIs(t, err, io.ErrShortWrite)
	assert.ErrorIs(t, fsys.Rename("short", "to"), syscall.EIO)

	_, err = write("d/flip")
	require.NoError(t, err)
	assert.NotEqual(t, string(make([]byte, 100)), content(t, fsys, "d/flip"))
	assert.Equal(t, string(make([]byte, 100)), content(t, fsys, "d/flip"), "the second reading is right again")
	assert.Equal(t, 5, fsys.Hits())
	fsys.Clear()
	_, err = write("full")
	assert.NoError(t, err)
}

func TestMemFS_WithoutSpaceAWriteIsCutShort(t *testing.T) {
	fsys := NewMemFS(1)
	fsys.SetCapacity(1000)
	put(t, fsys, "a", string(make([]byte, 600)))
	f, err := fsys.Create("b")
	require.NoError(t, err)
	n, err := f.WriteAt(make([]byte, 500), 0)
	assert.ErrorIs(t, err, syscall.ENOSPC)
	assert.LessOrEqual(t, n, 400)
	assert.ErrorIs(t, f.Truncate(500), syscall.ENOSPC)
	require.NoError(t, fsys.Remove("a"))
	_, err = f.WriteAt(make([]byte, 500), 0)
	assert.NoError(t, err, "a removed file gives its space back")
	total, free, err := fsys.Usage()
	require.NoError(t, err)
	assert.EqualValues(t, 1000, total)
	assert.EqualValues(t, 500, free)
}

func testRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }
