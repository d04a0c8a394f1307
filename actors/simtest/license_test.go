package simtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// newLoneProbe makes the first node of a cluster that others join later.
func newLoneProbe(t *testing.T, params Params) *probe {
	t.Helper()
	params.Nodes = 2 // its nodes join
	params.Log, params.Trace = replayLog(), replayTrace()
	t.Cleanup(sim.DeterministicRand(params.Seed))
	s := newStory(params)
	s.addHost()
	p := &probe{t: t, story: s, host: s.hosts[0], rt: s.world.Client("probe").Runtime()}
	pid, err := p.rt.SpawnRoot("listener", func() runtime.Actor { return &listener{probe: p} })
	require.NoError(t, err)
	p.pid = pid
	p.waitReady()
	return p
}

// install issues a development licence now, and installs it.
func (p *probe) install(level license.Level, valid time.Duration) *messages.InstallLicenseReply {
	p.t.Helper()
	now := p.story.world.Now()
	text, err := signed.Issue(signed.Licence{ID: "l-" + string(level), Customer: "a story", Level: level, Issued: now, Expires: now.Add(valid)}, signed.DevelopmentKey())
	require.NoError(p.t, err)
	return ask[*messages.InstallLicenseReply](p, gatewayPath, &messages.InstallLicense{Header: p.header(), Text: text})
}

// asked stores a small file of a tier that is asked for by name.
func (p *probe) asked(path string, tier model.Tier) *messages.PutReply {
	p.t.Helper()
	return ask[*messages.PutReply](p, gatewayPath, p.tierPut(path, "asked "+path, tier))
}

// in reports whether a host takes part.
func (p *probe) in(h *host) func() bool { return func() bool { return h.node.Up() && h.ready } }

func TestStory_EachLevelTakesInItsNumberOfWorkersAndGivesDataItsCopies(t *testing.T) {
	p := newLoneProbe(t, Params{Seed: 551, License: license.Free, Still: true})
	require.Nil(t, p.put("/models/a", "critical by its path", nil).Error)
	require.Nil(t, p.put("/sessions/a", "important by its path", nil).Error)
	assert.Equal(t, "license_denied", p.asked("/x", model.TierCritical).GetError().GetCode())
	assert.Equal(t, "license_denied", p.asked("/x", model.TierImportant).GetError().GetCode())
	assert.Nil(t, p.asked("/x", model.TierRebuildable).Error)

	second := p.story.addHost()
	halted := false
	require.True(t, p.story.world.RunUntil(func() bool {
		halted = halted || second.node.Halted() != nil
		return halted
	}, time.Minute))
	p.story.world.Run(5 * time.Second)
	assert.Equal(t, []string{"n-1"}, p.workersOf(p.host), "it tries again and again, and is refused")

	require.Nil(t, p.install(license.Standard, 365*24*time.Hour).Error)
	require.True(t, p.story.world.RunUntil(p.in(second), time.Minute), "%s", p.story.state())
	require.Nil(t, p.put("/sessions/b", "on two", nil).Error)
	assert.Equal(t, "license_denied", p.asked("/x", model.TierCritical).GetError().GetCode())
	assert.Nil(t, p.asked("/y", model.TierImportant).Error)
	p.wholeAgain("with two workers")
	for _, row := range p.catalogRows() {
		if row.Tier == uint32(model.TierCritical) {
			assert.Len(t, row.Members, 1, "tier 1 has one copy by standard: %v", row)
		}
	}
	third := p.story.addHost()
	p.story.world.Run(5 * time.Second)
	assert.False(t, third.ready)

	require.Nil(t, p.install(license.Professional, 365*24*time.Hour).Error)
	require.True(t, p.story.world.RunUntil(p.in(third), time.Minute), "%s", p.story.state())
	require.True(t, p.story.world.RunUntil(func() bool { return p.story.formed(3) }, time.Minute), "three vote: %s", p.story.state())
	p.host = p.story.master()
	require.Nil(t, p.asked("/x", model.TierCritical).Error)
	require.True(t, p.story.world.RunUntil(func() bool { return p.copiesOf(model.TierCritical) == 3 }, 5*time.Minute),
		"what was written with one copy gets the others: %v", p.catalogRows())
	p.wholeAgain("with three workers")
	assert.Equal(t, "critical by its path", p.value("/models/a"))
	assert.Equal(t, "important by its path", p.value("/sessions/a"))
}

// copiesOf is the least number of whole copies of a volume of a tier that holds something.
func (p *probe) copiesOf(tier model.Tier) int {
	least := 0
	for _, row := range p.catalogRows() {
		if row.Tier != uint32(tier) || row.LiveBytes == 0 {
			continue
		}
		whole := 0
		for _, m := range row.Members {
			if m.Verified {
				whole++
			}
		}
		if least == 0 || whole < least {
			least = whole
		}
	}
	return least
}

func (p *probe) workersOf(h *host) []string {
	nodes, _ := h.catalog.Workers()
	return nodes
}

// The master dies, the licence ends before there is another, and everything that keeps
// data and gives it out goes on.
func TestStory_ALicenceThatEndsDuringAFailoverStopsNoReadDeleteRepairOrDrain(t *testing.T) {
	p := filled(t, 552, 6)
	require.Nil(t, p.install(license.Enterprise, 10*time.Second).Error)
	p.story.world.Run(9 * time.Second)
	old := p.story.master()
	require.False(t, old.catalog.Cluster().License.Expired)
	had := make(map[uint64]bool) // volumes of tier 1 that are to have three copies
	for _, row := range p.catalogRows() {
		had[row.Id] = row.Tier == uint32(model.TierCritical) && row.LiveBytes > 0
	}
	old.turnOff(true)
	require.True(t, p.story.world.RunUntil(func() bool {
		m := p.story.master()
		return m != nil && m != old && m.ready && m.catalog.Cluster().GetLicense().GetExpired()
	}, time.Minute), "a master is elected, and logs that the licence has ended: %s", p.story.state())
	p.host = p.story.master()

	assert.Equal(t, "license_denied", p.asked("/new", model.TierCritical).GetError().GetCode())
	require.Nil(t, p.put("/models/new", "by its path", nil).Error)
	p.readBack()
	gone := ask[*messages.MutationReply](p, gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: "/models/new"})
	require.Nil(t, gone.Error)
	denied := ask[*messages.StartJobReply](p, gatewayPath, &messages.StartRebalance{Header: p.header()})
	assert.Equal(t, "auto_rebalancing", denied.GetError().GetDetails()["feature"])

	leaves := p.other()
	r := ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: string(leaves.name)})
	require.Nil(t, r.Error)
	require.True(t, p.story.world.RunUntil(func() bool {
		return p.stateOf(old) == messages.WorkerState_DECOMMISSIONED && len(leaves.data.Volumes.States()) == 0
	}, 5*time.Minute), "%s is evacuated and %s is empty: %v", old.name, leaves.name, leaves.data.Volumes.States())
	p.wholeAgain("after the repair and the drain")
	for _, row := range p.catalogRows() {
		if had[row.Id] {
			assert.Equal(t, messages.VolumeState_SEALED, row.State)
			assert.Len(t, row.Members, 3, "what had its copies was repaired: %v", row)
		}
	}
	p.readBack()
	assert.Len(t, p.workersOf(p.host), 6, "nobody was thrown out")

	// Before its end it could not be taken back by the clock; a new one brings all back.
	require.Nil(t, p.install(license.Enterprise, time.Hour).Error)
	require.Nil(t, p.asked("/new", model.TierCritical).Error)
}
