package catalog_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestCreateVolume_TakesItsNumbersFromTheLog(t *testing.T) {
	r := newRig(t)
	res := r.mustDo(createVolume(2, "n-1", "n-2"))
	assert.Equal(t, uint64(4), res.Id)
	assert.Equal(t, uint64(1), res.Generation)
	assert.Zero(t, res.Offset)
	row := r.volume(4)
	assert.Equal(t, messages.VolumeState_OPEN, row.State)
	assert.Equal(t, uint32(2), row.Tier)
	assert.Equal(t, "only one", row.Decision)
	assert.Equal(t, r.index, row.CreatedAt)
	require.Len(t, row.Members, 2)
	assert.Equal(t, []uint64{4, 5}, []uint64{row.Members[0].ReplicaGen, row.Members[1].ReplicaGen}, "never used before")
	assert.Equal(t, uint64(5), r.c.Cluster().NextVolume)
	var ids []uint64
	for _, v := range r.c.Volumes() {
		ids = append(ids, v.Id)
	}
	assert.Equal(t, []uint64{1, 2, 3, 4}, ids)
}

func TestCreateVolume_Refusals(t *testing.T) {
	r := newRig(t)
	many := strings.Split(strings.Repeat("n", 17), "")
	for field, cmd := range map[string]*messages.Command{
		"tier":    createVolume(0, "n-1"),
		"members": createVolume(1),
	} {
		assert.Equal(t, field, r.refuses(model.CodeInvalidArgument, cmd).Details["field"])
	}
	r.refuses(model.CodeInvalidArgument, createVolume(4, "n-1"))
	r.refuses(model.CodeInvalidArgument, createVolume(1, "n-1", "n-1"))
	r.refuses(model.CodeInvalidArgument, createVolume(1, ""))
	r.refuses(model.CodeInvalidArgument, createVolume(1, many...))
	wordy := createVolume(1, "n-1")
	wordy.GetCreateVolume().Decision = strings.Repeat("x", 2000)
	r.refuses(model.CodeInvalidArgument, wordy)
}

func TestSealVolume_EndsAtWhatWasCommittedOrSurvived(t *testing.T) {
	for _, c := range []struct{ committed, survivor, sealed uint64 }{
		{0, 0, 0}, {50, 0, 50}, {50, 50, 50}, {50, 80, 80},
	} {
		r := newRig(t)
		if c.committed > 0 {
			r.mustDo(r.put("/a", c.committed-40))
		}
		res := r.mustDo(seal(1, 1, c.survivor))
		row := r.volume(1)
		assert.Equal(t, messages.VolumeState_SEALED, row.State)
		assert.Equal(t, c.sealed, row.SealedEnd)
		if c.survivor == c.sealed {
			assert.Equal(t, []byte("digest"), row.Digest)
		} else {
			assert.Empty(t, row.Digest, "a short survivor's digest says nothing of the volume")
		}
		assert.Equal(t, decimal(c.sealed), res.Details["sealed_end"])

		before := r.rows()
		again := r.mustDo(seal(1, 1, c.survivor+100))
		assert.Equal(t, before, r.rows(), "the first seal stands")
		assert.Equal(t, res.Details, again.Details)
	}
}

func TestSealVolume_OnlyIntactMembersOfAWholeSurvivorAreVerified(t *testing.T) {
	for _, c := range []struct {
		name     string
		survivor uint64
		digest   string
		want     []bool
	}{
		{"the survivor has all that was committed", 50, "digest", []bool{true, false}},
		{"it has more", 80, "digest", []bool{true, false}},
		{"it is short: damaged, never a voice", 49, "digest", []bool{false, false}},
		{"nobody could take a digest", 50, "", []bool{false, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			id := r.mustDo(createVolume(1, "n-1", "n-2")).Id
			put := r.put("/a", 10)
			put.GetPutFile().Extents[0].Volume, put.GetPutFile().Extents[0].Offset = id, 0
			r.mustDo(put)
			end := r.volume(id).CommittedEnd
			assert.EqualValues(t, 50, end)
			cmd := seal(id, 1, c.survivor)
			cmd.GetSealVolume().Digest, cmd.GetSealVolume().Intact = []byte(c.digest), []string{"n-1"}
			r.mustDo(cmd)
			for i, m := range r.volume(id).Members {
				assert.Equal(t, c.want[i], m.Verified, m.Node)
			}
			assert.GreaterOrEqual(t, r.volume(id).SealedEnd, end)
		})
	}
}

func TestSealVolume_Refusals(t *testing.T) {
	r := newRig(t)
	r.refuses(model.CodeNotFound, seal(99, 1, 0))
	res := r.refuses(model.CodeConflict, seal(1, 2, 0))
	assert.Equal(t, "1", res.Details["generation"])
	r.refuses(model.CodeInvalidArgument, seal(1, 1, 1<<63))
	r.retired(1)
	r.refuses(model.CodeConflict, seal(1, 1, 0))
	r.refuses(model.CodeVolumeSealed, r.put("/a", 10))
	r.refuses(model.CodeConflict, reopen(1, 1, 0))
}

func TestReopenVolume_RaisesTheGenerationSoThatOldOffsetsMeanNothing(t *testing.T) {
	for name, recovered := range map[string]uint64{"exactly": 50, "with an uncommitted tail": 90} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.mustDo(r.put("/a", 10))
			inFlight := r.put("/b", 10)
			res := r.mustDo(reopen(1, 1, recovered))
			assert.Equal(t, uint64(2), res.Generation)
			assert.Equal(t, recovered, res.Offset)
			assert.Equal(t, "open", res.Details["state"])
			row := r.volume(1)
			assert.Equal(t, recovered, row.GenerationStart)
			assert.Empty(t, row.Lost)

			r.refuses(model.CodeVolumeSealed, inFlight)
			r.refuses(model.CodeConflict, reopen(1, 1, recovered)) // the same, delayed
			r.ends[1] = recovered
			r.mustDo(r.put("/b", 10))
			file, _ := r.c.Stat("default", "/b")
			assert.Equal(t, recovered, file.Extents[0].Offset)
		})
	}
}

func TestReopenVolume_LogsWhatIsMissingAndSeals(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/a", "/b", "/c"} {
		r.mustDo(r.put(path, 10))
	}
	res := r.mustDo(reopen(1, 1, 60)) // in the middle of /b
	assert.Equal(t, map[string]string{"state": "sealed", "sealed_end": "60", "lost_from": "60", "lost_to": "150"}, res.Details)
	assert.Equal(t, uint64(1), res.Generation)
	row := r.volume(1)
	assert.Equal(t, messages.VolumeState_SEALED, row.State)
	assert.Equal(t, uint64(60), row.SealedEnd)
	require.Len(t, row.Lost, 1)
	assert.Equal(t, r.index, row.Lost[0].LoggedAt)

	for path, want := range map[string]catalog.State{
		"/a": catalog.ExtentOK, "/b": catalog.ExtentLost, "/c": catalog.ExtentLost,
	} {
		file, ok := r.c.Stat("default", path)
		require.True(t, ok, "a lost file is still listed")
		assert.Equal(t, want, catalog.ExtentState(row, file.Extents[0]), path)
	}
	bytes, _ := r.used()
	assert.Equal(t, int64(30), bytes, "and charged")
	r.refuses(model.CodeVolumeSealed, r.put("/d", 10))
	r.refuses(model.CodeConflict, reopen(1, 1, 60))
	r.mustDo(deleteFile("/c", nil))
}

func TestReopenVolume_Refusals(t *testing.T) {
	r := newRig(t)
	two := r.mustDo(createVolume(1, "n-1", "n-2")).Id
	r.refuses(model.CodeNotFound, reopen(99, 1, 0))
	r.refuses(model.CodeConflict, reopen(1, 7, 0))
	r.refuses(model.CodeInvalidArgument, reopen(1, 1, 1<<63))
	r.refuses(model.CodeConflict, reopen(two, 1, 0))
	r.mustDo(seal(1, 1, 0))
	r.refuses(model.CodeConflict, reopen(1, 1, 0))
}

func TestExtentState_TouchesTheRangeByAByte(t *testing.T) {
	vol := &messages.VolumeRow{Id: 3, Lost: []*messages.LostRange{{From: 100, To: 200}}}
	for _, c := range []struct {
		offset, bytes uint64
		want          catalog.State
	}{
		{0, 100, catalog.ExtentOK}, {0, 101, catalog.ExtentLost}, {150, 10, catalog.ExtentLost},
		{50, 500, catalog.ExtentLost}, {199, 1, catalog.ExtentLost}, {200, 50, catalog.ExtentOK},
	} {
		e := &messages.Extent{Volume: 3, Offset: c.offset, RecordBytes: c.bytes}
		assert.Equal(t, c.want, catalog.ExtentState(vol, e), "%d+%d", c.offset, c.bytes)
	}
	assert.Equal(t, catalog.ExtentDropped, catalog.ExtentState(nil, &messages.Extent{Volume: 3}))
	assert.Equal(t, catalog.ExtentDropped, catalog.ExtentState(vol, &messages.Extent{Volume: 4}))
}

func TestVolume_RowsGivenToReadersNeverChange(t *testing.T) {
	r := newRig(t)
	before := r.volume(1)
	text := encode(t, before)
	r.mustDo(r.put("/a", 10))
	assert.Equal(t, text, encode(t, before))
	assert.NotEqual(t, text, encode(t, r.volume(1)))
	assert.Same(t, r.volume(1), r.volume(1), "and are copied once")
}

func TestReopenVolume_WhatATruncatedCopyStillHoldsIsWholeOnlyOnceItWasSettled(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.inSession(r.put("/users/a", 500)))
	row := r.volume(1)
	r.mustDo(reopen(1, 1, row.CommittedEnd-1))
	row = r.volume(1)
	assert.Equal(t, messages.VolumeState_SEALED, row.State)
	assert.False(t, row.Members[0].Verified, "nobody has fenced it or made it durable")
	r.mustDo(verify(1, row.Members[0].Node, row.Members[0].ReplicaGen, "digest"))
	assert.True(t, r.volume(1).Members[0].Verified)
}

func truncate(volume uint64, node string, replicaGen, end uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_TruncateVolume{TruncateVolume: &messages.TruncateVolume{
		Volume: volume, Generation: 1, Node: node, ReplicaGen: replicaGen, End: end,
	}}}
}

func TestTruncateVolume_OnlyTheOnlyHolderTellsWhatIsLost(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.inSession(r.put("/users/a", 500)))
	r.mustDo(r.inSession(r.put("/users/b", 500)))
	end := r.volume(1).CommittedEnd
	r.refuses(model.CodeConflict, truncate(1, "n-1", r.volume(1).Members[0].ReplicaGen, 540)) // it is open
	r.mustDo(seal(1, 1, 0))                                                                   // nobody was there
	gen := r.volume(1).Members[0].ReplicaGen
	r.refuses(model.CodeConflict, truncate(1, "n-2", gen, 540))
	r.refuses(model.CodeConflict, truncate(1, "n-1", gen+1, 540))
	r.mustDo(truncate(1, "n-1", gen, end))
	assert.Empty(t, r.volume(1).Lost, "it has everything")
	r.mustDo(truncate(1, "n-1", gen, 540))
	row := r.volume(1)
	assert.EqualValues(t, 540, row.SealedEnd)
	assert.Len(t, row.Lost, 1)
	r.mustDo(verify(1, "n-1", gen, "digest"))
	r.refuses(model.CodeConflict, truncate(1, "n-1", gen, 100)) // it is whole by now
}
