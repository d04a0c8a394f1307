package edge

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"tiercel/cluster/model"
)

// The sizes of body buffers. A body begins small and grows as it arrives, so a
// slow client holds memory for what it has sent, not for what it declares.
var classes = [...]int{8 << 10, 64 << 10, 512 << 10, model.MaxExtentBytes}

// credit bounds the memory of all bodies under way.
type credit struct {
	sem   *semaphore.Weighted
	pools [len(classes)]sync.Pool
}

func newCredit(bytes int64) *credit {
	return &credit{sem: semaphore.NewWeighted(max(bytes, 4*model.MaxExtentBytes))}
}

// buffer is a piece of body with its credit.
type buffer struct {
	data  []byte // len is what has arrived, cap is the class
	class int
}

func classFor(n int64) int {
	for i, size := range classes {
		if n <= int64(size) {
			return i
		}
	}
	return len(classes) - 1
}

// acquire waits for credit for a buffer of a class.
func (c *credit) acquire(ctx context.Context, class int) (*buffer, error) {
	if err := c.sem.Acquire(ctx, int64(classes[class])); err != nil {
		return nil, model.Errorf(model.CodeOverloaded, "read body", "the memory for bodies is in use by other requests; try again")
	}
	return c.take(class), nil
}

// buffer waits for credit while there is a master. While there is none bodies are
// queued as far as the credit goes; whoever comes then is told so at once.
func (c *Client) buffer(ctx context.Context, class int) (*buffer, error) {
	if c.credit.sem.TryAcquire(int64(classes[class])) {
		return c.credit.take(class), nil
	}
	if ready, reason := c.cfg.Ready(); !ready {
		return nil, model.Errorf(model.CodeNoMaster, "read body", "the queue for writes is full while this node waits: %s; nothing was read or stored", reason)
	}
	return c.credit.acquire(ctx, class)
}

func (c *credit) take(class int) *buffer {
	if b, ok := c.pools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{data: make([]byte, 0, classes[class]), class: class}
}

// grow moves a full buffer into the next class if credit is free right now.
func (c *credit) grow(b *buffer) (*buffer, bool) {
	class := b.class + 1
	if class == len(classes) || !c.sem.TryAcquire(int64(classes[class])) {
		return b, false
	}
	larger := c.take(class)
	larger.data = append(larger.data[:0], b.data...)
	c.release(b)
	return larger, true
}

// release gives buffer and credit back. Only for buffers no actor still holds.
func (c *credit) release(b *buffer) {
	b.data = b.data[:0]
	c.pools[b.class].Put(b)
	c.sem.Release(int64(classes[b.class]))
}

// abandon gives back the credit of a buffer that an actor may still read: the
// outcome of its request is not known, so the memory is left to the collector.
func (c *credit) abandon(b *buffer) { c.sem.Release(int64(classes[b.class])) }
