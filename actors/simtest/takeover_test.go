package simtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
	"tiercel/actors/runtime/sim"
	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// turnOff ends a node; nobody starts it again.
func (h *host) turnOff(powerLoss bool) {
	h.gone = true
	if h.node.Up() {
		h.node.Crash(powerLoss)
	}
}

// turnOn starts it again.
func (h *host) turnOn() {
	h.gone = false
	h.node.Restart()
	h.keepUp()
}

// standby is the host of the learner beside the master.
func (s *story) standby() *host {
	m := s.master()
	for _, h := range s.living() {
		if h != m && h.data != nil && logconf.Member(m.conf(), h.data.Dir.Identity().RaftID) {
			return h
		}
	}
	return nil
}

// sendTier sends a put without waiting; its answer names the value.
func (p *probe) sendTier(path, value string, tier model.Tier) {
	content := blob(value, 100)
	p.story.values.add(value, content)
	p.send(gatewayPath, &messages.Put{Header: p.header(), Body: content, File: &messages.FileAttributes{
		Tenant: clientTenant, Path: path, SizeBytes: 100, Crc32C: crcOf(content), TierAsked: uint32(tier),
	}})
}

func TestStory_AStandbyTakesOverByHandAndNothingCriticalIsLost(t *testing.T) {
	total := 0
	for seed := range uint64(12) {
		p := newClusterProbe(t, 700+seed, 2)
		old, standby := p.story.master(), p.story.standby()
		require.NotNil(t, standby, "seed %d", seed)
		p.host = old
		p.story.world.Run(3 * time.Second) // volumes of the time when the master was alone are sealed
		// A long way there: much is durable on the master that the standby has not heard of.
		p.story.world.SetDelay(old.name, standby.name, sim.Span{Min: 10 * time.Millisecond, Max: 20 * time.Millisecond})
		sent := make(map[uint64]string)
		for n := range 40 {
			path := fmt.Sprintf("/models/%d", n)
			p.sendTier(path, "value "+path, model.TierCritical)
			sent[p.next] = path
		}
		p.story.world.Run(time.Duration(seed) * 8 * time.Millisecond)
		old.turnOff(seed%2 == 0)
		standby.turnOff(seed%3 == 0)
		var acked []string
		for _, m := range p.got {
			if r, ok := m.(*messages.PutReply); ok && r.Error == nil {
				acked = append(acked, sent[r.Header.Request])
			}
		}
		total += len(acked)
		plan, err := actors.TakeOver(standby.node.FS(), randomReader{p.story.random}, false)
		require.NoError(t, err)
		assert.Len(t, plan.Superseded, 1)
		require.NotNil(t, plan.Left, plan.LeftUnknown)
		assert.False(t, plan.Voted)
		done, err := actors.TakeOver(standby.node.FS(), randomReader{p.story.random}, true)
		require.NoError(t, err)
		assert.EqualValues(t, 2, done.Generation)
		standby.turnOn()
		p.host = standby
		p.waitReady()
		for _, path := range acked {
			assert.Equal(t, "value "+path, p.value(path), "seed %d: it was acknowledged", seed)
		}
		require.Nil(t, p.put("/models/after", "after", nil).Error, "alone, one copy is all there can be")

		// The old master wakes up, meets the new generation and ends.
		old.gone = false
		old.node.Restart()
		require.True(t, p.story.world.RunUntil(func() bool { return !old.node.Up() }, 30*time.Second), "seed %d: %s", seed, p.story.state())
		assert.Equal(t, model.CodeStaleEpoch, model.CodeOf(old.node.Halted()), "seed %d: %v", seed, old.node.Halted())
		old.turnOff(false)

		// Started with --join it is a new node; what it had lies in quarantine.
		back := p.story.addHostWith(old.node.FS())
		require.True(t, p.story.world.RunUntil(func() bool { return back.ready && p.story.serving() }, 30*time.Second), "seed %d: %s", seed, p.story.state())
		aside := strings.Join(back.node.FS().Names(), "\n")
		for _, want := range []string{"/node.yaml", "/reason.txt", "/log/", "/snapshots/"} {
			assert.Contains(t, aside, fmt.Sprintf("quarantine/superseded-2-%016x%s", done.Superseded[0], want))
		}
		require.True(t, p.story.world.RunUntil(func() bool { return p.story.standby() == back }, 30*time.Second), "it stands by")
		require.Nil(t, p.put("/models/both", "both", nil).Error)
		assert.Equal(t, "both", p.value("/models/both"))
		for _, path := range acked {
			assert.Equal(t, "value "+path, p.value(path), "seed %d", seed)
		}
	}
	assert.Greater(t, total, 100, "writes were acknowledged before the master died")
	assert.Less(t, total, 12*40, "and some were not")
}

func TestStory_TierOneWaitsForTheStandbyAndTierThreeDoesNot(t *testing.T) {
	p := newClusterProbe(t, 31, 2)
	master, standby := p.story.master(), p.story.standby()
	p.host = master
	p.story.world.Run(3 * time.Second) // volumes of the time when the master was alone are sealed
	require.Nil(t, p.put("/models/a", "a", nil).Error)
	// Content still reaches the standby's worker, the log does not: everything it says
	// about the log is lost on its way back.
	p.story.world.SetDelay(standby.name, master.name, sim.Span{Min: 150 * time.Millisecond, Max: 150 * time.Millisecond})
	p.got = nil
	began := p.story.world.Now()
	p.sendTier("/models/b", "critical", model.TierCritical)
	p.sendTier("/models/c", "rebuildable", model.TierRebuildable)
	answered := make(map[uint64]time.Duration)
	require.True(t, p.story.world.RunUntil(func() bool {
		for _, m := range p.got {
			if r, ok := m.(*messages.PutReply); ok && answered[r.Header.Request] == 0 {
				require.Nil(t, r.Error)
				answered[r.Header.Request] = p.story.world.Now().Sub(began)
			}
		}
		return len(answered) == 2
	}, 10*time.Second))
	// The copy is there after one way back, the log's word after another.
	assert.Greater(t, answered[p.next-1], 300*time.Millisecond, "the standby's log counts")
	assert.Less(t, answered[p.next], 300*time.Millisecond)
}

func TestStory_WithoutItsStandbyTierOneIsRefusedAndTheRestGoesOn(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 32, Nodes: 3, NoFailover: true})
	p.host = p.story.master()
	standby := p.story.standby()
	standby.turnOff(false)
	p.story.world.Run(2 * masterHeartbeatInterval)
	require.Nil(t, ask[*messages.PutReply](p, gatewayPath, p.tierPut("/models/c", "rebuildable", model.TierRebuildable)).Error)
	// The third node stands by as soon as the first is degraded.
	require.Nil(t, p.put("/models/b", "critical", nil).Error)
	assert.NotEqual(t, standby, p.story.standby())
	assert.NotNil(t, p.story.standby())
}

func (p *probe) tierPut(path, value string, tier model.Tier) *messages.Put {
	content := blob(value, 100)
	p.story.values.add(value, content)
	return &messages.Put{Header: p.header(), Body: content, File: &messages.FileAttributes{
		Tenant: clientTenant, Path: path, SizeBytes: 100, Crc32C: crcOf(content), TierAsked: uint32(tier),
	}}
}

func TestStory_AWorkerThatHoldsNoLogGoesOnInTheNewGeneration(t *testing.T) {
	for _, away := range []bool{false, true} {
		p := newProbeOf(t, Params{Seed: 33, Nodes: 3, NoFailover: true})
		old, standby := p.story.master(), p.story.standby()
		var plain *host
		for _, h := range p.story.hosts {
			if h != old && h != standby {
				plain = h
			}
		}
		p.host = old
		p.story.world.Run(3 * time.Second) // volumes of the time when the master was alone are sealed
		require.Nil(t, p.put("/models/a", "a", nil).Error)
		old.turnOff(false)
		standby.turnOff(false)
		if away {
			plain.turnOff(false)
		}
		_, err := actors.TakeOver(standby.node.FS(), randomReader{p.story.random}, true)
		require.NoError(t, err)
		standby.turnOn()
		p.host = standby
		if away {
			p.story.world.Run(time.Second)
			plain.turnOn()
		}
		require.True(t, p.story.world.RunUntil(func() bool { return plain.ready && plain.data.Dir.Identity().Generation == 2 }, 30*time.Second), "%s", p.story.state())
		assert.Equal(t, "a", p.value("/models/a"))
		require.Nil(t, p.put("/models/b", "on two workers", nil).Error)
		require.True(t, p.story.world.RunUntil(func() bool { return p.story.standby() == plain }, 30*time.Second), "it stands by")

		// A restart finds its generation on disk.
		plain.turnOff(true)
		plain.turnOn()
		p.host = plain
		p.waitReady()
		assert.Equal(t, "on two workers", p.value("/models/b"))
	}
}

func TestTakeOver_RefusesWhatCannotBeTakenOver(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 34, Nodes: 3, NoFailover: true})
	master, standby := p.story.master(), p.story.standby()
	for _, h := range p.story.hosts {
		h.turnOff(false)
		_, err := actors.TakeOver(h.node.FS(), randomReader{p.story.random}, true)
		switch h {
		case standby:
			require.NoError(t, err)
			_, err = actors.TakeOver(h.node.FS(), randomReader{p.story.random}, true)
			assert.Equal(t, model.CodeConflict, model.CodeOf(err), "twice: it is the only voter now")
		case master:
			assert.NoError(t, err, "a voter may shed a standby that is gone")
		default:
			assert.Equal(t, model.CodeConflict, model.CodeOf(err))
			assert.ErrorContains(t, err, "standby")
		}
	}
	alone := newClusterProbe(t, 35, 1)
	alone.host.turnOff(false)
	_, err := actors.TakeOver(alone.host.node.FS(), randomReader{alone.story.random}, true)
	assert.Equal(t, model.CodeConflict, model.CodeOf(err))
	assert.ErrorContains(t, err, "only voter")
}

func TestStory_TheStandbyIsFedAgainAfterAnActorOfTheMasterFailed(t *testing.T) {
	// Seed 2026140100: a lone voter's log that was restarted knew no address of the
	// standby, and a learner does not speak first.
	for i, path := range actorPaths {
		p := newClusterProbe(t, 780+uint64(i), 2)
		p.host = p.story.master()
		require.Nil(t, p.put("/models/a", "before", nil).Error, path)
		p.host.node.Fail(path)
		require.Nil(t, p.put("/models/a", "after", nil).Error, path)
		assert.True(t, p.story.checkAgreement(), "%s: %v", path, p.story.bad)
	}
}
