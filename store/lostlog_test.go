package store

import (
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

// lived makes the directory of a node that has lived: with a log that goes on from a
// snapshot, and a volume. change is for node.yaml.
func lived(t *testing.T, fsys FS, change func(*NodeFile)) {
	t.Helper()
	d, err := openDataDir(fsys)
	require.NoError(t, err)
	require.NoError(t, takeSnapshot(fsys, 7))
	wal, _, err := OpenWAL(fsys, WALOptions{})
	require.NoError(t, err)
	require.NoError(t, wal.Reset(7, 1))
	require.NoError(t, wal.Append(&HardState{Term: 1, Commit: 8}, []LogEntry{{Index: 8, Term: 1, Data: []byte("x")}}, true))
	require.NoError(t, wal.Close())
	require.NoError(t, replaceFile(fsys, "volumes/t1/4.vol", []byte("content")))
	require.NoError(t, d.UpdateNode(change))
	require.NoError(t, d.Close())
}

// empty removes every file of a directory, and gone the directory too.
func empty(t *testing.T, fsys FS, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		names, err := fsys.List(dir)
		require.NoError(t, err)
		for _, name := range names {
			require.NoError(t, fsys.Remove(path.Join(dir, name)))
		}
	}
}

func gone(t *testing.T, fsys FS, dirs ...string) {
	t.Helper()
	empty(t, fsys, dirs...)
	for _, dir := range dirs {
		require.NoError(t, fsys.Remove(dir))
	}
}

// tree is every name below dir, and what the files hold.
func tree(t *testing.T, fsys FS, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	names, err := fsys.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		full := path.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			all[full+"/"] = ""
			for below, data := range tree(t, fsys, full) {
				all[below] = data
			}
			continue
		}
		data, err := readFile(fsys, full, 1<<20)
		require.NoError(t, err)
		all[full] = string(data)
	}
	return all
}

func TestOpenToStart_ALostLogIsRefusedEveryTimeAndTheDirectoryStaysAsItIs(t *testing.T) {
	held := func(n *NodeFile) { n.HeldLog = true }
	joined := func(n *NodeFile) { n.HeldLog, n.Joined = true, true }
	before := func(*NodeFile) {} // a founder from before it was written down that it holds the log
	for _, c := range []struct {
		name   string
		change func(*NodeFile)
		lose   func(t *testing.T, fsys FS)
		says   string
	}{
		{"the segments", held, func(t *testing.T, fsys FS) { empty(t, fsys, "log") }, "log/ is empty"},
		{"the segments of one that joined", joined, func(t *testing.T, fsys FS) { empty(t, fsys, "log") }, "log/ is empty"},
		{"the directory of the log", held, func(t *testing.T, fsys FS) { gone(t, fsys, "log") }, "log/ is empty"},
		{"the snapshots", held, func(t *testing.T, fsys FS) { empty(t, fsys, "snapshots") }, "snapshots/ is empty"},
		{"the snapshots of one that joined", joined, func(t *testing.T, fsys FS) { empty(t, fsys, "snapshots") }, "snapshots/ is empty"},
		{"the directory of the snapshots", joined, func(t *testing.T, fsys FS) { gone(t, fsys, "snapshots") }, "snapshots/ is empty"},
		{"both", held, func(t *testing.T, fsys FS) { gone(t, fsys, "log", "snapshots") }, "log/ is empty"},
		{"both, of one that joined", joined, func(t *testing.T, fsys FS) { gone(t, fsys, "log", "snapshots") }, "log/ is empty"},
		{"the log, and an empty one was begun", held, func(t *testing.T, fsys FS) {
			gone(t, fsys, "log", "snapshots")
			wal, _, err := OpenWAL(fsys, WALOptions{})
			require.NoError(t, err)
			require.NoError(t, wal.Close())
			require.NoError(t, fsys.MkdirAll("snapshots"))
			require.NoError(t, takeSnapshot(fsys, FirstIndex))
		}, "log/ is empty"},
		{"the log of a founder", before, func(t *testing.T, fsys FS) { empty(t, fsys, "log") }, "snapshots/ has more"},
		{"the snapshots of a founder", before, func(t *testing.T, fsys FS) { empty(t, fsys, "snapshots") }, "snapshots/ is empty but log/ is not"},
		{"both, of a founder", before, func(t *testing.T, fsys FS) { empty(t, fsys, "snapshots", "log") }, "snapshots/ is empty but volumes/t1/ is not"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, fsys FS) {
				lived(t, fsys, c.change)
				c.lose(t, fsys)
				want := tree(t, fsys, ".")
				for range 2 {
					_, err := OpenToStart(fsys, strings.NewReader(someRandom), true)
					assertCode(t, model.CodeCorrupt, err, c.says, "restore", "tiercel recover")
					assert.Equal(t, want, tree(t, fsys, "."), "a refused start changes nothing")
				}
				// Who repairs it may open it.
				d, err := openDataDir(fsys)
				require.NoError(t, err)
				require.NoError(t, d.Close())
				what, err := LostLog(fsys, d.Identity())
				require.NoError(t, err)
				assert.Contains(t, what, c.says, "and finds the same")
			})
		})
	}
}

func TestOpenToStart_WhatIsNotLostStarts(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, fsys FS)
	}{
		{"nothing yet", func(*testing.T, FS) {}},
		{"a voter", func(t *testing.T, fsys FS) { lived(t, fsys, func(n *NodeFile) { n.HeldLog = true }) }},
		{"a worker that never held the log", func(t *testing.T, fsys FS) {
			lived(t, fsys, func(n *NodeFile) { n.Joined = true })
			empty(t, fsys, "log", "snapshots")
		}},
		{"a newcomer that was to install its first snapshot", func(t *testing.T, fsys FS) {
			lived(t, fsys, func(n *NodeFile) { n.Joined = true })
			empty(t, fsys, "log")
		}},
		{"a founder that has its first snapshot and no log yet", func(t *testing.T, fsys FS) {
			d, err := openDataDir(fsys)
			require.NoError(t, err)
			require.NoError(t, d.Close())
			require.NoError(t, takeSnapshot(fsys, FirstIndex))
		}},
		{"a voter whose data is to be set aside", func(t *testing.T, fsys FS) {
			lived(t, fsys, func(n *NodeFile) { n.HeldLog, n.SupersededBy = true, 9 })
			gone(t, fsys, "log", "snapshots")
			require.NoError(t, fsys.MkdirAll("log"))
			require.NoError(t, fsys.MkdirAll("snapshots"))
		}},
		{"a log that is damaged: it is not lost, and whoever reads it says so", func(t *testing.T, fsys FS) {
			lived(t, fsys, func(n *NodeFile) { n.HeldLog = true })
			names, err := fsys.List("log")
			require.NoError(t, err)
			flipBit(t, fsys, path.Join("log", names[0]), 3)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, fsys FS) {
				c.make(t, fsys)
				d, err := OpenToStart(fsys, strings.NewReader(someRandom+someRandom), true)
				require.NoError(t, err)
				require.NoError(t, d.Close())
			})
		})
	}
}

func TestOpenWAL_ReadOnlyReadsEverythingAndChangesNothing(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		wal, rec, err := OpenWAL(fsys, WALOptions{ReadOnly: true})
		require.NoError(t, err, "there is no log/ at all")
		assert.Zero(t, rec.Last)
		require.NoError(t, wal.Close())
		names, err := fsys.List(".")
		require.NoError(t, err)
		assert.Empty(t, names)

		wal, _, err = OpenWAL(fsys, WALOptions{SegmentBytes: 100})
		require.NoError(t, err)
		require.NoError(t, wal.Reset(3, 1))
		for n := range uint64(20) {
			require.NoError(t, wal.Append(&HardState{Term: 1, Commit: n}, []LogEntry{{Index: 4 + n, Term: 1, Data: body(int(n), 50)}}, true))
		}
		require.NoError(t, wal.Close())
		names, err = fsys.List("log")
		require.NoError(t, err)
		require.Greater(t, len(names), 3)
		// An append that was cut off: a start would drop it, and write the segment anew.
		last := path.Join("log", names[len(names)-1])
		cutFile(t, fsys, last, 3)
		want := tree(t, fsys, ".")
		wal, rec, err = OpenWAL(fsys, WALOptions{ReadOnly: true})
		require.NoError(t, err)
		assert.EqualValues(t, 22, rec.Last)
		assert.Positive(t, rec.Torn)
		entries, err := wal.Entries(4, 23, 0)
		require.NoError(t, err)
		assert.Len(t, entries, 19)
		assertCode(t, model.CodeInternal, wal.Append(nil, []LogEntry{{Index: 23, Term: 1}}, true), "read only")
		require.NoError(t, wal.Close())
		assert.Equal(t, want, tree(t, fsys, "."))
	})
}

func TestLostLog_TheFirstAdviceKeepsTheVolumesAndNoneIsToMoveTheLogAway(t *testing.T) {
	damaged := damagedLog("log/1.wal", 4, errors.New("a checksum"))
	for _, help := range []string{LostLogHelp, DamagedLogHelp, damaged.Error()} {
		keeps, empty := strings.Index(help, "tiercel recover --worker"), strings.Index(help, "empty data directory")
		require.Positive(t, keeps, help)
		assert.Greater(t, empty, keeps, "an empty directory is the second way: %s", help)
		assert.NotContains(t, help, "quarantine/")
		assert.NotContains(t, help, "from a backup")
	}
}
