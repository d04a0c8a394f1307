package store

import (
	"errors"
	"fmt"

	"tiercel/cluster/model"
)

// Walk visits the records of a volume in order from a record boundary on (DataStart:
// all) and reads only their headers: a volume of large records costs little. rec has no
// body; whether the body is right only reading it tells. Bytes that are no header are
// passed over up to the next one that is, so it sees more than there is up to End.
func (v *Volumes) Walk(id model.VolumeID, from uint64, fn func(rec Record, placed Placed) error) error {
	const op = "walk volume"
	vol, err := v.find(op, id)
	if err != nil {
		return err
	}
	f, err := v.fs.OpenReadOnly(volName(vol.tier, id))
	if err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be opened", id), err)
	}
	size, err := f.Size()
	if err == nil {
		err = walkHeaders(f, id, int64(max(from, DataStart)), size, fn)
	}
	return errors.Join(err, f.Close())
}

func walkHeaders(f File, id model.VolumeID, off, end int64, fn func(Record, Placed) error) error {
	buf := make([]byte, maxHeaderBytes)
	for off < end {
		p := buf[:min(int64(len(buf)), end-off)]
		if err := readFull(f, p, off); err != nil {
			return failed(model.CodeUnavailable, "walk volume", fmt.Sprintf("volume %d cannot be read at %d", id, off), err)
		}
		h, err := decodeHeader(p)
		if err == nil && h.volume == uint64(id) && off+int64(h.recordBytes()) <= end {
			if err := fn(h.record(nil), h.placed(uint64(off))); err != nil {
				return err
			}
			off += int64(h.recordBytes())
			continue
		}
		if off, err = nextRecord(newWindow(f, end), id, off); err != nil {
			return failed(model.CodeUnavailable, "walk volume", fmt.Sprintf("volume %d cannot be read at %d", id, off), err)
		}
	}
	return nil
}
