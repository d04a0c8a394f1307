package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

func recoverTo(generation uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_RecoverCatalog{RecoverCatalog: &messages.RecoverCatalog{Generation: generation, Fork: "f-1", Cause: "a test"}}}
}

func adoptCopy(volume uint64, node string, replicaGen uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_AdoptCopy{AdoptCopy: &messages.AdoptCopy{Volume: volume, Generation: 1, Node: node, ReplicaGen: replicaGen}}}
}

func adoptVolume(m *messages.AdoptVolume) *messages.Command {
	return &messages.Command{Kind: &messages.Command_AdoptVolume{AdoptVolume: m}}
}

func TestRecovery_RaisesTheGenerationAndMovesEveryCounterOn(t *testing.T) {
	r, volume := sealedRig(t)
	before := r.c.Cluster()
	r.refuses(model.CodeStaleEpoch, recoverTo(before.Generation))
	r.mustDo(recoverTo(7))
	after := r.c.Cluster()
	assert.EqualValues(t, 7, after.Generation, "the generation is raised")
	assert.Equal(t, "f-1", after.Fork)
	assert.Equal(t, before.NextVolume+catalog.RecoveryGap, after.NextVolume)
	assert.Equal(t, before.NextReplicaGen+catalog.RecoveryGap, after.NextReplicaGen)
	assert.True(t, catalog.MayBeData(after, before.NextVolume), "what no row names may be data")
	assert.False(t, catalog.MayBeData(after, before.NextVolume-1), "it was dropped before")
	assert.True(t, catalog.MayBeData(after, after.NextVolume), "the catalog never made it")
	assert.Equal(t, after.NextReplicaGen, after.AdoptBelow)
	assert.Equal(t, []string{"w-1?", "w-2?", "w-3?"}, r.members(volume), "volumes and their members stay, and have to show what they hold")
	// The log is a new one: w-1 comes with another Raft id, and w-2 with that of w-1.
	r.mustDo(register("w-1", func(w *messages.WorkerRow) { w.RaftId = 1001 }))
	r.mustDo(register("w-2", func(w *messages.WorkerRow) { w.RaftId = 1 }))
	assert.Empty(t, r.c.Verify())
	r.refuses(model.CodeStaleEpoch, recoverTo(7))
}

func TestRecovery_ForgetsWhereTheWorkersWere(t *testing.T) {
	r, _ := sealedRig(t)
	r.mustDo(recoverTo(2))
	_, rows := r.c.Workers()
	require.Len(t, rows, 5)
	for _, w := range rows {
		assert.Empty(t, w.Address, "the old cluster may be alive there, and a word of a higher generation would end it")
	}
	r.mustDo(register("w-1", func(w *messages.WorkerRow) { w.RaftId = 1001 }))
	w, _ := r.c.Worker("w-1")
	assert.Equal(t, "w-1:1", w.Address, "it has come by itself")
}

func TestRecovery_TakesItsFounderInAtTheLicensedNumberOfWorkers(t *testing.T) {
	r := licensed(t, "")
	nodes, _ := r.c.Workers()
	require.Equal(t, []string{"w-1"}, nodes)
	begin := recoverTo(2)
	begin.GetRecoverCatalog().Founder = "w-founder"
	r.mustDo(begin)
	r.refuses(model.CodeLicenseDenied, register("w-other", nil))
	r.mustDo(register("w-founder", func(w *messages.WorkerRow) { w.RaftId = 1001 }))
	r.mustDo(register("w-1", func(w *messages.WorkerRow) { w.RaftId = 1002 }))
	assert.Empty(t, r.c.Verify())
}

func TestRecovery_AdoptsACopyThatAMoveBroughtThereAfterTheRecoveredState(t *testing.T) {
	r, volume := sealedRig(t)
	r.refuses(model.CodeConflict, adoptCopy(volume, "w-4", 100))
	r.mustDo(recoverTo(2))
	r.mustDo(adoptCopy(volume, "w-4", 100))
	assert.Equal(t, []string{"w-1?", "w-2?", "w-3?", "w-4?"}, r.members(volume))
	r.mustDo(adoptCopy(volume, "w-1", 101))
	assert.Equal(t, []string{"w-1?", "w-2?", "w-3?", "w-4?"}, r.members(volume), "it left and came back since")
	r.mustDo(adoptCopy(volume, "w-1", 101))
	r.refuses(model.CodeConflict, adoptCopy(volume, "w-5", r.c.Cluster().AdoptBelow))
	r.refuses(model.CodeNotFound, adoptCopy(volume, "w-9", 100))
	r.refuses(model.CodeNotFound, adoptCopy(99, "w-4", 100))
	open := r.mustDo(createVolume(model.TierCritical, "w-1")).Id
	r.refuses(model.CodeConflict, adoptCopy(open, "w-4", 100))
	assert.Empty(t, r.c.Verify())
}

func TestRecovery_AVolumeOfTheLifeBeforeIsEnteredAndFilesCanNameIt(t *testing.T) {
	r, volume := sealedRig(t)
	unknown := &messages.AdoptVolume{Volume: volume + 5, Tier: 1, Generation: 1, End: 4096, Copies: []*messages.MemberRef{{Node: "w-1", ReplicaGen: 50}}}
	r.refuses(model.CodeInvalidArgument, adoptVolume(unknown))
	r.mustDo(recoverTo(2))
	r.mustDo(adoptVolume(unknown))
	row := r.volume(volume + 5)
	assert.Equal(t, messages.VolumeState_SEALED, row.State)
	assert.EqualValues(t, 4096, row.SealedEnd)
	assert.Equal(t, []string{"w-1?"}, r.members(volume+5))
	found := putFile(&messages.PutFile{File: file("/lost+found/a", 10), Extents: []*messages.Extent{
		{Volume: volume + 5, Generation: 1, Offset: 100, RecordBytes: 90, BodyBytes: 10},
	}})
	r.mustDo(found)
	assert.Empty(t, r.c.Verify())
	for name, m := range map[string]*messages.AdoptVolume{
		"below one that is there":     {Volume: volume + 4, Tier: 1, Generation: 1, Copies: unknown.Copies},
		"a number of this life":       {Volume: r.c.Cluster().NextVolume, Tier: 1, Generation: 1, Copies: unknown.Copies},
		"nobody has it":               {Volume: volume + 6, Tier: 1, Generation: 1},
		"a copy made in this life":    {Volume: volume + 6, Tier: 1, Generation: 1, Copies: []*messages.MemberRef{{Node: "w-1", ReplicaGen: r.c.Cluster().AdoptBelow}}},
		"twice on one node":           {Volume: volume + 6, Tier: 1, Generation: 1, Copies: []*messages.MemberRef{{Node: "w-1", ReplicaGen: 5}, {Node: "w-1", ReplicaGen: 6}}},
		"of no tier":                  {Volume: volume + 6, Tier: 9, Generation: 1, Copies: unknown.Copies},
		"of no generation":            {Volume: volume + 6, Tier: 1, Copies: unknown.Copies},
		"longer than a volume can be": {Volume: volume + 6, Tier: 1, Generation: 1, End: 1 << 60, Copies: unknown.Copies},
	} {
		t.Run(name, func(t *testing.T) { r.refuses(model.CodeInvalidArgument, adoptVolume(m)) })
	}
}

func TestRecovery_AReopenedVolumeFollowsTheGenerationOfItsFile(t *testing.T) {
	r, sealed := sealedRig(t)
	open := r.mustDo(createVolume(model.TierRebuildable, "w-1")).Id
	r.mustDo(recoverTo(2))
	follow := func(volume, generation, start uint64) *messages.Command {
		return adoptVolume(&messages.AdoptVolume{Volume: volume, Tier: 3, Generation: generation, GenerationStart: start, End: start})
	}
	r.refuses(model.CodeConflict, follow(sealed, 4, 400))
	r.refuses(model.CodeConflict, follow(open, 1, 400))
	r.mustDo(follow(open, 4, 400))
	assert.EqualValues(t, 4, r.volume(open).Generation)
	assert.EqualValues(t, 400, r.volume(open).GenerationStart)
	// A sealed one follows the only copy there is.
	r.mustDo(seal(open, 4, 400))
	member := r.volume(open).Members[0]
	later := adoptCopy(open, "w-1", member.ReplicaGen)
	later.GetAdoptCopy().Generation, later.GetAdoptCopy().CopyGeneration = 4, 6
	r.mustDo(later)
	assert.EqualValues(t, 6, r.volume(open).Generation)
	assert.Empty(t, r.c.Verify())
}

func TestSystemTenant_HasFilesAndIsLeftOutOfTheTotals(t *testing.T) {
	r, volume := sealedRig(t)
	own := file("/journal/1", 10)
	own.Tenant = model.SystemTenant
	before := r.c.Totals()
	row := r.volume(volume)
	require.NotNil(t, row)
	other := r.mustDo(createVolume(model.TierCritical, "w-1")).Id
	r.mustDo(putFile(&messages.PutFile{File: own, Extents: r.extents(other, 10)}))
	assert.Equal(t, before.Files, r.c.Totals().Files)
	assert.Equal(t, before.UsedBytes, r.c.Totals().UsedBytes)
	surveyed, differences := survey(t, r.c, 100, func() {})
	assert.EqualValues(t, before.Files, surveyed)
	assert.Empty(t, differences)
	assert.Empty(t, r.c.Verify())
	assert.Error(t, model.CheckTenant(model.SystemTenant), "no client can name it")
}
