package fsck

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// rig writes a data directory as a node with one voter does.
type rig struct {
	t        *testing.T
	fs       *store.MemFS
	dir      *store.DataDir
	wal      *store.WAL
	volumes  *store.Volumes
	writers  map[uint64]*store.VolumeWriter
	index    store.Index
	catalog  *catalog.Catalog
	conf     []byte
	session  uint64
	sequence uint64
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, fs: store.NewMemFS(1), index: store.NewIndex(), writers: map[uint64]*store.VolumeWriter{}}
	var err error
	r.dir, err = store.OpenDataDir(r.fs, rand.NewChaCha8([32]byte{1}), false)
	require.NoError(t, err)
	r.conf, err = proto.Marshal(&raftpb.ConfState{Voters: []uint64{r.dir.Identity().RaftID}})
	require.NoError(t, err)
	r.catalog = catalog.New(r.index)
	require.NoError(t, r.catalog.Advance(1))
	r.snapshot()
	r.wal, _, err = store.OpenWAL(r.fs, store.WALOptions{})
	require.NoError(t, err)
	require.NoError(t, r.wal.Reset(1, 1))
	r.volumes, _, err = store.OpenVolumes(r.fs, store.VolumeOptions{})
	require.NoError(t, err)

	r.do(&messages.Command{Kind: &messages.Command_Bootstrap{Bootstrap: &messages.Bootstrap{
		ClusterId: string(r.dir.Identity().ClusterID), ReplicationFactor: 2, ClusterVersion: 1, IdempotencyKeysPerTenant: 3,
	}}})
	for _, tier := range model.Tiers {
		id := r.do(&messages.Command{Kind: &messages.Command_CreateVolume{CreateVolume: &messages.CreateVolume{
			Tier: uint32(tier), Members: []string{string(r.dir.Identity().NodeID)}, Decision: "only one"}}}).Id
		r.writers[id], err = r.volumes.Create(tier, model.VolumeID(id), 1, id)
		require.NoError(t, err)
	}
	r.session = r.do(&messages.Command{Kind: &messages.Command_OpenSession{
		OpenSession: &messages.OpenSession{Node: string(r.dir.Identity().NodeID), Incarnation: 1}}}).Id
	return r
}

// do logs a command and applies it.
func (r *rig) do(cmd *messages.Command) *messages.CommandResult {
	r.t.Helper()
	if r.session != 0 {
		r.sequence++
		cmd.Session, cmd.Sequence = r.session, r.sequence
	}
	data, err := proto.Marshal(cmd)
	require.NoError(r.t, err)
	index := r.wal.Last() + 1
	// The commit index is never up to date on disk, as in life.
	state := &store.HardState{Term: 1, Vote: 1, Commit: index - 1}
	require.NoError(r.t, r.wal.Append(state, []store.LogEntry{{Index: index, Term: 1, Data: data}}, true))
	result, err := r.catalog.Apply(index, cmd)
	require.NoError(r.t, err)
	require.Empty(r.t, result.Code, result.Message)
	return result
}

// put stores a file of one extent for each piece in the volume of a tier.
func (r *rig) put(tenant, path string, tier uint64, pieces ...string) {
	r.t.Helper()
	whole := strings.Join(pieces, "")
	put := &messages.PutFile{File: &messages.FileAttributes{
		Tenant: tenant, Path: path, Tier: uint32(tier), SizeBytes: uint64(len(whole)),
		Crc32C: crc32.Checksum([]byte(whole), castagnoli), ModifiedUnixMs: 5,
	}}
	for i, piece := range pieces {
		placed, err := r.writers[tier].AppendBatch([]store.Record{{Tenant: tenant, Path: path, Session: r.session,
			Sequence: r.sequence + 1, Part: uint32(i), Parts: uint32(len(pieces)), Body: []byte(piece)}}, true)
		require.NoError(r.t, err)
		put.Extents = append(put.Extents, &messages.Extent{Volume: tier, Generation: 1, Offset: placed[0].Offset,
			RecordBytes: placed[0].RecordBytes, BodyBytes: placed[0].BodyBytes, HeaderCrc32C: placed[0].HeaderCRC})
	}
	r.do(&messages.Command{ProposedUnixMs: 1, Kind: &messages.Command_PutFile{PutFile: put}})
}

// misput stores a file of sound pieces whose order is not what its checksum says.
func (r *rig) misput(path, first, second string) {
	r.t.Helper()
	r.put("default", path, 1, first, second)
	entries, err := r.wal.Entries(r.wal.Last(), r.wal.Last()+1, 0)
	require.NoError(r.t, err)
	cmd := &messages.Command{}
	require.NoError(r.t, proto.Unmarshal(entries[0].Data, cmd))
	put := cmd.GetPutFile()
	put.Extents[0], put.Extents[1] = put.Extents[1], put.Extents[0]
	r.delete(path)
	r.do(&messages.Command{ProposedUnixMs: 1, Kind: &messages.Command_PutFile{PutFile: put}})
}

func (r *rig) delete(path string) {
	r.t.Helper()
	r.do(&messages.Command{Kind: &messages.Command_DeleteFile{
		DeleteFile: &messages.DeleteFile{Tenant: "default", Path: path}}})
}

// snapshot writes the state as it is now.
func (r *rig) snapshot() {
	r.t.Helper()
	meta := store.SnapshotMeta{Index: r.catalog.Applied(), Term: 1, Conf: r.conf, StateHash: r.catalog.StateHash(), ClusterVersion: 1}
	if meta.Index == 1 {
		meta.StateHash, meta.ClusterVersion = nil, 0
	}
	w, err := store.CreateSnapshot(r.fs, meta)
	require.NoError(r.t, err)
	walk := r.index.Snapshot()
	for pairs := walk.Next(1 << 20); pairs != nil; pairs = walk.Next(1 << 20) {
		require.NoError(r.t, w.WriteChunk(pairs))
	}
	walk.Close()
	require.NoError(r.t, w.Finish())
}

// stop ends the node, cleanly or as kill -9 does.
func (r *rig) stop(clean bool) {
	r.t.Helper()
	if !clean {
		r.fs = r.fs.Crash(rand.New(rand.NewPCG(1, 1)), false)
		return
	}
	require.NoError(r.t, r.volumes.Close())
	require.NoError(r.t, r.wal.Close())
	require.NoError(r.t, r.dir.Close())
}

// contents is every file of the directory, to see that a check changes none.
func contents(t *testing.T, fsys *store.MemFS) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range fsys.Names() {
		all[name] = string(read(t, fsys, name))
	}
	return all
}

func read(t *testing.T, fsys store.FS, name string) []byte {
	t.Helper()
	f, err := fsys.OpenReadOnly(name)
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	content := make([]byte, size)
	if size > 0 {
		_, err = f.ReadAt(content, 0)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	return content
}

// flip damages one bit: the last byte of the first place in name where text is.
func flip(t *testing.T, fsys store.FS, name, text string) {
	t.Helper()
	content := read(t, fsys, name)
	at := bytes.Index(content, []byte(text))
	require.GreaterOrEqual(t, at, 0, "%q is not in %s", text, name)
	at += len(text) - 1
	f, err := fsys.Open(name)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{content[at] ^ 1}, int64(at))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

type silent struct{}

func (silent) Found(int64, int64) {}
func (silent) Moved(int64)        {}
func (silent) Done()              {}

// check runs a check and asserts that it has changed nothing.
func (r *rig) check(quick bool) *Report {
	r.t.Helper()
	before := contents(r.t, r.fs)
	mutations := r.fs.Mutations()
	report, err := checkFS(r.t.Context(), r.fs, Options{Jobs: 3, Quick: quick, Watch: silent{}})
	require.NoError(r.t, err)
	assert.Equal(r.t, before, contents(r.t, r.fs), "the check must change nothing")
	assert.LessOrEqual(r.t, r.fs.Mutations()-mutations, 1, "nothing but the lock")
	return report
}

func problems(r *Report) string {
	var lines []string
	for _, p := range r.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// filled is a rig with files in all tiers, some deleted, some behind a snapshot.
func filled(t *testing.T) *rig {
	r := newRig(t)
	for i := range 20 {
		r.put("default", fmt.Sprintf("/models/%02d", i), 1, fmt.Sprintf("content %02d;", i), "second piece")
	}
	r.put("acme", "/vectors/x", 2, "vector")
	r.snapshot()
	r.put("default", "/tmp/x", 3, "rebuildable")
	r.put("default", "/models/deleted", 1, "was deleted")
	r.delete("/models/deleted")
	r.put("default", "/empty", 1)
	return r
}
