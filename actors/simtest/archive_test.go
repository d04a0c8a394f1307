package simtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/recovery"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// journaled waits until every change that matters is in the archive.
func (p *probe) journaled() {
	p.t.Helper()
	at := p.story.master().catalog.Applied()
	require.True(p.t, p.story.world.RunUntil(func() bool {
		r := p.archive()
		return r.Error == nil && r.CheckpointIndex > 0 && r.JournalIndex >= at
	}, 5*time.Minute), "%v", p.archive())
}

func (p *probe) archive() *messages.DescribeArchiveReply {
	return ask[*messages.DescribeArchiveReply](p, gatewayPath, &messages.DescribeArchive{Header: p.header()})
}

func TestStory_WhatIsSaidToBeJournaledSurvivesTheNextMoment(t *testing.T) {
	for seed := range uint64(12) {
		p := newClusterProbe(t, 960+seed, 3)
		p.host = p.story.master()
		p.journaled()
		put := p.put("/models/a", "a", nil)
		require.Nil(t, put.Error)
		require.True(t, p.story.world.RunUntil(func() bool { return p.archive().JournalIndex >= put.Row.Version }, time.Minute))
		p.story.loseTheLog(t, true)
		report, err := recovery.Recover(p.story.recoverOptions(p.story.hosts[0], true))
		require.NoError(t, err)
		require.GreaterOrEqual(t, report.JournalTo, put.Row.Version, "seed %d: it was said to be journaled", seed)
		assert.Empty(t, report.Found)
	}
}

func TestStory_AVolumeIsNotDroppedBeforeTheJournalKnowsThatItIsEmpty(t *testing.T) {
	for seed := range uint64(2) {
		// The journal is slower than the sweep that deletes the copies of a dropped volume.
		p := newProbeOf(t, Params{Seed: 980 + seed, Nodes: 3, ArchiveEvery: time.Minute})
		p.fill(40, model.TierCritical, make(map[string]string))
		kept := make(map[string]string)
		for n := range 40 {
			path := fmt.Sprintf("/more/%d", n)
			kept[path] = "more " + path
			p.sendLarge(path, kept[path], model.TierCritical)
		}
		p.answered(40)
		p.journaled()
		before := p.volumes()
		for n := range 30 { // what is left has to be moved
			path := fmt.Sprintf("/more/%d", n)
			delete(kept, path)
			p.send(gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: path})
		}
		p.answered(30)
		deleted := func() bool {
			now := p.volumes()
			for id, row := range before {
				if row.LiveBytes > 0 && len(now) > 0 && now[id] == nil && !slices.ContainsFunc(p.story.hosts, func(h *host) bool { return h.data.Volumes.Has(model.VolumeID(id)) }) {
					return true
				}
			}
			return false
		}
		require.True(t, p.story.world.RunUntil(deleted, 5*time.Minute), "%v", p.volumes())
		p.story.loseTheLog(t, false)
		report, err := recovery.Recover(p.story.recoverOptions(p.story.hosts[0], true))
		require.NoError(t, err)
		require.Zero(t, report.Elsewhere, "seed %d: content is gone with a volume that was dropped: %v", seed, report.Missing)
		p.comeBack(p.story.hosts[0])
		p.checkKept(kept)
	}
}

func TestStory_PiecesOfTheJournalAreCarriedFromMachinesThatCannotBeReached(t *testing.T) {
	p := newClusterProbe(t, 995, 5)
	want := p.mixed(10)
	p.story.world.Run(2 * time.Second)
	p.journaled()
	p.story.loseTheLog(t, false)
	all, err := recovery.Recover(p.story.recoverOptions(p.story.hosts[0], false))
	require.NoError(t, err)

	founder := p.story.hosts[2]
	whole := p.story.recoverOptions(founder, true)
	alone, others := whole, whole
	alone.Dirs, others.Dirs = whole.Dirs[:1], whole.Dirs[1:]
	for i, other := range others.Dirs {
		one := others
		one.Dirs = []recovery.Dir{other}
		var pieces bytes.Buffer
		count, err := recovery.Export(one, &pieces)
		require.NoError(t, err)
		if i == 0 {
			assert.NotZero(t, count)
		}
		disk := store.NewMemFS(1)
		f, err := disk.Create("pieces")
		require.NoError(t, err)
		_, err = f.WriteAt(pieces.Bytes(), 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		alone.Carried = append(alone.Carried, recovery.Dir{Name: "pieces", FS: disk})
	}
	report, err := recovery.Recover(alone)
	require.NoError(t, err)
	assert.Equal(t, all.JournalTo, report.JournalTo, "as far as with every directory")
	_, err = recovery.AsWorker(others)
	require.NoError(t, err)
	p.comeBack(founder)
	require.True(t, p.story.world.RunUntil(func() bool { return len(p.story.unverified()) == 0 }, 2*time.Minute), "%v", p.story.unverified())
	p.requireAll(want)
}

// damageArchive flips a byte in every copy of the records whose paths begin so.
func (s *story) damageArchive(t *testing.T, prefix string) (damaged int) {
	for _, h := range s.hosts {
		volumes, states, err := store.OpenVolumes(h.node.FS(), store.VolumeOptions{})
		require.NoError(t, err)
		for _, v := range states {
			require.NoError(t, volumes.Walk(v.ID, 0, func(rec store.Record, at store.Placed) error {
				if rec.Tenant != model.SystemTenant || !strings.HasPrefix(rec.Path, prefix) {
					return nil
				}
				damaged++
				f, err := h.node.FS().Open(fmt.Sprintf("volumes/t%d/%s.vol", v.Tier, v.ID))
				require.NoError(t, err)
				last := make([]byte, 1)
				_, err = f.ReadAt(last, int64(at.Offset+at.RecordBytes-1))
				require.NoError(t, err)
				_, err = f.WriteAt([]byte{last[0] ^ 1}, int64(at.Offset+at.RecordBytes-1))
				require.NoError(t, err)
				return f.Close()
			}))
		}
		require.NoError(t, volumes.Close())
	}
	return damaged
}

func TestRecover_ADamagedCheckpointIsPassedOverForAnother(t *testing.T) {
	p := newClusterProbe(t, 990, 3)
	want := p.mixed(8)
	p.journaled()
	checkpoints := make(map[uint64]bool)
	require.True(t, p.story.world.RunUntil(func() bool {
		require.Nil(t, p.put("/models/more", fmt.Sprint(p.story.world.Elapsed()), nil).Error)
		p.story.world.Run(300 * time.Millisecond)
		checkpoints[p.archive().CheckpointIndex] = true
		return len(checkpoints) > 2
	}, time.Minute))
	p.journaled()
	p.story.loseTheLog(t, false)
	opt := p.story.recoverOptions(p.story.hosts[0], false)
	whole, err := recovery.Recover(opt)
	require.NoError(t, err)
	require.NotZero(t, p.story.damageArchive(t, fmt.Sprintf("/checkpoint/%016x-%016x/", 1, whole.Checkpoint)))
	report, err := recovery.Recover(p.story.recoverOptions(p.story.hosts[0], true))
	require.NoError(t, err)
	assert.NotEqual(t, whole.Checkpoint, report.Checkpoint, "another one is taken")
	assert.Equal(t, whole.JournalTo, report.JournalTo, "and goes as far")
	assert.NotEmpty(t, report.Notes)
	p.comeBack(p.story.hosts[0])
	p.requireAll(want)
}

// Until it has looked, a new master does not know how far the archive is behind, and what
// the master before it left is in no piece of the journal.
func TestStory_ANewMasterJournalsWhatTheOldOneLeftAtOnce(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 990, Nodes: 3, ArchiveEvery: time.Minute})
	require.Nil(t, p.put("/models/known", "journaled", nil).Error)
	p.journaled()
	require.Nil(t, p.put("/models/late", "not journaled", nil).Error)
	old := p.story.master()
	late := old.catalog.Applied()
	old.turnOff(false)
	p.host = p.story.living()[0]
	require.True(t, p.story.world.RunUntil(func() bool { m := p.story.master(); return m != nil && m != old }, time.Minute))
	p.waitReady()
	p.story.world.Run(3 * time.Second)
	r := p.archive()
	require.Nil(t, r.Error)
	assert.GreaterOrEqual(t, r.JournalIndex, late, "%v", r)
}
