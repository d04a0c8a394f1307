package store

import (
	"fmt"

	"tiercel/cluster/model"
)

const (
	// directBody is the size from which a body is written straight from the
	// caller's slice; a smaller one is copied next to its header, so that a batch
	// of small records is one write.
	directBody = 64 << 10
	// maxAppendBuffer bounds the coalesced write and what the writer keeps of it.
	maxAppendBuffer = 4 << 20
)

// VolumeWriter appends to one volume. One AppendBatch is under way at a time;
// reading the volume goes on meanwhile.
//
// A write that fails is cut off again and the writer stays usable. A Sync that
// fails poisons it for good: the kernel may have dropped what was written and
// would say so only once.
type VolumeWriter struct {
	volumes    *Volumes
	volume     *volume
	file       File
	generation uint64

	// under volume.work
	buf      []byte
	hintAt   uint64 // watermark of the last hint
	hints    int
	poisoned error
	closed   bool
}

// AppendBatch writes records one after the other and, with sync, makes them and
// all before them durable before it returns. Either all are placed, in order, or
// none.
//
// Errors: invalid_argument for a record beyond its limits; cluster_full without
// space; volume_sealed when the volume was fenced or reopened elsewhere;
// unavailable when the disk failed (see Poisoned).
func (w *VolumeWriter) AppendBatch(recs []Record, sync bool) (placed []Placed, err error) {
	const op = "append"
	for i := range recs {
		if err := checkRecord(&recs[i]); err != nil {
			return nil, err
		}
	}
	v := w.volume
	v.work.Lock()
	defer v.work.Unlock()
	if err := w.usable(op); err != nil {
		return nil, err
	}
	start := v.snapshot().End
	placed, end, err := w.write(recs, start)
	if err != nil {
		if cutErr := w.file.Truncate(int64(start)); cutErr != nil {
			w.poison(fmt.Errorf("what a failed write left could not be cut off: %w", cutErr))
		}
		return nil, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be written at byte %d", v.id, start), err)
	}
	if sync {
		if err := w.syncTo(end); err != nil {
			return nil, err
		}
		return placed, nil
	}
	v.stateMu.Lock()
	v.state.End = end
	v.stateMu.Unlock()
	return placed, nil
}

// write puts the records at start and returns where they are and where they end.
func (w *VolumeWriter) write(recs []Record, start uint64) (placed []Placed, end uint64, err error) {
	placed = make([]Placed, 0, len(recs))
	buf, at, end := w.buf[:0], start, start
	flush := func(p []byte) {
		if err == nil && len(p) > 0 {
			_, err = w.file.WriteAt(p, int64(at))
			at += uint64(len(p))
		}
	}
	for i := range recs {
		r := &recs[i]
		if len(buf) > 0 && len(buf)+maxHeaderBytes+directBody > maxAppendBuffer {
			flush(buf)
			buf = buf[:0]
		}
		var crc uint32
		before := len(buf)
		buf, crc = appendRecordHeader(buf, uint64(w.volume.id), w.generation, r)
		p := Placed{
			Offset: end, RecordBytes: uint64(len(buf) - before + len(r.Body)), BodyBytes: uint64(len(r.Body)), HeaderCRC: crc,
		}
		if len(r.Body) < directBody {
			buf = append(buf, r.Body...)
		} else {
			flush(buf)
			buf = buf[:0]
			flush(r.Body)
		}
		placed = append(placed, p)
		end += p.RecordBytes
	}
	flush(buf)
	w.buf = buf[:0]
	return placed, end, err
}

// usable tells why nothing can be appended, if so.
func (w *VolumeWriter) usable(op string) error {
	id := w.volume.id
	switch {
	case w.poisoned != nil:
		return because(w.poisoned, model.CodeUnavailable, op, "volume %d takes no more appends because its disk failed", id)
	case w.closed || w.volume.gone || w.volume.meta.generation != w.generation:
		return model.Errorf(model.CodeVolumeSealed, op, "volume %d is not open at generation %d any more", id, w.generation)
	case w.volume.meta.fenced:
		return model.Errorf(model.CodeVolumeSealed, op, "volume %d is fenced at generation %d", id, w.generation)
	}
	return nil
}

func (w *VolumeWriter) poison(err error) {
	if w.poisoned == nil {
		w.poisoned = err
	}
}

// Poisoned is the failure that ended the writer for good, or nil.
func (w *VolumeWriter) Poisoned() error {
	w.volume.work.Lock()
	defer w.volume.work.Unlock()
	return w.poisoned
}

// Sync makes everything appended so far durable.
func (w *VolumeWriter) Sync() error {
	w.volume.work.Lock()
	defer w.volume.work.Unlock()
	if err := w.usable("sync volume"); err != nil {
		return err
	}
	return w.sync()
}

func (w *VolumeWriter) sync() error { return w.syncTo(w.volume.snapshot().End) }

// syncTo syncs the file, whose records end at end, and raises end and watermark.
func (w *VolumeWriter) syncTo(end uint64) error {
	v := w.volume
	if err := w.file.Sync(); err != nil {
		w.poison(err)
		return failed(model.CodeUnavailable, "sync volume",
			fmt.Sprintf("volume %d could not be made durable beyond byte %d and takes no more appends", v.id, v.snapshot().Watermark), err)
	}
	v.stateMu.Lock()
	v.state.End, v.state.Watermark = end, end
	v.stateMu.Unlock()
	if end-w.hintAt >= w.volumes.opt.WatermarkEveryBytes {
		w.hint(end)
	}
	return nil
}

// hint writes the watermark beside the volume, without a sync. When that fails
// a restart scans further back: nothing else depends on it, so the append that
// happened to come by does not fail for it.
func (w *VolumeWriter) hint(watermark uint64) {
	w.hintAt = watermark
	f, err := w.volumes.fs.Open(metaName(w.volume.tier, w.volume.id))
	if err != nil {
		return
	}
	slot := int64(metaBlock * (1 + w.hints%metaHints))
	if _, err := f.WriteAt(encodeHint(w.generation, watermark), slot); err == nil {
		w.hints++
	}
	_ = f.Close() // nothing was synced; there is nothing to learn from it
}

// End is where the next record would go.
func (w *VolumeWriter) End() uint64 { return w.volume.snapshot().End }

// Watermark is the length that is durable.
func (w *VolumeWriter) Watermark() uint64 { return w.volume.snapshot().Watermark }

// Close ends the writer. If it is healthy all is made durable and the watermark
// stored, so that the next start has nothing to scan. The volume may be reopened
// with a higher generation. Closing again does nothing.
func (w *VolumeWriter) Close() error {
	const op = "close volume"
	v := w.volume
	v.work.Lock()
	defer v.work.Unlock()
	if w.closed {
		return nil
	}
	var err error
	if w.usable(op) == nil {
		if err = w.sync(); err == nil {
			meta := v.meta
			meta.watermark = v.snapshot().Watermark
			err = v.saveMeta(w.volumes.fs, meta)
		}
	}
	if closeErr := v.endWriter(); err == nil {
		err = closeErr
	}
	if err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be closed cleanly", v.id), err)
	}
	return nil
}
