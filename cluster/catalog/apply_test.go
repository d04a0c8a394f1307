package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

func encode(t testing.TB, m proto.Message) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	require.NoError(t, err)
	return string(b)
}

func TestApply_BeforeBootstrapRefusesEveryOtherCommand(t *testing.T) {
	for name, cmd := range map[string]*messages.Command{
		"session": openSession("n-1", 1),
		"put":     putFile(&messages.PutFile{File: file("/a", 0)}),
		"in a session that cannot be": {Session: 4, Sequence: 1,
			Kind: &messages.Command_DeleteFile{DeleteFile: &messages.DeleteFile{}}},
		"commit": commitUpload(file("/a", 0), 1, 0),
		"delete": deleteFile("/a", nil),
		"move":   moveFile("/a", "/b", false),
		"stage":  stage(0, 0, nil),
		"abort":  abortUpload(1),
		"volume": createVolume(1, "n-1"),
		"seal":   seal(1, 1, 0),
		"reopen": reopen(1, 1, 0),
		"worker": {Kind: &messages.Command_RegisterWorker{}},
		"master": masterStarted("n-1", 1),
		"hash":   checkHash(0, make([]byte, 16)),
	} {
		t.Run(name, func(t *testing.T) {
			r := emptyRig(t)
			r.refuses(model.CodeUnavailable, cmd)
			assert.Equal(t, 1, r.ix.Len(), "nothing but the applied index is stored")
		})
	}
}

func TestBootstrap_WritesTheDefaultsOnce(t *testing.T) {
	r := emptyRig(t)
	assert.Nil(t, r.c.Cluster())
	assert.True(t, r.mustDo(bootstrap()).Created)
	row := r.c.Cluster()
	assert.Equal(t, "c-1", row.ClusterId)
	assert.Equal(t, uint64(1), row.Generation)
	assert.Equal(t, uint64(1), row.NextVolume)
	assert.Equal(t, uint32(2), row.ReplicationFactor)
	assert.Equal(t, int64(1000), row.CreatedUnixMs)
	assert.Len(t, row.Tiers, 3)

	r.refuses(model.CodeConflict, bootstrap())
	other := bootstrap()
	other.GetBootstrap().ClusterId = "c-2"
	res := r.refuses(model.CodeConflict, other)
	assert.Equal(t, "c-1", res.Details["cluster_id"])
}

func TestBootstrap_RefusesWhatNoClusterCouldRunWith(t *testing.T) {
	for field, spoil := range map[string]func(b *messages.Bootstrap){
		"cluster_id":                  func(b *messages.Bootstrap) { b.ClusterId = "" },
		"replication_factor":          func(b *messages.Bootstrap) { b.ReplicationFactor = 0 },
		"cluster_version":             func(b *messages.Bootstrap) { b.ClusterVersion = 0 },
		"idempotency_keys_per_tenant": func(b *messages.Bootstrap) { b.IdempotencyKeysPerTenant = 1 << 30 },
		"tiers":                       func(b *messages.Bootstrap) { b.Tiers[0].Prefixes[0] = "users/" },
	} {
		t.Run(field, func(t *testing.T) {
			cmd := bootstrap()
			spoil(cmd.GetBootstrap())
			assert.Equal(t, field, emptyRig(t).refuses(model.CodeInvalidArgument, cmd).Details["field"])
		})
	}
}

func TestApply_HaltsForGood(t *testing.T) {
	newer := bootstrap()
	newer.GetBootstrap().ClusterVersion = catalog.ClusterVersion + 1
	for name, c := range map[string]struct {
		fresh bool
		index uint64
		cmd   *messages.Command
		code  model.Code
	}{
		"on a command without a kind it knows": {index: 100, cmd: &messages.Command{}, code: model.CodeInternal},
		"on no command":                        {index: 100, code: model.CodeInternal},
		"on a newer cluster version":           {fresh: true, index: 100, cmd: newer, code: model.CodeInternal},
		"on an entry that was applied":         {index: 5, cmd: openSession("n-1", 1), code: model.CodeInternal},
		"on entry 0":                           {fresh: true, index: 0, cmd: bootstrap(), code: model.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			r := emptyRig(t)
			if !c.fresh {
				r = newRig(t)
			}
			before := r.rows()
			res, err := r.c.Apply(c.index, c.cmd)
			assert.Nil(t, res)
			assert.Equal(t, c.code, model.CodeOf(err))
			assert.Equal(t, before, r.rows())

			_, again := r.c.Apply(200, bootstrap())
			assert.Equal(t, err, again, "nothing is applied any more")
			assert.Equal(t, err, r.c.Advance(201))
			assert.Equal(t, err, r.c.Err())
			assert.NotEmpty(t, r.c.Verify())
		})
	}
}

func TestAdvance_MovesTheAppliedIndexAlone(t *testing.T) {
	r := newRig(t)
	before := r.rows()
	require.NoError(t, r.c.Advance(r.index+1))
	assert.Equal(t, r.index+1, r.c.Applied())
	assert.Equal(t, before, r.rows())
	assert.Equal(t, r.index+1, catalog.New(r.ix).Applied(), "the applied index is part of the state")
}

func TestNew_HaltsOnRowsItCannotRead(t *testing.T) {
	for name, row := range map[string][2]string{
		"damaged volume":       {"v/0000000000000001", "\xff"},
		"volume under another": {"v/0000000000000009", ""},
		"unnamed session":      {"s/1", ""},
		"damaged tenant":       {"t/x", "\xff"},
		"applied":              {"a", "7"},
		"unknown prefix":       {"z/1", ""},
		"unknown key":          {"zz", ""},
		"newer cluster":        {"c", encode(t, &messages.ClusterRow{ClusterVersion: catalog.ClusterVersion + 1})},
	} {
		t.Run(name, func(t *testing.T) {
			ix := newMemIndex()
			ix.Set(row[0], row[1])
			c := catalog.New(ix)
			require.Error(t, c.Err())
			_, err := c.Apply(1, bootstrap())
			assert.Equal(t, c.Err(), err)
		})
	}
}

func TestMasterStarted_TermsOnlyGrow(t *testing.T) {
	r := newRig(t)
	r.mustDo(masterStarted("n-1", 3))
	assert.Equal(t, "n-1", r.c.Cluster().Master)
	assert.Equal(t, uint64(3), r.c.Cluster().Term)
	assert.Equal(t, int64(3000), r.c.Cluster().MasterSinceUnixMs)
	again := masterStarted("n-1", 3)
	again.ProposedUnixMs = 9999
	r.mustDo(again)
	assert.Equal(t, int64(3000), r.c.Cluster().MasterSinceUnixMs, "said again, it is the same master since the same time")
	r.refuses(model.CodeStaleEpoch, masterStarted("n-1", 2))
	r.refuses(model.CodeStaleEpoch, masterStarted("n-2", 3))
	r.refuses(model.CodeInvalidArgument, masterStarted("", 4))
	r.mustDo(masterStarted("n-2", 4))
	assert.Equal(t, "n-2", r.c.Cluster().Master)
}

func TestKeepMaster_LastsUntilAnotherNodeIsMaster(t *testing.T) {
	keep := func(node string) *messages.Command {
		return &messages.Command{Kind: &messages.Command_KeepMaster{KeepMaster: &messages.KeepMaster{Node: node}}}
	}
	r := newRig(t)
	r.refuses(model.CodeNotFound, keep("n-1"))
	r.mustDo(register("n-1", func(w *messages.WorkerRow) { w.RaftId = 1 }))
	r.mustDo(register("n-2", func(w *messages.WorkerRow) { w.RaftId = 2 }))
	r.mustDo(masterStarted("n-1", 3))
	r.mustDo(keep("n-2"))
	assert.Equal(t, "n-2", r.c.Cluster().KeptMaster, "it is to come")
	r.mustDo(masterStarted("n-2", 4))
	assert.Equal(t, "n-2", r.c.Cluster().KeptMaster)
	r.mustDo(masterStarted("n-2", 5))
	assert.Equal(t, "n-2", r.c.Cluster().KeptMaster, "master again")
	r.mustDo(masterStarted("n-1", 6))
	assert.Empty(t, r.c.Cluster().KeptMaster)
	r.mustDo(keep("n-1"))
	r.mustDo(keep(""))
	assert.Empty(t, r.c.Cluster().KeptMaster, "the best one, again")
	r.mustDo(remove("n-2", false))
	r.refuses(model.CodeConflict, keep("n-2"))
}

func TestRegisterWorker_LastIncarnationSpeaks(t *testing.T) {
	register := func(node, address string, incarnation uint64) *messages.Command {
		return &messages.Command{Kind: &messages.Command_RegisterWorker{RegisterWorker: &messages.RegisterWorker{
			Node: node, Worker: &messages.WorkerRow{Address: address, Incarnation: incarnation},
		}}}
	}
	r := newRig(t)
	assert.True(t, r.mustDo(register("n-2", "b", 1)).Created)
	assert.True(t, r.mustDo(register("n-1", "a", 1)).Created)
	assert.False(t, r.mustDo(register("n-1", "a2", 2)).Created)
	r.mustDo(register("n-1", "a3", 2))
	r.refuses(model.CodeStaleEpoch, register("n-1", "a", 1))
	r.refuses(model.CodeInvalidArgument, register("", "a", 1))
	r.refuses(model.CodeInvalidArgument, register("n\x00", "a", 1))
	r.refuses(model.CodeInvalidArgument, &messages.Command{Kind: &messages.Command_RegisterWorker{
		RegisterWorker: &messages.RegisterWorker{Node: "n-1"}}})
	nodes, rows := r.c.Workers()
	assert.Equal(t, []string{"n-1", "n-2"}, nodes)
	assert.Equal(t, "a3", rows[0].Address)
}

func TestCheckStateHash_ComparesOnlyTheStateItFinds(t *testing.T) {
	wrong := make([]byte, 16)
	r := newRig(t)
	at, hash := r.index, r.c.StateHash()

	assert.Equal(t, "true", r.mustDo(checkHash(at, hash)).Details["compared"])
	assert.Equal(t, "false", r.mustDo(checkHash(at, wrong)).Details["compared"], "other entries lie between")
	require.NoError(t, r.c.Advance(r.index+1))
	r.index++
	r.refuses(model.CodeInvalidArgument, checkHash(r.index+1, hash))
	r.refuses(model.CodeInvalidArgument, checkHash(r.index, hash[:8]))

	r.index++ // an entry that this catalog was not told of
	assert.Equal(t, "false", r.mustDo(checkHash(r.index-1, wrong)).Details["compared"])

	_, err := r.c.Apply(r.index+1, checkHash(r.index, wrong))
	assert.Equal(t, model.CodeCorrupt, model.CodeOf(err))
	_, err = r.c.Apply(r.index+2, r.put("/a", 1))
	assert.Equal(t, model.CodeCorrupt, model.CodeOf(err), "a node that has diverged applies nothing more")
}

func TestCheckStateHash_DoesNotDependOnTheBatch(t *testing.T) {
	// The proposer hashed at the end of a batch; the follower meets the check in
	// the middle of one, with its rows not written yet.
	proposer, follower := newRig(t), newRig(t)
	put := proposer.inSession(proposer.put("/a", 10))
	proposer.mustDo(put)
	check := checkHash(proposer.index, proposer.c.StateHash())

	follower.c.Begin()
	_, err := follower.c.Apply(proposer.index, put)
	require.NoError(t, err)
	res, err := follower.c.Apply(proposer.index+1, check)
	follower.c.End()
	require.NoError(t, err)
	assert.Equal(t, "true", res.Details["compared"])
	assert.Empty(t, follower.c.Verify())
}

func TestCheckStateHash_LooksBeforeItsOwnSessionChanges(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.inSession(r.put("/a", 10)))
	check := as(r.session, 2, 1, checkHash(r.index, r.c.StateHash()))
	assert.Equal(t, "true", r.mustDo(check).Details["compared"])
}
