package store

import (
	"errors"
	"sync"

	"tiercel/cluster/model"
)

// handleCache keeps the files of volumes open for reading, at most limit of
// them beside those in use; the one that was used longest ago is closed first.
type handleCache struct {
	fs    FS
	limit int

	mu   sync.Mutex
	byID map[model.VolumeID]*handle
	// newest is the head of a ring through next and prev.
	newest *handle
}

// handle is one open file. It is closed when it has left the cache and nobody
// reads it.
type handle struct {
	of         *volume // a copy that was made anew is another one
	file       File
	users      int
	gone       bool
	next, prev *handle
}

func newHandleCache(fsys FS, limit int) *handleCache {
	return &handleCache{fs: fsys, limit: limit, byID: map[model.VolumeID]*handle{}}
}

// take returns an open file of the volume, to be given back with release.
func (c *handleCache) take(of *volume) (*handle, error) {
	c.mu.Lock()
	if h := c.byID[of.id]; h != nil && h.of == of {
		h.users++
		if c.newest != h {
			c.unlink(h)
			c.link(h)
		}
		c.mu.Unlock()
		return h, nil
	}
	c.mu.Unlock()

	f, err := c.fs.OpenReadOnly(volName(of.tier, of.id))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &handle{of: of, file: f, users: 1}
	if c.byID[of.id] != nil {
		h.gone = true // somebody was faster: this one serves one read
		return h, nil
	}
	c.byID[of.id] = h
	c.link(h)
	if len(c.byID) > c.limit {
		_ = c.evict(c.newest.prev) // as in release
	}
	return h, nil
}

// release gives a handle back. The error of closing a file that was only read
// says nothing about what was read.
func (c *handleCache) release(h *handle) {
	c.mu.Lock()
	h.users--
	closing := h.gone && h.users == 0
	c.mu.Unlock()
	if closing {
		_ = h.file.Close()
	}
}

// forget closes the file of a copy that is no more, so that its space is free.
func (c *handleCache) forget(of *volume) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.byID[of.id]; h != nil {
		_ = c.evict(h) // as in release
	}
}

func (c *handleCache) evict(h *handle) error {
	c.unlink(h)
	delete(c.byID, h.of.id)
	h.gone = true
	if h.users == 0 {
		return h.file.Close()
	}
	return nil
}

func (c *handleCache) link(h *handle) {
	if c.newest == nil {
		h.next, h.prev = h, h
	} else {
		h.next, h.prev = c.newest, c.newest.prev
		h.prev.next, h.next.prev = h, h
	}
	c.newest = h
}

func (c *handleCache) unlink(h *handle) {
	if h.next == h {
		c.newest = nil
		return
	}
	h.prev.next, h.next.prev = h.next, h.prev
	if c.newest == h {
		c.newest = h.next
	}
}

func (c *handleCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for c.newest != nil {
		errs = append(errs, c.evict(c.newest))
	}
	return errors.Join(errs...)
}
