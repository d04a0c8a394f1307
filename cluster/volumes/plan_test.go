package volumes_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
	"tiercel/cluster/placement"
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
		a := volumes.Action{Kind: volumes.Seal, Tier: 1, Volume: 7, Generation: 3, Start: 100, Members: []string{"n-1"}}
		if survivor {
			a.Reachable = a.Members
		}
		return a
	}
	open := volumes.Action{Kind: volumes.Open, Tier: 1, Volume: 7, Generation: 3, Start: 100, Members: []string{"n-1"}}
	reopen := func(end uint64) volumes.Action {
		return volumes.Action{Kind: volumes.Reopen, Tier: 1, Volume: 7, Generation: 3, Start: 100, Recovered: end, Members: []string{"n-1"}}
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
		{"it takes appends but a record went bad: sealed, so that it is mended", row(),
			report(func(r *messages.VolumeReport) { r.Writable, r.Damage = true, "the record at byte 100 is damaged" }), false, seal(false)},
		{"recovered after a restart: a new generation at what survived", row(), report(), false, reopen(600)},
		{"recovered too short: the catalog is told, and logs the loss", row(), report(func(r *messages.VolumeReport) { r.End = 300 }), false, reopen(300)},
		{"stopped in this life: sealed", row(), report(func(r *messages.VolumeReport) { r.Stopped = true }), false, seal(true)},
		{"full: sealed", row(), report(func(r *messages.VolumeReport) { r.Stopped, r.Full = true, true }), false, seal(true)},
		{"fenced, seal not logged: finished", row(), report(func(r *messages.VolumeReport) { r.Fenced = true }), false, seal(true)},
		{"generation logged but never opened: opened now", row(), report(func(r *messages.VolumeReport) { r.Generation = 2 }), false, open},
		{"generation logged, never opened, and too short to begin there: judged by the catalog", row(),
			report(func(r *messages.VolumeReport) { r.Generation, r.End = 2, 50 }), false, reopen(50)},
		{"a generation the catalog does not know: sealed", row(), report(func(r *messages.VolumeReport) { r.Generation = 4 }), false, seal(false)},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			in := volumes.Input{Rows: []*messages.VolumeRow{tc.row}, Fresh: map[uint64]bool{7: tc.fresh}, Workers: []volumes.Worker{worker("n-1", tc.report)}}
			usable, actions, _ := volumes.Plan(in)
			assert.Empty(t, usable)
			if assert.Len(t, actions, 1) {
				got := actions[0]
				assert.Equal(t, tc.want.Kind == volumes.Seal, got.Cause != "", "a seal says why")
				got.Cause, got.Reachable = "", present(got, tc.want)
				assert.Equal(t, tc.want, got)
			}
		})
	}
}

// present leaves out who can be fenced when the action fences nobody.
func present(got, want volumes.Action) []string {
	if got.Kind != volumes.Seal {
		return want.Reachable
	}
	return got.Reachable
}

// worker is healthy and answered.
func worker(node string, reports ...*messages.VolumeReport) volumes.Worker {
	w := volumes.Worker{
		Worker: placement.Worker{
			Node: node, State: messages.WorkerState_HEALTHY, Known: true, Writable: 100, Free: 100, Total: 200, Reached: true, DiskType: "ssd", Host: node,
		},
		Reports: map[uint64]*messages.VolumeReport{},
	}
	for _, r := range reports {
		if r != nil {
			w.Reports[r.Volume] = r
		}
	}
	return w
}

func writable(r *messages.VolumeReport) { r.Writable = true }

func three(r *messages.VolumeRow) {
	r.Members = append(r.Members, &messages.VolumeMember{Node: "n-2"}, &messages.VolumeMember{Node: "n-3"})
}

func TestPlan_JudgesAVolumeOfSeveralMembers(t *testing.T) {
	away := func(w volumes.Worker) volumes.Worker { w.Reached = false; return w }
	gone := func(w volumes.Worker) volumes.Worker {
		w.Reached, w.State = false, messages.WorkerState_UNREACHABLE
		return w
	}
	ok := report(writable)
	for _, c := range []struct {
		name    string
		workers []volumes.Worker
		usable  bool
		seal    bool
		fenced  []string
	}{
		{"all write", []volumes.Worker{worker("n-1", ok), worker("n-2", ok), worker("n-3", ok)}, true, false, nil},
		{"a follower did not answer: the primary watches it", []volumes.Worker{worker("n-1", ok), away(worker("n-2")), worker("n-3", ok)}, true, false, nil},
		{"a follower was restarted", []volumes.Worker{worker("n-1", ok), worker("n-2", report()), worker("n-3", ok)}, false, true, []string{"n-1", "n-2", "n-3"}},
		{"the primary is away", []volumes.Worker{away(worker("n-1")), worker("n-2", ok), worker("n-3", ok)}, false, true, []string{"n-2", "n-3"}},
		{"the primary stopped", []volumes.Worker{worker("n-1", report(func(r *messages.VolumeReport) { r.Stopped = true })), worker("n-2", ok), worker("n-3", ok)}, false, true, []string{"n-1", "n-2", "n-3"}},
		{"all are away: nothing can be known", []volumes.Worker{away(worker("n-1")), away(worker("n-2")), away(worker("n-3"))}, false, false, nil},
		{"all are gone", []volumes.Worker{gone(worker("n-1")), gone(worker("n-2")), gone(worker("n-3"))}, false, true, nil},
		{"a damaged copy is no voice", []volumes.Worker{away(worker("n-1")), worker("n-2", report(func(r *messages.VolumeReport) { r.Damage = "torn" })), worker("n-3", ok)}, false, true, []string{"n-3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			usable, actions, _ := volumes.Plan(volumes.Input{Rows: []*messages.VolumeRow{row(three)}, Workers: c.workers})
			assert.Equal(t, c.usable, len(usable) == 1)
			if !c.seal {
				assert.Empty(t, actions)
				return
			}
			if assert.Len(t, actions, 1) {
				assert.Equal(t, volumes.Seal, actions[0].Kind, "never reopened")
				assert.Equal(t, c.fenced, actions[0].Reachable)
			}
		})
	}
}

func TestPlan_CreatesWhatEachTierLacks(t *testing.T) {
	in := volumes.Input{Weights: placement.DefaultWeights(), PerTier: 1, ReplicationFactor: 2, Rows: []*messages.VolumeRow{row()}, Workers: []volumes.Worker{worker("n-1", report(writable))}}
	usable, actions, short := volumes.Plan(in)
	assert.Equal(t, []volumes.Usable{{Volume: 7, Generation: 3, Tier: 1, End: 600, Members: []string{"n-1"}}}, usable)
	assert.Empty(t, short)
	var tiers []model.Tier
	for _, a := range actions {
		assert.Equal(t, volumes.Create, a.Kind)
		assert.Equal(t, []string{"n-1"}, a.Members)
		tiers = append(tiers, a.Tier)
	}
	assert.Equal(t, []model.Tier{model.TierImportant, model.TierRebuildable}, tiers)
}

func TestPlan_ChoosesEligibleWorkersOnHostsOfTheirOwn(t *testing.T) {
	with := func(node, disk, host string, change func(*volumes.Worker)) volumes.Worker {
		w := worker(node)
		w.DiskType, w.Host = disk, host
		if change != nil {
			change(&w)
		}
		return w
	}
	in := volumes.Input{Weights: placement.DefaultWeights(), PerTier: 1, ReplicationFactor: 2, Workers: []volumes.Worker{
		with("n-1", "hdd", "h1", nil), with("n-2", "ssd", "h2", nil), with("n-3", "nvme", "h2", nil), with("n-4", "ssd", "h4", nil),
		with("n-5", "ssd", "h5", func(w *volumes.Worker) { w.Suspect = "its link broke" }),
		with("n-6", "ssd", "h6", func(w *volumes.Worker) { w.Writable = 0 }),
		with("n-7", "ssd", "h7", func(w *volumes.Worker) { w.State = messages.WorkerState_DEGRADED }),
		with("n-8", "ssd", "h8", func(w *volumes.Worker) { w.Reached = false }),
	}}
	_, actions, _ := volumes.Plan(in)
	chosen := map[model.Tier][]string{}
	for _, a := range actions {
		chosen[a.Tier] = a.Members
	}
	assert.Equal(t, []string{"n-3", "n-2", "n-4"}[:1], chosen[model.TierCritical][:1], "the best disk")
	assert.ElementsMatch(t, []string{"n-3", "n-4", "n-1"}, chosen[model.TierCritical], "three hosts, and n-2 shares one")
	assert.Len(t, chosen[model.TierImportant], 2)
	assert.Equal(t, []string{"n-1"}, chosen[model.TierRebuildable], "HDD first")
}

func TestPlan_TierOneNeedsTwoCopiesWhereThereAreTwoWorkers(t *testing.T) {
	in := volumes.Input{Weights: placement.DefaultWeights(), PerTier: 1, ReplicationFactor: 2, Workers: []volumes.Worker{worker("n-1"), worker("n-2")}}
	in.Workers[1].Suspect = "its link broke"
	_, actions, short := volumes.Plan(in)
	assert.Contains(t, short[model.TierCritical], "needs 2")
	for _, a := range actions {
		assert.NotEqual(t, model.TierCritical, a.Tier)
	}
	in.Workers[1].State = messages.WorkerState_LEFT
	_, _, short = volumes.Plan(in)
	assert.Empty(t, short, "who has left does not count")
}

func TestPlan_WidensAVolumeWhenThereAreMoreWorkers(t *testing.T) {
	for _, two := range []bool{false, true} {
		r := row(func(r *messages.VolumeRow) {
			if two {
				r.Members = append(r.Members, &messages.VolumeMember{Node: "n-2"})
			}
		})
		in := volumes.Input{Weights: placement.DefaultWeights(), ReplicationFactor: 2, Widen: true, Rows: []*messages.VolumeRow{r}, Workers: []volumes.Worker{
			worker("n-1", report(writable)), worker("n-2", report(writable)), worker("n-3"),
		}}
		usable, actions, _ := volumes.Plan(in)
		assert.Equal(t, two, len(usable) == 1, "one copy is not enough for tier 1 any more, two go on until the next is made")
		if assert.Len(t, actions, 1) {
			assert.Equal(t, volumes.Seal, actions[0].Kind)
			assert.Contains(t, actions[0].Reachable, "n-1")
		}
	}
}

func TestPlan_CountsAVolumeThatIsBeingOpenedAndLeavesItAlone(t *testing.T) {
	in := volumes.Input{Weights: placement.DefaultWeights(), PerTier: 1, ReplicationFactor: 2, Coming: map[model.Tier]int{2: 1, 3: 1},
		Rows:    []*messages.VolumeRow{row(func(r *messages.VolumeRow) { r.Members = append(r.Members, &messages.VolumeMember{Node: "n-2"}) })},
		Workers: []volumes.Worker{worker("n-1"), worker("n-2")}, Opening: map[uint64]bool{7: true},
	}
	usable, actions, _ := volumes.Plan(in)
	assert.Empty(t, usable)
	assert.Empty(t, actions, "neither sealed nor made twice")
	in.Opening = nil
	_, actions, _ = volumes.Plan(in)
	assert.Len(t, actions, 2)
}

func TestPlan_OpensNothingOnAFullDisk(t *testing.T) {
	in := volumes.Input{Weights: placement.DefaultWeights(), PerTier: 1, ReplicationFactor: 2, Rows: []*messages.VolumeRow{row()}, Workers: []volumes.Worker{worker("n-1", report())}}
	in.Workers[0].Writable = 0
	usable, actions, _ := volumes.Plan(in)
	assert.Empty(t, usable)
	assert.Empty(t, actions)
}
