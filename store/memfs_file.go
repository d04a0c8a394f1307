package store

import (
	"io"
	"io/fs"
	"syscall"
	"time"
)

// memBlock is the unit in which unsynced contents survive a crash or not;
// memSector is the unit in which a block is torn.
const (
	memBlock  = 4096
	memSector = 512
)

// memInode is a file's contents with an account of what is not yet durable.
// dirty and lost hold, by block number, what the disk still has (nil: nothing).
// A block is in at most one of them; in neither, disk and data agree.
type memInode struct {
	data        []byte
	durableSize int64
	lowSize     int64            // the smallest size since the last good Sync
	sizeDirty   bool             // the size changed since the last Sync, good or not
	dirty       map[int64][]byte // written since the last Sync
	lost        map[int64][]byte // written before a Sync that failed: clean, readable, not durable
	links       int
	counted     int64 // the part of MemFS.used that is this file
	modified    time.Time
}

// touch notes that a block is about to change and keeps what the disk has of it.
func (n *memInode) touch(block int64) {
	if _, ok := n.dirty[block]; ok {
		return
	}
	if old, ok := n.lost[block]; ok {
		n.dirty[block] = old
		delete(n.lost, block)
		return
	}
	var old []byte
	if from := block * memBlock; from < int64(len(n.data)) {
		old = append(old, n.data[from:min(from+memBlock, int64(len(n.data)))]...)
	}
	n.dirty[block] = old
}

func (n *memInode) touchRange(from, to int64) {
	for b := from / memBlock; b*memBlock < to; b++ {
		n.touch(b)
	}
}

func (n *memInode) resize(size int64) {
	old := int64(len(n.data))
	switch {
	case size == old:
		return
	case size < old:
		n.touchRange(size, old)
		clear(n.data[size:])
		n.data = n.data[:size]
	case size <= int64(cap(n.data)):
		n.data = n.data[:size]
	default:
		grown := make([]byte, size, max(size, min(2*old, old+(64<<20))))
		copy(grown, n.data)
		n.data = grown
	}
	n.sizeDirty = true
	n.lowSize = min(n.lowSize, size)
}

func (n *memInode) synced() {
	size := int64(len(n.data))
	if n.sizeDirty {
		n.durableSize = size
	}
	for block := range n.dirty {
		// A block that is written back takes the size on disk along.
		n.durableSize = max(n.durableSize, min(size, (block+1)*memBlock))
	}
	clear(n.dirty)
	n.sizeDirty, n.lowSize = false, size
}

// syncFailed is what the kernel does when writing back fails: the pages are
// marked clean, nobody will write them again.
func (n *memInode) syncFailed() {
	for block, old := range n.dirty {
		n.lost[block] = old
	}
	clear(n.dirty)
	n.sizeDirty = false
}

// memFile is an open file of a MemFS.
type memFile struct {
	fs       *MemFS
	name     string
	inode    *memInode
	writable bool
	closed   bool
}

func (f *memFile) do(op string, mutating bool, fn func() error) error {
	return f.fs.do(op, f.name, mutating, func() error {
		if f.closed {
			return fs.ErrClosed
		}
		return fn()
	})
}

// ReadAt implements io.ReaderAt.
func (f *memFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.do("read", false, func() error {
		if off < 0 {
			return fs.ErrInvalid
		}
		if off < int64(len(f.inode.data)) {
			n = copy(p, f.inode.data[off:])
		}
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

// WriteAt implements io.WriterAt. Without space a part of p may be written.
func (f *memFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.do("write", true, func() error {
		switch {
		case !f.writable:
			return syscall.EBADF
		case off < 0:
			return fs.ErrInvalid
		case len(p) == 0:
			return nil
		}
		end, full := off+int64(len(p)), error(nil)
		if room := f.room(); end > room {
			full = syscall.ENOSPC
			if end = off; room > off {
				end += f.fs.random.Int64N(room - off + 1)
			}
		}
		n = f.inode.write(p[:end-off], off)
		f.account()
		return full
	})
	return n, err
}

// room is the size to which the file may grow.
func (f *memFile) room() int64 {
	size := int64(len(f.inode.data))
	if f.fs.capacity == 0 {
		return 1 << 62
	}
	return size + max(0, f.fs.capacity-f.fs.used)
}

// account brings the file system's used bytes up to date with a file's size.
func (f *memFile) account() {
	n := f.inode
	if n.links > 0 {
		f.fs.used += int64(len(n.data)) - n.counted
		n.counted = int64(len(n.data))
	}
	n.modified = f.fs.now()
}

func (n *memInode) write(p []byte, off int64) int {
	if len(p) == 0 {
		return 0
	}
	end := off + int64(len(p))
	n.touchRange(off, end)
	if end > int64(len(n.data)) {
		n.resize(end)
	}
	return copy(n.data[off:end], p)
}

// Truncate implements File.
func (f *memFile) Truncate(size int64) error {
	return f.do("truncate", true, func() error {
		switch {
		case !f.writable:
			return syscall.EBADF
		case size < 0:
			return fs.ErrInvalid
		case size > f.room():
			return syscall.ENOSPC
		}
		f.inode.resize(size)
		f.account()
		return nil
	})
}

// Sync implements File.
func (f *memFile) Sync() error {
	return f.do("fdatasync", true, func() error {
		for i := range f.fs.syncFails {
			if fail := &f.fs.syncFails[i]; fail.left > 0 && matchName(fail.match, f.name) {
				fail.left--
				f.inode.syncFailed()
				return syscall.EIO
			}
		}
		f.inode.synced()
		return nil
	})
}

// failSync is Sync with the outcome that FaultFS wants.
func (f *memFile) failSync() {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.inode.syncFailed()
}

// Size implements File.
func (f *memFile) Size() (size int64, err error) {
	err = f.do("stat", false, func() error {
		size = int64(len(f.inode.data))
		return nil
	})
	return size, err
}

// Close implements io.Closer.
func (f *memFile) Close() error {
	return f.do("close", false, func() error {
		f.closed = true
		return nil
	})
}
