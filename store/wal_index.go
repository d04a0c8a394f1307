package store

import (
	"slices"
	"sort"

	"tiercel/cluster/model"
)

// logIndex knows in memory where each entry of the log lies: one reference per
// frame, one run per term, and the most recent entries themselves.
type logIndex struct {
	base, baseTerm uint64 // the entry before the first
	last           uint64
	frames         []frameRef // by index, without gaps or overlaps
	runs           []termRun  // by index
	recent         []LogEntry // the last ones, without gaps
	recentBytes    int
}

// frameRef is one frame; the entries first to last of it are the log's.
type frameRef struct {
	first, last uint64
	segment     *walSegment
	offset      int64
	bytes       int
}

// termRun says that entries from first on, up to the next run, have a term.
type termRun struct{ first, term uint64 }

// reset empties the index; the log goes on after base.
func (x *logIndex) reset(base, baseTerm uint64) {
	*x = logIndex{base: base, baseTerm: baseTerm, last: base}
}

// cutFrom forgets the entries from index on.
func (x *logIndex) cutFrom(index uint64) {
	if index > x.last {
		return
	}
	n := sort.Search(len(x.frames), func(i int) bool { return x.frames[i].first >= index })
	clear(x.frames[n:])
	x.frames = x.frames[:n]
	if n > 0 && x.frames[n-1].last >= index {
		x.frames[n-1].last = index - 1
	}
	for len(x.runs) > 0 && x.runs[len(x.runs)-1].first >= index {
		x.runs = x.runs[:len(x.runs)-1]
	}
	for n := len(x.recent); n > 0 && x.recent[n-1].Index >= index; n-- {
		x.recentBytes -= len(x.recent[n-1].Data)
		x.recent[n-1] = LogEntry{}
		x.recent = x.recent[:n-1]
	}
	x.last = index - 1
}

// add appends frames and their entries, which follow the last.
func (x *logIndex) add(frames []frameRef, entries []LogEntry) {
	x.frames = append(x.frames, frames...)
	for i := range entries {
		if e := &entries[i]; len(x.runs) == 0 || x.runs[len(x.runs)-1].term != e.Term {
			x.runs = append(x.runs, termRun{e.Index, e.Term})
		}
	}
	x.last = entries[len(entries)-1].Index
}

// remember keeps recent entries up to limit bytes of data.
func (x *logIndex) remember(entries []LogEntry, limit int) {
	if len(x.recent) > 0 && x.recent[len(x.recent)-1].Index+1 != entries[0].Index {
		clear(x.recent)
		x.recent, x.recentBytes = x.recent[:0], 0
	}
	x.recent = append(x.recent, entries...)
	for i := range entries {
		x.recentBytes += len(entries[i].Data)
	}
	drop := 0
	for x.recentBytes > limit && drop < len(x.recent) {
		x.recentBytes -= len(x.recent[drop].Data)
		x.recent[drop] = LogEntry{}
		drop++
	}
	x.recent = x.recent[drop:]
}

func (x *logIndex) term(index uint64) (uint64, error) {
	switch {
	case index == x.base:
		return x.baseTerm, nil
	case index < x.base:
		return 0, notInLog(index, ErrLogCompacted)
	case index > x.last:
		return 0, notInLog(index, ErrLogUnavailable)
	}
	n := sort.Search(len(x.runs), func(i int) bool { return x.runs[i].first > index })
	return x.runs[n-1].term, nil
}

// droppable tells whether a segment, the oldest, holds only entries below
// index, and the last of them (or base).
func (x *logIndex) droppable(s *walSegment, index uint64) (through uint64, ok bool) {
	through = x.base
	for i := range x.frames {
		if x.frames[i].segment != s {
			break
		}
		through = x.frames[i].last
	}
	return through, through < index
}

// dropThrough forgets the entries up to index, which has a known term.
func (x *logIndex) dropThrough(index, term uint64) {
	n := sort.Search(len(x.frames), func(i int) bool { return x.frames[i].first > index })
	x.frames = slices.Clone(x.frames[n:])
	r := sort.Search(len(x.runs), func(i int) bool { return x.runs[i].first > index })
	if r > 0 && index < x.last {
		r-- // this run reaches beyond index, unless the next begins right after it
		if r+1 == len(x.runs) || x.runs[r+1].first > index+1 {
			x.runs[r].first = index + 1
		} else {
			r++
		}
	}
	x.runs = slices.Clone(x.runs[r:])
	x.base, x.baseTerm = index, term
	for len(x.recent) > 0 && x.recent[0].Index <= index {
		x.recentBytes -= len(x.recent[0].Data)
		x.recent[0] = LogEntry{}
		x.recent = x.recent[1:]
	}
}

func notInLog(index uint64, err error) error {
	return model.Errorf(model.CodeNotFound, "read log", "entry %d: %w", index, err)
}
