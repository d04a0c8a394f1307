package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"tiercel/cluster/model"
)

// createSegment makes a segment file with its header and, if from is not nil,
// the frames of from, all durable. It gets its name only when it is complete and
// synced: a segment under log/ is never half written by a creation.
//
// cluster_full and unavailable leave nothing behind; when it cannot be known
// whether the name is there, the log is poisoned.
func (w *WAL) createSegment(s *walSegment, from *walSegment) error {
	const op = "begin log segment"
	tmp := path.Join(dirTmp, s.name())
	what := s.path() + " cannot be made"
	size, err := w.fillSegment(tmp, s, from)
	if err != nil {
		return failed(model.CodeUnavailable, op, what, errors.Join(err, ignoreMissing(w.fs.Remove(tmp))))
	}
	err = w.fs.Rename(tmp, s.path())
	if err != nil {
		if _, statErr := w.fs.Stat(s.path()); errors.Is(statErr, fs.ErrNotExist) {
			return failed(model.CodeUnavailable, op, what, errors.Join(err, ignoreMissing(w.fs.Remove(tmp))))
		}
	}
	if err == nil {
		err = w.fs.SyncDir(dirLog)
	}
	if err == nil {
		s.file, err = w.fs.Open(s.path())
	}
	if err != nil {
		// The segment may or may not be found at the next start. What were appended to
		// the old one now could then be void.
		w.poisoned = err
		return model.Errorf(model.CodeInternal, op, "%s: end this process and check the disk: %w", what, err)
	}
	s.size, s.durable = size, size
	return nil
}

// fillSegment writes a complete, synced segment at tmp and returns its size.
func (w *WAL) fillSegment(tmp string, s, from *walSegment) (size int64, err error) {
	f, err := createTmp(w.fs, tmp)
	if err != nil {
		return 0, err
	}
	size = segmentHeader
	if _, err = f.WriteAt(s.encode(), 0); err == nil && from != nil {
		size, err = from.size, copyRange(f, from.file, segmentHeader, from.size)
	}
	if err == nil {
		err = f.Sync()
	}
	return size, errors.Join(err, f.Close())
}

// copyRange copies the bytes [from,to) of src to the same place in dst.
func copyRange(dst, src File, from, to int64) error {
	buf := make([]byte, min(windowBytes, to-from))
	for from < to {
		p := buf[:min(int64(len(buf)), to-from)]
		if err := readFull(src, p, from); err != nil {
			return err
		}
		if _, err := dst.WriteAt(p, from); err != nil {
			return err
		}
		from += int64(len(p))
	}
	return nil
}

// removeSegment deletes a segment durably. Segments go one by one, oldest first,
// each with a sync, so that a crash never leaves a hole.
func removeSegment(fsys FS, name string) error {
	if err := fsys.Remove(name); err != nil {
		return failed(model.CodeUnavailable, "truncate log", name+" cannot be removed", err)
	}
	if err := fsys.SyncDir(dirLog); err != nil {
		return failed(model.CodeUnavailable, "truncate log", dirLog+"/ cannot be synced", err)
	}
	return nil
}

// TruncateBefore drops the segments, but the active one, whose entries are all
// below index, durably. Entries below index that share a segment with others
// stay readable. It runs beside Append.
func (w *WAL) TruncateBefore(index uint64) error {
	const op = "truncate log"
	w.work.Lock()
	defer w.work.Unlock()
	if err := w.usable(op); err != nil {
		return err
	}
	for len(w.segments) > 1 {
		s := w.segments[0]
		through, ok := w.index.droppable(s, index)
		if !ok {
			return nil
		}
		term, err := w.index.term(through)
		if err != nil {
			return err
		}
		if err := removeSegment(w.fs, s.path()); err != nil {
			return err
		}
		w.mu.Lock()
		w.index.dropThrough(through, term)
		w.segments = w.segments[1:]
		err = s.file.Close()
		w.mu.Unlock()
		if err != nil {
			return failed(model.CodeUnavailable, op, s.path()+" cannot be closed", err)
		}
	}
	return nil
}

// Reset drops all entries: the log goes on after a snapshot at index, whose
// term is given. Durable when it returns nil.
func (w *WAL) Reset(index, term uint64) error {
	const op = "reset log"
	w.work.Lock()
	defer w.work.Unlock()
	if err := w.usable(op); err != nil {
		return err
	}
	if index < w.state.Commit {
		return model.Errorf(model.CodeInvalidArgument, op, "entry %d is committed; the log cannot go on after %d", w.state.Commit, index)
	}
	next := &walSegment{walHeader: walHeader{
		seq: w.active().seq + 1, supersedes: 1, first: index + 1, prevTerm: term, state: w.state, hasState: w.hasState,
	}}
	if err := w.createSegment(next, nil); err != nil {
		return err
	}
	w.mu.Lock()
	old := w.segments
	w.segments = []*walSegment{next}
	w.index.reset(index, term)
	w.mu.Unlock()
	for _, s := range old {
		if err := s.file.Close(); err != nil {
			return failed(model.CodeUnavailable, op, s.path()+" cannot be closed", err)
		}
		// Void already; a start that finds it removes it.
		if err := removeSegment(w.fs, s.path()); err != nil {
			return fmt.Errorf("the log was reset: %w", err)
		}
	}
	return nil
}
