package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tiercel/cluster/model"
)

// OpenVolumes reads the meta of every volume under volumes/ and finds the end of
// its intact records, from its watermark on. A volume that is damaged says so in
// its state and does not stop the others; an error means that the directories
// themselves cannot be read.
func OpenVolumes(fsys FS, opt VolumeOptions) (*Volumes, []VolumeState, error) {
	if opt.MaxOpenFiles <= 0 {
		opt.MaxOpenFiles = 512
	}
	if opt.WatermarkEveryBytes == 0 {
		opt.WatermarkEveryBytes = 32 << 20
	}
	v := &Volumes{fs: fsys, opt: opt, byID: map[model.VolumeID]*volume{}, handles: newHandleCache(fsys, opt.MaxOpenFiles)}
	if err := syncAside(fsys); err != nil {
		return nil, nil, failed(model.CodeUnavailable, "open volumes", dirQuarantine+"/ cannot be synced", err)
	}
	for _, tier := range model.Tiers {
		if err := v.openTier(tier); err != nil {
			return nil, nil, failed(model.CodeUnavailable, "open volumes", tierDir(tier)+"/ cannot be read", err)
		}
	}
	return v, v.States(), nil
}

func (v *Volumes) openTier(tier model.Tier) error {
	if err := v.fs.MkdirAll(tierDir(tier)); err != nil {
		return err
	}
	// A killed process may have left names that a power loss could still take.
	if err := v.fs.SyncDir(tierDir(tier)); err != nil {
		return err
	}
	names, err := v.fs.List(tierDir(tier))
	if err != nil {
		return err
	}
	type files struct{ vol, meta, in bool }
	found, leaving := map[model.VolumeID]files{}, map[model.VolumeID]bool{}
	for _, name := range names {
		base, ext, _ := strings.Cut(name, ".")
		n, err := strconv.ParseUint(base, 10, 64)
		if err == nil && (ext == extDrop || ext == extAside) {
			leaving[model.VolumeID(n)] = true
		}
		if err != nil || ext != extVol && ext != extMeta && ext != extIn {
			continue // not ours
		}
		p := found[model.VolumeID(n)]
		p.vol, p.meta, p.in = p.vol || ext == extVol, p.meta || ext == extMeta, p.in || ext == extIn
		found[model.VolumeID(n)] = p
	}
	for _, id := range slices.Sorted(maps.Keys(leaving)) {
		// When the disk does not let us, it is as gone as before, and the next who
		// wants the place tries again.
		if !found[id].meta {
			_ = v.finish(tier, id)
			found[id] = files{in: found[id].in}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		p := found[id]
		if p.in {
			p.vol = v.finishReplace(tier, id, p.vol, p.meta)
		}
		if !p.vol && !p.meta {
			continue
		}
		vol, err := v.openVolume(tier, id, p.vol, p.meta)
		if err != nil {
			return err
		}
		if vol == nil {
			continue
		}
		if first := v.byID[id]; first != nil {
			first.state.Damage = fmt.Sprintf("the volume lies in two tiers, %d and %d; set the wrong one aside", first.tier, tier)
			continue
		}
		v.byID[id] = vol
	}
	return nil
}

// openVolume reads one copy; nil for what a crash left of an unfinished Create.
func (v *Volumes) openVolume(tier model.Tier, id model.VolumeID, hasVol, hasMeta bool) (*volume, error) {
	vol := &volume{tier: tier, id: id, meta: volumeMeta{id: id, tier: tier, start: DataStart, watermark: DataStart}}
	if !hasMeta {
		info, err := v.fs.Stat(volName(tier, id))
		if err != nil {
			return nil, err
		}
		if info.Size <= DataStart {
			return nil, nil
		}
	}
	var damage string
	end := uint64(0)
	switch {
	case !hasMeta:
		damage = volName(tier, id) + " has no .meta beside it"
	case !hasVol:
		damage = metaName(tier, id) + " has no .vol beside it"
	default:
		damage = vol.readMeta(v.fs)
	}
	vol.broken = damage != ""
	if damage == "" && vol.meta.damaged {
		damage = "an earlier check found that its bytes are not what was sealed; if the volume has another copy, a running cluster restores it from that"
	}
	if hasVol {
		var problem string
		end, problem = vol.findEnd(v.fs)
		if damage == "" {
			damage = problem
		}
	}
	vol.publish(end, min(vol.meta.watermark, end), damage)
	return vol, nil
}

// readMeta loads .meta, or says what is wrong with it.
func (v *volume) readMeta(fsys FS) (damage string) {
	name := metaName(v.tier, v.id)
	data, err := readFile(fsys, name, maxMetaFile)
	if err != nil {
		return fmt.Sprintf("%s cannot be read: %v", name, err)
	}
	m, err := decodeVolumeMeta(data)
	if err == nil && (m.id != v.id || m.tier != v.tier) {
		err = fmt.Errorf("it is of volume %d of tier %d", m.id, m.tier)
	}
	if err != nil {
		return fmt.Sprintf("%s is damaged: %v", name, err)
	}
	v.meta = m
	return ""
}

// findEnd scans the .vol file from the watermark, or from the start when there
// is less than the watermark promises.
func (v *volume) findEnd(fsys FS) (end uint64, damage string) {
	name := volName(v.tier, v.id)
	f, err := fsys.OpenReadOnly(name)
	if err != nil {
		v.broken = true
		return 0, fmt.Sprintf("%s cannot be opened: %v", name, err)
	}
	end, damage, err = v.scanFile(f, name)
	if err = errors.Join(err, f.Close()); err != nil {
		damage = fmt.Sprintf("%s cannot be read: %v", name, err)
	}
	return end, damage
}

func (v *volume) scanFile(f File, name string) (end uint64, damage string, err error) {
	size, err := f.Size()
	if err != nil {
		return 0, "", err
	}
	header := make([]byte, min(size, DataStart))
	if err := readFull(f, header, 0); err != nil {
		return 0, "", err
	}
	if err := checkVolumeHeader(header, v.tier, v.id); err != nil {
		v.broken = true
		return 0, fmt.Sprintf("%s is damaged: %v", name, err), nil
	}
	meta, from := v.meta, v.meta.watermark
	if v.broken {
		// Without its meta any order of generations may be right.
		meta.start, meta.generation = size64max, size64max
	}
	if from > uint64(size) {
		from = DataStart
		damage = fmt.Sprintf("%s has %d bytes but %d were durable", name, size, v.meta.watermark)
	}
	end, err = meta.intactEnd(f, size, from)
	return end, damage, err
}

const size64max = 1<<64 - 1
