package simtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
