package replication_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cluster/replication"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// world is a small cluster that applies what is planned, as the log and the workers
// would, in any order and not all of it.
type world struct {
	t       *testing.T
	r       *rand.Rand
	workers []replication.Worker
	rows    []*messages.VolumeRow
	jobs    []*messages.JobRow
	tiers   []*messages.TierRow
	index   uint64
	brake   bool
	calmed  bool
	failed  map[replication.Copy]string
	rotten  map[replication.Copy]bool // verified in the row, and bad on the disk
	sound   map[replication.Copy]bool
	healed  int
	planned replication.Output
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 1)), index: 100, failed: make(map[replication.Copy]string)}
	w.rotten, w.sound = make(map[replication.Copy]bool), make(map[replication.Copy]bool)
	for n := range 2 + w.r.IntN(7) {
		w.workers = append(w.workers, worker(fmt.Sprintf("w%d", n), free(uint64(450+w.r.IntN(550))*gib), at(fmt.Sprint(w.r.IntN(3))), func(x *replication.Worker) {
			if w.r.IntN(4) == 0 {
				x.Host = fmt.Sprint("h", w.r.IntN(3))
			}
			if w.r.IntN(3) == 0 {
				x.DiskType = "hdd"
			}
		}))
	}
	for id := range uint64(1 + w.r.IntN(20)) {
		row := volume(id+1, "", tierOf(uint32(1+w.r.IntN(3))), length(uint64(1+w.r.IntN(20))*gib))
		for _, n := range w.r.Perm(len(w.workers))[:1+w.r.IntN(min(3, len(w.workers)))] {
			row.Members = append(row.Members, &member{Node: w.workers[n].Node, Verified: true, ReplicaGen: w.next()})
		}
		w.rows = append(w.rows, row)
	}
	return w
}

func (w *world) next() uint64 { w.index++; return w.index }

func (w *world) worker(node string) *replication.Worker {
	return &w.workers[slices.IndexFunc(w.workers, func(x replication.Worker) bool { return x.Node == node })]
}

func (w *world) here(node string) bool {
	s := w.worker(node).State
	return s == healthy || s == degraded
}

func (w *world) input() replication.Input {
	i := input(w.workers, w.rows...)
	i.Jobs, i.Tiers, i.PerWorker, i.Total = w.jobs, w.tiers, 2, 4
	i.Brake, i.Failed, i.Sound = w.brake, w.failed, w.sound
	return i
}

// round plans and applies some of the steps, in any order; it returns whether there was
// anything to do.
func (w *world) round(all bool) bool {
	w.planned = replication.Plan(w.input())
	out := w.planned
	busy := len(out.Steps) > 0 || len(out.Done) > 0
	for _, v := range out.Jobs {
		if v.ID == 0 {
			busy = true
			w.jobs = append(w.jobs, &messages.JobRow{Id: w.next(), Kind: v.Key.Kind, Subject: v.Key.Subject, Tier: v.Key.Tier, State: messages.JobState_RUNNING})
		}
	}
	for _, id := range out.Done {
		w.job(id).State = messages.JobState_DONE
	}
	w.r.Shuffle(len(out.Steps), func(i, j int) { out.Steps[i], out.Steps[j] = out.Steps[j], out.Steps[i] })
	copies, total := map[string]int{}, 0
	for _, s := range out.Steps {
		w.requireAllowed(s)
		if s.Kind != replication.RemoveMember {
			copies[s.Node]++
			total++
			require.LessOrEqual(w.t, copies[s.Node], 2, "%v", out.Steps)
			require.LessOrEqual(w.t, total, 4, "%v", out.Steps)
		}
		if all || w.r.IntN(3) > 0 {
			w.apply(s)
		}
	}
	return busy
}

// requireAllowed: a job that does not run does nothing, nor does mass repair in a storm.
func (w *world) requireAllowed(s replication.Step) {
	if s.Job == (replication.JobKey{}) {
		return
	}
	j := w.job(s.JobID)
	require.Equal(w.t, s.Job, replication.JobKey{Kind: j.Kind, Subject: j.Subject, Tier: j.Tier})
	require.Equal(w.t, messages.JobState_RUNNING, j.State, "%v", s)
	if j.Kind == repair || j.Kind == evacuation {
		require.True(w.t, !w.brake || s.Replace, "%v in a storm", s)
	}
}

func (w *world) job(id uint64) *messages.JobRow {
	return w.jobs[slices.IndexFunc(w.jobs, func(j *messages.JobRow) bool { return j.Id == id })]
}

func (w *world) apply(s replication.Step) {
	row := w.rows[s.Volume-1]
	at := slices.IndexFunc(row.Members, func(m *member) bool { return m.Node == s.Node })
	disk := w.worker(s.Node)
	switch s.Kind {
	case replication.AddMember:
		require.Equal(w.t, -1, at, "%v", s)
		require.Equal(w.t, healthy, disk.State, "%v", s)
		require.False(w.t, disk.Draining, "%v", s)
		for _, m := range row.Members {
			moved := s.Job.Kind == rebalance && m.Node == s.From
			if !moved && w.here(m.Node) && !w.worker(m.Node).Draining {
				require.NotEqual(w.t, host(w.worker(m.Node)), host(disk), "%v shares a host with %s", s, m.Node)
			}
		}
		row.Members = append(row.Members, &member{Node: s.Node, Job: s.JobID, ReplicaGen: w.next()})
	case replication.Settle:
		m := row.Members[at]
		require.False(w.t, m.Verified, "%v", s)
		require.True(w.t, w.here(s.Node), "%v", s)
		require.Equal(w.t, m.Damaged, s.Replace)
		copied := replication.Copy{Volume: s.Volume, Node: s.Node}
		if !w.calmed && w.r.IntN(5) == 0 {
			w.failed[copied] = "disk error"
		} else if w.source(row, m) {
			m.Verified, m.Damaged, w.sound[copied] = true, false, true
			if m.Job != 0 {
				w.use(disk, row.SealedEnd)
			}
		}
	case replication.Check:
		w.check(row, row.Members[at], s)
	case replication.RemoveMember:
		w.remove(row, at, s)
	}
}

// source reports whether a member can be made from another one.
func (w *world) source(row *messages.VolumeRow, m *member) bool {
	return slices.ContainsFunc(row.Members, func(o *member) bool { return o != m && w.intact(row, o) && w.here(o.Node) })
}

func (w *world) intact(row *messages.VolumeRow, m *member) bool {
	return m.Verified && !w.rotten[replication.Copy{Volume: row.Id, Node: m.Node}]
}

// check reads a copy: one that is bad is made anew, or is known to be bad.
func (w *world) check(row *messages.VolumeRow, m *member, s replication.Step) {
	read := replication.Copy{Volume: row.Id, Node: m.Node}
	require.True(w.t, m.Verified && w.here(m.Node), "%v", s)
	switch {
	case !w.calmed && w.r.IntN(5) == 0:
		w.failed[read] = "disk error"
		return
	case !w.rotten[read]:
		w.sound[read] = true
	case w.source(row, m):
		w.sound[read] = true
		w.healed++
	default:
		m.Verified, m.Damaged = false, true
	}
	delete(w.rotten, read)
}

// use takes space of a disk.
func (w *world) use(disk *replication.Worker, bytes uint64) {
	disk.Free -= min(disk.Free, bytes)
	disk.Writable = disk.Free
}

// remove asserts what the log asserts (invariant 7): enough intact copies are left.
func (w *world) remove(row *messages.VolumeRow, at int, s replication.Step) {
	require.GreaterOrEqual(w.t, at, 0, "%v", s)
	gone, left, able := row.Members[at], 0, 0
	for _, m := range row.Members {
		if m != gone && m.Verified && w.here(m.Node) {
			left++
		}
	}
	for i := range w.workers {
		if x := &w.workers[i]; x.Node != s.Node && w.here(x.Node) && !x.Draining {
			able++
		}
	}
	require.GreaterOrEqual(w.t, left, 1, "%v gives up the last copy of %v", s, row)
	if gone.Verified {
		wanted := tier.Wanted(w.tiers, model.Tier(row.Tier), 2)
		require.GreaterOrEqual(w.t, left, min(wanted, able), "%v leaves too few copies of %v", s, row)
	}
	require.NotEqual(w.t, unreachable, w.worker(s.Node).State, "%v gives up a copy that may come back", s)
	row.Members = slices.Delete(row.Members, at, at+1)
	delete(w.rotten, replication.Copy{Volume: row.Id, Node: s.Node})
	delete(w.sound, replication.Copy{Volume: row.Id, Node: s.Node})
	if gone.Verified && w.here(s.Node) {
		disk := w.worker(s.Node)
		disk.Free = min(disk.Total, disk.Free+row.SealedEnd)
		disk.Writable = disk.Free
	}
}

func TestPlan_WhateverHappensItConvergesAndLosesNothing(t *testing.T) {
	healed := 0
	for seed := range uint64(300) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for range 60 {
				if w.r.IntN(3) == 0 {
					w.happen()
				}
				w.round(false)
				for _, row := range w.rows {
					require.GreaterOrEqual(t, w.holders(row), 1, "volume %d", row.Id)
				}
			}
			w.calm()
			healed += w.healed
			w.settles(t)
			w.requireWhole(t)
		})
	}
	require.Greater(t, healed, 30, "bad copies that nobody knew of, found before another one went")
}

// settles runs until nothing is left to do.
func (w *world) settles(t *testing.T) {
	for range 500 {
		if !w.round(true) {
			return
		}
	}
	require.Fail(t, "it does not converge", "%+v", w.planned.Steps)
}

// requireWhole: every volume with a source that can be read has the copies that there are
// hosts for, on hosts of their own, and no other; nobody who leaves holds anything.
func (w *world) requireWhole(t *testing.T) {
	hosts := map[string]bool{}
	for i := range w.workers {
		if x := &w.workers[i]; w.here(x.Node) && !x.Draining {
			hosts[host(x)] = true
		}
	}
	for _, row := range w.rows {
		wanted := min(tier.Wanted(w.tiers, model.Tier(row.Tier), 2), len(hosts))
		if row.State == messages.VolumeState_RETIRING {
			wanted = min(wanted, 1) // it is not made whole, only kept
		}
		source := 0
		on := map[string]bool{}
		for _, m := range row.Members {
			x := w.worker(m.Node)
			if !m.Verified || !w.here(m.Node) {
				continue
			}
			source++
			if !x.Draining {
				on[host(x)] = true
			}
		}
		if source == 0 || wanted == 0 {
			continue // stranded, or nobody may hold anything
		}
		if row.State == messages.VolumeState_SEALED {
			require.Len(t, on, wanted, "volume %v", row)
		}
		require.GreaterOrEqual(t, len(on), wanted, "volume %v\n%+v\n%+v", row, w.workers, w.planned)
	}
}

func TestPlan_ARebalanceEndsAndBringsTheDisksCloser(t *testing.T) {
	moved := 0
	for seed := range uint64(150) {
		w := newWorld(t, seed)
		w.calm()
		w.settles(t)
		before := w.spread()
		w.jobs = append(w.jobs, running(w.next(), rebalance, ""))
		id := w.index
		for range 2000 {
			if out := replication.Plan(w.input()); len(out.Steps) > 0 {
				moved++
			}
			if !w.round(w.r.IntN(2) == 0) {
				break
			}
		}
		require.Equal(t, messages.JobState_DONE, w.job(id).State, "seed %d: %+v", seed, w.planned)
		require.LessOrEqual(t, w.spread(), before+1e-9, "seed %d", seed)
		w.settles(t)
		w.requireWhole(t)
	}
	require.Greater(t, moved, 100, "some of them must have something to move")
}

func (w *world) spread() float64 {
	least, most := 1.0, 0.0
	for i := range w.workers {
		least, most = min(least, w.workers[i].UsedShare()), max(most, w.workers[i].UsedShare())
	}
	return most - least
}
