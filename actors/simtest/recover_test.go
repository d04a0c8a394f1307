package simtest

import (
	"fmt"
	"maps"
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

// options name the disks of all hosts, the founder's first.
func (s *story) recoverOptions(founder *host, apply bool) recovery.Options {
	opt := recovery.Options{Random: randomReader{s.random}, Now: s.world.Now(), Apply: apply}
	for _, h := range append([]*host{founder}, s.hosts...) {
		if h == founder && len(opt.Dirs) > 0 {
			continue
		}
		opt.Dirs = append(opt.Dirs, recovery.Dir{Name: string(h.name), FS: h.node.FS(), Node: h.name})
	}
	return opt
}

// loseTheLog takes every node down and the logs of all that ever voted.
func (s *story) loseTheLog(t *testing.T, powerLoss bool) {
	for _, h := range s.hosts {
		h.turnOff(powerLoss)
		h.wipe(t, "log", "snapshots")
	}
	s.watch = newWatched() // the next life begins with no copy known to be whole
}

// comeBack starts every host, and waits until all serve.
func (p *probe) comeBack(founder *host) {
	p.t.Helper()
	founder.turnOn()
	p.host = founder
	p.waitReady()
	for _, h := range p.story.hosts {
		if h != founder {
			h.turnOn()
		}
	}
	require.True(p.t, p.story.world.RunUntil(p.story.serving, time.Minute), "%s", p.story.state())
}

func (p *probe) move(from, to string) {
	p.t.Helper()
	r := ask[*messages.MutationReply](p, gatewayPath, &messages.Move{Header: p.header(), Tenant: clientTenant, From: from, To: to, Overwrite: true})
	require.Nil(p.t, r.Error)
}

func (p *probe) remove(path string) {
	p.t.Helper()
	require.Nil(p.t, ask[*messages.MutationReply](p, gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: path}).Error)
}

// lostAndFound lists what lies under /lost+found.
func (p *probe) lostAndFound() (paths []string) {
	p.t.Helper()
	r := ask[*messages.ListReply](p, gatewayPath, &messages.List{Header: p.header(), Tenant: clientTenant, Prefix: "/lost+found/"})
	require.Nil(p.t, r.Error)
	for _, f := range r.Files {
		paths = append(paths, f.Path)
	}
	return paths
}

// mixed writes, replaces, renames and deletes, in all tiers; want is what is there then.
func (p *probe) mixed(rounds int) (want map[string]string) {
	p.t.Helper()
	want = make(map[string]string)
	for n := range rounds {
		for _, dir := range []string{"/models", "/vectors", "/cache"} {
			path := fmt.Sprintf("%s/%d", dir, n)
			require.Nil(p.t, p.put(path, "first of "+path, nil).Error)
			want[path] = "first of " + path
			switch n % 4 {
			case 1:
				require.Nil(p.t, p.put(path, "second of "+path, nil).Error)
				want[path] = "second of " + path
			case 2:
				p.move(path, path+"-renamed")
				want[path+"-renamed"], want[path] = want[path], ""
			case 3:
				p.remove(path)
				want[path] = ""
			}
		}
	}
	return want
}

func (p *probe) requireAll(want map[string]string) {
	p.t.Helper()
	for _, path := range slices.Sorted(maps.Keys(want)) {
		require.Equal(p.t, want[path], p.value(path), path)
	}
}

func TestStory_AllVotersLoseTheirLogsAndEveryFileIsThereAgain(t *testing.T) {
	for i, nodes := range []int{1, 3, 5} {
		t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
			p := newClusterProbe(t, 900+uint64(i), nodes)
			want := p.mixed(12)
			p.story.world.Run(2 * time.Second) // checkpoints, compaction and moves go on
			for path, value := range p.mixed(4) {
				want[path] = value
			}
			p.journaled()
			before := p.story.master().catalog.Cluster()
			p.story.loseTheLog(t, false)

			founder := p.story.hosts[nodes-1]
			plan, err := recovery.Recover(p.story.recoverOptions(founder, false))
			require.NoError(t, err)
			assert.Empty(t, plan.Fork, "nothing is done")
			report, err := recovery.Recover(p.story.recoverOptions(founder, true))
			require.NoError(t, err)
			assert.Equal(t, before.Generation+1, report.Generation)
			assert.Equal(t, before.ClusterId, string(report.ClusterID))
			assert.Empty(t, report.Found, "all of it was journaled")
			assert.Empty(t, report.NotFound)
			assert.Zero(t, report.Elsewhere, "%v", report.Missing)
			p.comeBack(founder)
			assert.Equal(t, report.Generation, p.story.master().catalog.Cluster().Generation)
			p.requireAll(want)
			assert.Empty(t, p.lostAndFound())

			// It is a cluster like any other: it takes writes, comes to its copies and voters,
			// and what it has now survives the next loss of power.
			require.Nil(t, p.put("/models/after", "after", nil).Error)
			want["/models/after"] = "after"
			p.story.calm = true
			require.True(t, p.story.checkAgreement(), "%v", p.story.bad)
			p.story.checkCopies()
			require.Empty(t, p.story.bad)
			if nodes > 1 {
				require.True(t, p.story.world.RunUntil(func() bool { return p.story.formed(nodes) }, time.Minute), "%s", p.story.state())
			}
			for _, h := range p.story.hosts {
				h.node.Crash(true)
			}
			p.story.powerCut = true
			require.True(t, p.story.world.RunUntil(p.story.serving, time.Minute), "%s", p.story.state())
			maps.DeleteFunc(want, func(path, _ string) bool { return strings.HasPrefix(path, "/cache/") }) // rebuildable
			p.requireAll(want)
		})
	}
}

func TestStory_WhatTheJournalHasNotSeenIsUnderLostAndFoundAndNothingComesBackToItsOldPath(t *testing.T) {
	found := 0
	for seed := range uint64(6) {
		p := newClusterProbe(t, 920+seed, 3)
		want := p.mixed(8)
		p.journaled()
		// From here on nothing is journaled: writes, and everything else, are lost.
		p.remove("/models/0")
		acked := make(map[string]uint64) // versions
		for n := range 5 {
			path := fmt.Sprintf("/models/late-%d", n)
			put := p.put(path, "late "+path, nil)
			require.Nil(t, put.Error)
			acked[path] = put.Row.Version
		}
		covered := p.archive().JournalIndex
		p.story.loseTheLog(t, seed%2 == 0)
		report, err := recovery.Recover(p.story.recoverOptions(p.story.hosts[seed%3], true))
		require.NoError(t, err)
		assert.GreaterOrEqual(t, report.JournalTo, covered, "what was said to be journaled is")
		p.comeBack(p.story.hosts[seed%3])
		delete(want, "/models/0") // whether its end was journaled in time
		if p.story.powerCut = seed%2 == 0; p.story.powerCut {
			maps.DeleteFunc(want, func(path, _ string) bool { return strings.HasPrefix(path, "/cache/") }) // rebuildable
		}
		p.requireAll(want)
		lost := p.lostAndFound()
		assert.Len(t, lost, len(report.Found))
		found += len(lost)
		for _, path := range slices.Sorted(maps.Keys(acked)) {
			if acked[path] <= report.JournalTo {
				assert.Equal(t, "late "+path, p.value(path))
				continue
			}
			require.Empty(t, p.value(path), "seed %d: %s came back to its old path", seed, path)
			at := slices.IndexFunc(lost, func(f string) bool {
				return strings.HasPrefix(f, fmt.Sprintf("/lost+found/%d%s~", report.Generation, path))
			})
			require.GreaterOrEqual(t, at, 0, "seed %d: %s was acknowledged: %v", seed, path, lost)
			assert.Equal(t, "late "+path, p.value(lost[at]))
		}
		for path := range want {
			if strings.HasSuffix(path, "-renamed") {
				assert.Empty(t, p.value(strings.TrimSuffix(path, "-renamed")), "seed %d: the rename holds", seed)
			}
		}
	}
	assert.Greater(t, found, 15, "the journal had not seen most of them")
}

func TestRecover_RefusesWhatAnotherWayMissesLessOf(t *testing.T) {
	p := newClusterProbe(t, 940, 3)
	require.Nil(t, p.put("/models/a", "a", nil).Error)
	p.journaled()
	for _, h := range p.story.hosts {
		h.turnOff(false)
	}
	opt := p.story.recoverOptions(p.story.hosts[0], true)
	_, err := recovery.Recover(opt)
	assert.Equal(t, model.CodeConflict, model.CodeOf(err))
	assert.ErrorContains(t, err, "3 of 3 voters, enough for a majority. Start these nodes")
	one := opt
	one.Dirs = opt.Dirs[1:2]
	_, err = recovery.Recover(one)
	assert.Equal(t, model.CodeConflict, model.CodeOf(err))
	assert.ErrorContains(t, err, "1 of 3 voters: too few")
	assert.ErrorContains(t, err, "`tiercel takeover --data-dir "+one.Dirs[0].Name)
	assert.ErrorContains(t, err, "gives up the other voters", "both ways miss something")
	opt.DiscardLog = true
	report, err := recovery.Recover(opt)
	require.NoError(t, err)
	assert.NotEmpty(t, report.Dirs[0].Aside, "the log is set aside, not deleted")
	names := strings.Join(p.story.hosts[0].node.FS().Names(), "\n")
	for _, want := range []string{"/node.yaml", "/reason.txt", "/log/", "/snapshots/"} {
		assert.Contains(t, names, report.Dirs[0].Aside+want)
	}
	p.comeBack(p.story.hosts[0])
	assert.Equal(t, "a", p.value("/models/a"))

	alone := newClusterProbe(t, 941, 1)
	alone.host.turnOff(false)
	alone.host.wipe(t, "log", "snapshots", "volumes")
	_, err = recovery.Recover(alone.story.recoverOptions(alone.host, true))
	assert.Equal(t, model.CodeNotFound, model.CodeOf(err))
	assert.ErrorContains(t, err, "--catalog")
}

// backup fetches a snapshot of the catalog, as `tiercel backup` does, into a disk of its own.
func (p *probe) backup() recovery.Dir {
	p.t.Helper()
	made := ask[*messages.PrepareBackupReply](p, gatewayPath, &messages.PrepareBackup{Header: p.header()})
	require.Nil(p.t, made.Error)
	disk := store.NewMemFS(1)
	f, err := disk.Create("backup")
	require.NoError(p.t, err)
	for offset := uint64(0); ; {
		piece := ask[*messages.FetchSnapshotReply](p, gatewayPath, &messages.FetchSnapshot{Header: p.header(), Index: made.Index, Offset: offset})
		require.Nil(p.t, piece.Error)
		_, err := f.WriteAt(piece.Data, int64(offset))
		require.NoError(p.t, err)
		if offset += uint64(len(piece.Data)); piece.Last {
			require.Equal(p.t, offset, piece.TotalBytes)
			require.NoError(p.t, f.Close())
			return recovery.Dir{Name: "backup", FS: disk}
		}
	}
}

func TestStory_ABackupFromBeforeMovesIsRestoredAndWhatItDoesNotKnowIsSetAside(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 950, Nodes: 5, Still: true})
	p.story.world.Run(25 * heartbeatInterval) // the lead has gone to the best candidate
	want := p.mixed(12)
	file := p.backup()
	applied := p.story.master().catalog.Applied()

	// Copies move away from a worker, and files come that the backup does not know.
	volumes := p.story.master().catalog.Volumes()
	at := slices.IndexFunc(volumes, func(v *messages.VolumeRow) bool {
		return v.State == messages.VolumeState_OPEN && v.LiveBytes > 0 && v.Members[0].Node != string(p.story.master().name)
	})
	require.GreaterOrEqual(t, at, 0)
	victim := p.story.hostOf(volumes[at].Members[0].Node)
	p.host = p.story.hosts[0]
	require.Nil(t, ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: string(victim.name)}).Error)
	require.True(t, p.story.world.RunUntil(func() bool {
		for _, v := range p.story.master().catalog.Volumes() {
			for _, m := range v.Members {
				if m.Node == string(victim.name) {
					return false
				}
			}
		}
		return true
	}, 2*time.Minute))
	for n := range 20 {
		require.Nil(t, p.put(fmt.Sprintf("/models/late-%d", n), "late", nil).Error)
		require.Nil(t, p.put(fmt.Sprintf("/cache/late-%d", n), "late", nil).Error)
	}
	p.story.world.Run(5 * time.Second)
	late := p.story.master().catalog.Volumes()
	late = slices.DeleteFunc(late, func(v *messages.VolumeRow) bool { return v.CreatedAt <= applied || v.LiveBytes == 0 })
	require.NotEmpty(t, late, "volumes that the backup does not know")
	for _, h := range p.story.hosts {
		h.turnOff(false)
	}
	p.story.watch = newWatched()

	disk := store.NewMemFS(77)
	opt := recovery.Options{Dirs: []recovery.Dir{{Name: "fresh", FS: disk}}, Backup: file, Random: randomReader{p.story.random}, Now: p.story.world.Now()}
	report, err := recovery.Restore(opt)
	require.NoError(t, err)
	assert.Equal(t, uint64(2), report.Generation)
	_, err = recovery.Restore(opt)
	assert.Equal(t, model.CodeConflict, model.CodeOf(err), "it is not empty any more")
	workers := p.story.recoverOptions(p.story.hosts[0], true)
	workers.DiscardLog = true
	_, err = recovery.AsWorker(workers)
	require.NoError(t, err)
	founder := p.story.addHostWith(disk)
	p.host = founder
	p.waitReady()
	for _, h := range p.story.hosts[:5] {
		h.turnOn()
	}
	require.True(t, p.story.world.RunUntil(p.story.serving, time.Minute), "%s", p.story.state())
	// Copies that were moved since are found where they are.
	for range 120 {
		if len(p.story.unfound()) == 0 {
			break
		}
		p.story.world.Run(time.Second)
	}
	require.Empty(t, p.story.unfound())
	p.requireAll(want)
	assert.Empty(t, p.value("/models/late-1"), "the backup does not know it")
	for _, v := range late {
		for _, m := range v.Members {
			names := strings.Join(p.story.hostOf(m.Node).node.FS().Names(), "\n")
			assert.Contains(t, names, fmt.Sprintf("quarantine/volume-%s.", model.VolumeID(v.Id)), "volume %d on %s is set aside, not deleted", v.Id, m.Node)
		}
	}
	require.Nil(t, p.put("/models/after", "after", nil).Error)
	assert.Equal(t, "after", p.value("/models/after"))
}

// unverified lists volumes with content of which no copy is known to be whole.
// unfound are the volumes in use of which the catalog knows no whole copy that is there.
func (s *story) unfound() (out []*messages.VolumeRow) {
	for _, v := range s.master().catalog.Volumes() {
		there := slices.ContainsFunc(v.Members, func(m *messages.VolumeMember) bool {
			h := s.hostOf(m.Node)
			return m.Verified && !m.Damaged && h != nil && slices.ContainsFunc(h.node.FS().Names(), func(name string) bool {
				return name == fmt.Sprintf("volumes/t%d/%s.vol", v.Tier, model.VolumeID(v.Id))
			})
		})
		if v.LiveBytes > 0 && !there {
			out = append(out, v)
		}
	}
	return out
}

func (s *story) unverified() (out []*messages.VolumeRow) {
	for _, v := range s.master().catalog.Volumes() {
		whole := slices.ContainsFunc(v.Members, func(m *messages.VolumeMember) bool { return m.Verified && !m.Damaged })
		if v.LiveBytes > 0 && !whole {
			out = append(out, v)
		}
	}
	return out
}
