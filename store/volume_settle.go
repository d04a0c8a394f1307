package store

import (
	"errors"
	"fmt"
	"io"

	"tiercel/cluster/model"
)

// Trim cuts a fenced copy to end, if it is longer, and says how long it is now.
// A copy that was away while its volume was sealed may hold bytes that no file
// names. The shorter watermark is durable before anything is cut. What is left is
// durable when it returns.
//
// conflict: the copy still takes appends.
func (v *Volumes) Trim(id model.VolumeID, end uint64) (length uint64, err error) {
	const op = "trim volume"
	vol, err := v.fenced(op, id)
	if err != nil {
		return 0, err
	}
	defer vol.work.Unlock()
	state := vol.snapshot()
	f, err := v.fs.Open(volName(vol.tier, id))
	if err != nil {
		return 0, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be opened", id), err)
	}
	defer func() { err = closed(f, err) }()
	size, err := f.Size()
	if err != nil {
		return 0, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be measured", id), err)
	}
	if end = max(end, DataStart); uint64(size) > end || state.End > end {
		if err := vol.cut(v.fs, f, end, min(end, uint64(size))); err != nil {
			return 0, err
		}
		state = vol.snapshot()
	}
	// What a restart found may never have reached the disk.
	if state.Watermark < state.End {
		if err := harden(f, state.Watermark, state.End); err != nil {
			return 0, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be made durable", id), err)
		}
		vol.publish(state.End, state.End, state.Damage)
	}
	return state.End, nil
}

// cut shortens the file of a fenced copy to size, because its volume ends at end.
func (v *volume) cut(fsys FS, f File, end, size uint64) error {
	const op = "trim volume"
	state, meta := v.snapshot(), v.meta
	meta.watermark = min(meta.watermark, end)
	if meta.sealedEnd > end {
		meta.sealed, meta.sealedEnd, meta.digest = false, 0, volumeMeta{}.digest
	}
	if err := v.saveMeta(fsys, meta); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("the meta of volume %d cannot be written", v.id), err)
	}
	// The meta ends it here already: a cut that fails halfway leaves nothing to look for
	// beyond this, and a check that did would call the copy damaged.
	length := min(state.End, size)
	v.publish(length, min(state.Watermark, length), state.Damage)
	if err := errors.Join(f.Truncate(int64(size)), f.Sync()); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be cut to %d bytes", v.id, size), err)
	}
	return nil
}

// Fill adds bytes of another copy at the end of a fenced one and makes them
// durable. What was filled is only known to be right when the whole is sealed.
//
// conflict: offset is not the copy's end, or it still takes appends.
func (v *Volumes) Fill(id model.VolumeID, offset uint64, data []byte) (err error) {
	const op = "fill volume"
	vol, err := v.fenced(op, id)
	if err != nil {
		return err
	}
	defer vol.work.Unlock()
	state := vol.snapshot()
	if offset != state.End {
		return model.Errorf(model.CodeConflict, op, "volume %d ends at byte %d, not %d", id, state.End, offset)
	}
	f, err := v.fs.Open(volName(vol.tier, id))
	if err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be opened", id), err)
	}
	defer func() { err = closed(f, err) }()
	_, err = f.WriteAt(data, int64(offset))
	if err = errors.Join(err, f.Sync()); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be written at byte %d", id, offset), err)
	}
	end := offset + uint64(len(data))
	vol.publish(end, end, state.Damage)
	return nil
}

// ReadRaw reads up to most bytes of a copy at offset, not beyond its watermark.
func (v *Volumes) ReadRaw(id model.VolumeID, offset uint64, most int) (data []byte, watermark uint64, err error) {
	const op = "read volume"
	vol, err := v.find(op, id)
	if err != nil {
		return nil, 0, err
	}
	watermark = vol.snapshot().Watermark
	if offset >= watermark {
		return nil, watermark, nil
	}
	h, err := v.handles.take(vol)
	if err != nil {
		return nil, 0, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be opened", id), err)
	}
	defer v.handles.release(h)
	data = make([]byte, min(uint64(most), watermark-offset))
	if _, err := h.file.ReadAt(data, int64(offset)); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be read at byte %d", id, offset), err)
	}
	return data, watermark, nil
}

// fenced returns a copy that takes no more appends, with its work lock held.
func (v *Volumes) fenced(op string, id model.VolumeID) (*volume, error) {
	vol, err := v.locked(op, id)
	if err != nil {
		return nil, err
	}
	switch {
	case vol.broken:
		err = vol.brokenError(op)
	case !vol.meta.fenced:
		err = model.Errorf(model.CodeConflict, op, "volume %d still takes appends; fence it first", id)
	}
	if err != nil {
		vol.work.Unlock()
		return nil, err
	}
	return vol, nil
}

func closed(f File, err error) error {
	if closeErr := f.Close(); err == nil && closeErr != nil {
		return failed(model.CodeUnavailable, "close volume", "a volume cannot be closed", closeErr)
	}
	return err
}
