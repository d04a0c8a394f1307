package edge

import (
	"sync"
	"sync/atomic"
	"time"

	"tiercel/cluster/model"
	"tiercel/messages"
)

const (
	// localPatience is how long a read of this node's disk may take where other members
	// have the content: then they are asked, and by the reads behind it at once.
	localPatience = time.Second
	// localPause is how long reads go on after one that was answered, and how often one is
	// tried while none is.
	localPause = time.Second
)

// localReads knows whether this node's disk answers. A system call that hangs cannot be
// ended: who waits for it goes elsewhere, and those behind need not wait as long first.
type localReads struct {
	slots [64]atomic.Int64 // when a read began, in unix nanoseconds; 0: free
	next  atomic.Uint32
	// Of the newest read that was answered, and of the newest that was tried all the same.
	ended, tried atomic.Int64
}

// begin notes a read. With very many at once some are not noted: -1.
func (l *localReads) begin(now time.Time) (slot int) {
	slot = int(l.next.Add(1) % uint32(len(l.slots)))
	if l.slots[slot].CompareAndSwap(0, now.UnixNano()) {
		return slot
	}
	return -1
}

func (l *localReads) end(slot int, now time.Time) {
	if slot >= 0 {
		l.slots[slot].Store(0)
	}
	l.ended.Store(now.UnixNano())
}

// hang reports whether a read has had no answer for long, and no other had one lately.
func (l *localReads) hang(now time.Time) bool {
	at, waits := now.UnixNano(), false
	if at-l.ended.Load() < int64(localPause) {
		return false
	}
	for i := range l.slots {
		if began := l.slots[i].Load(); began != 0 && at-began > int64(localPatience) {
			waits = true
			break
		}
	}
	if !waits {
		return false
	}
	tried := l.tried.Load()
	return at-tried < int64(localPause) || !l.tried.CompareAndSwap(tried, at)
}

// pieces are buffers of reads that may have to be given up.
var pieces = sync.Pool{New: func() any { return new([]byte) }}

// readHere reads from this node's copy. When others have one, too, a disk that does not
// answer is given up: the read that is under way keeps its own buffer.
func (c *Client) readHere(e *messages.Extent, from, to uint64, dst []byte, others bool) ([]byte, error) {
	read := func(dst []byte) ([]byte, error) {
		return c.cfg.Volumes.ReadBody(model.VolumeID(e.Volume), e.Offset, e.RecordBytes, e.HeaderCrc32C, from, to, dst)
	}
	if !others {
		return read(dst)
	}
	silent := model.Errorf(model.CodeUnavailable, "read", "the disk of %s does not answer", c.cfg.Node)
	if c.local.hang(time.Now()) {
		return dst, silent
	}
	type result struct {
		piece *[]byte
		err   error
	}
	slot, done := c.local.begin(time.Now()), make(chan result)
	givenUp := make(chan struct{})
	go func() {
		r := result{piece: pieces.Get().(*[]byte)}
		*r.piece, r.err = read((*r.piece)[:0])
		c.local.end(slot, time.Now())
		select {
		case done <- r:
		case <-givenUp:
			pieces.Put(r.piece)
		}
	}()
	timer := time.NewTimer(localPatience)
	defer timer.Stop()
	select {
	case r := <-done:
		out := dst
		if r.err == nil {
			out = append(dst, *r.piece...)
		}
		pieces.Put(r.piece)
		return out, r.err
	case <-timer.C:
		close(givenUp)
		return dst, silent
	}
}
