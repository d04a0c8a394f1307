package store

import (
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"

	"tiercel/cluster/model"
)

// Seal fences a copy, ends its writer and stores end and the digest of the file
// up to it; the bytes beyond stay. It returns the digest: XXH3-128 of [0,end).
// Sealing again at the same end returns what is stored.
//
// Every record is verified first: this digest becomes the measure of all copies, and a
// disk that lied while the volume was open must have no voice in it.
//
// conflict: the copy is not durable up to end, or it was never whole; corrupt: a record
// is damaged. The copy stays fenced.
func (v *Volumes) Seal(id model.VolumeID, end uint64) (digest []byte, err error) {
	const op = "seal volume"
	vol, err := v.locked(op, id)
	if err != nil {
		return nil, err
	}
	defer vol.work.Unlock()
	watermark, err := v.fence(vol)
	if err != nil {
		return nil, err
	}
	if vol.snapshot().Partial {
		return nil, model.Errorf(model.CodeConflict, op, "volume %d is being received; only Settle seals it, when it is whole", id)
	}
	if vol.meta.sealed && vol.meta.sealedEnd == end {
		return append([]byte(nil), vol.meta.digest[:]...), nil
	}
	if end < DataStart || end > watermark {
		return nil, model.Errorf(model.CodeConflict, op, "volume %d is durable up to byte %d; it cannot be sealed at %d", id, watermark, end)
	}
	if err := vol.endWriter(); err != nil {
		return nil, failed(model.CodeUnavailable, op, fmt.Sprintf("the writer of volume %d cannot be closed", id), err)
	}
	if err := v.checkRecords(vol, end); err != nil {
		if model.CodeOf(err) == model.CodeCorrupt {
			state := vol.snapshot()
			vol.publish(state.End, state.Watermark, err.Error())
		}
		return nil, err
	}
	sum, err := v.digest(vol, end)
	if err != nil {
		return nil, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be read", id), err)
	}
	meta := vol.meta
	meta.sealed, meta.sealedEnd, meta.watermark = true, end, max(meta.watermark, end)
	copy(meta.digest[:], sum)
	if err := vol.saveMeta(v.fs, meta); err != nil {
		return nil, failed(model.CodeUnavailable, op, fmt.Sprintf("the seal of volume %d cannot be written", id), err)
	}
	state := vol.snapshot()
	vol.publish(state.End, state.Watermark, state.Damage)
	return sum, nil
}

func (v *Volumes) digest(vol *volume, end uint64) ([]byte, error) {
	f, err := v.fs.OpenReadOnly(volName(vol.tier, vol.id))
	if err != nil {
		return nil, err
	}
	sum, err := digestOf(f, end)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return sum, nil
}

// digestOf reads the file up to end.
func digestOf(f File, end uint64) ([]byte, error) {
	hash := xxh3.New()
	n, err := io.CopyBuffer(onlyWriter{hash}, io.NewSectionReader(f, 0, int64(end)), make([]byte, windowBytes))
	if err == nil && n < int64(end) {
		err = io.ErrUnexpectedEOF
	}
	sum := hash.Sum128().Bytes()
	return sum[:], err
}

// onlyWriter hides what io.CopyBuffer would use instead of its buffer.
type onlyWriter struct{ io.Writer }
