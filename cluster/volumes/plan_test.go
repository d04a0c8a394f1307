package volumes_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
	"tiercel/cluster/volumes"
	"tiercel/messages"
)

func row(change ...func(*messages.VolumeRow)) *messages.VolumeRow {
	r := &messages.VolumeRow{
		Id: 7, Tier: 1, State: messages.VolumeState_OPEN, Generation: 3, GenerationStart: 100, CommittedEnd: 500,
		Members: []*messages.VolumeMember{{Node: "n-1", ReplicaGen: 9}},
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func report(change ...func(*messages.VolumeReport)) *messages.VolumeReport {
	r := &messages.VolumeReport{Volume: 7, Tier: 1, Generation: 3, End: 600}
	for _, c := range change {
		c(r)
	}
	return r
}

func TestPlan_JudgesAnOpenVolumeByRowAndReport(t *testing.T) {
	seal := func(survivor bool) volumes.Action {
		return volumes.Action{Kind: volumes.Seal, Volume: 7, Generation: 3, Survivor: survivor}
	}
	open := volumes.Action{Kind: volumes.Open, Tier: 1, Volume: 7, Generation: 3, Start: 100, ReplicaGen: 9}
	reopen := func(end uint64) volumes.Action {
		return volumes.Action{Kind: volumes.Reopen, Tier: 1, Volume: 7, Generation: 3, Recovered: end}
	}
	empty := func(r *messages.VolumeRow) { r.CommittedEnd = 0 }
	tests := []struct {
		name   string
		row    *messages.VolumeRow
		report *messages.VolumeReport
		fresh  bool
		want   volumes.Action
	}{
		{"just created: the worker is told to make the file", row(empty), nil, true, open},
		{"created by an earlier master, file never made: a new generation", row(empty), nil, false, reopen(0)},
		{"the file is gone but files are in it: sealed, not declared lost", row(), nil, false, seal(false)},
		{"damaged header: sealed, not declared lost", row(), report(func(r *messages.VolumeReport) { r.Damage = "bad magic" }), false, seal(false)},
		{"recovered after a restart: a new generation at what survived", row(), report(), false, reopen(600)},
		{"recovered too short: the catalog is told, and logs the loss", row(), report(func(r *messages.VolumeReport) { r.End = 300 }), false, reopen(300)},
		{"stopped in this life: sealed", row(), report(func(r *messages.VolumeReport) { r.Stopped = true }), false, seal(true)},
		{"full: sealed", row(), report(func(r *messages.VolumeReport) { r.Stopped, r.Full = true, true }), false, seal(true)},
		{"fenced, seal not logged: finished", row(), report(func(r *messages.VolumeReport) { r.Fenced = true }), false, seal(true)},
		{"generation logged but never opened: opened now", row(), report(func(r *messages.VolumeReport) { r.Generation = 2 }), false, open},
		{"generation logged, never opened, and too short to begin there: judged by the catalog", row(),
			report(func(r *messages.VolumeReport) { r.Generation, r.End = 2, 50 }), false, reopen(50)},
		{"a generation the catalog does not know: sealed", row(), report(func(r *messages.VolumeReport) { r.Generation = 4 }), false, seal(false)},
		{"several members: sealed after a restart, never reopened",
			row(func(r *messages.VolumeRow) { r.Members = append(r.Members, &messages.VolumeMember{Node: "n-2"}) }), report(), false, seal(true)},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			in := volumes.Input{Node: "n-1", Rows: []*messages.VolumeRow{tc.row}, Fresh: map[uint64]bool{7: tc.fresh}, Accepts: true}
			if tc.report != nil {
				in.Reports = []*messages.VolumeReport{tc.report}
			}
			usable, actions := volumes.Plan(in)
			assert.Empty(t, usable)
			if assert.Len(t, actions, 1) {
				got := actions[0]
				assert.Equal(t, tc.want.Kind == volumes.Seal, got.Cause != "", "a seal says why")
				got.Cause = ""
				assert.Equal(t, tc.want, got)
			}
		})
	}
}

func TestPlan_CreatesWhatEachTierLacks(t *testing.T) {
	in := volumes.Input{Node: "n-1", PerTier: 1, Accepts: true,
		Rows:    []*messages.VolumeRow{row()},
		Reports: []*messages.VolumeReport{report(func(r *messages.VolumeReport) { r.Writable = true })}}
	usable, actions := volumes.Plan(in)
	assert.Equal(t, []volumes.Usable{{Volume: 7, Generation: 3, Tier: 1, End: 600}}, usable)
	assert.Equal(t, []volumes.Action{
		{Kind: volumes.Create, Tier: model.TierImportant}, {Kind: volumes.Create, Tier: model.TierRebuildable}}, actions)
}

func TestPlan_OpensNothingOnAFullDisk(t *testing.T) {
	in := volumes.Input{Node: "n-1", PerTier: 1, Accepts: false,
		Rows: []*messages.VolumeRow{row()}, Reports: []*messages.VolumeReport{report()}}
	usable, actions := volumes.Plan(in)
	assert.Empty(t, usable)
	assert.Empty(t, actions)
}

func TestPlan_LeavesVolumesOfOthersAndSealedOnesAlone(t *testing.T) {
	in := volumes.Input{Node: "n-1", Accepts: true, Rows: []*messages.VolumeRow{
		row(func(r *messages.VolumeRow) { r.Members[0].Node = "n-2" }),
		row(func(r *messages.VolumeRow) { r.State = messages.VolumeState_SEALED }),
	}}
	usable, actions := volumes.Plan(in)
	assert.Empty(t, usable)
	assert.Empty(t, actions)
}
