package simtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
	"tiercel/messages"
)

func TestStory_AClusterWithoutFaultsAnswersEveryOperation(t *testing.T) {
	for _, nodes := range []int{2, 3, 5, 7} {
		out := Run(Params{Seed: uint64(nodes), Nodes: nodes, Clients: 3, Operations: 40, Horizon: 10 * time.Second, Log: replayLog(), Trace: replayTrace()})
		require.Empty(t, out.Violations, "%d nodes", nodes)
		require.GreaterOrEqual(t, len(out.History), 120)
		for _, o := range out.History {
			assert.False(t, o.out.unknown, "%d nodes: %+v", nodes, o)
			assert.False(t, refusedForGood(o.out), "%d nodes: %+v", nodes, o)
		}
	}
}

// sendPut sends a put without waiting for its answer.
func (p *probe) sendPut(path, value string) {
	content := blob(value, 100)
	p.story.values.add(value, content)
	p.got = nil
	p.send(gatewayPath, &messages.Put{Header: p.header(), Body: content, File: &messages.FileAttributes{
		Tenant: clientTenant, Path: path, SizeBytes: 100, Crc32C: crcOf(content),
	}})
}

func TestStory_WritesToOnePathKeepTheirOrderThroughAFailover(t *testing.T) {
	for seed := range uint64(10) {
		p := newClusterProbe(t, 100+seed, 3)
		m := p.story.master()
		for _, h := range p.story.hosts {
			if h != m {
				p.host = h // a gateway that stays
			}
		}
		for n := range 10 {
			value := fmt.Sprintf("value %d", n)
			content := blob(value, 100*(10-n))
			p.story.values.add(value, content)
			p.send(gatewayPath, &messages.Put{Header: p.header(), Body: content, File: &messages.FileAttributes{
				Tenant: clientTenant, Path: "/models/a", SizeBytes: uint64(len(content)), Crc32C: crcOf(content),
			}})
			if n < 9 {
				p.send(gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: "/models/a"})
			}
			if n == 4 {
				p.story.world.Run(time.Duration(seed) * 2 * time.Millisecond)
				m.node.Crash(false)
			}
		}
		require.True(t, p.story.world.RunUntil(func() bool { return len(p.got) == 19 }, time.Minute), "seed %d: %d answers", seed, len(p.got))
		for _, r := range p.got {
			if d, ok := r.(*messages.MutationReply); ok {
				assert.Empty(t, d.GetError().GetCode(), "seed %d: each delete finds the put before it", seed)
			}
		}
		assert.Equal(t, "value 9", p.value("/models/a"))
	}
}

// transitions of a worker as the newest catalog has them.
func (p *probe) transitions(node string) []*messages.WorkerTransition {
	m := p.story.master()
	if m == nil || m.catalog == nil {
		return nil
	}
	nodes, rows := m.catalog.Workers()
	for i, n := range nodes {
		if n == node {
			return rows[i].Transitions
		}
	}
	return nil
}

func TestStory_ADeadWorkerIsDegradedUnreachableAndDecommissionedInTime(t *testing.T) {
	p := newClusterProbe(t, 3, 5)
	p.story.world.Run(25 * heartbeatInterval) // the lead has gone to the best candidate
	victim := p.story.hosts[4]
	if victim == p.story.master() {
		victim = p.story.hosts[3]
	}
	victim.gone = true // nobody starts it again
	victim.node.Crash(false)
	died := p.story.world.Now()
	require.True(t, p.story.world.RunUntil(func() bool { return len(p.transitions(string(victim.name))) >= 3 }, 20*heartbeatInterval))
	for i, want := range []struct {
		to     messages.WorkerState
		missed int
	}{{messages.WorkerState_DEGRADED, 3}, {messages.WorkerState_UNREACHABLE, 5}, {messages.WorkerState_DECOMMISSIONED, 10}} {
		tr := p.transitions(string(victim.name))[i]
		assert.Equal(t, want.to, tr.To)
		assert.EqualValues(t, want.missed, tr.Missed)
		took := time.UnixMilli(tr.AtUnixMs).Sub(died)
		// Its last heartbeat was up to one interval before; judged four times an interval.
		assert.Greater(t, took, time.Duration(want.missed-1)*heartbeatInterval)
		assert.Less(t, took, time.Duration(want.missed+1)*heartbeatInterval)
	}
}

func TestStory_ManyMissingAtOnceEngageTheStormBrakeAndTheirReturnReleasesIt(t *testing.T) {
	p := newClusterProbe(t, 4, 6)
	m := p.story.master()
	var cut []*host
	for _, h := range p.story.hosts {
		if h != m && len(cut) < 2 {
			cut = append(cut, h)
		}
	}
	for _, h := range cut {
		for _, other := range p.story.hosts {
			if other != h {
				p.story.world.Partition(h.name, other.name)
			}
		}
	}
	engaged := func() bool {
		m := p.story.master()
		return m != nil && m.catalog != nil && m.catalog.Cluster().GetBrake().GetEngaged()
	}
	require.True(t, p.story.world.RunUntil(engaged, 8*heartbeatInterval), "two of six went missing")
	assert.Contains(t, p.story.master().catalog.Cluster().Brake.Reason, "2 of 6")
	p.story.world.HealAll()
	require.True(t, p.story.world.RunUntil(func() bool { return !engaged() }, 30*heartbeatInterval), "they are back")
}

func TestStory_AMasterThatWakesUpAcknowledgesNothingOfItsOwn(t *testing.T) {
	for seed := range uint64(5) {
		p := newClusterProbe(t, 200+seed, 5)
		old := p.story.master()
		p.host = old
		require.Nil(t, p.put("/models/a", "before", nil).Error)
		old.node.Pause(20 * time.Second)
		p.sendPut("/models/a", "sent to the sleeper") // it waits in the socket
		for _, h := range p.story.hosts {
			if h != old {
				p.host = h
			}
		}
		sleeper := len(p.got)
		require.True(t, p.story.world.RunUntil(func() bool { m := p.story.master(); return m != nil && m != old }, 10*time.Second), "seed %d: %s", seed, p.story.state())
		require.Nil(t, p.put("/models/a", "by the new master", nil).Error)
		p.story.world.Run(25 * time.Second)
		// What the sleeper was sent goes through the new master, after the other, or nowhere.
		value := p.value("/models/a")
		assert.Contains(t, []string{"by the new master", "sent to the sleeper"}, value)
		assert.Zero(t, sleeper)
		assert.Empty(t, p.story.bad)
	}
}

// A slow clock keeps the old master from noticing that it is cut off while the others
// have long elected: only asking a quorum keeps its reads from being stale.
func TestStory_AMasterThatIsCutOffAndHasASlowClockReadsNothingStale(t *testing.T) {
	inTime := 0
	for seed := range uint64(5) {
		p := newClusterProbe(t, 300+seed, 5)
		old := p.story.master()
		p.host = old
		require.Nil(t, p.put("/models/a", "before", nil).Error)
		old.node.SetClockRate(0.3)
		for _, h := range p.story.hosts {
			if h != old {
				p.story.world.Partition(h.name, old.name)
				p.host = h
			}
		}
		require.True(t, p.story.world.RunUntil(func() bool { m := p.story.master(); return m != nil && m != old && p.host.ready }, 4*time.Second), "seed %d: %s", seed, p.story.state())
		require.Nil(t, p.put("/models/a", "after", nil).Error)
		if old.ready {
			inTime++ // it still believes that it is master
		}
		p.host = old
		r := ask[*messages.StatReply](p, gatewayPath, &messages.Stat{Header: p.header(), Tenant: clientTenant, Path: "/models/a"})
		value, _ := p.story.values.find(r.Row.GetCrc32C(), r.Row.GetSizeBytes())
		assert.True(t, value == "after" || r.Unchecked || r.Error != nil, "seed %d: stale read of %q, and it is not marked", seed, value)
	}
	assert.Positive(t, inTime, "the old master was never asked in time")
}

func TestStory_ALargeBodyIsNotTakenInBeforeThereIsAMaster(t *testing.T) {
	p := newClusterProbe(t, 7, 3)
	for _, h := range p.story.hosts[1:] {
		h.turnOff(false)
	}
	p.host = p.story.hosts[0]
	require.True(t, p.story.world.RunUntil(func() bool { return !p.host.ready }, 10*time.Second))
	open := func(budget int64) *messages.OpenUpload {
		h := p.header()
		h.BudgetMs = budget
		return &messages.OpenUpload{Header: h, File: &messages.FileAttributes{Tenant: clientTenant, Path: "/models/large", SizeBytes: 100 << 20}}
	}
	began := p.story.world.Now()
	r := ask[*messages.OpenUploadReply](p, gatewayPath, open(2000))
	assert.Equal(t, "no_master", r.Error.GetCode())
	assert.GreaterOrEqual(t, p.story.world.Now().Sub(began), 2*time.Second, "it waits as long as it may")

	p.got = nil
	p.send(gatewayPath, open(30_000))
	p.story.world.Run(time.Second)
	require.Empty(t, p.got)
	p.story.hosts[1].turnOn()
	require.True(t, p.story.world.RunUntil(func() bool { return len(p.got) > 0 }, 20*time.Second))
	assert.NotZero(t, p.got[0].(*messages.OpenUploadReply).Upload)
}

func TestStory_AWorkerObeysNobodyOfAnOlderEpoch(t *testing.T) {
	p := newClusterProbe(t, 6, 3)
	old := p.story.master().catalog.Cluster()
	p.story.master().node.Pause(3 * time.Second)
	require.True(t, p.story.world.RunUntil(func() bool {
		m := p.story.master()
		return m != nil && m.catalog != nil && m.catalog.Cluster().GetTerm() > old.Term && m.ready
	}, 10*time.Second), "%s", p.story.state())
	p.host = p.story.hosts[2]
	order := func() *messages.Header {
		h := p.header()
		h.EpochGeneration, h.EpochTerm = old.Generation, old.Term
		return h
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			p.story.world.Run(3 * time.Second)
			for _, h := range p.story.hosts { // nobody tells it the newest epoch again
				if h != p.host {
					h.turnOff(false)
				}
			}
			p.host.node.Crash(true)
			require.True(t, p.story.world.RunUntil(func() bool { return p.host.node.Up() }, 10*time.Second))
			p.story.world.Run(2 * time.Second)
		}
		r := ask[*messages.ReportVolumesReply](p, workerPath, &messages.ReportVolumes{Header: order()})
		assert.Equal(t, "stale_epoch", r.Error.GetCode(), "restarted: %v", restarted)
		f := ask[*messages.FenceVolumeReply](p, workerPath, &messages.FenceVolume{Header: order(), Volume: 1, Generation: 1})
		assert.Equal(t, "stale_epoch", f.Error.GetCode(), "restarted: %v", restarted)
	}
}

const workerPath = actors.WorkerPath

func TestStory_AWorkerThatLeftIsNotTakenInAgain(t *testing.T) {
	p := newClusterProbe(t, 5, 4)
	m := p.story.master()
	p.host = m
	leaver := p.story.hosts[3]
	if leaver == m {
		leaver = p.story.hosts[2]
	}
	r := ask[*messages.RemoveNodeReply](p, gatewayPath, &messages.RemoveNode{Header: p.header(), Node: string(leaver.name)})
	require.Nil(t, r.Error)
	require.True(t, p.story.world.RunUntil(func() bool { return !leaver.node.Up() }, 10*time.Second), "it ends when it hears of it")
	assert.ErrorContains(t, leaver.node.Halted(), "left")
	p.story.world.Run(5 * time.Second)
	assert.False(t, leaver.ready)
}
