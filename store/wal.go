package store

import (
	"errors"
	"fmt"
	"path"
	"sync"

	"tiercel/cluster/model"
)

// What Entries and Term answer for an index that the log does not hold; both
// are wrapped in a model.Error (not_found).
var (
	ErrLogCompacted   = errors.New("the entry was truncated: it is in a snapshot")
	ErrLogUnavailable = errors.New("the entry is beyond the end of the log")
)

// maxFrameBuffer bounds what the log keeps of its write buffer.
const maxFrameBuffer = 8 << 20

// WALOptions are the knobs of a log; zero values are the defaults.
type WALOptions struct {
	SegmentBytes int64 // a segment is followed by another from this size on (64 MiB)
	CacheBytes   int   // data of recent entries kept in memory (16 MiB)
	// ReadOnly changes nothing on disk, not even what a start would: a log that is not
	// there is an empty one, and nothing can be appended.
	ReadOnly bool
}

// WAL is the write-ahead log: the replicated log's entries and hard state, in
// segments under log/. It is safe for concurrent use; appends are one at a time.
//
// An entry at or below the last index replaces it and all after it, as Raft
// truncates. A write that fails is cut off again and the log stays usable; a
// sync that fails poisons it for good.
type WAL struct {
	fs  FS
	opt WALOptions

	work     sync.Mutex // orders what changes files
	buf      []byte
	pending  []frameRef // of the append under way
	poisoned error

	mu       sync.RWMutex  // guards what follows
	segments []*walSegment // oldest first; the last takes appends
	index    logIndex
	state    HardState
	hasState bool
}

// walSegment is one open segment file.
type walSegment struct {
	walHeader
	file    File
	size    int64 // of the intact content
	durable int64 // how much of it is synced
}

func (s *walSegment) path() string { return path.Join(dirLog, s.name()) }

// Append writes entries and, if not nil, a new hard state with one write and,
// with sync, makes them and all before them durable. entries are contiguous and
// begin at most one after the last.
//
// Errors: invalid_argument for entries that do not fit the log; cluster_full and
// unavailable when nothing was written and a later Append can succeed; internal
// when the log is poisoned: the process should end, because what it has said to
// be durable may not be.
func (w *WAL) Append(state *HardState, entries []LogEntry, sync bool) error {
	const op = "append to log"
	w.work.Lock()
	defer w.work.Unlock()
	if err := w.usable(op); err != nil {
		return err
	}
	if err := w.checkAppend(entries); err != nil {
		return err
	}
	if state != nil && w.hasState && *state == w.state {
		state = nil
	}
	w.pending = w.pending[:0]
	if state != nil || len(entries) > 0 {
		if err := w.rotateFor(entries); err != nil {
			return err
		}
		if err := w.write(state, entries); err != nil {
			return err
		}
	}
	if sync {
		if err := w.syncActive(); err != nil {
			return err
		}
	}
	w.publish(state, entries)
	return nil
}

func (w *WAL) usable(op string) error {
	if w.poisoned != nil {
		return model.Errorf(model.CodeInternal, op,
			"the log takes no more entries because its disk failed; end this process and check the disk: %w", w.poisoned)
	}
	return nil
}

func (w *WAL) checkAppend(entries []LogEntry) error {
	const op = "append to log"
	if len(entries) == 0 {
		return nil
	}
	if first := entries[0].Index; first <= w.index.base || first > w.index.last+1 {
		return model.Errorf(model.CodeInvalidArgument, op,
			"entry %d does not fit a log that holds %d to %d", first, w.index.base+1, w.index.last)
	}
	for i := range entries {
		switch {
		case entries[i].Index != entries[0].Index+uint64(i):
			return model.Errorf(model.CodeInvalidArgument, op, "entry %d follows entry %d", entries[i].Index, entries[i-1].Index)
		case len(entries[i].Data) > maxEntryBytes:
			return model.Errorf(model.CodeInvalidArgument, op,
				"entry %d has %d bytes; at most %d are allowed", entries[i].Index, len(entries[i].Data), maxEntryBytes)
		}
	}
	return nil
}

// rotateFor begins a new segment when the active one is full, or when entries
// replace some of an older segment: then the new segment's header says so.
func (w *WAL) rotateFor(entries []LogEntry) error {
	a, first := w.active(), w.index.last+1
	if len(entries) > 0 {
		first = entries[0].Index
	}
	if a.size < w.opt.SegmentBytes && first >= a.first {
		return nil
	}
	if err := w.syncActive(); err != nil {
		return err
	}
	prevTerm, err := w.index.term(first - 1)
	if err != nil {
		return err
	}
	next := &walSegment{walHeader: walHeader{seq: a.seq + 1, first: first, prevTerm: prevTerm, state: w.state, hasState: w.hasState}}
	if err := w.createSegment(next, nil); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.index.cutFrom(first)
	w.segments = append(w.segments, next)
	return nil
}

// write encodes state and entries into frames and writes them in one go.
func (w *WAL) write(state *HardState, entries []LogEntry) error {
	a, buf, rest := w.active(), w.buf[:0], entries
	for {
		start := len(buf)
		var n int
		buf, n = appendFrame(buf, state, rest, uint64(a.durable))
		if n > 0 {
			w.pending = append(w.pending, frameRef{
				first: rest[0].Index, last: rest[n-1].Index, segment: a, offset: a.size + int64(start), bytes: len(buf) - start,
			})
		}
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
	}
	w.buf = buf
	if cap(buf) > maxFrameBuffer {
		w.buf = nil
	}
	if _, err := a.file.WriteAt(buf, a.size); err != nil {
		if cutErr := a.file.Truncate(a.size); cutErr != nil {
			w.poisoned = fmt.Errorf("what a failed write left could not be cut off: %w", cutErr)
		}
		return failed(model.CodeUnavailable, "append to log", fmt.Sprintf("%s cannot be written at byte %d", a.path(), a.size), err)
	}
	w.mu.Lock()
	a.size += int64(len(buf))
	w.mu.Unlock()
	return nil
}

func (w *WAL) syncActive() error {
	a := w.active()
	if a.durable == a.size {
		return nil
	}
	if err := a.file.Sync(); err != nil {
		w.poisoned = err
		return model.Errorf(model.CodeInternal, "sync log",
			"%s could not be made durable beyond byte %d; end this process and check the disk: %w", a.path(), a.durable, err)
	}
	a.durable = a.size
	return nil
}

// publish lets readers see what was written.
func (w *WAL) publish(state *HardState, entries []LogEntry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if state != nil {
		w.state, w.hasState = *state, true
	}
	if len(entries) > 0 {
		w.index.cutFrom(entries[0].Index)
		w.index.add(w.pending, entries)
		w.index.remember(entries, w.opt.CacheBytes)
	}
}

func (w *WAL) active() *walSegment { return w.segments[len(w.segments)-1] }

// First is the lowest index that Entries can return; Last()+1 when there is none.
func (w *WAL) First() uint64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.index.base + 1
}

// Last is the highest index; First()-1 when there are no entries.
func (w *WAL) Last() uint64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.index.last
}

// Term is the term of an entry, or of First()-1.
func (w *WAL) Term(index uint64) (uint64, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.index.term(index)
}

// Bytes is the size of all segments.
func (w *WAL) Bytes() int64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var sum int64
	for _, s := range w.segments {
		sum += s.size
	}
	return sum
}

// Close makes what was appended durable, unless the log is poisoned, and frees
// the files.
func (w *WAL) Close() error {
	w.work.Lock()
	defer w.work.Unlock()
	var errs []error
	if w.poisoned == nil {
		errs = append(errs, w.syncActive())
		w.poisoned = errLogClosed
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.segments {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

var (
	errLogClosed   = errors.New("the log is closed")
	errLogReadOnly = errors.New("the log was opened to be read only")
)
