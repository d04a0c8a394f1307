package fsck

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"tiercel/store"
)

// overlay is a store.FS that reads from below and keeps every change in
// memory. Only the lock is real. It holds what is written whole: that is
// node.yaml, VERSION and the newest segment of the log.
type overlay struct {
	below store.FS
	above *store.MemFS

	mu   sync.Mutex
	gone map[string]bool // removed or replaced below
}

func newOverlay(below store.FS) *overlay {
	return &overlay{below: below, above: store.NewMemFS(1), gone: map[string]bool{}}
}

func (o *overlay) hidden(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.gone[path.Clean(name)]
}

func (o *overlay) hide(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone[path.Clean(name)] = true
}

// statBelow is Stat of what is below and not hidden.
func (o *overlay) statBelow(op, name string) (store.FileInfo, error) {
	if o.hidden(name) {
		return store.FileInfo{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return o.below.Stat(name)
}

// Create implements store.FS.
func (o *overlay) Create(name string) (store.File, error) {
	if _, err := o.statBelow("create", name); err == nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := o.mirrorDir(path.Dir(name)); err != nil {
		return nil, err
	}
	return o.above.Create(name)
}

// mirrorDir makes a directory above if it is one below.
func (o *overlay) mirrorDir(dir string) error {
	info, err := o.statBelow("open", dir)
	if err == nil && info.IsDir {
		return o.above.MkdirAll(dir)
	}
	return nil // if it is not there, the file system above says so
}

// Open implements store.FS.
func (o *overlay) Open(name string) (store.File, error) {
	if _, err := o.above.Stat(name); err == nil {
		return o.above.Open(name)
	}
	if _, err := o.statBelow("open", name); err != nil {
		return nil, err
	}
	f, err := o.below.OpenReadOnly(name)
	if err != nil {
		return nil, err
	}
	return &overlayFile{o: o, name: name, file: f}, nil
}

// OpenReadOnly implements store.FS.
func (o *overlay) OpenReadOnly(name string) (store.File, error) {
	if _, err := o.above.Stat(name); err == nil {
		return o.above.OpenReadOnly(name)
	}
	if _, err := o.statBelow("open", name); err != nil {
		return nil, err
	}
	return o.below.OpenReadOnly(name)
}

// Remove implements store.FS.
func (o *overlay) Remove(name string) error {
	_, errBelow := o.statBelow("remove", name)
	err := o.above.Remove(name)
	if errBelow == nil && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		o.hide(name)
	}
	return err
}

// Rename implements store.FS.
func (o *overlay) Rename(oldname, newname string) error {
	if _, err := o.above.Stat(oldname); err != nil {
		if _, err := o.statBelow("rename", oldname); err != nil {
			return err
		}
		f, err := o.copyUp(oldname)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if err := o.mirrorDir(path.Dir(newname)); err != nil {
		return err
	}
	if err := o.above.Rename(oldname, newname); err != nil {
		return err
	}
	o.hide(oldname)
	o.hide(newname)
	return nil
}

// copyUp makes a copy above of a file below, which is hidden from then on.
func (o *overlay) copyUp(name string) (store.File, error) {
	src, err := o.below.OpenReadOnly(name)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	size, err := src.Size()
	if err != nil {
		return nil, err
	}
	content := make([]byte, size)
	if _, err := src.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := o.mirrorDir(path.Dir(name)); err != nil {
		return nil, err
	}
	dst, err := o.above.Create(name)
	if err != nil {
		return nil, err
	}
	if _, err := dst.WriteAt(content, 0); err != nil {
		return nil, errors.Join(err, dst.Close())
	}
	o.hide(name)
	return dst, nil
}

// MkdirAll implements store.FS.
func (o *overlay) MkdirAll(name string) error { return o.above.MkdirAll(name) }

// List implements store.FS: both layers, less what is hidden.
func (o *overlay) List(dir string) ([]string, error) {
	above, errAbove := o.above.List(dir)
	below, errBelow := o.below.List(dir)
	switch {
	case errAbove != nil && errBelow != nil:
		return nil, errBelow
	case errBelow != nil && !errors.Is(errBelow, fs.ErrNotExist):
		return nil, errBelow
	}
	names := above
	for _, name := range below {
		if !o.hidden(path.Join(dir, strings.TrimSuffix(name, "/"))) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Stat implements store.FS.
func (o *overlay) Stat(name string) (store.FileInfo, error) {
	if info, err := o.above.Stat(name); err == nil {
		return info, nil
	}
	return o.statBelow("stat", name)
}

// SyncDir implements store.FS: nothing is ever made durable.
func (o *overlay) SyncDir(string) error { return nil }

// Usage implements store.FS.
func (o *overlay) Usage() (total, free int64, err error) { return o.below.Usage() }

// Lock implements store.FS with the real lock, so that no node starts during
// the check. A directory without LOCK, such as a backup, is in nobody's use, and
// making one would change it.
func (o *overlay) Lock(name string) (io.Closer, error) {
	if _, err := o.below.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return o.above.Lock(name)
	}
	return o.below.Lock(name)
}

// overlayFile is a file from below that moves above with its first change.
type overlayFile struct {
	o    *overlay
	name string

	mu    sync.RWMutex
	file  store.File
	moved bool
}

func (f *overlayFile) current() store.File {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.file
}

// own moves the file above.
func (f *overlayFile) own() (store.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.moved {
		return f.file, nil
	}
	copied, err := f.o.copyUp(f.name)
	if err != nil {
		return nil, err
	}
	old := f.file
	f.file, f.moved = copied, true
	return f.file, old.Close()
}

// ReadAt implements store.File.
func (f *overlayFile) ReadAt(p []byte, off int64) (int, error) { return f.current().ReadAt(p, off) }

// WriteAt implements store.File.
func (f *overlayFile) WriteAt(p []byte, off int64) (int, error) {
	file, err := f.own()
	if err != nil {
		return 0, err
	}
	return file.WriteAt(p, off)
}

// Truncate implements store.File.
func (f *overlayFile) Truncate(size int64) error {
	file, err := f.own()
	if err != nil {
		return err
	}
	return file.Truncate(size)
}

// Sync implements store.File: nothing is ever made durable.
func (f *overlayFile) Sync() error { return nil }

// Size implements store.File.
func (f *overlayFile) Size() (int64, error) { return f.current().Size() }

// Close implements store.File.
func (f *overlayFile) Close() error { return f.current().Close() }
