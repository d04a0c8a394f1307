package replication_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/replication"
	"tiercel/messages"
)

// fullAndEmpty: a and b are full, c and d are empty, and 40 volumes of 10 GiB lie on a and b.
func fullAndEmpty(change ...func(*replication.Worker)) replication.Input {
	i := input(workers(worker("a", free(500*gib)), worker("b", free(500*gib)), worker("c", append(change, free(950*gib))...), worker("d", append(change, free(950*gib))...)))
	for id := range uint64(40) {
		i.Rows = append(i.Rows, volume(id+1, "a b", length(10*gib)))
	}
	return i
}

func TestPlan_RebalancesOnlyWhenAJobAsksForIt(t *testing.T) {
	i := fullAndEmpty()
	assert.Empty(t, replication.Plan(i).Steps)
	assert.Empty(t, replication.Plan(i).Jobs)

	i.Jobs, i.PerWorker = jobsOf(running(90, rebalance, "")), 2
	out := replication.Plan(i)
	require.Len(t, out.Steps, 4)
	for _, s := range out.Steps {
		assert.Contains(t, []string{"c", "d"}, s.Node)
		assert.Contains(t, []string{"a", "b"}, s.From)
	}
	assert.Greater(t, out.Jobs[0].RemainingItems, uint64(30), "all is known before it is done")

	braked(&i)
	assert.Empty(t, replication.Plan(i).Steps, "not in a storm")
	i.Brake = false
	i.Jobs[0].State = messages.JobState_PAUSED
	out = replication.Plan(i)
	assert.Empty(t, out.Steps)
	assert.Greater(t, out.Jobs[0].RemainingItems, uint64(30))
}

func TestPlan_AMoveEndsWithTheCopyOnTheFullWorker(t *testing.T) {
	i := fullAndEmpty()
	job := jobsOf(running(90, rebalance, ""))
	i.Rows = i.Rows[:1]
	tell(t, []story{
		{name: "the new copy is made", workers: i.Workers, rows: rows(volume(1, "a b c?", by("c", 90))), jobs: job, steps: []string{"settle 1 c for REBALANCE"}, views: []string{"REBALANCE"}},
		{name: "the old one goes", workers: i.Workers, rows: rows(volume(1, "a b c", by("c", 90))), jobs: job, change: sound("c"), steps: []string{"remove 1 a for REBALANCE"}, views: []string{"REBALANCE"}},
		{name: "never the one that was brought", workers: workers(worker("a"), worker("b"), worker("c", free(gib))), rows: rows(volume(1, "a b c", by("c", 90))), jobs: job, change: sound("c"),
			steps: []string{"remove 1 a for REBALANCE"}, views: []string{"REBALANCE"}},
		{name: "of two that were brought the newer stays", workers: workers(worker("a"), worker("b"), worker("c", free(gib))),
			rows: rows(volume(1, "c a b", by("a", 90), by("b", 90), by("c", 90))), jobs: job, change: sound("b"), steps: []string{"remove 1 c for REBALANCE"}, views: []string{"REBALANCE"}},
		{name: "cancelled: what is not finished goes", workers: i.Workers, rows: rows(volume(1, "a b c?", by("c", 90))), jobs: jobsOf(jobIn(90, rebalance, "", messages.JobState_CANCELLED)),
			steps: []string{"remove 1 c"}},
		{name: "even: done", workers: abcd(), rows: rows(volume(1, "a b")), jobs: job, done: []uint64{90}},
	})
}

func TestPlan_MovesOnlyWhatHelps(t *testing.T) {
	full, job := free(100*gib), jobsOf(running(90, rebalance, ""))
	ssd, hdd := worker("a", full), worker("b", free(900*gib), func(w *replication.Worker) { w.DiskType = "hdd" })
	moved, stays := []string{"add 1 b for REBALANCE"}, []string(nil)
	one := func(change ...func(*messages.VolumeRow)) []*messages.VolumeRow {
		return rows(volume(1, "a", change...))
	}
	for _, c := range []struct {
		name    string
		workers []replication.Worker
		rows    []*messages.VolumeRow
		want    []string
	}{
		{"to the emptier", workers(worker("a", full), worker("b", free(900*gib))), one(tierOf(3)), moved},
		{"not what is so large that the other would be the full one", workers(worker("a", full), worker("b", free(900*gib))), one(tierOf(3), length(850*gib)), stays},
		{"not from a flash disk to one that turns, unless it is rebuildable", workers(ssd, hdd), one(func(r *messages.VolumeRow) { r.Tier = 1 }), stays},
		{"rebuildable", workers(ssd, hdd), one(tierOf(3)), moved},
		{"not onto the host of another copy", workers(worker("a", full), worker("c", on("h"), free(900*gib)), worker("b", on("h"), free(900*gib))), rows(volume(1, "a c")), stays},
		{"not into the rack of another copy", workers(worker("a", full, at("x")), worker("c", at("y"), free(900*gib)), worker("b", at("y"), free(900*gib))), rows(volume(1, "a c")), stays},
		{"not to a worker that is not well", workers(worker("a", full), worker("b", free(900*gib), in(degraded))), one(tierOf(3)), stays},
		{"not what is being copied", workers(worker("a", full), worker("b", free(900*gib)), worker("c")), rows(volume(1, "a c?")), []string{"settle 1 c"}},
		{"not for a small difference", workers(worker("a"), worker("b", free(540*gib))), one(tierOf(3)), stays},
	} {
		i := input(c.workers, c.rows...)
		i.Jobs = job
		if c.name == "not from a flash disk to one that turns, unless it is rebuildable" {
			i.Tiers = []*messages.TierRow{{Tier: 1, Copies: 1}}
		}
		assert.Equal(t, append([]string{}, c.want...), say(replication.Plan(i).Steps), c.name)
	}
}

func TestWantsRebalance_WhenTheFullestAndTheEmptiestAreFarApart(t *testing.T) {
	auto := func(i replication.Input) replication.Input {
		i.Settings = &messages.Settings{AutoRebalance: true, RebalanceSpread: 0.2}
		return i
	}
	for _, c := range []struct {
		name string
		in   replication.Input
		want bool
	}{
		{"far apart", auto(fullAndEmpty()), true},
		{"nobody asked", fullAndEmpty(), false},
		{"close together", auto(input(abcd(), volume(1, "a b"))), false},
		{"the emptier ones get nothing", auto(fullAndEmpty(drained)), false},
		{"nothing can be moved", auto(input(workers(worker("a", free(gib)), worker("b")), volume(1, "b", tierOf(3)))), false},
		{"it runs already", func() replication.Input {
			i := auto(fullAndEmpty())
			i.Jobs = jobsOf(running(90, rebalance, ""))
			return i
		}(), false},
		{"somebody cancelled it", func() replication.Input {
			i := auto(fullAndEmpty())
			i.Jobs = jobsOf(jobIn(90, rebalance, "", messages.JobState_CANCELLED))
			return i
		}(), false},
		{"a storm", func() replication.Input { i := auto(fullAndEmpty()); braked(&i); return i }(), false},
	} {
		got, cause := replication.WantsRebalance(c.in)
		assert.Equal(t, c.want, got, c.name)
		assert.Equal(t, c.want, cause != "", c.name)
	}
}

func TestDryRun_TellsAllThatWouldMove(t *testing.T) {
	i := fullAndEmpty()
	i.PerWorker, i.Total = 1, 1
	moves, bytes, blockers := replication.DryRun(i, drain, "a")
	assert.Len(t, moves, 40)
	assert.EqualValues(t, 400*gib, bytes)
	assert.Empty(t, blockers)
	for _, m := range moves {
		assert.Equal(t, "a", m.From)
		assert.Contains(t, []string{"c", "d"}, m.To)
	}
	assert.False(t, i.Workers[0].Draining, "nothing is changed")

	moves, _, _ = replication.DryRun(i, rebalance, "")
	assert.Greater(t, len(moves), 30)
	i.Workers = i.Workers[:2]
	moves, _, blockers = replication.DryRun(i, drain, "a")
	assert.Empty(t, moves, "with two workers the other copy is enough")
	assert.Empty(t, blockers)
	i.Rows = append(i.Rows, volume(99, "a?", func(r *messages.VolumeRow) { r.State = messages.VolumeState_OPEN }))
	moves, bytes, blockers = replication.DryRun(i, drain, "a")
	assert.NotEmpty(t, blockers)
	require.Len(t, moves, 1, "what is open is counted too")
	assert.Equal(t, replication.Move{Volume: 99, Tier: 2, Bytes: gib, From: "a", Job: replication.JobKey{Kind: drain, Subject: "a"}, Why: moves[0].Why}, moves[0])
	assert.EqualValues(t, gib, bytes)
	i.Rows[len(i.Rows)-1].Members = volume(98, "a? b?").Members
	moves, _, blockers = replication.DryRun(i, drain, "a")
	assert.Empty(t, moves, "b has it, and nobody else could take it")
	assert.NotEmpty(t, blockers, "it is sealed all the same")
	_, _, blockers = replication.DryRun(i, repair, "a")
	assert.NotEmpty(t, blockers)
}

func TestPlan_ALargeClusterIsPlannedInOneGo(t *testing.T) {
	var list []replication.Worker
	for n := range 50 {
		list = append(list, worker(fmt.Sprintf("w%02d", n), free(uint64(100+n*16)*gib)))
	}
	i := input(list)
	for id := range 20_000 {
		i.Rows = append(i.Rows, volume(uint64(id+1), fmt.Sprintf("w%02d w%02d", id%50, (id+1+id/50%49)%50)))
	}
	i.Jobs, i.PerWorker, i.Total = jobsOf(running(90, rebalance, "")), 2, 16
	assert.Len(t, replication.Plan(i).Steps, 16)
	in(unreachable)(&i.Workers[7])
	i.Jobs = append(i.Jobs, running(91, repair, "w07"))
	assert.Len(t, replication.Plan(i).Steps, 16)
}
