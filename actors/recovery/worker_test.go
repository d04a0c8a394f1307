package recovery

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/store"
)

// entropy is enough for some ids.
func entropy(seed byte) *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{seed, 3, 9}, 200)) }

func TestAsWorker_SaysWhatHappenedAndThatAClusterThatGoesOnTakesItIn(t *testing.T) {
	fs := store.NewMemFS(1)
	dir, err := store.OpenDataDir(fs, entropy(7), false)
	require.NoError(t, err)
	require.NoError(t, dir.UpdateNode(func(n *store.NodeFile) { n.ClusterID, n.Generation, n.HeldLog = "c-0123456789abcdef", 1, true }))
	old := dir.Identity()
	f, err := fs.Create("log/0001.wal") // of a log that is damaged
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, dir.Close())
	report, err := AsWorker(Options{Dirs: []Dir{{Name: "/srv/a", FS: fs}}, Random: entropy(8), Apply: true})
	require.NoError(t, err)
	require.Len(t, report.Notes, 1)
	assert.Contains(t, report.Notes[0], "A cluster that goes on as it was takes it in, too, with its volumes")
	reason, err := fs.OpenReadOnly(report.Dirs[0].Aside + "/reason.txt")
	require.NoError(t, err)
	size, err := reason.Size()
	require.NoError(t, err)
	text := make([]byte, size)
	_, err = reason.ReadAt(text, 0)
	require.NoError(t, err)
	assert.Contains(t, string(text), "was made a worker by `tiercel recover --worker`, under a new Raft id")
	assert.NotContains(t, string(text), "was recovered at generation", "nobody has recovered a catalog")
	again, err := store.OpenDataDir(fs, entropy(9), true)
	require.NoError(t, err)
	assert.NotEqual(t, old.RaftID, again.Identity().RaftID)
	assert.Equal(t, old.NodeID, again.Identity().NodeID)
	require.NoError(t, again.Close())
}
