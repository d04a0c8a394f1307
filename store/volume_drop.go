package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"tiercel/cluster/model"
)

// Drop deletes exactly the copy of this replica generation. Readers that have it
// open go on; for all others it is not on this node any more. A copy that is not
// here needs no deleting.
//
// The .meta goes first, to a name that a restart understands, so no crash leaves a
// copy that looks damaged, and none that takes the name of a later one with it.
//
// conflict: the copy here is another one, or it takes appends.
func (v *Volumes) Drop(id model.VolumeID, replicaGen uint64) error {
	const op = "drop copy"
	v.opening.Lock()
	defer v.opening.Unlock()
	return v.leave(op, id, replicaGen, func(vol *volume) error {
		if err := v.mark(vol.tier, id, extDrop); err != nil {
			return failed(model.CodeUnavailable, op, fmt.Sprintf("the copy of volume %d cannot be deleted; it is as it was", id), err)
		}
		v.remove(vol)
		return failed(model.CodeUnavailable, op, fmt.Sprintf("the files of volume %d cannot be deleted yet; drop it again", id), v.finishDrop(vol.tier, id))
	})
}

// SetAside moves exactly the copy of this replica generation to
// quarantine/volume-<id>.<n>/, with the reason beside it. Otherwise as Drop.
func (v *Volumes) SetAside(id model.VolumeID, replicaGen uint64, reason string) error {
	v.opening.Lock()
	defer v.opening.Unlock()
	return v.setAside(id, replicaGen, reason)
}

func (v *Volumes) setAside(id model.VolumeID, replicaGen uint64, reason string) error {
	const op = "set a copy aside"
	return v.leave(op, id, replicaGen, func(vol *volume) error {
		what := fmt.Sprintf("the copy of volume %d cannot be moved to quarantine/", id)
		for _, tier := range model.Tiers {
			if tier != vol.tier && !v.lies(tier, id) {
				continue
			}
			if err := v.prepareAside(tier, id, reason); err != nil {
				return failed(model.CodeUnavailable, op, what, err)
			}
			if err := v.mark(tier, id, extAside); err != nil {
				return failed(model.CodeUnavailable, op, what, err)
			}
			if tier == vol.tier {
				v.remove(vol)
			}
			if err := v.finishAside(tier, id); err != nil {
				return failed(model.CodeUnavailable, op, what+" yet", err)
			}
		}
		return nil
	})
}

// leave checks that this is the copy that was named, and lets it go. The opening
// lock is held: no other copy takes the place meanwhile.
func (v *Volumes) leave(op string, id model.VolumeID, replicaGen uint64, away func(*volume) error) error {
	if !v.Has(id) {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("what is left of volume %d cannot be removed", id), v.finishLeaving(id))
	}
	vol, err := v.locked(op, id)
	if err != nil {
		return err
	}
	defer vol.work.Unlock()
	switch {
	case vol.meta.replicaGen != replicaGen:
		return model.Errorf(model.CodeConflict, op, "the copy of volume %d here is of replica generation %d, not %d; it stays", id, vol.meta.replicaGen, replicaGen)
	case vol.writer != nil && !vol.meta.fenced:
		return model.Errorf(model.CodeConflict, op, "the copy of volume %d takes appends; fence it first", id)
	}
	if err := vol.endWriter(); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("the writer of volume %d cannot be closed", id), err)
	}
	return away(vol)
}

// mark is the durable intent: from here on the copy does not exist.
func (v *Volumes) mark(tier model.Tier, id model.VolumeID, ext string) error {
	if err := v.fs.Rename(metaName(tier, id), copyName(tier, id, ext)); ignoreMissing(err) != nil {
		return err
	}
	return v.fs.SyncDir(tierDir(tier))
}

// remove makes a copy unknown; its work lock is held.
func (v *Volumes) remove(vol *volume) {
	vol.gone = true
	v.mu.Lock()
	delete(v.byID, vol.id)
	v.mu.Unlock()
	v.handles.forget(vol)
}

// lies tells whether a tier's directory has a file of the volume.
func (v *Volumes) lies(tier model.Tier, id model.VolumeID) bool {
	for _, ext := range []string{extVol, extMeta, extAside} {
		if _, err := v.fs.Stat(copyName(tier, id, ext)); err == nil {
			return true
		}
	}
	return false
}

// finishLeaving removes what is left of copies that were dropped or set aside.
func (v *Volumes) finishLeaving(id model.VolumeID) error {
	for _, tier := range model.Tiers {
		if err := v.finish(tier, id); err != nil {
			return err
		}
	}
	return nil
}

func (v *Volumes) finish(tier model.Tier, id model.VolumeID) error {
	if _, err := v.fs.Stat(metaName(tier, id)); !errors.Is(err, fs.ErrNotExist) {
		return err // with its meta a copy is there, whatever was begun
	}
	for _, left := range []struct {
		ext  string
		away func(model.Tier, model.VolumeID) error
	}{{extDrop, v.finishDrop}, {extAside, v.finishAside}} {
		_, err := v.fs.Stat(copyName(tier, id, left.ext))
		if err == nil {
			err = left.away(tier, id)
		}
		if ignoreMissing(err) != nil {
			return err
		}
	}
	return nil
}

func (v *Volumes) finishDrop(tier model.Tier, id model.VolumeID) error {
	for _, ext := range []string{extVol, extDrop} {
		if err := ignoreMissing(v.fs.Remove(copyName(tier, id, ext))); err != nil {
			return err
		}
		// The mark ends after the bytes.
		if err := v.fs.SyncDir(tierDir(tier)); err != nil {
			return err
		}
	}
	return nil
}

// prepareAside makes the place where a copy is set aside. The reason first: what is
// set aside never lies there without it.
func (v *Volumes) prepareAside(tier model.Tier, id model.VolumeID, reason string) error {
	dir, n, err := v.newestAside(id)
	if err != nil {
		return err
	}
	names, err := v.fs.List(dir)
	if n == 0 || err == nil && len(names) > 1 { // one with only a reason was not used
		dir = asideDir(id, n+1)
	} else if err != nil {
		return err
	}
	if err := v.fs.MkdirAll(dir); err != nil {
		return err
	}
	text := fmt.Sprintf("the copy of volume %d of tier %d was set aside: %s\nNothing here is used or deleted.\n", id, tier, reason)
	return replaceFile(v.fs, path.Join(dir, "reason.txt"), []byte(text))
}

func asideDir(id model.VolumeID, n int) string {
	return path.Join(dirQuarantine, fmt.Sprintf("volume-%d.%d", id, n))
}

// newestAside is the place that was made last for a volume; 0: none yet.
func (v *Volumes) newestAside(id model.VolumeID) (dir string, n int, err error) {
	names, err := v.fs.List(dirQuarantine)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", 0, err
	}
	for _, name := range names {
		number, ok := strings.CutPrefix(strings.TrimSuffix(name, "/"), fmt.Sprintf("volume-%d.", id))
		if k, err := strconv.Atoi(number); ok && err == nil {
			n = max(n, k)
		}
	}
	return asideDir(id, n), n, nil
}

// syncAside makes durable what a killed process may have moved to quarantine/, before
// anybody makes durable that it is not in its old place.
func syncAside(fsys FS) error {
	names, err := fsys.List(dirQuarantine)
	for _, name := range names {
		if sub, isDir := strings.CutSuffix(name, "/"); isDir && strings.HasPrefix(sub, "volume-") && err == nil {
			err = fsys.SyncDir(path.Join(dirQuarantine, sub))
		}
	}
	return ignoreMissing(err)
}

// finishAside moves the bytes and then the mark to the newest place. A new name is
// durable before the old one ends; a power loss between the two leaves one file
// under both.
func (v *Volumes) finishAside(tier model.Tier, id model.VolumeID) error {
	dir, n, err := v.newestAside(id)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%s is there without its place in %s/", copyName(tier, id, extAside), dirQuarantine)
	}
	for _, m := range [][2]string{{extVol, extVol}, {extAside, extMeta}} {
		from, to := copyName(tier, id, m[0]), path.Join(dir, id.String()+"."+m[1])
		move := func() error { return v.fs.Rename(from, to) }
		if _, err := v.fs.Stat(to); err == nil {
			move = func() error { return v.fs.Remove(from) }
		}
		if err := ignoreMissing(move()); err != nil {
			return err
		}
		if err := errors.Join(v.fs.SyncDir(dir), v.fs.SyncDir(tierDir(tier))); err != nil {
			return err
		}
	}
	return nil
}
