package store

import (
	"bytes"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

var someRandom = strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz", 4)

func openDataDir(fsys FS) (*DataDir, error) {
	return OpenDataDir(fsys, strings.NewReader(someRandom), false)
}

func TestDataDir_IsLaidOutAsTheContractSays(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		d, err := openDataDir(fsys)
		require.NoError(t, err)
		names, err := fsys.List(".")
		require.NoError(t, err)
		assert.Equal(t, []string{"LOCK", "VERSION", "log/", "node.yaml", "quarantine/", "snapshots/", "tmp/", "volumes/"}, names)
		names, err = fsys.List("volumes")
		require.NoError(t, err)
		assert.Equal(t, []string{"t1/", "t2/", "t3/"}, names)
		assert.Regexp(t, "^n-[0-9a-f]{16}$", d.node.NodeID)
		assert.Regexp(t, "^c-[0-9a-f]{16}$", d.node.ClusterID)
		assert.EqualValues(t, 1, d.node.Incarnation)
		assert.EqualValues(t, 1, d.node.Generation)
		assert.Positive(t, d.node.RaftID)
		require.NoError(t, d.Close())
	})
}

func TestDataDir_RemembersWhoItIs(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		d, err := openDataDir(fsys)
		require.NoError(t, err)
		require.NoError(t, d.UpdateNode(func(n *NodeFile) {
			n.HighestEpoch = model.Epoch{Generation: 3, Term: 1 << 63}
			n.ClusterID = "c-00000000000000ff"
		}))
		want := d.node
		put(t, fsys, "tmp/leftover", "x")
		require.NoError(t, d.Close())
		require.NoError(t, d.Close(), "closing again does nothing")

		d, err = OpenDataDir(fsys, strings.NewReader(""), false) // no random numbers are needed
		require.NoError(t, err)
		want.Incarnation = 2
		assert.Equal(t, want, d.node)
		names, err := fsys.List("tmp")
		require.NoError(t, err)
		assert.Empty(t, names)
		require.NoError(t, d.Close())
	})
}

func TestDataDir_RefusesWhatItCannotTrust(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(t *testing.T, fsys FS)
		code  model.Code
		says  []string
	}{
		{"another version", func(t *testing.T, fsys FS) {
			require.NoError(t, replaceFile(fsys, "VERSION", []byte("9\n")))
		}, model.CodeInvalidArgument, []string{"VERSION", "9"}},
		{"an endless version", func(t *testing.T, fsys FS) {
			require.NoError(t, replaceFile(fsys, "VERSION", make([]byte, 1000)))
		}, model.CodeInvalidArgument, []string{"VERSION"}},
		{"no version beside data", func(t *testing.T, fsys FS) {
			require.NoError(t, fsys.Remove("VERSION"))
		}, model.CodeCorrupt, []string{"VERSION is missing", "log/"}},
		{"another process", func(t *testing.T, fsys FS) {
			_, err := fsys.Lock("LOCK")
			require.NoError(t, err)
		}, model.CodeUnavailable, []string{"LOCK", "another process"}},
		{"a node.yaml with a flipped bit", func(t *testing.T, fsys FS) {
			at := strings.Index(content(t, fsys, "node.yaml"), "raft_id: ") + 10
			flipBit(t, fsys, "node.yaml", int64(at))
		}, model.CodeCorrupt, []string{"node.yaml", "restore"}},
		{"a node.yaml that is cut off", func(t *testing.T, fsys FS) {
			cutFile(t, fsys, "node.yaml", 30)
		}, model.CodeCorrupt, []string{"node.yaml"}},
		{"a node.yaml without end", func(t *testing.T, fsys FS) {
			require.NoError(t, replaceFile(fsys, "node.yaml", make([]byte, maxNodeFile+1)))
		}, model.CodeCorrupt, []string{"node.yaml"}},
		{"no node.yaml beside data", func(t *testing.T, fsys FS) {
			require.NoError(t, fsys.Remove("node.yaml"))
			put(t, fsys, "volumes/t2/1.vol", "x")
		}, model.CodeCorrupt, []string{"node.yaml is missing", "volumes/t2/1.vol"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, fsys FS) {
				d, err := openDataDir(fsys)
				require.NoError(t, err)
				require.NoError(t, d.Close())
				c.spoil(t, fsys)
				before := content(t, fsys, "LOCK")
				_, err = openDataDir(fsys)
				assertCode(t, c.code, err, c.says...)
				assert.Equal(t, before, content(t, fsys, "LOCK"))
			})
		})
	}
}

func TestDataDir_ADirectoryOfSomebodyElseIsRefusedAndNothingInItIsTouched(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		says  []string // nil: it is taken
	}{
		{"nothing", nil, nil},
		{"the root of a new file system", []string{"lost+found/"}, nil},
		{"a first start that was cut short", []string{"LOCK", "tmp/VERSION"}, nil},
		{"a file", []string{"notes.txt"}, []string{"notes.txt", "--data-dir"}},
		{"somebody's tmp", []string{"tmp/thesis.txt"}, []string{"tmp/thesis.txt", "nothing was changed"}},
		{"a directory below tmp", []string{"tmp/work/"}, []string{"tmp/work"}},
		{"a root directory", []string{"bin/", "boot/", "dev/", "etc/", "home/", "lib/", "tmp/x"}, []string{"bin/, boot/, dev/, etc/, home/ and 2 more"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, fsys FS) {
				for _, name := range c.files {
					if strings.HasSuffix(name, "/") {
						require.NoError(t, fsys.MkdirAll(strings.TrimSuffix(name, "/")))
						continue
					}
					require.NoError(t, fsys.MkdirAll(path.Dir(name)))
					put(t, fsys, name, "precious")
				}
				isNew, newErr := IsNew(fsys)
				before, err := fsys.List(".")
				require.NoError(t, err)
				d, err := openDataDir(fsys)
				if c.says == nil {
					require.NoError(t, err)
					require.NoError(t, newErr)
					assert.True(t, isNew)
					require.NoError(t, d.Close())
					return
				}
				assertCode(t, model.CodeConflict, err, c.says...)
				assertCode(t, model.CodeConflict, newErr, c.says...)
				after, err := fsys.List(".")
				require.NoError(t, err)
				assert.Equal(t, before, after)
				for _, name := range c.files {
					if !strings.HasSuffix(name, "/") {
						assert.Equal(t, "precious", content(t, fsys, name))
					}
				}
			})
		})
	}
}

func TestDataDir_SaysThatItCannotBeWritten(t *testing.T) {
	for _, c := range []struct {
		rule FaultRule
		code model.Code
	}{
		{FaultRule{Op: FaultLock}, model.CodeUnavailable},
		{FaultRule{Op: FaultCreate}, model.CodeUnavailable},
		{FaultRule{Op: FaultMkdir, After: 1}, model.CodeUnavailable},
		{FaultRule{Op: FaultSync}, model.CodeUnavailable},
		{FaultRule{Op: FaultSyncDir}, model.CodeUnavailable},
		{FaultRule{Op: FaultWrite, NoSpace: true}, model.CodeClusterFull},
		{FaultRule{Op: FaultRename}, model.CodeUnavailable},
	} {
		fsys := NewFaultFS(NewMemFS(1), 1, c.rule)
		_, err := openDataDir(fsys)
		assertCode(t, c.code, err)
		assert.Positive(t, fsys.Hits())
		fsys.Clear()
		_, err = openDataDir(fsys)
		assert.NoError(t, err, "%s: the failed opening let go of the lock and left nothing in the way", c.rule.Op)
	}
}

func TestDataDir_SetsAsideWithTheReasonAndOverwritesNothing(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		d, err := openDataDir(fsys)
		require.NoError(t, err)
		for i, text := range []string{"first", "second"} {
			put(t, fsys, "volumes/t1/7.vol", text)
			require.NoError(t, d.Quarantine("volumes/t1/7.vol", "reason "+text))
			name := []string{"quarantine/7.vol", "quarantine/7.vol.2"}[i]
			assert.Equal(t, text, content(t, fsys, name))
			assert.Contains(t, content(t, fsys, name+".reason.txt"), "reason "+text)
		}
		assertCode(t, model.CodeNotFound, d.Quarantine("volumes/t1/7.vol", "gone"))
		require.NoError(t, d.Close())
	})
}

func TestDataDir_SurvivesACrashAnywhere(t *testing.T) {
	type acked struct {
		opened, saved int // incarnations and epochs that were acknowledged
		id            model.NodeID
		aside         bool
	}
	crashSuite{
		seeds: 8,
		scenario: func(fsys *MemFS) any {
			var a acked
			for range 3 {
				d, err := openDataDir(fsys)
				if err != nil {
					return a
				}
				a.opened, a.id = int(d.node.Incarnation), d.node.NodeID
				if d.UpdateNode(func(n *NodeFile) { n.HighestEpoch.Term++ }) != nil {
					return a
				}
				a.saved = int(d.node.HighestEpoch.Term)
				if a.saved == 1 {
					if f, err := fsys.Create("volumes/t1/1.vol"); err != nil || f.Sync() != nil || fsys.SyncDir("volumes/t1") != nil {
						return a
					}
				}
				if a.saved == 2 {
					if d.Quarantine("volumes/t1/1.vol", "a test") != nil {
						return a
					}
					a.aside = true
				}
				if d.Close() != nil {
					return a
				}
			}
			return a
		},
		recover: func(fsys *MemFS) { _, _ = openDataDir(fsys) },
		check: func(t *testing.T, fsys *MemFS, v any) {
			a := v.(acked)
			d, err := openDataDir(fsys)
			require.NoError(t, err)
			assert.Greater(t, int(d.node.Incarnation), a.opened)
			assert.GreaterOrEqual(t, int(d.node.HighestEpoch.Term), a.saved)
			assert.LessOrEqual(t, int(d.node.HighestEpoch.Term), a.saved+1)
			if a.opened > 0 {
				assert.Equal(t, a.id, d.node.NodeID)
			}
			names := strings.Join(fsys.Names(), " ")
			if a.aside {
				assert.NotContains(t, names, "volumes/t1/1.vol")
			}
			if a.aside || strings.Contains(names, "quarantine/1.vol ") {
				assert.Contains(t, names, "quarantine/1.vol quarantine/1.vol.reason.txt")
			}
			if a.saved >= 2 {
				assert.Contains(t, names, "/1.vol", "a file is never lost on the way")
			}
		},
	}.run(t)
}

func FuzzNodeFileDecoder(f *testing.F) {
	n, err := newNodeFile(bytes.NewReader([]byte(someRandom)), false)
	if err != nil {
		f.Fatal(err)
	}
	good, err := n.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("node_id: [1, 2]\n"))
	f.Add([]byte("a: &a [*a, *a]\n"))
	f.Add(append(good, "---\n"...))
	f.Fuzz(func(t *testing.T, p []byte) {
		n, err := decodeNodeFile(p)
		if err != nil {
			return
		}
		text, err := n.encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decodeNodeFile(text); err != nil || !reflect.DeepEqual(again, n) {
			t.Fatalf("%+v became %+v: %v", n, again, err)
		}
	})
}
