package catalog_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

func retireVolume(volume, generation uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_RetireVolume{RetireVolume: &messages.RetireVolume{
		Volume: volume, Generation: generation, Cause: "most of it is dead",
	}}}
}

func dropVolume(volume, generation uint64) *messages.Command {
	return &messages.Command{Kind: &messages.Command_DropVolume{DropVolume: &messages.DropVolume{Volume: volume, Generation: generation}}}
}

func moveExtents(move *messages.MoveExtents) *messages.Command {
	return &messages.Command{Kind: &messages.Command_MoveExtents{MoveExtents: move}}
}

func moved(position uint64, from, to *messages.Extent) *messages.ExtentMove {
	return &messages.ExtentMove{Position: position, From: from, To: to}
}

// retired seals a volume where its records end, and retires it.
func (r *rig) retired(volume uint64) {
	r.t.Helper()
	row := r.volume(volume)
	r.mustDo(seal(volume, row.Generation, row.CommittedEnd))
	r.mustDo(retireVolume(volume, row.Generation))
}

// named walks the whole catalog for what is in a volume.
func (r *rig) named(volume uint64, rows int) []*messages.NamedExtent {
	var all []*messages.NamedExtent
	for after, pages := "", 0; ; pages++ {
		require.Less(r.t, pages, 10_000, "the walk ends")
		found, next := r.c.Named(map[uint64]bool{volume: true}, after, rows)
		all = append(all, found...)
		if after = next; next == "" {
			return all
		}
	}
}

// evacuate moves everything that a volume holds to another one of its tier.
func (r *rig) evacuate(from, to uint64) {
	r.t.Helper()
	for _, n := range r.named(from, 100) {
		dest := r.extent(to, n.Extent.BodyBytes)
		r.mustDo(moveExtents(&messages.MoveExtents{
			Tenant: n.Tenant, Path: n.Path, Version: n.Version, Upload: n.Upload,
			Moves: []*messages.ExtentMove{moved(n.Position, n.Extent, dest)},
		}))
	}
}

func TestRetire_TakesASealedVolumeOutOfUse(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/a", 10))
	r.refuses(model.CodeConflict, retireVolume(1, 1)) // it is open
	late := r.put("/late", 5)
	r.mustDo(seal(1, 1, r.ends[1]))
	r.refuses(model.CodeConflict, retireVolume(1, 2))
	r.refuses(model.CodeNotFound, retireVolume(77, 1))
	at := r.mustDo(retireVolume(1, 1))
	assert.Equal(t, "retiring", at.Details["state"])
	assert.Equal(t, r.index, r.volume(1).RetiredAt)
	first := r.index
	r.mustDo(retireVolume(1, 1))
	assert.Equal(t, first, r.volume(1).RetiredAt, "retiring it again changes nothing")
	refused := r.refuses(model.CodeVolumeSealed, late)
	assert.Equal(t, "volume_closed", refused.Details["reason"])
	staged := r.refuses(model.CodeVolumeSealed, r.inSession(stage(0, 0, late.GetPutFile().Extents)))
	assert.Equal(t, "volume_closed", staged.Details["reason"])
	r.refuses(model.CodeConflict, seal(1, 1, 0))
	r.refuses(model.CodeConflict, reopen(1, 1, 1000))
}

func TestMoveExtents_KeepsTheVersionAndEverythingElse(t *testing.T) {
	for name, pieces := range map[string][]uint64{"inline": bodies(3), "manifest": bodies(200)} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			other := r.mustDo(createVolume(model.TierCritical, "n-1")).Id
			r.mustDo(r.put("/a", pieces...))
			before, _ := r.c.Stat("default", "/a")
			r.retired(1)
			r.evacuate(1, other)
			after, _ := r.c.Stat("default", "/a")
			assert.Zero(t, r.volume(1).LiveBytes)
			assert.Empty(t, r.named(1, 100))
			assert.Len(t, r.named(other, 100), len(pieces))
			after.Extents = before.Extents
			assert.True(t, proto.Equal(before, after), "only the extents differ: %v, %v", before, after)
			r.mustDo(dropVolume(1, 1))
			r.mustDo(deleteFile("/a", nil))
		})
	}
}

func TestMoveExtents_IsRefusedWhenWhatItReadHasChanged(t *testing.T) {
	r := newRig(t)
	other := r.mustDo(createVolume(model.TierCritical, "n-1")).Id
	version := r.mustDo(r.put("/a", 10, 20)).Version
	row, _ := r.c.Stat("default", "/a")
	move := func(change func(*messages.MoveExtents)) *messages.Command {
		m := &messages.MoveExtents{Tenant: "default", Path: "/a", Version: version, Moves: []*messages.ExtentMove{
			moved(0, row.Extents[0], r.extent(other, 10)), moved(1, row.Extents[1], r.extent(other, 20)),
		}}
		change(m)
		return moveExtents(m)
	}
	same := func(*messages.MoveExtents) {}
	assert.Equal(t, "not_retiring", r.refuses(model.CodeConflict, move(same)).Details["reason"])
	r.mustDo(seal(1, 1, r.ends[1]))
	assert.Equal(t, "not_retiring", r.refuses(model.CodeConflict, move(same)).Details["reason"])
	r.mustDo(retireVolume(1, 1))
	for name, c := range map[string]struct {
		change func(*messages.MoveExtents)
		reason string
	}{
		"another version":     {func(m *messages.MoveExtents) { m.Version++ }, "file_changed"},
		"another path":        {func(m *messages.MoveExtents) { m.Path = "/b" }, "file_changed"},
		"another tenant":      {func(m *messages.MoveExtents) { m.Tenant = "other" }, "file_changed"},
		"no such upload":      {func(m *messages.MoveExtents) { m.Upload = 99 }, "upload_gone"},
		"another place":       {func(m *messages.MoveExtents) { m.Moves[0].Position = 7; m.Moves = m.Moves[:1] }, "extent_changed"},
		"another extent":      {func(m *messages.MoveExtents) { m.Moves[0].From = row.Extents[1] }, "extent_changed"},
		"fewer bytes":         {func(m *messages.MoveExtents) { m.Moves[0].To.BodyBytes-- }, "size_mismatch"},
		"no moves":            {func(m *messages.MoveExtents) { m.Moves = nil }, "bad_field"},
		"out of order":        {func(m *messages.MoveExtents) { m.Moves[0], m.Moves[1] = m.Moves[1], m.Moves[0] }, "bad_field"},
		"too many":            {func(m *messages.MoveExtents) { m.Moves = make([]*messages.ExtentMove, catalog.MaxMovesPerCommand+1) }, "bad_field"},
		"an empty move":       {func(m *messages.MoveExtents) { m.Moves[0] = &messages.ExtentMove{} }, "extent_changed"},
		"nowhere":             {func(m *messages.MoveExtents) { m.Moves[0].To.Volume = 99 }, "volume_unknown"},
		"another tier":        {func(m *messages.MoveExtents) { m.Moves[0].To.Volume = 2 }, "volume_tier"},
		"the retiring volume": {func(m *messages.MoveExtents) { m.Moves[0].To = row.Extents[0] }, "volume_closed"},
	} {
		cmd := move(c.change)
		before := r.rows()
		res := r.do(cmd)
		assert.Equal(t, c.reason, res.Details["reason"], name)
		assert.Equal(t, before, r.rows(), name)
	}
	r.mustDo(moveFile("/a", "/elsewhere", false))
	assert.Equal(t, "file_changed", r.refuses(model.CodeConflict, move(same)).Details["reason"])
	r.evacuate(1, other) // the next walk finds it there
	assert.Zero(t, r.volume(1).LiveBytes)
}

func TestMoveExtents_MovesWhatAnUploadHasStaged(t *testing.T) {
	r := newRig(t)
	other := r.mustDo(createVolume(model.TierCritical, "n-1")).Id
	upload := r.mustDo(r.inSession(stage(0, 0, r.extents(1, bodies(70)...)))).Id
	r.retired(1)
	r.refuses(model.CodeConflict, dropVolume(1, 1))
	r.evacuate(1, other)
	r.mustDo(dropVolume(1, 1))
	r.mustDo(r.inSession(stage(upload, 70, r.extents(other, 10))))
	r.mustDo(r.inSession(commitUpload(file("/up", 710), upload, 71)))
	assert.Len(t, r.named(other, 3), 71)
}

func TestDrop_OnlyWhenNothingNamesTheVolume(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/big", bodies(40*catalog.ManifestChunkExtents)...))
	r.mustDo(seal(1, 1, r.ends[1]))
	r.refuses(model.CodeConflict, dropVolume(1, 1)) // it is not retired
	r.mustDo(retireVolume(1, 1))
	assert.Equal(t, "volume_named", r.refuses(model.CodeConflict, dropVolume(1, 1)).Details["reason"])
	r.mustDo(deleteFile("/big", nil))
	refusals := 0
	for res := r.do(dropVolume(1, 1)); res.Code != ""; res = r.do(dropVolume(1, 1)) {
		assert.Equal(t, "volume_named", res.Details["reason"])
		refusals++
		require.Less(t, refusals, 100, "each entry releases a piece of the garbage")
	}
	assert.NotZero(t, refusals)
	_, there := r.c.Volume(1)
	assert.False(t, there)
	assert.Zero(t, r.ix.count("v/0000000000000001"))
	r.mustDo(dropVolume(1, 1))                        // done is done
	r.refuses(model.CodeNotFound, dropVolume(999, 1)) // never given
	r.refuses(model.CodeNotFound, dropVolume(0, 1))   // no volume
	r.refuses(model.CodeNotFound, retireVolume(1, 1)) // gone
	r.refuses(model.CodeVolumeSealed, putFile(&messages.PutFile{File: file("/x", 1), Extents: []*messages.Extent{
		{Volume: 1, Generation: 1, Offset: 64, RecordBytes: 41, BodyBytes: 1}}}))
	assert.NotEqual(t, uint64(1), r.mustDo(createVolume(model.TierCritical, "n-1")).Id, "an id is never given again")
}

func TestDrop_OfAVolumeWithALossForgetsTheLoss(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/a", 10))
	r.mustDo(reopen(1, 1, 20)) // seals it: bytes are missing
	r.mustDo(deleteFile("/a", nil))
	r.mustDo(retireVolume(1, 1))
	r.mustDo(dropVolume(1, 1)) // Verify compares with a fresh load
}

func TestNamed_FindsEveryExtentOnceWhateverThePage(t *testing.T) {
	r := full(t)
	r.mustDo(r.put("/z", 1, 2))
	second := r.mustDo(createVolume(model.TierCritical, "n-1")).Id
	r.mustDo(putFile(&messages.PutFile{File: file("/mixed", 30), Extents: append(r.extents(1, 10), r.extents(second, 20)...)}))
	want := r.named(1, 1_000_000)
	require.Len(t, want, 1+70+65+2+1)
	for _, rows := range []int{0, 1, 2, 3, 5, 8, 50} {
		got := r.named(1, rows)
		require.Len(t, got, len(want), "%d rows a page", rows)
		for i := range want {
			require.True(t, proto.Equal(want[i], got[i]), "%v, %v", want[i], got[i])
		}
	}
	assert.Len(t, r.named(second, 4), 1)
	assert.Empty(t, r.named(3, 4))
}

func TestNamed_LooksAtABoundedNumberOfRows(t *testing.T) {
	r := newRig(t)
	for i := range 50 {
		r.mustDo(r.put("/f"+strconv.Itoa(i), 1))
	}
	r.ix.visited = 0
	_, next := r.c.Named(map[uint64]bool{1: true}, "", 10)
	assert.NotEmpty(t, next)
	assert.LessOrEqual(t, r.ix.visited, 12)
}
