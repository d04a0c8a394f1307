package store

import (
	"errors"
	"fmt"
	"io/fs"

	"tiercel/cluster/model"
)

// Create makes a volume that does not exist, durably, and opens it for
// appending from DataStart. conflict: there is one already.
func (v *Volumes) Create(tier model.Tier, id model.VolumeID, generation, replicaGen uint64) (*VolumeWriter, error) {
	const op = "create volume"
	if !tier.Valid() || id == 0 || generation == 0 {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "volume %d of tier %d and generation %d cannot be", id, tier, generation)
	}
	v.opening.Lock()
	defer v.opening.Unlock()
	if v.Has(id) {
		return nil, model.Errorf(model.CodeConflict, op, "volume %d is on this node already", id)
	}
	vol := &volume{tier: tier, id: id, meta: volumeMeta{
		id: id, tier: tier, generation: generation, start: DataStart, replicaGen: replicaGen, watermark: DataStart,
	}}
	f, err := v.make(op, vol)
	if err != nil {
		return nil, err
	}
	vol.writer = &VolumeWriter{volumes: v, volume: vol, file: f, generation: generation, hintAt: DataStart}
	v.add(vol)
	return vol.writer, nil
}

// make puts the files of a new copy on the disk, durably.
func (v *Volumes) make(op string, vol *volume) (File, error) {
	what := fmt.Sprintf("volume %d cannot be made", vol.id)
	if err := v.finishLeaving(vol.id); err != nil {
		return nil, failed(model.CodeUnavailable, op, what+" before the copy that was dropped here is gone", err)
	}
	f, err := v.createFile(vol)
	if err != nil {
		return nil, failed(model.CodeUnavailable, op, what, err)
	}
	// The meta last: a volume exists when its meta does.
	if err := replaceFile(v.fs, metaName(vol.tier, vol.id), vol.meta.encode()); err != nil {
		return nil, failed(model.CodeUnavailable, op, what, errors.Join(err, f.Close()))
	}
	vol.publish(DataStart, DataStart, "")
	return f, nil
}

// createFile makes the .vol file with its header, all durable.
func (v *Volumes) createFile(vol *volume) (File, error) {
	name := volName(vol.tier, vol.id)
	f, err := v.fs.Create(name)
	if errors.Is(err, fs.ErrExist) {
		unfinished, statErr := v.leftover(vol.tier, vol.id)
		if statErr != nil || !unfinished {
			return nil, errors.Join(err, statErr)
		}
		if err := v.fs.Remove(name); err != nil {
			return nil, err
		}
		f, err = v.fs.Create(name)
	}
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(encodeVolumeHeader(vol.tier, vol.id), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = v.fs.SyncDir(tierDir(vol.tier))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Reopen opens a copy for appending at start, for a new generation that the log
// has given it; what lies beyond start is cut off. The new generation is durable
// before anything is cut or written. It ends an earlier writer, fence or seal.
//
// conflict: the generation is not higher than the one on disk, or start is
// beyond the intact end; corrupt: the copy's meta or header cannot be read.
func (v *Volumes) Reopen(id model.VolumeID, generation, replicaGen, start uint64) (*VolumeWriter, error) {
	const op = "reopen volume"
	vol, err := v.locked(op, id)
	if err != nil {
		return nil, err
	}
	defer vol.work.Unlock()
	if vol.broken {
		return nil, vol.brokenError(op)
	}
	if generation <= vol.meta.generation {
		return nil, model.Errorf(model.CodeConflict, op,
			"volume %d has generation %d on disk; a reopening needs a higher one than that, not %d", id, vol.meta.generation, generation)
	}
	f, err := v.fs.Open(volName(vol.tier, id))
	if err != nil {
		return nil, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be opened", id), err)
	}
	if err := v.reopen(vol, f, generation, replicaGen, start); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	vol.writer = &VolumeWriter{volumes: v, volume: vol, file: f, generation: generation, hintAt: start}
	return vol.writer, nil
}

func (v *Volumes) reopen(vol *volume, f File, generation, replicaGen, start uint64) error {
	const op = "reopen volume"
	end, err := vol.rescan(f)
	if err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be scanned", vol.id), err)
	}
	if start < DataStart || start > end {
		return model.Errorf(model.CodeConflict, op, "volume %d is intact up to byte %d; it cannot go on at %d", vol.id, end, start)
	}
	if err := vol.endWriter(); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("the earlier writer of volume %d cannot be closed", vol.id), err)
	}
	durable := min(vol.meta.watermark, start)
	meta := vol.meta
	meta.generation, meta.replicaGen, meta.start, meta.watermark = generation, replicaGen, start, durable
	meta.fenced, meta.sealed, meta.sealedEnd, meta.digest = false, false, 0, volumeMeta{}.digest
	meta.received, meta.damaged = false, false
	if err := vol.saveMeta(v.fs, meta); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("the meta of volume %d cannot be written", vol.id), err)
	}
	vol.publish(start, durable, "")
	if err := f.Truncate(int64(start)); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be cut to %d bytes", vol.id, start), err)
	}
	if err := harden(f, durable, start); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be made durable", vol.id), err)
	}
	vol.publish(start, start, "")
	return nil
}

// rescan finds the intact end as the disk has it now. With a healthy writer that
// is its end; after a failed sync or a restart only reading tells.
func (v *volume) rescan(f File) (uint64, error) {
	if v.writer != nil && v.writer.poisoned == nil {
		return v.snapshot().End, nil
	}
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	from := v.meta.watermark
	if from > uint64(size) {
		from = DataStart
	}
	return v.meta.intactEnd(f, size, from)
}

// harden writes [from,to) again as it is and syncs. What can be read after a
// crash may never have reached the disk, because the sync that should have
// written it failed and left it marked clean; only writing makes it dirty again.
func harden(f File, from, to uint64) error {
	buf := make([]byte, min(windowBytes, to-from))
	for from < to {
		p := buf[:min(uint64(len(buf)), to-from)]
		if err := readFull(f, p, int64(from)); err != nil {
			return err
		}
		if _, err := f.WriteAt(p, int64(from)); err != nil {
			return err
		}
		from += uint64(len(p))
	}
	return f.Sync()
}

// Fence makes sure, durably, that no append of this generation is taken any
// more, and returns the watermark: all that is intact, made durable now if the
// disk lets us. Asking again gives the same answer.
func (v *Volumes) Fence(id model.VolumeID) (watermark uint64, err error) {
	vol, err := v.locked("fence volume", id)
	if err != nil {
		return 0, err
	}
	defer vol.work.Unlock()
	return v.fence(vol)
}

func (v *Volumes) fence(vol *volume) (uint64, error) {
	const op = "fence volume"
	if vol.broken {
		return 0, vol.brokenError(op)
	}
	if vol.meta.fenced {
		return vol.snapshot().Watermark, nil
	}
	end, watermark, err := v.makeDurable(vol)
	if err != nil {
		return 0, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be read", vol.id), err)
	}
	meta := vol.meta
	meta.fenced, meta.watermark = true, max(meta.watermark, watermark)
	if err := vol.saveMeta(v.fs, meta); err != nil {
		return 0, failed(model.CodeUnavailable, op, fmt.Sprintf("the fence of volume %d cannot be written", vol.id), err)
	}
	vol.publish(end, watermark, vol.snapshot().Damage)
	return watermark, nil
}

// makeDurable raises the watermark to the intact end. When the sync fails the
// watermark stays at the last good one; that is an answer, not an error.
func (v *Volumes) makeDurable(vol *volume) (end, watermark uint64, err error) {
	state := vol.snapshot()
	if w := vol.writer; w != nil {
		if w.poisoned == nil && state.Watermark < state.End {
			if err := w.sync(); err == nil {
				state.Watermark = state.End
			}
		}
		return state.End, state.Watermark, nil
	}
	f, err := v.fs.Open(volName(vol.tier, vol.id))
	if err != nil {
		return 0, 0, err
	}
	if end, err = vol.rescan(f); err != nil {
		return 0, 0, errors.Join(err, f.Close())
	}
	watermark = min(vol.meta.watermark, end)
	if harden(f, watermark, end) == nil {
		watermark = end
	}
	return end, watermark, f.Close()
}

func (v *volume) saveMeta(fsys FS, meta volumeMeta) error {
	if err := replaceFile(fsys, metaName(v.tier, v.id), meta.encode()); err != nil {
		return err
	}
	v.meta = meta
	return nil
}

// endWriter closes the writer that is replaced; its appends fail from now on.
func (v *volume) endWriter() error {
	w := v.writer
	if w == nil {
		return nil
	}
	v.writer, w.closed = nil, true
	return w.file.Close()
}

func (v *volume) brokenError(op string) error {
	return model.Errorf(model.CodeCorrupt, op,
		"the copy of volume %d is damaged: %s; if the volume has another copy, a running cluster restores it from that", v.id, v.snapshot().Damage)
}
