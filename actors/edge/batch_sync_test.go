package edge_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/store"
)

// countingFS counts the syncs of volumes and of the log.
type countingFS struct {
	store.FS
	volumes, log atomic.Int64
}

type countedFile struct {
	store.File
	count *atomic.Int64
}

func (f countedFile) Sync() error {
	f.count.Add(1)
	return f.File.Sync()
}

func (c *countingFS) counted(name string, f store.File, err error) (store.File, error) {
	switch {
	case err != nil:
	case strings.HasSuffix(name, ".vol"):
		return countedFile{f, &c.volumes}, nil
	case strings.HasPrefix(name, "log/"):
		return countedFile{f, &c.log}, nil
	}
	return f, err
}

func (c *countingFS) Create(name string) (store.File, error) {
	f, err := c.FS.Create(name)
	return c.counted(name, f, err)
}

func (c *countingFS) Open(name string) (store.File, error) {
	f, err := c.FS.Open(name)
	return c.counted(name, f, err)
}

func TestPutBatch_CostsOneGroupCommitHoweverManyItems(t *testing.T) {
	c := &countingFS{}
	n, _ := startOn(t, t.TempDir(), 0, func(fs store.FS) store.FS { c.FS = fs; return c })
	var entries []entry
	for i := range 1000 {
		entries = append(entries, entry{path: fmt.Sprintf("/models/one/%d", i), body: content(4096)})
	}
	_, err := n.batch(t, entries[:1]...) // the volume, the session and the licence are there
	require.NoError(t, err)
	// What the node does by itself (a report, the journal), and a disk so slow that the
	// batch goes elsewhere, may add syncs to those of one batch, not to those of each.
	inVolumes, ofVolumes, ofLog := 1000, int64(1000), int64(1000)
	for range 5 {
		volumes, log := c.volumes.Load(), c.log.Load()
		answers, err := n.batch(t, entries...)
		require.NoError(t, err)
		require.Len(t, answers, 1000)
		ids := map[uint64]bool{}
		for _, a := range answers {
			require.NoError(t, a.err)
			ids[a.reply.Volumes[0].Id] = true
		}
		inVolumes = min(inVolumes, len(ids))
		ofVolumes, ofLog = min(ofVolumes, c.volumes.Load()-volumes), min(ofLog, c.log.Load()-log)
	}
	assert.Equal(t, 1, inVolumes, "all in one volume")
	assert.Equal(t, int64(1), ofVolumes, "one sync of the volume")
	assert.Less(t, ofLog, int64(5), "one sync of the log")
}
