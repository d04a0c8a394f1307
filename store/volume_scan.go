package store

import (
	"errors"
	"fmt"
	"io"

	"tiercel/cluster/model"
)

// recordAt reads the record at off through w and verifies every checksum. Bytes
// that are not a record of the volume are a *recordError, or the error of a
// block; an error of the disk is returned as it is. Header and body refer to w's
// buffer and are valid until its next use.
func recordAt(w *window, volume model.VolumeID, off int64) (recordHeader, []byte, error) {
	p, err := w.need(off, maxHeaderBytes)
	if err != nil {
		return recordHeader{}, nil, err
	}
	h, err := decodeHeader(p)
	if err != nil {
		return recordHeader{}, nil, err
	}
	if h.volume != uint64(volume) {
		return recordHeader{}, nil, &recordError{what: fmt.Sprintf("the record is of volume %d", h.volume)}
	}
	p, err = w.need(off, h.recordBytes())
	if err != nil {
		return recordHeader{}, nil, err
	}
	if len(p) < h.recordBytes() {
		return recordHeader{}, nil, errRecordShort
	}
	h.raw = p[:h.bytes():h.bytes()] // the buffer may have moved
	body := p[h.bytes():]
	if err := h.checkBlocks(body, 0); err != nil {
		return h, nil, err
	}
	return h, body, nil
}

// follows tells whether a record may stand at off after one of generation prev:
// generations never fall, and from where the current one began there are only
// its records. What a reopening should have cut off stops a scan here. Of a copy
// that was received only the order is known; the digest of its seal judges it.
func (m *volumeMeta) follows(h *recordHeader, off, prev uint64) bool {
	switch {
	case h.generation < prev:
		return false
	case m.received:
		return h.generation <= m.generation
	case off >= m.start:
		return h.generation == m.generation
	}
	return h.generation < m.generation && off+uint64(h.recordBytes()) <= m.start
}

// intactEnd finds the end of the intact records from a record boundary on. Only
// errors of the disk are returned.
func (m *volumeMeta) intactEnd(r io.ReaderAt, size int64, from uint64) (uint64, error) {
	w, prev := newWindow(r, size), uint64(0)
	for {
		h, _, err := recordAt(w, m.id, int64(from))
		var bad *recordError
		if errors.As(err, &bad) || err == nil && !m.follows(&h, from, prev) {
			return from, nil
		}
		if err != nil {
			return from, err
		}
		prev = h.generation
		from += uint64(h.recordBytes())
	}
}

// Scan walks all records of a volume in order and verifies every checksum; fn
// may keep neither rec.Body nor stop the walk without an error. Damage does not
// end the walk: it goes on at the next intact record. After the walk damage is a
// corrupt error that names volume, offset and count. Bad bytes beyond the intact
// end are not damage, unless they are below the watermark: they are what a crash
// left of appends that were not acknowledged as durable.
func (v *Volumes) Scan(id model.VolumeID, fn func(offset uint64, rec Record, placed Placed) error) error {
	const op = "scan volume"
	vol, err := v.find(op, id)
	if err != nil {
		return err
	}
	f, err := v.fs.OpenReadOnly(volName(vol.tier, id))
	if err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be opened", id), err)
	}
	state := vol.snapshot()
	err = scanRecords(f, id, max(state.End, vol.durable()), fn)
	return errors.Join(err, f.Close())
}

func scanRecords(f File, id model.VolumeID, promised uint64, fn func(uint64, Record, Placed) error) error {
	const op = "scan volume"
	size, err := f.Size()
	if err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be measured", id), err)
	}
	w, off := newWindow(f, size), int64(DataStart)
	damaged, firstAt, firstWhat := 0, int64(0), ""
	note := func(at int64, what string) {
		if damaged++; damaged == 1 {
			firstAt, firstWhat = at, what
		}
	}
	for off < size {
		h, body, err := recordAt(w, id, off)
		var bad *recordError
		switch {
		case err == nil:
			if err := fn(uint64(off), h.record(body), h.placed(uint64(off))); err != nil {
				return err
			}
			off += int64(h.recordBytes())
		case errors.As(err, &bad):
			next, err := nextRecord(w, id, off)
			if err != nil {
				return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be read at %d", id, off), err)
			}
			if off < int64(promised) {
				note(off, bad.what)
			}
			off = next
		default:
			return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be read at %d", id, off), err)
		}
	}
	if off < int64(promised) {
		note(size, "the file ends too early")
	}
	if damaged == 0 {
		return nil
	}
	return model.Errorf(model.CodeCorrupt, op,
		"volume %d is damaged at byte %d: %s (damaged places: %d); if the volume has another copy, a running cluster restores them from that", id, firstAt, firstWhat, damaged)
}

// nextRecord finds the next intact record after a bad one at off, or the end of
// the file.
func nextRecord(w *window, id model.VolumeID, off int64) (int64, error) {
	for off++; off < w.size; off++ {
		p, err := w.need(off, windowBytes/2)
		if err != nil {
			return 0, err
		}
		i := indexMagic(p)
		if i < 0 {
			off += int64(max(len(p)-4, 0))
			continue
		}
		off += int64(i)
		_, _, err = recordAt(w, id, off)
		var bad *recordError
		if err == nil {
			return off, nil
		}
		if !errors.As(err, &bad) {
			return 0, err
		}
	}
	return w.size, nil
}

func indexMagic(p []byte) int {
	for i := 0; i+4 <= len(p); i++ {
		if p[i] == 'T' && le.Uint32(p[i:]) == recordMagic {
			return i
		}
	}
	return -1
}
