package simtest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/recovery"
	rules "tiercel/cluster/catalog"
	"tiercel/store"
)

// founded reads what a start of the founder would find.
func founded(t *testing.T, fs store.FS) (cat *rules.Catalog, meta store.SnapshotMeta) {
	t.Helper()
	indexes, err := store.ListSnapshots(fs)
	require.NoError(t, err)
	require.NotEmpty(t, indexes)
	ix := store.NewIndex()
	meta, err = store.LoadSnapshot(fs, indexes[len(indexes)-1], func(pairs []store.Pair) error {
		store.Load(ix, pairs)
		return nil
	})
	require.NoError(t, err)
	return rules.New(ix), meta
}

func TestRecover_CutOffAnywhereItIsSimplyDoneAgain(t *testing.T) {
	p := newClusterProbe(t, 996, 3)
	want := p.mixed(8)
	p.journaled()
	p.story.loseTheLog(t, false)
	files := int64(0)
	for _, value := range want {
		if value != "" {
			files++
		}
	}
	opt := p.story.recoverOptions(p.story.hosts[0], true)
	opt.DiscardLog = true // the one that the try before has made
	disk, cuts := p.story.hosts[0].node.FS(), 0
	for n := 1; ; n += 5 {
		opt.Dirs[0].FS = disk
		disk.CrashAfter(n, nil)
		_, err := recovery.Recover(opt)
		disk.CrashAfter(0, nil)
		if err == nil {
			break
		}
		cuts++
		disk = disk.Crash(p.story.random, n%2 == 0)
		opt.Dirs[0].FS = disk
		report, err := recovery.Recover(opt)
		require.NoError(t, err, "cut off at operation %d", n)
		assert.Equal(t, files, report.Files, "cut off at operation %d", n)

		cat, meta := founded(t, disk)
		assert.Empty(t, cat.Verify())
		assert.Equal(t, files, cat.Totals().Files)
		dir, err := store.OpenDataDir(disk, randomReader{p.story.random}, false)
		require.NoError(t, err)
		id := dir.Identity()
		assert.Equal(t, cat.Cluster().Generation, id.Generation)
		assert.Equal(t, cat.Cluster().Fork, id.Fork)
		conf := &raftpb.ConfState{}
		require.NoError(t, proto.Unmarshal(meta.Conf, conf))
		assert.Equal(t, []uint64{id.RaftID}, conf.Voters)
		wal, rec, err := store.OpenWAL(disk, store.WALOptions{})
		require.NoError(t, err)
		assert.Equal(t, meta.Index, rec.Last)
		assert.Equal(t, meta.Index, rec.State.Commit)
		require.NoError(t, wal.Close())
		require.NoError(t, dir.Close())
	}
	assert.Greater(t, cuts, 8)
}
