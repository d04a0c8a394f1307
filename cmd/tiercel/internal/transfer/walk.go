package transfer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
)

// readDirBatch bounds how many names of one directory are held at a time.
const readDirBatch = 1024

// maxDepth bounds recursion; no path of model.MaxPathBytes is deeper.
const maxDepth = 1024

// local is one regular file that was found, and the path it goes to.
type local struct {
	name   string
	target string
	size   int64
}

// walker finds the regular files below sources. What cannot be read is noted
// in the tally, and the walk goes on.
type walker struct {
	follow bool
	tally  *tally
}

// all yields the files of every source.
func (w *walker) all(sources []string, dst string) iter.Seq2[local, error] {
	return func(yield func(local, error) bool) {
		for _, source := range sources {
			if !w.source(source, remoteTarget(source, dst), yield) {
				return
			}
		}
	}
}

// source walks what was named on the command line: a symlink there is followed.
func (w *walker) source(source, target string, yield func(local, error) bool) bool {
	info, err := os.Stat(source)
	switch {
	case err != nil:
		w.tally.fail(source, plain(err))
	case info.IsDir():
		return w.directory(filepath.Clean(source), target, []fs.FileInfo{info}, yield)
	case !info.Mode().IsRegular():
		w.tally.fail(source, errors.New("not a regular file; to store what a pipe delivers, use - for SRC"))
	default:
		return yield(local{source, target, info.Size()}, nil)
	}
	return true
}

// directory walks one directory; above are its ancestors, itself included.
func (w *walker) directory(dir, target string, above []fs.FileInfo, yield func(local, error) bool) bool {
	if len(above) > maxDepth {
		w.tally.fail(dir, fmt.Errorf("more than %d directories deep", maxDepth))
		return true
	}
	f, err := os.Open(dir)
	if err != nil {
		w.tally.fail(dir, plain(err))
		return true
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(readDirBatch)
		for _, e := range entries {
			if !w.entry(filepath.Join(dir, e.Name()), target+"/"+e.Name(), e.Type(), above, yield) {
				return false
			}
		}
		if err == io.EOF {
			return true
		}
		if err != nil {
			w.tally.fail(dir, plain(err))
			return true
		}
	}
}

func (w *walker) entry(name, target string, kind fs.FileMode, above []fs.FileInfo, yield func(local, error) bool) bool {
	stat := os.Lstat
	if kind&fs.ModeSymlink != 0 {
		if !w.follow {
			w.tally.skip(1, 0)
			return true
		}
		stat = os.Stat
	}
	info, err := stat(name)
	switch {
	case err != nil:
		w.tally.fail(name, plain(err))
	case info.IsDir():
		if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
			w.tally.fail(name, errors.New("a symlink to a directory above it: following it would never end"))
			return true
		}
		return w.directory(name, target, append(above[:len(above):len(above)], info), yield)
	case !info.Mode().IsRegular():
		w.tally.skip(0, 1)
	default:
		return yield(local{name, target, info.Size()}, nil)
	}
	return true
}

// plain takes the name and the system call out of a file error: the name is
// shown beside it anyway.
func plain(err error) error {
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file or directory")
	case errors.As(err, &pathErr):
		return pathErr.Err
	case errors.As(err, &linkErr):
		return linkErr.Err
	}
	return err
}
