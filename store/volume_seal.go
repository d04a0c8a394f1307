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
// conflict: the copy is not durable up to end.
func (v *Volumes) Seal(id model.VolumeID, end uint64) (digest []byte, err error) {
	const op = "seal volume"
	vol, err := v.find(op, id)
	if err != nil {
		return nil, err
	}
	vol.work.Lock()
	defer vol.work.Unlock()
	watermark, err := v.fence(vol)
	if err != nil {
		return nil, err
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
	sum, err := v.digest(vol, end)
	if err != nil {
		return nil, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be read", id), err)
	}
	meta := vol.meta
	meta.sealed, meta.sealedEnd = true, end
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
	hash := xxh3.New()
	n, err := io.CopyBuffer(onlyWriter{hash}, io.NewSectionReader(f, 0, int64(end)), make([]byte, windowBytes))
	if err == nil && n < int64(end) {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	sum := hash.Sum128().Bytes()
	return sum[:], nil
}

// onlyWriter hides what io.CopyBuffer would use instead of its buffer.
type onlyWriter struct{ io.Writer }
