package store

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"tiercel/cluster/model"
)

// VolumeOptions are the knobs of Volumes; zero values are the defaults.
type VolumeOptions struct {
	MaxOpenFiles        int    // read handles kept open (512)
	WatermarkEveryBytes uint64 // a watermark hint is written at least so often (32 MiB)
}

// VolumeState is what a node knows of its copy of a volume.
type VolumeState struct {
	Tier           model.Tier
	ID             model.VolumeID
	Generation     uint64
	ReplicaGen     uint64
	End            uint64 // the end of the intact records
	Watermark      uint64 // durable at least up to here
	Fenced, Sealed bool
	Damage         string // what is wrong with the copy, empty if nothing; never repaired or deleted here
}

// Volumes owns the volume files of a node. It is safe for concurrent use.
type Volumes struct {
	fs  FS
	opt VolumeOptions

	opening sync.Mutex // one Create at a time
	mu      sync.RWMutex
	byID    map[model.VolumeID]*volume
	handles *handleCache
}

// volume is one copy. work orders appends and changes of the meta; the state
// has a lock of its own, so that nobody who asks waits for a disk.
type volume struct {
	tier model.Tier
	id   model.VolumeID

	work   sync.Mutex
	meta   volumeMeta
	broken bool // meta or header cannot be read: only reads of records go on
	writer *VolumeWriter

	stateMu sync.Mutex
	state   VolumeState
}

func (v *volume) snapshot() VolumeState {
	v.stateMu.Lock()
	defer v.stateMu.Unlock()
	return v.state
}

// durable is the watermark as the meta has it, which a shorter file does not lower.
func (v *volume) durable() uint64 {
	v.work.Lock()
	defer v.work.Unlock()
	return v.meta.watermark
}

// publish makes the state say what meta does, with end and watermark as given.
func (v *volume) publish(end, watermark uint64, damage string) {
	v.stateMu.Lock()
	defer v.stateMu.Unlock()
	v.state = VolumeState{
		Tier: v.tier, ID: v.id, Generation: v.meta.generation, ReplicaGen: v.meta.replicaGen,
		End: end, Watermark: watermark, Fenced: v.meta.fenced, Sealed: v.meta.sealed, Damage: damage,
	}
}

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
	type pair struct{ vol, meta bool }
	found := map[model.VolumeID]pair{}
	for _, name := range names {
		base, ext, _ := strings.Cut(name, ".")
		n, err := strconv.ParseUint(base, 10, 64)
		if err != nil || ext != "vol" && ext != "meta" {
			continue // not ours
		}
		p := found[model.VolumeID(n)]
		p.vol, p.meta = p.vol || ext == "vol", p.meta || ext == "meta"
		found[model.VolumeID(n)] = p
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		p := found[id]
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

// find returns the copy of a volume.
func (v *Volumes) find(op string, id model.VolumeID) (*volume, error) {
	v.mu.RLock()
	vol := v.byID[id]
	v.mu.RUnlock()
	if vol == nil {
		return nil, model.Errorf(model.CodeUnavailable, op, "volume %d is not on this node", id)
	}
	return vol, nil
}

// States lists all copies by id.
func (v *Volumes) States() []VolumeState {
	v.mu.RLock()
	states := make([]VolumeState, 0, len(v.byID))
	for _, vol := range v.byID {
		states = append(states, vol.snapshot())
	}
	v.mu.RUnlock()
	slices.SortFunc(states, func(a, b VolumeState) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return states
}

// Has tells whether there is a copy, damaged or not.
func (v *Volumes) Has(id model.VolumeID) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.byID[id] != nil
}

// Bytes is the sum of the intact lengths.
func (v *Volumes) Bytes() int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var sum int64
	for _, vol := range v.byID {
		sum += int64(vol.snapshot().End)
	}
	return sum
}

// Close ends all writers, making what they wrote durable, and frees all handles.
func (v *Volumes) Close() error {
	var errs []error
	for _, s := range v.States() {
		vol, err := v.find("close volumes", s.ID)
		if err != nil {
			continue
		}
		vol.work.Lock()
		w := vol.writer
		vol.work.Unlock()
		if w != nil {
			errs = append(errs, w.Close())
		}
	}
	return errors.Join(append(errs, v.handles.close())...)
}

// leftover tells whether an existing .vol is what a crash left of an unfinished
// Create: no meta, no record.
func (v *Volumes) leftover(tier model.Tier, id model.VolumeID) (bool, error) {
	if _, err := v.fs.Stat(metaName(tier, id)); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	info, err := v.fs.Stat(volName(tier, id))
	return err == nil && info.Size <= DataStart, err
}
