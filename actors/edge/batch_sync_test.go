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
	volumes, log := c.volumes.Load(), c.log.Load()
	answers, err := n.batch(t, entries...)
	require.NoError(t, err)
	require.Len(t, answers, 1000)
	ids := map[uint64]bool{}
	for _, a := range answers {
		require.NoError(t, a.err)
		ids[a.reply.Volumes[0].Id] = true
	}
	assert.Len(t, ids, 1, "all in one volume")
	assert.Equal(t, int64(1), c.volumes.Load()-volumes, "one sync of the volume")
	// What the node does by itself (a report, the journal) may add to the log's.
	assert.Less(t, c.log.Load()-log, int64(5), "one sync of the log")
}
