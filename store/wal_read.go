package store

import (
	"fmt"
	"sort"

	"tiercel/cluster/model"
)

// Entries returns the entries [lo,hi), or the first of them whose data is
// together at most maxBytes, but always one; maxBytes <= 0 is no limit. Recent
// ones come from memory, older ones from disk with their checksums verified.
// Their Data must not be changed.
//
// not_found wraps ErrLogCompacted or ErrLogUnavailable; corrupt names the file
// and the offset.
func (w *WAL) Entries(lo, hi uint64, maxBytes int) ([]LogEntry, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	x := &w.index
	switch {
	case lo <= x.base:
		return nil, notInLog(lo, ErrLogCompacted)
	case hi > x.last+1:
		return nil, notInLog(hi-1, ErrLogUnavailable)
	}
	c := collector{maxBytes: maxBytes, hi: hi}
	for at := lo; at < hi && !c.full; {
		if n := len(x.recent); n > 0 && at >= x.recent[0].Index {
			c.take(x.recent[at-x.recent[0].Index:])
			break
		}
		i := sort.Search(len(x.frames), func(i int) bool { return x.frames[i].last >= at })
		ref := &x.frames[i]
		entries, err := ref.read()
		if err != nil {
			return nil, err
		}
		c.take(entries[at-ref.first:])
		at = ref.last + 1
	}
	return c.out, nil
}

// collector gathers entries up to a bound of index and bytes.
type collector struct {
	out      []LogEntry
	bytes    int
	maxBytes int
	hi       uint64
	full     bool
}

func (c *collector) take(entries []LogEntry) {
	for _, e := range entries {
		if e.Index >= c.hi {
			return
		}
		c.bytes += len(e.Data)
		if c.full = c.maxBytes > 0 && len(c.out) > 0 && c.bytes > c.maxBytes; c.full {
			return
		}
		c.out = append(c.out, e)
	}
}

// read returns those entries of the frame that are still the log's.
func (r *frameRef) read() ([]LogEntry, error) {
	const op = "read log"
	p := make([]byte, r.bytes)
	if err := readFull(r.segment.file, p, r.offset); err != nil {
		return nil, failed(model.CodeUnavailable, op, fmt.Sprintf("%s cannot be read at byte %d", r.segment.path(), r.offset), err)
	}
	f, err := decodeFrame(p)
	if err == nil && (len(f.entries) == 0 || f.entries[0].Index != r.first || f.entries[len(f.entries)-1].Index < r.last) {
		err = errFrameForm
	}
	if err != nil {
		return nil, model.Errorf(model.CodeCorrupt, op,
			"%s is damaged at byte %d; restore it from a backup, or start this node with an empty log/ and let the cluster send a snapshot: %w",
			r.segment.path(), r.offset, err)
	}
	return f.entries[:r.last-r.first+1], nil
}
