package store

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// superseded is the data directory of a node whose cluster was taken over without it.
func superseded(fsys FS) (NodeFile, error) {
	d, err := openDataDir(fsys)
	if err != nil {
		return NodeFile{}, err
	}
	for _, name := range superseding {
		if err := replaceFile(fsys, name, []byte("content of "+name)); err != nil {
			return NodeFile{}, err
		}
	}
	if err := d.UpdateNode(func(n *NodeFile) { n.SupersededBy, n.Peers = 7, []string{"127.0.0.1:1"} }); err != nil {
		return NodeFile{}, err
	}
	return d.Identity(), d.Close()
}

var superseding = []string{"log/1.wal", "snapshots/9.snap", "volumes/t1/4.vol", "volumes/t1/4.meta", "volumes/t3/5.vol"}

func (n NodeFile) asideDir() string { return fmt.Sprintf("quarantine/superseded-7-%016x", n.RaftID) }

func TestSetAside_KeepsEverythingAndMakesANewNode(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		old, err := superseded(fsys)
		require.NoError(t, err)
		same, err := openDataDir(fsys)
		require.NoError(t, err)
		assert.Equal(t, old.NodeID, same.node.NodeID, "without --join nothing is touched")
		require.NoError(t, same.Close())

		d, err := OpenDataDir(fsys, strings.NewReader(someRandom[30:]), true)
		require.NoError(t, err)
		assert.NotEqual(t, old.NodeID, d.node.NodeID)
		assert.NotEqual(t, old.RaftID, d.node.RaftID, "it may not vote as who it was")
		assert.True(t, d.node.Joined)
		assert.Empty(t, d.node.ClusterID)
		assert.Equal(t, old.Peers, d.node.Peers)
		for _, name := range superseding {
			data, err := readFile(fsys, path.Join(old.asideDir(), name), 1<<10)
			require.NoError(t, err)
			assert.Equal(t, "content of "+name, string(data))
			_, err = fsys.Stat(name)
			assert.Error(t, err)
		}
		data, err := readFile(fsys, old.asideDir()+"/node.yaml", 1<<10)
		require.NoError(t, err)
		was, err := decodeNodeFile(data)
		require.NoError(t, err)
		assert.Equal(t, old.NodeID, was.NodeID)
		aside := d.SetAside()
		require.NotNil(t, aside)
		assert.Equal(t, Aside{Dir: old.asideDir(), Node: old.NodeID, Superseded: 7, Volumes: 2, Bytes: 2 * int64(len("content of volumes/t1/4.vol"))}, *aside)
		require.NoError(t, d.Close())
		again, err := OpenDataDir(fsys, strings.NewReader(someRandom[30:]), true)
		require.NoError(t, err)
		assert.Nil(t, again.SetAside(), "it is told once")
		require.NoError(t, again.Close())
	})
}

func TestSetAside_SurvivesACrashAnywhere(t *testing.T) {
	ready := NewMemFS(1)
	old, err := superseded(ready)
	require.NoError(t, err)
	joins := func(fsys *MemFS) (*DataDir, error) {
		return OpenDataDir(fsys, strings.NewReader(someRandom[30:]), true)
	}
	crashSuite{
		seeds: 12,
		scenario: func(fsys *MemFS) any {
			if _, err := superseded(fsys); err != nil {
				return false
			}
			d, err := joins(fsys)
			if err == nil {
				_ = d.Close()
			}
			return true
		},
		recover: func(fsys *MemFS) { _, _ = joins(fsys) },
		check: func(t *testing.T, fsys *MemFS, began any) {
			d, err := joins(fsys)
			require.NoError(t, err)
			if !began.(bool) {
				return // it ended before anything was to be set aside
			}
			require.Empty(t, d.node.ClusterID)
			for _, name := range superseding {
				here, herr := readFile(fsys, name, 1<<10)
				aside, aerr := readFile(fsys, path.Join(old.asideDir(), name), 1<<10)
				require.True(t, herr == nil || aerr == nil, "%s is nowhere", name)
				require.Equal(t, "content of "+name, string(here)+string(aside))
				require.Error(t, herr, "a new node begins without %s", name)
			}
		},
	}.run(t)
}
