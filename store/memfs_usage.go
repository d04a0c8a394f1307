package store

import (
	"io"
	"sync"
	"syscall"
)

// Usage implements FS.
func (m *MemFS) Usage() (total, free int64, err error) {
	err = m.do("statfs", ".", false, func() error {
		if total = m.capacity; total == 0 {
			total = memDefaultCapacity
		}
		free = max(0, total-m.used)
		return nil
	})
	return total, free, err
}

// Lock implements FS. A crash frees it, as the end of a process does.
func (m *MemFS) Lock(name string) (io.Closer, error) {
	err := m.do("lock", name, true, func() error {
		if m.locks[name] {
			return syscall.EWOULDBLOCK
		}
		dir, _, base, err := m.lookup(name)
		if err != nil {
			return err
		}
		if dir.current[base] == nil {
			if _, err := m.create(name); err != nil {
				return err
			}
		}
		m.locks[name] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &memLock{fs: m, name: name}, nil
}

type memLock struct {
	fs   *MemFS
	name string
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.fs.mu.Lock()
		defer l.fs.mu.Unlock()
		delete(l.fs.locks, l.name)
	})
	return nil
}
