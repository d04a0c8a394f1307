package simtest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

const compactionBody = 4000 // bytes: sixteen fill a simulated volume

// sendLarge sends a put of a few kilobytes; its answer is not waited for.
func (p *probe) sendLarge(path, value string, tier model.Tier) {
	content := blob(value, compactionBody)
	p.story.values.add(value, content)
	p.send(gatewayPath, &messages.Put{Header: p.header(), Body: content, File: &messages.FileAttributes{
		Tenant: clientTenant, Path: path, SizeBytes: compactionBody, Crc32C: crcOf(content), TierAsked: uint32(tier),
	}})
}

// answered waits until everything that was sent has an answer without an error.
func (p *probe) answered(n int) {
	p.t.Helper()
	require.True(p.t, p.story.world.RunUntil(func() bool { return len(p.got) >= n }, time.Minute), "%d of %d answers: %s", len(p.got), n, p.story.state())
	for _, m := range p.got {
		switch r := m.(type) {
		case *messages.PutReply:
			require.Nil(p.t, r.Error, "%v", r.Error)
		case *messages.MutationReply:
			require.Nil(p.t, r.Error, "%v", r.Error)
		}
	}
	p.got = nil
}

// fill stores n files of a tier and deletes all but every fourth.
func (p *probe) fill(n int, tier model.Tier, kept map[string]string) {
	p.t.Helper()
	for i := range n {
		p.sendLarge(fmt.Sprintf("/t%d/%d", tier, i), fmt.Sprintf("tier %d value %d", tier, i), tier)
	}
	p.answered(n)
	deleted := 0
	for i := range n {
		path := fmt.Sprintf("/t%d/%d", tier, i)
		if i%4 == 0 {
			kept[path] = fmt.Sprintf("tier %d value %d", tier, i)
			continue
		}
		deleted++
		p.send(gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: path})
	}
	p.answered(deleted)
}

// volumesOf are the rows as the master's catalog has them.
func (p *probe) volumes() map[uint64]*messages.VolumeRow {
	rows := make(map[uint64]*messages.VolumeRow)
	if m := p.story.master(); m != nil && m.catalog != nil {
		for _, v := range m.catalog.Volumes() {
			rows[v.Id] = v
		}
	}
	return rows
}

// compacted reports whether nothing is left to do.
func (p *probe) compacted() bool {
	rows := p.volumes()
	for _, v := range rows {
		if v.State == messages.VolumeState_RETIRING || v.State == messages.VolumeState_SEALED && float64(v.LiveBytes) <= 0.7*float64(v.SealedEnd) {
			return false
		}
	}
	return len(rows) > 0
}

func (p *probe) checkKept(kept map[string]string) {
	p.t.Helper()
	for _, path := range slices.Sorted(maps.Keys(kept)) {
		assert.Equal(p.t, kept[path], p.value(path), path)
	}
	assert.Empty(p.t, p.story.bad)
}

func TestStory_CompactionEmptiesDeadVolumesAndDropsThem(t *testing.T) {
	for i, nodes := range []int{1, 2, 3} {
		p := newClusterProbe(t, 900+uint64(i), nodes)
		kept := make(map[string]string)
		for _, tier := range model.Tiers {
			p.fill(40, tier, kept)
		}
		before := p.volumes()
		require.True(t, p.story.world.RunUntil(p.compacted, 2*time.Minute), "%d nodes: %v", nodes, p.volumes())
		after := p.volumes()
		dropped := 0
		for id, row := range before {
			if after[id] == nil && row.LiveBytes > 0 {
				dropped++
			}
		}
		assert.Greater(t, dropped, 2, "%d nodes: volumes with content were emptied", nodes)
		p.checkKept(kept)
	}
}

// Everything goes on while volumes are emptied: clients write, move and delete, and
// the master dies again and again.
func TestStory_CompactionGoesOnThroughFailoversWhileClientsWrite(t *testing.T) {
	for seed := range uint64(6) {
		p := newClusterProbe(t, 920+seed, 3)
		kept := make(map[string]string)
		p.fill(40, model.TierCritical, kept)
		p.fill(24, model.TierImportant, kept)
		retiring := func() bool {
			return slices.ContainsFunc(slices.Collect(maps.Values(p.volumes())), func(v *messages.VolumeRow) bool { return v.State == messages.VolumeState_RETIRING })
		}
		for round := range 3 {
			p.story.world.RunUntil(retiring, 10*time.Second)
			m := p.story.master()
			for _, h := range p.story.hosts {
				if h != m {
					p.host = h
				}
			}
			sent := 0
			for _, path := range slices.Sorted(maps.Keys(kept)) {
				switch (len(path) + round + sent) % 4 {
				case 0:
					to := fmt.Sprintf("%s-%d", path, round)
					p.send(gatewayPath, &messages.Move{Header: p.header(), Tenant: clientTenant, From: path, To: to})
					kept[to] = kept[path]
				case 1:
					p.send(gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: path})
				case 2:
					kept[path] += "+"
					p.sendLarge(path, kept[path], model.TierCritical)
					sent++
					continue
				default:
					sent++
					continue
				}
				delete(kept, path)
				sent++
			}
			p.story.world.Run(time.Duration(seed*40+1) * time.Millisecond)
			m.node.Crash(seed%2 == 0)
			p.story.world.Run(10 * time.Second)
			require.True(t, p.story.world.RunUntil(p.story.serving, time.Minute), "%s", p.story.state())
			p.got = nil
		}
		require.True(t, p.story.world.RunUntil(p.compacted, 3*time.Minute), "seed %d: %v", seed, p.volumes())
		p.checkKept(kept)
		p.story.checkAgreement()
		assert.Empty(t, p.story.bad, "seed %d", seed)
	}
}

// Volumes fill up, are sealed and retired while clients write into them.
func TestStory_WritesGoOnWhileVolumesAreRetiredUnderThem(t *testing.T) {
	for seed := range uint64(8) {
		p := newClusterProbe(t, 950+seed, 3)
		kept := make(map[string]string)
		p.fill(40, model.TierCritical, kept)
		for i := range 30 {
			for n := range 6 {
				path := fmt.Sprintf("/w/%d", n)
				kept[path] = fmt.Sprintf("%s seed %d write %d", path, seed, i)
				p.sendLarge(path, kept[path], model.TierCritical)
			}
			p.story.world.Run(400 * time.Millisecond)
		}
		p.answered(180)
		require.True(t, p.story.world.RunUntil(p.compacted, 2*time.Minute), "seed %d: %v", seed, p.volumes())
		p.checkKept(kept)
	}
}

// ends is how long the copies of each volume are, on all nodes.
func (p *probe) ends() map[uint64]uint64 {
	out := make(map[uint64]uint64)
	for _, h := range p.story.living() {
		if h.node.Up() && h.data != nil {
			for _, v := range h.data.Volumes.States() {
				out[uint64(v.ID)] = max(out[uint64(v.ID)], v.End)
			}
		}
	}
	return out
}

// A gateway cannot reach the master between its append and its commit. Meanwhile the
// volume it has written to is sealed, retired and perhaps dropped: it writes the same
// bytes elsewhere, and its client notices nothing but time.
func TestStory_ACommitThatComesAfterItsVolumeWasRetiredGoesElsewhere(t *testing.T) {
	late := 0
	for seed := range uint64(10) {
		p := newClusterProbe(t, 970+seed, 3)
		p.story.world.Run(3 * time.Second)
		m := p.story.master()
		var away *host
		for _, h := range p.story.hosts {
			if h != m {
				away = h
			}
		}
		p.host = away
		before := p.ends()
		p.sendLarge("/late", "late", model.TierRebuildable)
		volume := uint64(0)
		p.story.world.RunUntil(func() bool {
			for id, end := range p.ends() {
				if end > before[id] {
					volume = id
				}
			}
			return volume != 0
		}, 5*time.Second)
		if row := p.volumes()[volume]; row == nil || row.Members[0].Node == string(away.name) {
			continue // it will be sealed because its primary is away
		}
		p.story.world.Cut(away.name, m.name)
		p.host = m
		p.got = nil
		for i := range 40 {
			p.sendLarge(fmt.Sprintf("/fill/%d", i), fmt.Sprintf("fill %d", i), model.TierRebuildable)
		}
		p.answered(40)
		for i := range 40 {
			p.send(gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: fmt.Sprintf("/fill/%d", i)})
		}
		p.answered(40)
		retired := p.story.world.RunUntil(func() bool {
			row := p.volumes()[volume]
			return row == nil || row.State == messages.VolumeState_RETIRING
		}, 20*time.Second)
		require.True(t, retired, "seed %d: %v", seed, p.volumes()[volume])
		require.Empty(t, p.got, "the write is not acknowledged")
		p.story.world.HealAll()
		p.answered(1)
		late++
		assert.Equal(t, "late", p.value("/late"), "seed %d", seed)
		row, ok := p.story.catalogAt(0).Stat(clientTenant, "/late")
		require.True(t, ok)
		assert.NotEqual(t, volume, row.Extents[0].Volume, "seed %d", seed)
	}
	assert.Greater(t, late, 3, "writes were late")
}

// The new copies of what is moved are durable before the log names them, whatever
// their tier asks of a write: the old ones were.
func TestStory_CompactionNeverTradesADurableCopyForOneInMemory(t *testing.T) {
	moved := 0
	for seed := range uint64(8) {
		p := newClusterProbe(t, 990+seed, 1)
		kept := make(map[string]string)
		p.fill(40, model.TierRebuildable, kept)
		p.story.world.Run(1500 * time.Millisecond) // everything is synced by now
		old := p.volumes()
		someMoved := func() bool {
			for path := range kept {
				row, ok := p.story.catalogAt(0).Stat(clientTenant, path)
				if ok && row.Extents[0].Volume > 0 && old[row.Extents[0].Volume] == nil {
					return true
				}
				if ok && old[row.Extents[0].Volume].State == messages.VolumeState_OPEN && p.volumes()[row.Extents[0].Volume].LiveBytes > old[row.Extents[0].Volume].LiveBytes {
					return true
				}
			}
			return false
		}
		if p.story.world.RunUntil(someMoved, 20*time.Second) {
			moved++
		}
		p.story.world.Run(time.Duration(seed) * 5 * time.Millisecond)
		p.host.node.Crash(true)
		p.waitReady()
		p.checkKept(kept)
	}
	assert.Greater(t, moved, 4, "power was lost right after a move")
}
