package store

import (
	"io"
	"time"
)

// FS is the small file-system interface that everything durable goes through.
// Three implementations pass one conformance suite: the real one (DirFS), a
// simulated one in which a crash drops or tears what was not synced, directory
// entries included (MemFS), and a wrapper that fails by script (FaultFS).
//
// Names are slash-separated and relative to the root of the data directory.
// Errors are *PathError-like and wrap fs.ErrNotExist, fs.ErrExist and
// syscall.ENOSPC where they apply, so that errors.Is works on all three.
type FS interface {
	// Create makes a new file for reading and writing; fs.ErrExist if there is one.
	// The name is durable only after SyncDir of its directory.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// OpenReadOnly opens an existing file for reading.
	OpenReadOnly(name string) (File, error)
	Remove(name string) error
	// Rename replaces newname atomically; durable after SyncDir.
	Rename(oldname, newname string) error
	// MkdirAll makes directories and syncs each parent it added one to.
	MkdirAll(name string) error
	// List returns the names in a directory, sorted, directories with a trailing slash.
	List(dir string) ([]string, error)
	Stat(name string) (FileInfo, error)
	// SyncDir makes creations, renames and removals in a directory durable.
	SyncDir(dir string) error
	// Usage is the size and the space left to us of the file system, in bytes.
	Usage() (total, free int64, err error)
	// Lock takes an exclusive lock that dies with the process.
	Lock(name string) (io.Closer, error)
}

// FileInfo is what Stat tells.
type FileInfo struct {
	Size    int64
	ModTime time.Time
	IsDir   bool
}

// File is an open file. ReadAt and WriteAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync is fdatasync: contents and size. After an error what was written since
	// the last good Sync may be lost though it can still be read, and a later Sync
	// does not bring it back.
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
}
