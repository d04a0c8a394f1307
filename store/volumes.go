package store

import (
	"errors"
	"io/fs"
	"slices"
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
	Start          uint64 // where that generation began
	ReplicaGen     uint64
	End            uint64 // the end of the intact records
	Watermark      uint64 // durable at least up to here
	Fenced, Sealed bool
	Damage         string // what is wrong with the copy, empty if nothing; never repaired or deleted here
	Broken         bool   // damage of the meta or the header: not even its generations are known
	Partial        bool   // it is being received and was never whole
}

// Volumes owns the volume files of a node. It is safe for concurrent use.
type Volumes struct {
	fs  FS
	opt VolumeOptions

	opening sync.Mutex // one copy comes or goes at a time
	mu      sync.RWMutex
	byID    map[model.VolumeID]*volume
	handles *handleCache

	replacements uint64 // begun in this life

	suspectMu sync.Mutex
	suspects  map[model.VolumeID]bool // a read of them did not match
}

// volume is one copy. work orders appends and changes of the meta; the state
// has a lock of its own, so that nobody who asks waits for a disk.
type volume struct {
	tier model.Tier
	id   model.VolumeID

	work   sync.Mutex
	meta   volumeMeta
	broken bool // meta or header cannot be read: only reads of records go on
	gone   bool // dropped or set aside; whoever waited for the lock finds nothing
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
		Tier: v.tier, ID: v.id, Generation: v.meta.generation, Start: v.meta.start, ReplicaGen: v.meta.replicaGen,
		End: end, Watermark: watermark, Fenced: v.meta.fenced, Sealed: v.meta.sealed, Damage: damage,
		Broken: v.broken, Partial: v.meta.received && !v.meta.sealed,
	}
}

// add makes a copy known.
func (v *Volumes) add(vol *volume) {
	v.mu.Lock()
	v.byID[vol.id] = vol
	v.mu.Unlock()
}

// locked is find with the copy's work lock held.
func (v *Volumes) locked(op string, id model.VolumeID) (*volume, error) {
	vol, err := v.find(op, id)
	if err != nil {
		return nil, err
	}
	vol.work.Lock()
	if vol.gone {
		vol.work.Unlock()
		return nil, notHere(op, id)
	}
	return vol, nil
}

func notHere(op string, id model.VolumeID) error {
	return model.Errorf(model.CodeUnavailable, op, "volume %d is not on this node", id)
}

// find returns the copy of a volume.
func (v *Volumes) find(op string, id model.VolumeID) (*volume, error) {
	v.mu.RLock()
	vol := v.byID[id]
	v.mu.RUnlock()
	if vol == nil {
		return nil, notHere(op, id)
	}
	return vol, nil
}

// State is what is known of one copy.
func (v *Volumes) State(id model.VolumeID) (state VolumeState, ok bool) {
	v.mu.RLock()
	vol := v.byID[id]
	v.mu.RUnlock()
	if vol == nil {
		return VolumeState{}, false
	}
	return vol.snapshot(), true
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
