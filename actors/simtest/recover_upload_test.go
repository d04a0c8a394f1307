package simtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/recovery"
	"tiercel/messages"
	"tiercel/store"
)

// inParts begins an upload of five parts, of which so many are sent.
func (p *probe) inParts(path string, sent uint64) (file *messages.FileAttributes, whole []byte, id uint64) {
	p.t.Helper()
	const parts, bytes = 5, 2000
	whole = blob("value of "+path, parts*bytes)
	p.story.values.add("value of "+path, whole)
	file = &messages.FileAttributes{Tenant: clientTenant, Path: path, SizeBytes: parts * bytes, Crc32C: crcOf(whole)}
	r := ask[*messages.OpenUploadReply](p, gatewayPath, &messages.OpenUpload{Header: p.header(), File: file})
	require.Nil(p.t, r.Error)
	for n := range sent {
		p.part(r.Upload, n, whole[n*bytes:(n+1)*bytes])
	}
	return file, whole, r.Upload
}

func TestStory_ALargeFileWhoseCommitTheJournalHasNotSeenIsUnderLostAndFound(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 1100, Nodes: 3, ArchiveEvery: 2 * time.Second})
	file, _, id := p.inParts("/models/staged", 5)
	p.journaled()
	// Its commit, and all of another one, come after the journal's end.
	require.Nil(t, ask[*messages.PutReply](p, gatewayPath, &messages.FinishUpload{Header: p.header(), Upload: id, File: file}).Error)
	file, whole, id := p.inParts("/models/late", 5)
	require.Nil(t, ask[*messages.PutReply](p, gatewayPath, &messages.FinishUpload{Header: p.header(), Upload: id, File: file}).Error)
	p.story.loseTheLog(t, false)
	report, err := recovery.Recover(p.story.recoverOptions(p.story.hosts[1], true))
	require.NoError(t, err)
	require.Empty(t, report.NotFound)
	p.comeBack(p.story.hosts[1])
	assert.Empty(t, p.value("/models/staged"))
	assert.Empty(t, p.value("/models/late"))
	staged, parts := "", 0
	for _, path := range p.lostAndFound() {
		switch {
		case strings.HasPrefix(path, fmt.Sprintf("/lost+found/%d/models/staged~", report.Generation)):
			staged = path
		case strings.HasPrefix(path, fmt.Sprintf("/lost+found/%d/models/late~", report.Generation)):
			parts++
			r := ask[*messages.StatReply](p, gatewayPath, &messages.Stat{Header: p.header(), Tenant: clientTenant, Path: path})
			require.Nil(t, r.Error)
			n := 0
			if i := strings.Index(path, ".part-"); i > 0 {
				_, err := fmt.Sscanf(path[i:], ".part-%d", &n)
				require.NoError(t, err)
			}
			assert.Equal(t, crcOf(whole[n*2000:(n+1)*2000]), r.Row.Crc32C, "part %d is what was sent", n)
			assert.Equal(t, "/models/late", r.Row.Meta["original-path"])
		}
	}
	require.NotEmpty(t, staged, "%v", p.lostAndFound())
	assert.Equal(t, "value of /models/staged", p.value(staged), "whole, as one file")
	assert.Equal(t, 5, parts, "piece by piece")
}

func TestStory_AVolumeThatWasReopenedAfterTheRecoveredStateGoesOn(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 1110, Nodes: 1, ArchiveEvery: 20 * time.Second})
	require.Nil(t, p.put("/models/a", "a", nil).Error)
	p.journaled()
	// A restart raises the generation of every open volume; the journal does not hear of it.
	p.host.node.Crash(false)
	p.waitReady()
	require.Nil(t, p.put("/models/b", "b", nil).Error)
	p.story.loseTheLog(t, false)
	report, err := recovery.Recover(p.story.recoverOptions(p.host, true))
	require.NoError(t, err)
	require.Len(t, report.Found, 1, "%v %v", report.Found, report.NotFound)
	p.comeBack(p.host)
	assert.Equal(t, "a", p.value("/models/a"))
	assert.Equal(t, "b", p.value(report.Found[0].Path))
	require.Nil(t, p.put("/models/c", "c", nil).Error)
	require.True(t, p.story.world.RunUntil(func() bool { return len(p.story.unverified()) == 0 }, 2*time.Minute), "%v", p.story.unverified())
	assert.Empty(t, p.story.bad)
}

func TestStory_ABackupOfASingleNodeIsOlderThanItsRestarts(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 1120, Nodes: 1})
	want := p.mixed(8)
	file, made := p.backup(), p.story.master().catalog.Applied()
	for range 3 {
		p.host.node.Crash(false)
		p.waitReady()
		require.Nil(t, p.put("/models/later", "later", nil).Error)
	}
	old := p.host
	old.turnOff(false)
	p.story.watch = newWatched()
	disk := store.NewMemFS(78)
	_, err := recovery.Restore(recovery.Options{Dirs: []recovery.Dir{{Name: "fresh", FS: disk}}, Backup: file, Random: randomReader{p.story.random}, Now: p.story.world.Now()})
	require.NoError(t, err)
	opt := p.story.recoverOptions(old, true)
	opt.DiscardLog = true
	_, err = recovery.AsWorker(opt)
	require.NoError(t, err)
	p.story.params.Nodes = 2 // from now on they look for each other
	p.host = p.story.addHostWith(disk)
	p.waitReady()
	old.turnOn()
	require.True(t, p.story.world.RunUntil(p.story.serving, time.Minute), "%s", p.story.state())
	sealed := func() bool { // those of the life before
		return !slices.ContainsFunc(p.story.master().catalog.Volumes(), func(v *messages.VolumeRow) bool {
			return v.CreatedAt < made && v.LiveBytes > 0 && v.State == messages.VolumeState_OPEN
		})
	}
	require.True(t, p.story.world.RunUntil(func() bool { return sealed() && len(p.story.unverified()) == 0 }, 2*time.Minute), "%v", p.story.unverified())
	p.requireAll(want)
	assert.Empty(t, p.value("/models/later"))
}
