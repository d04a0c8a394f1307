package store

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrCrashed is what every operation on a MemFS returns once it has crashed.
var ErrCrashed = errors.New("the simulated machine has crashed")

// memDefaultCapacity is what Usage tells while SetCapacity has said nothing.
const memDefaultCapacity = 1 << 40

// MemFS is a file system in memory that keeps account of what a crash may take:
// contents since the last good Sync, and directory entries since the last
// SyncDir of their directory. Crash (memfs_crash.go) makes the next start's view.
// It is safe for concurrent use, and the same calls with the same seed do the
// same things. Directories cannot be renamed.
type MemFS struct {
	mu       sync.Mutex
	random   *rand.Rand
	dirs     map[string]*memDir // by path; "." is the root
	pending  []memEntryOp       // entry changes not yet durable, oldest first
	locks    map[string]bool
	used     int64
	capacity int64 // 0: unlimited

	crashed   bool
	mutations int64 // mutating operations so far; also the clock of ModTime
	crashIn   int   // the crashIn-th mutating operation from now crashes; 0: none
	onCrash   func()
	syncFails []memSyncFail
}

// memDir holds a directory's entries as they are and as a power loss leaves them.
type memDir struct{ current, durable map[string]*memInode }

// memEntryOp is one create (to), remove (from) or rename (both). Each half is
// durable once its directory is synced.
type memEntryOp struct {
	fromDir, fromName string // fromName empty: no such half, or already durable
	toDir, toName     string
	inode             *memInode
}

type memSyncFail struct {
	match string
	left  int
}

// NewMemFS makes an empty file system with its root directory.
func NewMemFS(seed uint64) *MemFS {
	m := &MemFS{random: rand.New(rand.NewPCG(seed, 0x7469657263656c)), locks: map[string]bool{}, dirs: map[string]*memDir{}}
	m.dirs["."] = newMemDir()
	return m
}

func newMemDir() *memDir {
	return &memDir{current: map[string]*memInode{}, durable: map[string]*memInode{}}
}

// SetCapacity limits the sum of file sizes; a write beyond it is cut short with
// syscall.ENOSPC. 0 lifts the limit.
func (m *MemFS) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// FailNextSync lets the next n Syncs of files whose name matches fail with EIO.
// What they should have made durable can still be read, but neither a later Sync
// nor anything short of writing it again makes it survive a power loss.
// match is a glob over the whole name, or over the base name if it has no slash.
// With n 0 none fails any more, whatever it matches.
func (m *MemFS) FailNextSync(match string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n == 0 {
		m.syncFails = nil
		return
	}
	m.syncFails = append(m.syncFails, memSyncFail{match: match, left: n})
}

// Mutations counts the mutating operations so far (create, remove, rename,
// mkdir, sync of a directory, write, truncate, sync, lock), so that a test can
// crash at each.
func (m *MemFS) Mutations() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int(m.mutations)
}

// do runs one operation under the lock. A mutating one counts, and crashes the
// file system when its turn has come.
func (m *MemFS) do(op, name string, mutating bool, fn func() error) error {
	m.mu.Lock()
	var crash func()
	if mutating && !m.crashed {
		m.mutations++
		if m.crashIn > 0 {
			if m.crashIn--; m.crashIn == 0 {
				m.crashed, crash, m.onCrash = true, m.onCrash, nil
			}
		}
	}
	err := ErrCrashed
	if !m.crashed {
		err = fn()
	}
	m.mu.Unlock()
	if crash != nil {
		crash()
	}
	if err == nil || err == io.EOF {
		return err
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// lookup finds the directory and base name of a path.
func (m *MemFS) lookup(name string) (*memDir, string, string, error) {
	if !fs.ValidPath(name) || name == "." {
		return nil, "", "", fs.ErrInvalid
	}
	dirName, base := path.Split(name)
	dirName = path.Clean(dirName)
	dir := m.dirs[dirName]
	if dir == nil {
		return nil, "", "", fs.ErrNotExist
	}
	return dir, dirName, base, nil
}

// Create implements FS.
func (m *MemFS) Create(name string) (File, error) {
	var f *memFile
	err := m.do("create", name, true, func() error {
		inode, err := m.create(name)
		f = &memFile{fs: m, name: name, inode: inode, writable: true}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m *MemFS) create(name string) (*memInode, error) {
	dir, dirName, base, err := m.lookup(name)
	if err != nil {
		return nil, err
	}
	if dir.current[base] != nil || m.dirs[name] != nil {
		return nil, fs.ErrExist
	}
	inode := &memInode{links: 1, dirty: map[int64][]byte{}, lost: map[int64][]byte{}, modified: m.now()}
	dir.current[base] = inode
	m.pending = append(m.pending, memEntryOp{toDir: dirName, toName: base, inode: inode})
	return inode, nil
}

func (m *MemFS) now() time.Time { return time.Unix(m.mutations, 0).UTC() }

// Open implements FS.
func (m *MemFS) Open(name string) (File, error) { return m.open(name, true) }

// OpenReadOnly implements FS.
func (m *MemFS) OpenReadOnly(name string) (File, error) { return m.open(name, false) }

func (m *MemFS) open(name string, writable bool) (File, error) {
	var f *memFile
	err := m.do("open", name, false, func() error {
		dir, _, base, err := m.lookup(name)
		if err != nil {
			return err
		}
		inode := dir.current[base]
		if inode == nil && m.dirs[name] != nil {
			return syscall.EISDIR
		}
		if inode == nil {
			return fs.ErrNotExist
		}
		f = &memFile{fs: m, name: name, inode: inode, writable: writable}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Remove implements FS. An empty directory goes at once and for good.
func (m *MemFS) Remove(name string) error {
	return m.do("remove", name, true, func() error {
		dir, dirName, base, err := m.lookup(name)
		if err != nil {
			return err
		}
		if m.dirs[name] != nil {
			return m.removeDir(name)
		}
		inode := dir.current[base]
		if inode == nil {
			return fs.ErrNotExist
		}
		m.unlink(dir, base)
		m.pending = append(m.pending, memEntryOp{fromDir: dirName, fromName: base})
		return nil
	})
}

func (m *MemFS) removeDir(name string) error {
	if len(m.list(name)) > 0 {
		return syscall.ENOTEMPTY
	}
	delete(m.dirs, name)
	m.pending = withoutDir(m.pending, name)
	return nil
}

func (m *MemFS) unlink(dir *memDir, base string) {
	if inode := dir.current[base]; inode != nil {
		delete(dir.current, base)
		if inode.links--; inode.links == 0 {
			m.used -= inode.counted
		}
	}
}

// Rename implements FS.
func (m *MemFS) Rename(oldname, newname string) error {
	return m.do("rename", oldname, true, func() error {
		from, fromDir, fromBase, err := m.lookup(oldname)
		if err != nil {
			return err
		}
		to, toDir, toBase, err := m.lookup(newname)
		if err != nil {
			return err
		}
		if m.dirs[oldname] != nil || m.dirs[newname] != nil {
			return syscall.EISDIR
		}
		inode := from.current[fromBase]
		switch {
		case inode == nil:
			return fs.ErrNotExist
		case to.current[toBase] == inode:
			return nil
		}
		m.unlink(to, toBase)
		delete(from.current, fromBase)
		to.current[toBase] = inode
		m.pending = append(m.pending, memEntryOp{fromDir, fromBase, toDir, toBase, inode})
		return nil
	})
}

// MkdirAll implements FS. As its contract says, a new directory is durable.
func (m *MemFS) MkdirAll(name string) error {
	return m.do("mkdir", name, true, func() error {
		if !fs.ValidPath(name) {
			return fs.ErrInvalid
		}
		parent := "."
		for i := 0; i <= len(name); i++ {
			if i < len(name) && name[i] != '/' {
				continue
			}
			prefix := name[:i]
			if m.dirs[prefix] != nil {
				parent = prefix
				continue
			}
			if m.dirs[parent].current[path.Base(prefix)] != nil {
				return syscall.ENOTDIR
			}
			m.dirs[prefix] = newMemDir()
			m.syncDir(parent)
			parent = prefix
		}
		return nil
	})
}

// List implements FS.
func (m *MemFS) List(dir string) ([]string, error) {
	var names []string
	err := m.do("list", dir, false, func() error {
		if m.dirs[dir] == nil {
			return fs.ErrNotExist
		}
		names = m.list(dir)
		return nil
	})
	return names, err
}

func (m *MemFS) list(dir string) []string {
	names := make([]string, 0, len(m.dirs[dir].current))
	for name := range m.dirs[dir].current {
		names = append(names, name)
	}
	for name := range m.dirs {
		if name != "." && path.Dir(name) == dir {
			names = append(names, path.Base(name)+"/")
		}
	}
	sort.Strings(names)
	return names
}

// Stat implements FS.
func (m *MemFS) Stat(name string) (FileInfo, error) {
	var info FileInfo
	err := m.do("stat", name, false, func() error {
		if m.dirs[name] != nil {
			info = FileInfo{IsDir: true, ModTime: time.Unix(0, 0).UTC()}
			return nil
		}
		dir, _, base, err := m.lookup(name)
		if err != nil {
			return err
		}
		inode := dir.current[base]
		if inode == nil {
			return fs.ErrNotExist
		}
		info = FileInfo{Size: int64(len(inode.data)), ModTime: inode.modified}
		return nil
	})
	return info, err
}

// matchName is the glob of FailNextSync and FaultRule.
func matchName(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	if !strings.Contains(pattern, "/") {
		name = path.Base(name)
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
