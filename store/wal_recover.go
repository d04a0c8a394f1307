package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"tiercel/cluster/model"
)

// WALRecovery is what OpenWAL found.
type WALRecovery struct {
	State       HardState
	HasState    bool
	First, Last uint64 // First = Last+1: no entries
	Torn        int64  // bytes of an unfinished append that were dropped from the end
}

// OpenWAL reads the log, or begins an empty one at index 1.
//
// A damaged tail of the newest segment is an append that was never acknowledged
// and is dropped. Damage with proof of having been durable (an older segment, or
// a later frame that says so), and a hole between segments, is corrupt with file
// and offset; nothing is changed then.
//
// What survives in the newest segment is written again into a fresh one and
// synced before OpenWAL returns: a sync may have failed before the crash, and
// then bytes that can be read now may be gone after the next one.
func OpenWAL(fsys FS, opt WALOptions) (*WAL, *WALRecovery, error) {
	const op = "open log"
	if opt.SegmentBytes <= 0 {
		opt.SegmentBytes = 64 << 20
	}
	if opt.CacheBytes <= 0 {
		opt.CacheBytes = 16 << 20
	}
	for _, dir := range []string{dirLog, dirTmp} {
		if opt.ReadOnly {
			break
		}
		if err := fsys.MkdirAll(dir); err != nil {
			return nil, nil, failed(model.CodeUnavailable, op, dir+"/ cannot be made", err)
		}
	}
	r := walRecoverer{w: &WAL{fs: fsys, opt: opt}}
	err := r.run()
	if err != nil {
		for _, s := range r.open {
			err = errors.Join(err, s.file.Close())
		}
		return nil, nil, err
	}
	w := r.w
	return w, &WALRecovery{State: w.state, HasState: w.hasState, First: w.index.base + 1, Last: w.index.last, Torn: r.torn}, nil
}

// walRecoverer builds a WAL from what is on disk.
type walRecoverer struct {
	w    *WAL
	open []*walSegment // every segment file that was opened and is not yet closed
	torn int64
}

func (r *walRecoverer) run() error {
	if err := r.openSegments(); err != nil {
		return err
	}
	void, live := splitVoid(r.open)
	for i, s := range live {
		if err := r.readSegment(s, i == 0, i == len(live)-1); err != nil {
			return err
		}
	}
	if w := r.w; w.state.Commit > w.index.last {
		return model.Errorf(model.CodeCorrupt, "open log",
			"log/ ends at entry %d but entry %d is committed: its newest segment is missing or cut off. "+DamagedLogHelp, w.index.last, w.state.Commit)
	}
	r.w.segments = live
	if r.w.opt.ReadOnly {
		return r.asItIs(void)
	}
	for _, s := range void {
		if err := r.remove(s); err != nil {
			return err
		}
	}
	return r.renew()
}

// asItIs ends a recovery that changes nothing.
func (r *walRecoverer) asItIs(void []*walSegment) error {
	r.w.poisoned = errLogReadOnly
	if len(r.w.segments) == 0 {
		r.w.index.reset(0, 0)
	}
	for _, s := range void {
		r.open = slices.DeleteFunc(r.open, func(o *walSegment) bool { return o == s })
		if err := s.file.Close(); err != nil {
			return failed(model.CodeUnavailable, "open log", s.path()+" cannot be closed", err)
		}
	}
	return nil
}

// openSegments opens all segment files, oldest first, and checks their headers.
func (r *walRecoverer) openSegments() error {
	const op = "open log"
	names, err := r.w.fs.List(dirLog)
	if r.w.opt.ReadOnly && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed(model.CodeUnavailable, op, "log/ cannot be listed", err)
	}
	open := r.w.fs.Open
	if r.w.opt.ReadOnly {
		open = r.w.fs.OpenReadOnly
	}
	for _, name := range names { // sorted, and so by sequence
		seq, first, ok := parseSegmentName(name)
		if !ok {
			continue // not ours
		}
		name = path.Join(dirLog, name)
		f, err := open(name)
		if err != nil {
			return failed(model.CodeUnavailable, op, name+" cannot be opened", err)
		}
		s := &walSegment{file: f}
		r.open = append(r.open, s)
		if s.size, err = f.Size(); err != nil {
			return failed(model.CodeUnavailable, op, name+" cannot be measured", err)
		}
		p := make([]byte, min(s.size, segmentHeader))
		if err := readFull(f, p, 0); err != nil {
			return failed(model.CodeUnavailable, op, name+" cannot be read", err)
		}
		s.walHeader, err = decodeWALHeader(p)
		if err == nil && (s.seq != seq || s.first != first) {
			err = errors.New("its header belongs to another segment")
		}
		if err != nil {
			return damagedLog(name, 0, err)
		}
	}
	return nil
}

func damagedLog(name string, offset int64, err error) error {
	return model.Errorf(model.CodeCorrupt, "open log",
		"%s is damaged at byte %d, and entries there were durable: %w. "+DamagedLogHelp, name, offset, err)
}

// splitVoid separates the segments that a newer one supersedes.
func splitVoid(segments []*walSegment) (void, live []*walSegment) {
	lowest := uint64(size64max) // of what the segments seen so far, all newer, supersede
	for _, s := range slices.Backward(segments) {
		if s.seq >= lowest {
			void = append(void, s)
		} else {
			live = append(live, s)
		}
		if s.supersedes > 0 {
			lowest = min(lowest, s.supersedes)
		}
	}
	slices.Reverse(void)
	slices.Reverse(live)
	return void, live
}

// readSegment adds a segment's entries to the index.
func (r *walRecoverer) readSegment(s *walSegment, oldest, newest bool) error {
	w := r.w
	if oldest || s.first <= w.index.base {
		w.index.reset(s.first-1, s.prevTerm)
	}
	prevTerm, err := w.index.term(s.first - 1)
	if err != nil {
		return model.Errorf(model.CodeCorrupt, "open log",
			"there is a hole in log/: entries %d to %d are missing before %s; restore the missing segment", w.index.last+1, s.first-1, s.path())
	}
	if prevTerm != s.prevTerm {
		return damagedLog(s.path(), 0, fmt.Errorf("it follows term %d but the log before it ends with term %d", s.prevTerm, prevTerm))
	}
	w.index.cutFrom(s.first)
	if s.hasState {
		w.state, w.hasState = s.state, true
	}
	end, err := r.readFrames(s, newest)
	if err != nil {
		return err
	}
	r.torn += s.size - end
	s.size = end
	return nil
}

// readFrames adds frames up to the end of the file, or up to a torn tail where
// one may be.
func (r *walRecoverer) readFrames(s *walSegment, newest bool) (end int64, err error) {
	win := newWindow(s.file, s.size)
	for off := int64(segmentHeader); ; {
		if off == s.size {
			return off, nil
		}
		f, bytes, err := frameAt(win, off)
		switch {
		case isDiskError(err):
			return 0, failed(model.CodeUnavailable, "open log", fmt.Sprintf("%s cannot be read at byte %d", s.path(), off), err)
		case err != nil && !newest:
			return 0, damagedLog(s.path(), off, err)
		case err != nil:
			durable, scanErr := durableBeyond(win, off)
			if scanErr != nil {
				return 0, failed(model.CodeUnavailable, "open log", fmt.Sprintf("%s cannot be read", s.path()), scanErr)
			}
			if durable {
				return 0, damagedLog(s.path(), off, err)
			}
			return off, nil
		}
		if err := r.addFrame(s, &f, off, bytes); err != nil {
			return 0, err
		}
		off += int64(bytes)
	}
}

func (r *walRecoverer) addFrame(s *walSegment, f *walFrame, off int64, bytes int) error {
	x := &r.w.index
	if n := len(f.entries); n > 0 {
		first := f.entries[0].Index
		if first < s.first || first > x.last+1 {
			return damagedLog(s.path(), off, fmt.Errorf("entry %d does not follow entry %d", first, x.last))
		}
		x.cutFrom(first)
		x.add([]frameRef{{first: first, last: first + uint64(n) - 1, segment: s, offset: off, bytes: bytes}}, f.entries)
	}
	if f.hasState {
		r.w.state, r.w.hasState = f.state, true
	}
	return nil
}

// renew leaves the log with an active segment of which every byte was written
// and synced by this process, or was synced before it got its name.
func (r *walRecoverer) renew() error {
	w := r.w
	if len(w.segments) == 0 {
		w.index.reset(0, 0)
		s := &walSegment{walHeader: walHeader{seq: 1, first: 1}}
		if err := w.createSegment(s, nil); err != nil {
			return err
		}
		w.segments = []*walSegment{s}
		return nil
	}
	old := w.active()
	if old.size == segmentHeader && r.torn == 0 {
		old.durable = old.size
		if err := w.fs.SyncDir(dirLog); err != nil {
			return failed(model.CodeUnavailable, "open log", "log/ cannot be synced", err)
		}
		return nil
	}
	s := &walSegment{walHeader: old.walHeader}
	s.seq++
	if s.supersedes == 0 {
		s.supersedes = old.seq
	}
	if err := w.createSegment(s, old); err != nil {
		return err
	}
	w.segments[len(w.segments)-1] = s
	for i := range w.index.frames {
		if w.index.frames[i].segment == old {
			w.index.frames[i].segment = s
		}
	}
	r.open = append(r.open, s)
	return r.remove(old)
}

// remove closes and deletes a segment that is void.
func (r *walRecoverer) remove(s *walSegment) error {
	r.open = slices.DeleteFunc(r.open, func(o *walSegment) bool { return o == s })
	if err := s.file.Close(); err != nil {
		return failed(model.CodeUnavailable, "open log", s.path()+" cannot be closed", err)
	}
	return removeSegment(r.w.fs, s.path())
}

// diskError marks an error of reading, as against bytes that are wrong.
type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

func isDiskError(err error) bool {
	var d diskError
	return errors.As(err, &d)
}

// frameAt reads the frame at off.
func frameAt(win *window, off int64) (walFrame, int, error) {
	p, err := win.need(off, frameHeader)
	if err != nil {
		return walFrame{}, 0, diskError{err}
	}
	n, err := frameLength(p)
	if err != nil {
		return walFrame{}, 0, err
	}
	if p, err = win.need(off, n); err != nil {
		return walFrame{}, 0, diskError{err}
	}
	f, err := decodeFrame(p)
	return f, n, err
}

// durableBeyond looks behind damage at off for an intact frame that was written
// when the segment was already durable beyond off.
func durableBeyond(win *window, off int64) (bool, error) {
	for at := off + 1; at+frameHeader <= win.size; at++ {
		p, err := win.need(at, windowBytes/2)
		if err != nil {
			return false, err
		}
		i := indexFrameMagic(p)
		if i < 0 {
			at += int64(max(len(p)-4, 0))
			continue
		}
		at += int64(i)
		f, _, err := frameAt(win, at)
		if isDiskError(err) {
			return false, err
		}
		if err == nil && f.durable > uint64(off) {
			return true, nil
		}
	}
	return false, nil
}

func indexFrameMagic(p []byte) int {
	for i := 0; i+4 <= len(p); i++ {
		if p[i] == 'T' && le.Uint32(p[i:]) == frameMagic {
			return i
		}
	}
	return -1
}
