package store

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"syscall"
)

// FaultOp names the operation a FaultRule waits for.
type FaultOp string

// The operations of FS and File.
const (
	FaultAny      FaultOp = ""
	FaultCreate   FaultOp = "create"
	FaultOpen     FaultOp = "open"
	FaultRemove   FaultOp = "remove"
	FaultRename   FaultOp = "rename"
	FaultMkdir    FaultOp = "mkdir"
	FaultList     FaultOp = "list"
	FaultStat     FaultOp = "stat"
	FaultSyncDir  FaultOp = "syncdir"
	FaultUsage    FaultOp = "usage"
	FaultLock     FaultOp = "lock"
	FaultRead     FaultOp = "read"
	FaultWrite    FaultOp = "write"
	FaultSync     FaultOp = "sync"
	FaultTruncate FaultOp = "truncate"
)

// FaultRule is one line of a fault script: the operations it matches, how many
// of them pass first, how many then fail, and how. Of several rules that match,
// the first with something to do acts.
type FaultRule struct {
	Op    FaultOp
	Match string // glob over the whole name, or over the base name if it has no slash; empty: any
	After int    // matching operations that pass first
	Times int    // then this many fail; 0: all

	// One of these; none is Err: EIO.
	Err        error // returned without effect (a sync loses what it should have made durable)
	ShortWrite bool  // writes a part and returns io.ErrShortWrite
	BitFlip    bool  // a read returns, or a write stores, one bit flipped; no error
	NoSpace    bool  // writes a part and returns syscall.ENOSPC; other operations only the error
}

// FaultFS wraps a file system and fails by script. It is safe for concurrent use.
type FaultFS struct {
	inner FS

	mu     sync.Mutex
	random *rand.Rand
	rules  []faultState
	hits   int
}

type faultState struct {
	FaultRule
	seen, done int
}

// NewFaultFS wraps inner; without rules it passes everything through. The seed
// chooses bits to flip and lengths of short writes.
func NewFaultFS(inner FS, seed uint64, rules ...FaultRule) *FaultFS {
	f := &FaultFS{inner: inner, random: rand.New(rand.NewPCG(seed, 1))}
	for _, r := range rules {
		f.Add(r)
	}
	return f
}

// Add appends a rule; its counting begins now.
func (f *FaultFS) Add(rule FaultRule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, faultState{FaultRule: rule})
}

// Clear removes all rules.
func (f *FaultFS) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Hits is the number of faults that were injected, so that a test can tell that
// its script did something.
func (f *FaultFS) Hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

// fault finds the rule that acts on this operation, if any.
func (f *FaultFS) fault(op FaultOp, name string) *FaultRule {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.rules {
		r := &f.rules[i]
		if r.Op != FaultAny && r.Op != op || !matchName(r.Match, name) {
			continue
		}
		if r.seen++; r.seen <= r.After || r.Times > 0 && r.done >= r.Times {
			continue
		}
		r.done++
		f.hits++
		rule := r.FaultRule
		return &rule
	}
	return nil
}

// part draws a length in [0,n).
func (f *FaultFS) part(n int) int {
	if n <= 0 {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.random.IntN(n)
}

func (f *FaultFS) flip(p []byte) {
	if len(p) > 0 {
		bit := f.part(8 * len(p))
		p[bit/8] ^= 1 << (bit % 8)
	}
}

func (r *FaultRule) err(op FaultOp, name string) error {
	err := r.Err
	switch {
	case r.NoSpace:
		err = syscall.ENOSPC
	case r.ShortWrite:
		err = io.ErrShortWrite
	case err == nil:
		err = syscall.EIO
	}
	return &fs.PathError{Op: string(op), Path: name, Err: err}
}

// check fails operations that have no bytes to flip or shorten.
func (f *FaultFS) check(op FaultOp, name string) error {
	if r := f.fault(op, name); r != nil && !r.BitFlip {
		return r.err(op, name)
	}
	return nil
}

func (f *FaultFS) wrap(op FaultOp, name string, open func(string) (File, error)) (File, error) {
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fs: f, name: name}, nil
}

// Create implements FS.
func (f *FaultFS) Create(name string) (File, error) {
	return f.wrap(FaultCreate, name, f.inner.Create)
}

// Open implements FS.
func (f *FaultFS) Open(name string) (File, error) { return f.wrap(FaultOpen, name, f.inner.Open) }

// OpenReadOnly implements FS.
func (f *FaultFS) OpenReadOnly(name string) (File, error) {
	return f.wrap(FaultOpen, name, f.inner.OpenReadOnly)
}

// Remove implements FS.
func (f *FaultFS) Remove(name string) error {
	if err := f.check(FaultRemove, name); err != nil {
		return err
	}
	return f.inner.Remove(name)
}

// Rename implements FS; rules match the new name.
func (f *FaultFS) Rename(oldname, newname string) error {
	if err := f.check(FaultRename, newname); err != nil {
		return err
	}
	return f.inner.Rename(oldname, newname)
}

// MkdirAll implements FS.
func (f *FaultFS) MkdirAll(name string) error {
	if err := f.check(FaultMkdir, name); err != nil {
		return err
	}
	return f.inner.MkdirAll(name)
}

// List implements FS.
func (f *FaultFS) List(dir string) ([]string, error) {
	if err := f.check(FaultList, dir); err != nil {
		return nil, err
	}
	return f.inner.List(dir)
}

// Stat implements FS.
func (f *FaultFS) Stat(name string) (FileInfo, error) {
	if err := f.check(FaultStat, name); err != nil {
		return FileInfo{}, err
	}
	return f.inner.Stat(name)
}

// SyncDir implements FS.
func (f *FaultFS) SyncDir(dir string) error {
	if err := f.check(FaultSyncDir, dir); err != nil {
		return err
	}
	return f.inner.SyncDir(dir)
}

// Usage implements FS.
func (f *FaultFS) Usage() (total, free int64, err error) {
	if err := f.check(FaultUsage, "."); err != nil {
		return 0, 0, err
	}
	return f.inner.Usage()
}

// Lock implements FS.
func (f *FaultFS) Lock(name string) (io.Closer, error) {
	if err := f.check(FaultLock, name); err != nil {
		return nil, err
	}
	return f.inner.Lock(name)
}

// faultFile is an open file of a FaultFS.
type faultFile struct {
	File
	fs   *FaultFS
	name string
}

// ReadAt implements io.ReaderAt.
func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	r := f.fs.fault(FaultRead, f.name)
	if r != nil && !r.BitFlip {
		return 0, r.err(FaultRead, f.name)
	}
	n, err := f.File.ReadAt(p, off)
	if r != nil {
		f.fs.flip(p[:n])
	}
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	r := f.fs.fault(FaultWrite, f.name)
	switch {
	case r == nil:
		return f.File.WriteAt(p, off)
	case r.BitFlip:
		flipped := append([]byte(nil), p...)
		f.fs.flip(flipped)
		return f.File.WriteAt(flipped, off)
	case r.ShortWrite || r.NoSpace:
		n, err := f.File.WriteAt(p[:f.fs.part(len(p))], off)
		return n, errors.Join(r.err(FaultWrite, f.name), err)
	}
	return 0, r.err(FaultWrite, f.name)
}

// Sync implements File. When it fails what it should have made durable is lost,
// where the file beneath can say so (MemFS).
func (f *faultFile) Sync() error {
	if err := f.fs.check(FaultSync, f.name); err != nil {
		if inner, ok := f.File.(interface{ failSync() }); ok {
			inner.failSync()
		}
		return err
	}
	return f.File.Sync()
}

// Truncate implements File.
func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.check(FaultTruncate, f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}
