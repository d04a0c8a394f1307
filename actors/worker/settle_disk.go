package worker

import (
	"fmt"

	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// settled is the result of one step at the disk.
type settled struct {
	ask       *messages.SettleVolume
	end       uint64
	digest    []byte // of the whole, when it is complete
	absent    bool   // there is no copy that could be completed
	why       string // and what is here instead, empty: nothing
	discarded bool   // what was fetched is deleted
	beside    *store.Replacement
	err       error
}

// firstSettle judges what is here: it takes an older copy over, cuts what no file
// names, and seals it if it is whole.
func firstSettle(volumes *store.Volumes, m *messages.SettleVolume) *settled {
	id := model.VolumeID(m.Volume)
	state, here := volumes.State(id)
	adopted := false
	switch {
	case !here:
		return &settled{ask: m, absent: true}
	case state.Broken:
		return &settled{ask: m, absent: true, why: state.Damage}
	case state.ReplicaGen > m.ReplicaGen || state.Generation > m.Generation:
		return &settled{ask: m, err: model.Errorf(model.CodeConflict, "settle volume",
			"the copy of volume %d is of generation %d and replica generation %d, not %d and %d; it is left alone",
			m.Volume, state.Generation, state.ReplicaGen, m.Generation, m.ReplicaGen)}
	case state.ReplicaGen == m.ReplicaGen && state.Generation < m.Generation:
		if err := followReopening(volumes, m); err != nil {
			return &settled{ask: m, err: err}
		}
		adopted = true
	case state.Generation < m.Generation:
		return &settled{ask: m, absent: true, why: fmt.Sprintf("it is of generation %d, and the volume was sealed at %d", state.Generation, m.Generation)}
	case state.ReplicaGen < m.ReplicaGen:
		if err := volumes.Adopt(id, m.Generation, m.ReplicaGen); err != nil {
			return &settled{ask: m, err: err}
		}
		adopted = true
	case !state.Fenced:
		if _, err := volumes.Fence(id); err != nil {
			return &settled{ask: m, err: err}
		}
	}
	end, err := volumes.Trim(id, m.SealedEnd)
	if err != nil {
		return &settled{ask: m, err: err}
	}
	// A copy that is not trusted is read, whatever it was sealed as.
	return sealIfWhole(volumes, m, end, adopted || m.Replace)
}

// followReopening brings the only copy of a volume to a generation that was logged and
// that it never opened: the volume was sealed before the order came. Up to where that
// generation began it is what the volume is; what it holds beyond is of the one before,
// which nothing names any more.
func followReopening(volumes *store.Volumes, m *messages.SettleVolume) error {
	id := model.VolumeID(m.Volume)
	if _, err := volumes.Fence(id); err != nil {
		return err
	}
	if _, err := volumes.Trim(id, min(m.SealedEnd, m.GenerationStart)); err != nil {
		return err
	}
	return volumes.Adopt(id, m.Generation, m.ReplicaGen)
}

// sealIfWhole compares a copy that has its full length with the digest of its row.
func sealIfWhole(volumes *store.Volumes, m *messages.SettleVolume, end uint64, again bool) *settled {
	s := &settled{ask: m, end: end}
	if end < max(m.SealedEnd, store.DataStart) {
		return s
	}
	s.digest, s.err = volumes.Settle(model.VolumeID(m.Volume), end, m.Digest, again)
	return s
}

// filling is a piece on its way to the disk.
type filling struct {
	volumes *store.Volumes
	ask     *messages.SettleVolume
	at      uint64
	data    []byte
	why     string // what is here is replaced; empty: there was nothing
	beside  *store.Replacement
}

// begin makes a new copy: in its place if that is empty, else beside the one that is
// there, which is given up only when there is a whole one instead.
func (f *filling) begin() error {
	id, tier := model.VolumeID(f.ask.Volume), model.Tier(f.ask.Tier)
	if f.why == "" {
		return f.volumes.Receive(tier, id, f.ask.Generation, f.ask.ReplicaGen)
	}
	if state, here := f.volumes.State(id); here && !state.Broken && !state.Fenced {
		if _, err := f.volumes.Fence(id); err != nil {
			return err
		}
	}
	var err error
	f.beside, err = f.volumes.Replace(tier, id, f.ask.Generation, f.ask.ReplicaGen)
	return err
}

// piece writes the bytes, and finishes a copy that has its full length.
func (f *filling) piece() *settled {
	fill := f.volumes.Fill
	if f.beside != nil {
		fill = func(_ model.VolumeID, at uint64, data []byte) error { return f.beside.Fill(at, data) }
	}
	s := &settled{ask: f.ask, end: f.at, beside: f.beside}
	if len(f.data) > 0 {
		if s.err = fill(model.VolumeID(f.ask.Volume), f.at, f.data); s.err != nil {
			return s
		}
	}
	s.end += uint64(len(f.data))
	if f.beside == nil {
		return sealIfWhole(f.volumes, f.ask, s.end, false)
	}
	if s.end >= f.ask.SealedEnd {
		s.beside = nil
		s.digest, s.err = f.beside.Finish(f.ask.Digest, f.why)
	}
	return s
}
