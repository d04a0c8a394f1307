package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"syscall"

	"tiercel/cluster/model"
)

// Receive makes an empty copy, durably, that is filled from other copies. It can
// never take appends, and it counts as whole only when Settle has sealed it: after
// a crash it goes on from its last intact record. conflict: there is a copy already.
func (v *Volumes) Receive(tier model.Tier, id model.VolumeID, generation, replicaGen uint64) error {
	const op = "receive volume"
	if !tier.Valid() || id == 0 || generation == 0 {
		return model.Errorf(model.CodeInvalidArgument, op, "volume %d of tier %d and generation %d cannot be", id, tier, generation)
	}
	v.opening.Lock()
	defer v.opening.Unlock()
	if v.Has(id) {
		return model.Errorf(model.CodeConflict, op, "volume %d is on this node already", id)
	}
	vol := &volume{tier: tier, id: id, meta: volumeMeta{
		id: id, tier: tier, generation: generation, start: DataStart, replicaGen: replicaGen, watermark: DataStart, fenced: true, received: true,
	}}
	f, err := v.make(op, vol)
	if err != nil {
		return err
	}
	v.add(vol)
	return closed(f, nil)
}

// Adopt gives a copy a higher replica generation and fences it, durably and in one
// step: a delete that names the old one is refused from then on. Or it gives a fenced
// copy the higher generation of a reopening that it never saw. Its seal ends: only
// Settle says whether it is whole.
//
// conflict: the copy has that replica generation or a higher one and is not of the
// generation that is wanted, has both already, or takes appends of an older generation.
func (v *Volumes) Adopt(id model.VolumeID, generation, replicaGen uint64) error {
	const op = "adopt volume"
	vol, err := v.locked(op, id)
	if err != nil {
		return err
	}
	defer vol.work.Unlock()
	switch {
	case vol.broken:
		return vol.brokenError(op)
	case vol.meta.generation == generation && vol.meta.replicaGen < replicaGen:
	case vol.meta.generation < generation && vol.meta.replicaGen == replicaGen && vol.meta.fenced:
	default:
		return model.Errorf(model.CodeConflict, op, "the copy of volume %d is of generation %d and replica generation %d; it is not taken over as %d and %d",
			id, vol.meta.generation, vol.meta.replicaGen, generation, replicaGen)
	}
	meta := vol.meta
	if meta.generation < generation {
		meta.start = vol.snapshot().End
	}
	meta.generation, meta.replicaGen = generation, replicaGen
	meta.sealed, meta.sealedEnd, meta.digest = false, 0, volumeMeta{}.digest // until Settle has seen its bytes
	if err := vol.saveMeta(v.fs, meta); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("the meta of volume %d cannot be written", id), err)
	}
	state := vol.snapshot()
	vol.publish(state.End, state.Watermark, state.Damage)
	_, err = v.fence(vol)
	return err
}

// Settle seals a fenced copy that has all its bytes, if they are the right ones:
// those of want, or without it those of its own earlier seal, or without that
// records up to end that all match their checksums. It clears an earlier damage.
// With again the bytes are read even if they were sealed here before.
//
// corrupt: they are not, and nothing was changed; conflict: the copy is shorter.
func (v *Volumes) Settle(id model.VolumeID, end uint64, want []byte, again bool) (digest []byte, err error) {
	const op = "settle volume"
	vol, err := v.fenced(op, id)
	if err != nil {
		return nil, err
	}
	defer vol.work.Unlock()
	state := vol.snapshot()
	if end < DataStart || end > state.Watermark {
		return nil, model.Errorf(model.CodeConflict, op, "volume %d is durable up to byte %d; it cannot be sealed at %d", id, state.Watermark, end)
	}
	own := vol.meta.sealed && vol.meta.sealedEnd == end
	if own && !again && state.Damage == "" {
		digest = append([]byte(nil), vol.meta.digest[:]...)
	} else if digest, err = v.digest(vol, end); err != nil {
		return nil, unreadable(op, vol, err)
	}
	switch {
	case len(want) > 0:
		err = vol.sameDigest(op, want, digest)
	case own:
		err = vol.sameDigest(op, vol.meta.digest[:], digest)
	default:
		err = v.checkRecords(vol, end)
	}
	if err != nil {
		return nil, err
	}
	if own && state.Damage == "" {
		return digest, nil
	}
	meta := vol.meta
	meta.sealed, meta.sealedEnd, meta.watermark, meta.damaged = true, end, max(meta.watermark, end), false
	copy(meta.digest[:], digest)
	if err := errors.Join(vol.endWriter(), vol.saveMeta(v.fs, meta)); err != nil {
		return nil, failed(model.CodeUnavailable, op, fmt.Sprintf("the seal of volume %d cannot be written", id), err)
	}
	vol.publish(state.End, state.Watermark, "")
	return digest, nil
}

func (v *volume) sameDigest(op string, want, got []byte) error {
	if bytes.Equal(want, got) {
		return nil
	}
	return model.Errorf(model.CodeCorrupt, op, "the copy of volume %d has its full length but other bytes than were sealed", v.id)
}

// unreadable is corrupt when the bytes are not there or the disk does not give them.
func unreadable(op string, vol *volume, err error) error {
	code := model.CodeUnavailable
	if errors.Is(err, syscall.EIO) || errors.Is(err, io.ErrUnexpectedEOF) {
		code = model.CodeCorrupt
	}
	return failed(code, op, fmt.Sprintf("volume %d cannot be read", vol.id), err)
}

// checkRecords verifies every record up to end, where one must end.
func (v *Volumes) checkRecords(vol *volume, end uint64) error {
	const op = "check volume"
	f, err := v.fs.OpenReadOnly(volName(vol.tier, vol.id))
	if err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be opened", vol.id), err)
	}
	return closed(f, checkAll(f, vol.id, end))
}

func checkAll(f File, id model.VolumeID, end uint64) error {
	last := uint64(DataStart)
	err := scanRecords(f, id, end, func(offset uint64, _ Record, p Placed) error {
		if offset < end {
			last = offset + p.RecordBytes
		}
		return nil
	})
	if err == nil && last != end {
		err = model.Errorf(model.CodeCorrupt, "check volume", "volume %d has no record that ends at byte %d", id, end)
	}
	return err
}
