package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"syscall"

	"golang.org/x/sys/unix"

	"tiercel/cluster/model"
)

const (
	dirMode  = 0o750
	fileMode = 0o640
)

// DirFS is the real file system below one root directory.
type DirFS struct{ root string }

// NewDirFS uses root, which is made when it is absent. Errors are model.Error
// (unavailable) and say what stands in the way.
func NewDirFS(root string) (*DirFS, error) {
	const op = "open data directory"
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "the data directory %q cannot be resolved: %w", root, err)
	}
	d := &DirFS{root: abs}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := mkdirAllSynced(abs); err != nil {
			return nil, model.Errorf(model.CodeUnavailable, op,
				"the data directory cannot be made; make it or choose another with --data-dir: %w", err)
		}
	case err != nil:
		return nil, model.Errorf(model.CodeUnavailable, op,
			"the data directory cannot be used; check its permissions or choose another with --data-dir: %w", err)
	case !info.IsDir():
		return nil, model.Errorf(model.CodeInvalidArgument, op,
			"%s is not a directory; choose another with --data-dir", abs)
	}
	return d, nil
}

// Root is the absolute path of the directory.
func (d *DirFS) Root() string { return d.root }

func (d *DirFS) path(op, name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return filepath.Join(d.root, filepath.FromSlash(name)), nil
}

func (d *DirFS) open(op, name string, flag int) (File, error) {
	p, err := d.path(op, name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(p, flag, fileMode)
	if err != nil {
		return nil, err
	}
	return dirFile{f}, nil
}

// Create implements FS.
func (d *DirFS) Create(name string) (File, error) {
	return d.open("create", name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// Open implements FS.
func (d *DirFS) Open(name string) (File, error) { return d.open("open", name, os.O_RDWR) }

// OpenReadOnly implements FS.
func (d *DirFS) OpenReadOnly(name string) (File, error) { return d.open("open", name, os.O_RDONLY) }

// Remove implements FS.
func (d *DirFS) Remove(name string) error {
	p, err := d.path("remove", name)
	if err != nil {
		return err
	}
	return os.Remove(p)
}

// Rename implements FS.
func (d *DirFS) Rename(oldname, newname string) error {
	from, err := d.path("rename", oldname)
	if err != nil {
		return err
	}
	to, err := d.path("rename", newname)
	if err != nil {
		return err
	}
	return os.Rename(from, to)
}

// MkdirAll implements FS.
func (d *DirFS) MkdirAll(name string) error {
	p, err := d.path("mkdir", name)
	if err != nil {
		return err
	}
	return mkdirAllSynced(p)
}

// mkdirAllSynced makes a directory with its parents and syncs each parent that
// got a new entry, so that the path survives a power loss.
func mkdirAllSynced(p string) error {
	err := os.Mkdir(p, dirMode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := mkdirAllSynced(filepath.Dir(p)); err != nil {
			return err
		}
		err = os.Mkdir(p, dirMode)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		if info, statErr := os.Stat(p); statErr != nil {
			return statErr
		} else if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: p, Err: syscall.ENOTDIR}
		}
		return nil
	case err != nil:
		return err
	}
	return syncDirectory(filepath.Dir(p))
}

// List implements FS.
func (d *DirFS) List(dir string) ([]string, error) {
	p, err := d.path("list", dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(p)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name()+"/")
		} else {
			names = append(names, e.Name())
		}
	}
	sort.Strings(names)
	return names, nil
}

// Stat implements FS.
func (d *DirFS) Stat(name string) (FileInfo, error) {
	p, err := d.path("stat", name)
	if err != nil {
		return FileInfo{}, err
	}
	info, err := os.Stat(p)
	if err != nil {
		return FileInfo{}, err
	}
	return FileInfo{Size: info.Size(), ModTime: info.ModTime(), IsDir: info.IsDir()}, nil
}

// SyncDir implements FS.
func (d *DirFS) SyncDir(dir string) error {
	p, err := d.path("syncdir", dir)
	if err != nil {
		return err
	}
	return syncDirectory(p)
}

func syncDirectory(p string) error {
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Usage implements FS. Free is what an unprivileged writer may still use.
func (d *DirFS) Usage() (total, free int64, err error) {
	var st unix.Statfs_t
	for {
		err = unix.Statfs(d.root, &st)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: d.root, Err: err}
	}
	block := int64(st.Bsize) //nolint:unconvert // it is another type on other systems
	return int64(st.Blocks) * block, int64(st.Bavail) * block, nil
}

// Lock implements FS with flock; a lock held elsewhere is syscall.EWOULDBLOCK.
func (d *DirFS) Lock(name string) (io.Closer, error) {
	p, err := d.path("lock", name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(p, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		closeErr := f.Close()
		return nil, &fs.PathError{Op: "lock", Path: path.Base(name), Err: errors.Join(err, closeErr)}
	}
	return f, nil
}

// dirFile is an open real file.
type dirFile struct{ *os.File }

// Sync implements File with fdatasync, which flushes contents and size.
func (f dirFile) Sync() error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var syncErr error
	err = conn.Control(func(fd uintptr) {
		for {
			syncErr = fdatasync(int(fd))
			if !errors.Is(syncErr, unix.EINTR) {
				return
			}
		}
	})
	if err == nil {
		err = syncErr
	}
	if err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

// Size implements File.
func (f dirFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
