package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// memIndex is the least that is an index: a map and its sorted keys. It also
// notices writes outside of a batch.
type memIndex struct {
	keys    []string
	rows    map[string]string
	inBatch bool
	outside int
	visited int // rows shown by Ascend
}

func newMemIndex() *memIndex { return &memIndex{rows: map[string]string{}} }

func (m *memIndex) Get(key string) (string, bool) { v, ok := m.rows[key]; return v, ok }

func (m *memIndex) wrote() {
	if !m.inBatch {
		m.outside++
	}
}

func (m *memIndex) Set(key, value string) (string, bool) {
	m.wrote()
	old, ok := m.rows[key]
	if !ok {
		at, _ := slices.BinarySearch(m.keys, key)
		m.keys = slices.Insert(m.keys, at, strings.Clone(key))
	}
	m.rows[key] = value
	return old, ok
}

func (m *memIndex) Delete(key string) (string, bool) {
	m.wrote()
	old, ok := m.rows[key]
	if ok {
		at, _ := slices.BinarySearch(m.keys, key)
		m.keys = slices.Delete(m.keys, at, at+1)
		delete(m.rows, key)
	}
	return old, ok
}

func (m *memIndex) Ascend(from string, fn func(key, value string) bool) {
	at, _ := slices.BinarySearch(m.keys, from)
	for _, key := range m.keys[at:] {
		m.visited++
		if !fn(key, m.rows[key]) {
			return
		}
	}
}

func (m *memIndex) Len() int                     { return len(m.keys) }
func (m *memIndex) Begin()                       { m.inBatch = true }
func (m *memIndex) End()                         { m.inBatch = false }
func (m *memIndex) Snapshot() store.SnapshotWalk { panic("the catalog takes no snapshots") }

// count is the number of rows under a key prefix.
func (m *memIndex) count(prefix string) int {
	n := 0
	for key := range m.rows {
		if strings.HasPrefix(key, prefix) {
			n++
		}
	}
	return n
}

// rig is a bootstrapped catalog with a session and one volume for each tier.
type rig struct {
	t       *testing.T
	ix      *memIndex
	c       *catalog.Catalog
	index   uint64
	session uint64
	seq     uint64
	ends    map[uint64]uint64 // next offset by volume, as the primary would give it
}

func newRig(t *testing.T) *rig {
	r := emptyRig(t)
	r.mustDo(bootstrap())
	for _, volTier := range model.Tiers {
		r.mustDo(createVolume(volTier, "n-1"))
	}
	r.session = r.mustDo(openSession("n-gw", 1)).Id
	return r
}

func emptyRig(t *testing.T) *rig {
	ix := newMemIndex()
	return &rig{t: t, ix: ix, c: catalog.New(ix), ends: map[uint64]uint64{}}
}

// do applies a command at the next index and checks the whole state behind it.
func (r *rig) do(cmd *messages.Command) *messages.CommandResult {
	r.t.Helper()
	r.index++
	res, err := r.c.Apply(r.index, cmd)
	require.NoError(r.t, err)
	require.NotNil(r.t, res)
	require.Empty(r.t, r.c.Verify())
	require.Zero(r.t, r.ix.outside, "writes outside of a batch")
	if res.Code != "" {
		require.NotEmpty(r.t, res.Message)
		require.NotContains(r.t, res.Message, "{", "a fact is missing in the details %v", res.Details)
	}
	return res
}

func (r *rig) mustDo(cmd *messages.Command) *messages.CommandResult {
	r.t.Helper()
	res := r.do(cmd)
	require.Empty(r.t, res.Code, res.Message)
	return res
}

// refuses asserts that a command is refused with a code and changes no row but
// the applied index and the session's.
func (r *rig) refuses(code model.Code, cmd *messages.Command) *messages.CommandResult {
	r.t.Helper()
	before := r.rows()
	res := r.do(cmd)
	assert.Equal(r.t, string(code), res.Code, res.Message)
	assert.Equal(r.t, before, r.rows(), "a refusal changes nothing")
	return res
}

// rows copies every row but the applied index, the sessions and the garbage,
// whose release goes on with every entry.
func (r *rig) rows() map[string]string {
	rows := map[string]string{}
	for key, value := range r.ix.rows {
		if key != "a" && !strings.HasPrefix(key, "s/") {
			rows[key] = value
		}
	}
	return rows
}

// inSession gives a command the session's next sequence.
func (r *rig) inSession(cmd *messages.Command) *messages.Command {
	r.seq++
	cmd.Session, cmd.Sequence = r.session, r.seq
	return cmd
}

// extent is the next record of so many content bytes in a volume.
func (r *rig) extent(volume uint64, body uint64) *messages.Extent {
	row, ok := r.c.Volume(volume)
	require.True(r.t, ok)
	offset := max(r.ends[volume], row.GenerationStart)
	e := &messages.Extent{
		Volume: volume, Generation: row.Generation, Offset: offset, RecordBytes: body + 40, BodyBytes: body,
		HeaderCrc32C: uint32(offset + 1),
	}
	r.ends[volume] = offset + e.RecordBytes
	return e
}

func (r *rig) extents(volume uint64, bodies ...uint64) []*messages.Extent {
	var out []*messages.Extent
	for _, body := range bodies {
		out = append(out, r.extent(volume, body))
	}
	return out
}

// put makes a PutFile of a critical file for the default tenant.
func (r *rig) put(path string, bodies ...uint64) *messages.Command {
	size := uint64(0)
	for _, body := range bodies {
		size += body
	}
	return putFile(&messages.PutFile{File: file(path, size), Extents: r.extents(1, bodies...)})
}

func (r *rig) volume(id uint64) *messages.VolumeRow {
	row, ok := r.c.Volume(id)
	require.True(r.t, ok)
	return row
}

func (r *rig) used() (bytes, files int64) {
	row, _ := r.c.Tenant("default")
	return row.GetUsedBytes(), row.GetFiles()
}

// limit gives the default tenant a quota.
func (r *rig) limit(bytes int64) {
	r.t.Helper()
	r.mustDo(setQuota("default", bytes))
}

func file(path string, size uint64) *messages.FileAttributes {
	return &messages.FileAttributes{Tenant: "default", Path: path, Tier: 1, SizeBytes: size, Crc32C: 7, ModifiedUnixMs: 5}
}

func bootstrap() *messages.Command {
	return &messages.Command{ProposedUnixMs: 1000, Kind: &messages.Command_Bootstrap{Bootstrap: &messages.Bootstrap{
		ClusterId: "c-1", ReplicationFactor: 2, ClusterVersion: 1, IdempotencyKeysPerTenant: 3,
		Tiers: []*messages.TierRow{
			{Tier: 1, Prefixes: []string{"/users/"}, Suffixes: []string{".emm"}},
			{Tier: 2, Prefixes: []string{"/audit/"}},
			{Tier: 3, Prefixes: []string{"/tmp/"}},
		},
		License: setLicense("enterprise", 1, 1<<40).GetSetLicense(),
	}}}
}

func openSession(node string, incarnation uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_OpenSession{
		OpenSession: &messages.OpenSession{Node: node, Incarnation: incarnation},
	}}
}

func createVolume(volTier model.Tier, members ...string) *messages.Command {
	return &messages.Command{Kind: &messages.Command_CreateVolume{
		CreateVolume: &messages.CreateVolume{Tier: uint32(volTier), Members: members, Decision: "only one"},
	}}
}

func putFile(put *messages.PutFile) *messages.Command {
	return &messages.Command{ProposedUnixMs: 2000, Kind: &messages.Command_PutFile{PutFile: put}}
}

func deleteFile(path string, cond *messages.Conditions) *messages.Command {
	return &messages.Command{Kind: &messages.Command_DeleteFile{
		DeleteFile: &messages.DeleteFile{Tenant: "default", Path: path, Conditions: cond},
	}}
}

func moveFile(from, to string, overwrite bool) *messages.Command {
	return &messages.Command{Kind: &messages.Command_MoveFile{
		MoveFile: &messages.MoveFile{Tenant: "default", From: from, To: to, Overwrite: overwrite},
	}}
}

func stage(upload, first uint64, extents []*messages.Extent) *messages.Command {
	return &messages.Command{Kind: &messages.Command_StageExtents{
		StageExtents: &messages.StageExtents{Upload: upload, Tenant: "default", First: first, Extents: extents},
	}}
}

func commitUpload(f *messages.FileAttributes, upload, extents uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_CommitUpload{
		CommitUpload: &messages.CommitUpload{File: f, Upload: upload, Extents: extents},
	}}
}

func abortUpload(upload uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_AbortUpload{AbortUpload: &messages.AbortUpload{Upload: upload}}}
}

func seal(volume, generation, end uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_SealVolume{SealVolume: &messages.SealVolume{
		Volume: volume, Generation: generation, SurvivorEnd: end, Digest: []byte("digest"),
	}}}
}

func reopen(volume, generation, end uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_ReopenVolume{ReopenVolume: &messages.ReopenVolume{
		Volume: volume, Generation: generation, RecoveredEnd: end,
	}}}
}

func checkHash(at uint64, hash []byte) *messages.Command {
	return &messages.Command{Kind: &messages.Command_CheckStateHash{
		CheckStateHash: &messages.CheckStateHash{AtIndex: at, Hash: hash},
	}}
}

func masterStarted(node string, term uint64) *messages.Command {
	return &messages.Command{ProposedUnixMs: 3000, Kind: &messages.Command_MasterStarted{
		MasterStarted: &messages.MasterStarted{Node: node, Term: term},
	}}
}

func setQuota(tenant string, limit int64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_SetQuota{SetQuota: &messages.SetQuota{Tenant: tenant, LimitBytes: limit}}}
}

func removeQuota(tenant string) *messages.Command {
	return &messages.Command{Kind: &messages.Command_RemoveQuota{RemoveQuota: &messages.RemoveQuota{Tenant: tenant}}}
}
