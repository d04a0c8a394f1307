package simtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

func TestStory_APlacementIsExplainedAsAWorkerSeesItAndACopySaysWhyItCame(t *testing.T) {
	p := filled(t, 1012, 5)
	victim := p.other()
	at := p.story.master()
	explain := func(from string) *messages.ExplainPlacementReply {
		return ask[*messages.ExplainPlacementReply](p, gatewayPath, &messages.ExplainPlacement{Header: p.header(), Tier: 1, From: from})
	}
	r := explain(string(at.name))
	require.Nil(t, r.Error)
	for _, w := range r.Workers {
		if w.Node == string(at.name) {
			assert.EqualValues(t, 1, w.Latency, "it is at no distance from itself")
		} else {
			assert.Less(t, w.Latency, 1.0)
		}
	}
	assert.EqualValues(t, model.CodeNotFound, explain("nobody").Error.GetCode())
	victim.gone = true
	victim.node.Crash(true)
	require.True(t, p.story.world.RunUntil(func() bool { return p.story.master() != nil && p.stateOf(victim) >= messages.WorkerState_UNREACHABLE }, time.Minute))
	p.wholeAgain("after the repair")
	later := 0
	for _, row := range p.catalogRows() {
		for _, m := range row.Members {
			if m.Cause == "" {
				continue
			}
			assert.Contains(t, m.Cause, ": "+m.Node+" 0.", "the score of a copy of volume %d", row.Id)
			if strings.Contains(m.Cause, string(victim.name)+" missed 5 heartbeats: ") {
				later++
			}
		}
	}
	assert.NotZero(t, later)
}

func TestStory_WhatADeadWorkerHeldIsCopiedAtFiveMissedAndEvacuatedAtTen(t *testing.T) {
	p := filled(t, 1001, 6)
	victim := p.other()
	victim.gone = true
	victim.node.Crash(true)
	added := func() bool {
		heals := slices.Concat(p.jobs(messages.JobKind_REPAIR), p.jobs(messages.JobKind_EVACUATION))
		return slices.ContainsFunc(heals, func(j *messages.JobRow) bool { return len(p.bringing(j.Id)) > 0 })
	}
	require.True(t, p.story.world.RunUntil(func() bool { return p.story.master() != nil && added() }, time.Minute))
	// Heartbeats are so short here that the steps of a job may come after the tenth missed one.
	assert.GreaterOrEqual(t, p.stateOf(victim), messages.WorkerState_UNREACHABLE, "copies are made from five missed heartbeats on")
	p.wholeAgain("after the repair")
	assert.Equal(t, messages.WorkerState_DECOMMISSIONED, p.stateOf(victim))
	for _, row := range p.catalogRows() {
		if row.State == messages.VolumeState_SEALED && row.Tier != uint32(model.TierRebuildable) {
			assert.Nil(t, memberOn(row, victim), "volume %d", row.Id)
		}
	}
	require.True(t, p.story.world.RunUntil(func() bool {
		jobs := append(p.jobs(messages.JobKind_REPAIR), p.jobs(messages.JobKind_EVACUATION)...)
		return len(jobs) > 0 && !slices.ContainsFunc(jobs, func(j *messages.JobRow) bool { return j.State != messages.JobState_DONE })
	}, time.Minute), "%v", p.jobs(messages.JobKind_REPAIR))
	assert.NotEmpty(t, p.jobs(messages.JobKind_REPAIR))
}

// What had its only copy on a worker is neither copied nor counted when that is back.
func TestStory_AJobCountsWhatItCopiedAndNotWhatTurnedOutNeedless(t *testing.T) {
	p := filled(t, 1017, 5)
	i := slices.IndexFunc(p.catalogRows(), func(row *messages.VolumeRow) bool {
		return row.Tier == uint32(model.TierRebuildable) && row.LiveBytes > 0
	})
	require.GreaterOrEqual(t, i, 0)
	only := p.catalogRows()[i].Members[0].Node
	victim := p.story.hosts[slices.IndexFunc(p.story.hosts, func(h *host) bool { return string(h.name) == only })]
	victim.turnOff(false)
	p.host = p.story.hosts[slices.IndexFunc(p.story.hosts, func(h *host) bool { return h != victim })]
	evacuation := func() *messages.JobRow {
		if jobs := p.jobs(messages.JobKind_EVACUATION); len(jobs) > 0 {
			return jobs[0]
		}
		return nil
	}
	require.True(t, p.story.world.RunUntil(func() bool {
		return p.story.master() != nil && len(evacuation().GetBlockers()) > 0
	}, time.Minute), "what has its only copy there blocks the evacuation")
	p.story.world.Run(time.Minute)
	before := evacuation()
	require.Equal(t, messages.JobState_RUNNING, before.State)
	require.Greater(t, before.TotalBytes, before.DoneBytes)
	victim.turnOn()
	require.True(t, p.story.world.RunUntil(func() bool { return evacuation().State == messages.JobState_DONE }, time.Minute))
	assert.Equal(t, before.DoneBytes, evacuation().DoneBytes)
	assert.Equal(t, evacuation().DoneBytes, evacuation().TotalBytes)
	assert.Equal(t, evacuation().DoneItems, evacuation().TotalItems)
	p.readBack()
}

func TestStory_AWorkerThatReturnsIsNotCopiedToAnew(t *testing.T) {
	p := filled(t, 1002, 5)
	victim := p.other()
	held := p.holds(victim)
	require.NotEmpty(t, held)
	victim.turnOff(false)
	require.True(t, p.story.world.RunUntil(func() bool { return p.story.master() != nil && p.stateOf(victim) == messages.WorkerState_DEGRADED }, time.Minute))
	copied := 0
	p.story.watchCopied(func(bytes int) { copied += bytes })
	victim.turnOn()
	p.story.world.Run(20 * heartbeatInterval)
	p.wholeAgain("after its return")
	assert.Subset(t, p.holds(victim), held, "what it held when it left it still holds")
	// Volumes that were open when it left may be settled by their tails, nothing more.
	assert.Less(t, copied, 2*64<<10)
	p.readBack()
}

func TestStory_ADrainedWorkerIsEmptyInTheEndAndGetsNothingNew(t *testing.T) {
	p := filled(t, 1003, 5)
	victim := p.other()
	r := ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: string(victim.name), DryRun: true})
	require.Nil(t, r.Error)
	assert.NotEmpty(t, r.Plan)
	assert.Empty(t, p.jobs(messages.JobKind_DRAIN), "a dry run changes nothing")
	r = ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: string(victim.name)})
	require.Nil(t, r.Error)
	require.NotNil(t, r.Job)
	empty := func() bool {
		if n := len(p.jobs(messages.JobKind_DRAIN)); n == 0 || p.jobs(messages.JobKind_DRAIN)[n-1].State != messages.JobState_DONE {
			return false
		}
		return len(victim.data.Volumes.States()) == 0
	}
	require.True(t, p.story.world.RunUntil(empty, 5*time.Minute), "%v %v", p.jobs(messages.JobKind_DRAIN), victim.data.Volumes.States())
	for n := range 10 {
		p.large(fmt.Sprintf("/models/after-%d", n), fmt.Sprint("later ", n), 4000)
	}
	assert.Empty(t, victim.data.Volumes.States())
	p.readBack()
}

func TestStory_ABadCopyIsFoundByAScrubAndReplacedFromAGoodOne(t *testing.T) {
	p := filled(t, 1004, 4)
	var row *messages.VolumeRow
	for _, v := range p.catalogRows() {
		if v.State == messages.VolumeState_SEALED && v.Tier == uint32(model.TierCritical) && v.SealedEnd > 4000 {
			row = v
			break
		}
	}
	require.NotNil(t, row)
	liar := p.story.hostOf(row.Members[0].Node)
	require.NoError(t, liar.node.FS().Damage(fmt.Sprintf("volumes/t%d/%d.vol", row.Tier, row.Id), store.DataStart+2000))
	require.Nil(t, ask[*messages.StartJobReply](p, gatewayPath, &messages.StartScrub{Header: p.header()}).Error)
	seen := false
	require.True(t, p.story.world.RunUntil(func() bool {
		m := p.story.master()
		if m == nil || m.catalog == nil {
			return false
		}
		now, ok := m.catalog.Volume(row.Id)
		if !ok {
			return false
		}
		seen = seen || memberOn(now, liar).GetDamaged()
		member := memberOn(now, liar)
		return seen && member != nil && member.Verified
	}, 5*time.Minute), "the damage was seen: %v", seen)
	p.wholeAgain("after the scrub")
	p.story.compareCopies(row)
	require.Empty(t, p.story.bad)
	p.readBack()
}

func TestStory_ABadRecordOfAnOpenVolumeIsFoundByAScrubAndMended(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 1011, Nodes: 4, Still: true})
	p.story.world.Run(15 * time.Second) // volumes with fewer members have given way
	p.host = p.story.master()
	for n := range 5 {
		p.large(fmt.Sprintf("/models/%d", n), fmt.Sprint("value ", n), 3000)
	}
	var row *messages.VolumeRow
	for _, v := range p.catalogRows() {
		if v.State == messages.VolumeState_OPEN && v.Tier == uint32(model.TierCritical) && v.CommittedEnd > 3000 && len(v.Members) == 3 {
			row = v
		}
	}
	require.NotNil(t, row)
	liar := p.story.hostOf(row.Members[0].Node)
	require.NoError(t, liar.node.FS().Damage(fmt.Sprintf("volumes/t%d/%d.vol", row.Tier, row.Id), store.DataStart+1500))
	require.Nil(t, ask[*messages.StartJobReply](p, gatewayPath, &messages.StartScrub{Header: p.header()}).Error)
	require.True(t, p.story.world.RunUntil(func() bool {
		m := p.story.master()
		if m == nil || m.catalog == nil {
			return false
		}
		now, ok := m.catalog.Volume(row.Id)
		member := memberOn(now, liar)
		return ok && now.State == messages.VolumeState_SEALED && member != nil && member.Verified
	}, 5*time.Minute), "nobody found it")
	p.wholeAgain("after the scrub")
	row, _ = p.story.master().catalog.Volume(row.Id)
	p.story.compareCopies(row)
	require.Empty(t, p.story.bad)
	for n := range 5 {
		require.Equal(t, fmt.Sprint("value ", n), p.value(fmt.Sprintf("/models/%d", n)))
	}
}

func TestStory_APausedJobCopiesNothingAndACancelledOneTakesBackWhatItBegan(t *testing.T) {
	p := filled(t, 1005, 5)
	victim := p.other()
	r := ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: string(victim.name)})
	require.NotNil(t, r.Job, "%v", r.Error)
	id := r.Job.Row.Id
	l := ask[*messages.ListJobsReply](p, gatewayPath, &messages.ChangeJob{Header: p.header(), Id: id, To: messages.JobState_PAUSED})
	require.Nil(t, l.Error)
	p.story.world.Run(3 * time.Second) // what was under way
	waiting := p.bringing(id)
	p.story.world.Run(20 * time.Second)
	assert.Equal(t, waiting, p.bringing(id), "what it has begun waits, and it begins nothing")
	l = ask[*messages.ListJobsReply](p, gatewayPath, &messages.ChangeJob{Header: p.header(), Id: id, To: messages.JobState_CANCELLED})
	require.Nil(t, l.Error)
	p.wholeAgain("after the cancellation")
	assert.NotEmpty(t, p.holds(victim))
	assert.Empty(t, p.bringing(id))
	row, _ := p.story.master().catalog.Worker(string(victim.name))
	assert.False(t, row.Draining)
	p.readBack()
}

func TestStory_ARebalanceEvensTheDisksOut(t *testing.T) {
	p := filled(t, 1006, 4)
	h := p.story.addHost()
	require.True(t, p.story.world.RunUntil(func() bool { return h.ready }, time.Minute))
	p.host = p.story.master()
	before := p.unevenness()
	r := ask[*messages.StartJobReply](p, gatewayPath, &messages.StartRebalance{Header: p.header(), DryRun: true})
	require.Nil(t, r.Error)
	require.NotEmpty(t, r.Plan, "%v", r.Blockers)
	r = ask[*messages.StartJobReply](p, gatewayPath, &messages.StartRebalance{Header: p.header()})
	require.Nil(t, r.Error)
	require.True(t, p.story.world.RunUntil(func() bool {
		jobs := p.jobs(messages.JobKind_REBALANCE)
		return len(jobs) > 0 && jobs[len(jobs)-1].State == messages.JobState_DONE
	}, 5*time.Minute), "%v", p.jobs(messages.JobKind_REBALANCE))
	p.wholeAgain("after the rebalance")
	assert.Less(t, p.unevenness(), before)
	for _, j := range p.jobs(messages.JobKind_ADAPT) {
		assert.Less(t, j.Id, r.Job.Row.Id, "both halves of a move are the rebalance's: %v", j)
	}
	p.readBack()
}

func TestStory_ACopyThatWentBadWhileItsVolumeWasOpenIsNoVoiceWhenItIsSealed(t *testing.T) {
	for liar := range 3 {
		p := newProbeOf(t, Params{Seed: 1010 + uint64(liar), Nodes: 4, Still: true, NoArchive: true})
		p.story.world.Run(15 * time.Second) // volumes with fewer members have given way
		p.host = p.story.master()
		for n := range 5 {
			p.large(fmt.Sprintf("/models/%d", n), fmt.Sprint("value ", n), 3000)
		}
		var row *messages.VolumeRow
		for _, v := range p.catalogRows() {
			if v.State == messages.VolumeState_OPEN && v.Tier == uint32(model.TierCritical) && v.CommittedEnd > 3000 && len(v.Members) == 3 {
				row = v
			}
		}
		require.NotNil(t, row)
		bad := p.story.hostOf(row.Members[liar].Node)
		require.NoError(t, bad.node.FS().Damage(fmt.Sprintf("volumes/t%d/%d.vol", row.Tier, row.Id), store.DataStart+1500))
		require.Nil(t, ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: row.Members[(liar+1)%3].Node}).Error)
		require.True(t, p.story.world.RunUntil(func() bool {
			m := p.story.master()
			if m == nil || m.catalog == nil {
				return false
			}
			v, ok := m.catalog.Volume(row.Id)
			return ok && v.State == messages.VolumeState_SEALED
		}, time.Minute))
		p.wholeAgain(fmt.Sprintf("member %d had a bad copy", liar))
		for n := range 5 {
			require.Equal(t, fmt.Sprint("value ", n), p.value(fmt.Sprintf("/models/%d", n)))
		}
	}
}
