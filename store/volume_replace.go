package store

import (
	"errors"
	"fmt"
	"path"

	"tiercel/cluster/model"
)

// Replacement is a copy that is fetched beside the one that it replaces: what is
// here goes on being read until every byte of the new one is known to be right. A
// restart forgets it. It belongs to one goroutine at a time.
type Replacement struct {
	volumes *Volumes
	vol     *volume // the copy to be
	name    string
	file    File
	end     uint64
}

// Replace begins a replacement of a sealed volume's copy.
func (v *Volumes) Replace(tier model.Tier, id model.VolumeID, generation, replicaGen uint64) (*Replacement, error) {
	const op = "replace copy"
	if !tier.Valid() || id == 0 || generation == 0 {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "volume %d of tier %d and generation %d cannot be", id, tier, generation)
	}
	v.opening.Lock()
	v.replacements++
	name := path.Join(dirTmp, fmt.Sprintf("%s.%d.%s", id, v.replacements, extIn))
	v.opening.Unlock()
	r := &Replacement{volumes: v, name: name, end: DataStart, vol: &volume{tier: tier, id: id, meta: volumeMeta{
		id: id, tier: tier, generation: generation, start: DataStart, replicaGen: replicaGen, fenced: true, received: true, sealed: true,
	}}}
	var err error
	if r.file, err = createTmp(v.fs, name); err == nil {
		_, err = r.file.WriteAt(encodeVolumeHeader(tier, id), 0)
	}
	if err != nil {
		return nil, failed(model.CodeUnavailable, op, fmt.Sprintf("a new copy of volume %d cannot be written", id), errors.Join(err, r.Discard()))
	}
	return r, nil
}

// Fill adds bytes of another copy at the end.
func (r *Replacement) Fill(offset uint64, data []byte) error {
	const op = "replace copy"
	if offset != r.end {
		return model.Errorf(model.CodeConflict, op, "the new copy of volume %d ends at byte %d, not %d", r.vol.id, r.end, offset)
	}
	if _, err := r.file.WriteAt(data, int64(offset)); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("the new copy of volume %d cannot be written at byte %d", r.vol.id, offset), err)
	}
	r.end += uint64(len(data))
	return nil
}

// Finish puts the new copy, sealed, in the place of the one that is here, which is
// set aside with the reason, if its bytes are those of want, or without it records
// that all match their checksums. It ends the replacement, whatever it returns.
//
// corrupt: the bytes are others, and nothing was changed; conflict: the copy here is
// a newer one by now.
func (r *Replacement) Finish(want []byte, reason string) (digest []byte, err error) {
	const op = "replace copy"
	v, vol, what := r.volumes, r.vol, fmt.Sprintf("the new copy of volume %d cannot be finished", r.vol.id)
	defer func() {
		if r.file != nil {
			_ = r.Discard() // the first error is the one to tell; a restart empties tmp/
		}
	}()
	if err := r.file.Sync(); err != nil {
		return nil, failed(model.CodeUnavailable, op, what, err)
	}
	if digest, err = digestOf(r.file, r.end); err != nil {
		return nil, failed(model.CodeUnavailable, op, what, err)
	}
	if len(want) > 0 {
		err = vol.sameDigest(op, want, digest)
	} else {
		err = checkAll(r.file, vol.id, r.end)
	}
	if err != nil {
		return nil, err
	}
	err = closed(r.file, nil)
	if r.file = nil; err != nil {
		return nil, err
	}
	v.opening.Lock()
	defer v.opening.Unlock()
	// Under a name of its own until its meta is there, which makes it the copy.
	in := copyName(vol.tier, vol.id, extIn)
	if err := errors.Join(v.fs.Rename(r.name, in), v.fs.SyncDir(tierDir(vol.tier))); err != nil {
		return nil, failed(model.CodeUnavailable, op, what, err)
	}
	if err := v.giveWay(vol, reason); err != nil {
		return nil, err
	}
	vol.meta.sealedEnd, vol.meta.watermark = r.end, r.end
	copy(vol.meta.digest[:], digest)
	if err := vol.saveMeta(v.fs, vol.meta); err != nil {
		return nil, failed(model.CodeUnavailable, op, what, err)
	}
	if err := v.fs.Rename(in, volName(vol.tier, vol.id)); err != nil {
		return nil, failed(model.CodeUnavailable, op, what, err)
	}
	vol.publish(r.end, r.end, "")
	v.add(vol)
	return digest, failed(model.CodeUnavailable, op, what, v.fs.SyncDir(tierDir(vol.tier)))
}

// giveWay sets the copy aside that vol replaces.
func (v *Volumes) giveWay(vol *volume, reason string) error {
	const op = "replace copy"
	state, here := v.State(vol.id)
	if !here {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("what is left of volume %d cannot be removed", vol.id), v.finishLeaving(vol.id))
	}
	if state.ReplicaGen > vol.meta.replicaGen {
		return model.Errorf(model.CodeConflict, op, "the copy of volume %d here is of replica generation %d by now; it stays", vol.id, state.ReplicaGen)
	}
	return v.setAside(vol.id, state.ReplicaGen, reason)
}

// Discard gives the replacement up.
func (r *Replacement) Discard() error {
	var err error
	if r.file != nil {
		err = r.file.Close()
		r.file = nil
	}
	return errors.Join(err, ignoreMissing(r.volumes.fs.Remove(r.name)))
}

// finishReplace ends what a crash left of a replacement: the meta decides whether
// the new bytes are the copy. It reports whether the copy has its bytes then; when
// the disk does not let us, the next start tries again.
func (v *Volumes) finishReplace(tier model.Tier, id model.VolumeID, hasVol, hasMeta bool) bool {
	in := copyName(tier, id, extIn)
	if hasMeta && !hasVol {
		return v.fs.Rename(in, volName(tier, id)) == nil && v.fs.SyncDir(tierDir(tier)) == nil
	}
	_ = v.fs.Remove(in)
	return hasVol
}
