package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// bodies is n pieces of 10 bytes.
func bodies(n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = 10
	}
	return out
}

func TestUpload_StagedExtentsBecomeAFile(t *testing.T) {
	for _, c := range []struct {
		extents, perStage int
		manifest          bool
	}{
		{1, 1, false}, {catalog.MaxInlineExtents, 3, false}, {catalog.MaxInlineExtents + 1, 2, true},
		{64, 64, true}, {65, 30, true}, {200, 7, true}, {200, 199, true},
	} {
		r := newRig(t)
		extents := r.extents(1, bodies(c.extents)...)
		upload := r.mustDo(r.inSession(stage(0, 0, nil))).Id
		assert.Equal(t, r.index, upload, "an upload's id is the log index that opened it")
		for first := 0; first < len(extents); first += c.perStage {
			part := extents[first:min(first+c.perStage, len(extents))]
			res := r.mustDo(r.inSession(stage(upload, uint64(first), part)))
			assert.Equal(t, upload, res.Id)
		}
		bytes, _ := r.used()
		assert.Zero(t, bytes, "usage is charged by the commit")
		live := r.volume(1).LiveBytes
		assert.Equal(t, int64(50*c.extents), live, "staged records are live")

		size := uint64(10 * c.extents)
		res := r.mustDo(r.inSession(commitUpload(file("/u", size), upload, uint64(c.extents))))
		assert.True(t, res.Created)
		row, _ := r.c.Stat("default", "/u")
		got := row.Extents
		if c.manifest {
			assert.Equal(t, upload, row.Manifest)
			got = r.c.Manifest(row.Manifest, 0, 1000)
		}
		require.Len(t, got, c.extents)
		for i := range got {
			require.Equal(t, encode(t, extents[i]), encode(t, got[i]))
		}
		assert.Equal(t, live, r.volume(1).LiveBytes)
		assert.Equal(t, c.manifest, r.ix.count("m/") > 0)
		assert.Zero(t, r.ix.count("u/"))
		r.refuses(model.CodeNotFound, r.inSession(commitUpload(file("/u", size), upload, uint64(c.extents))))
		r.mustDo(deleteFile("/u", nil))
		assert.Zero(t, r.volume(1).LiveBytes)
	}
}

func TestUpload_OfNothingIsAnEmptyFile(t *testing.T) {
	r := newRig(t)
	upload := r.mustDo(r.inSession(stage(0, 0, nil))).Id
	f := file("/u", 0)
	f.Tier = 3
	assert.Equal(t, uint32(3), r.mustDo(r.inSession(commitUpload(f, upload, 0))).Tier)
}

func TestStageExtents_StagingTheSameAgainIsNoChange(t *testing.T) {
	r := newRig(t)
	extents := r.extents(1, bodies(100)...)
	upload := r.mustDo(r.inSession(stage(0, 0, extents[:70]))).Id
	r.mustDo(r.inSession(stage(upload, 70, extents[70:])))
	before := r.rows()
	for _, part := range [][2]int{{0, 70}, {70, 100}, {0, 100}, {60, 68}, {99, 100}, {5, 5}} {
		r.mustDo(r.inSession(stage(upload, uint64(part[0]), extents[part[0]:part[1]])))
	}
	assert.Equal(t, before, r.rows())

	more := r.extents(1, 10)
	for name, cmd := range map[string]*messages.Command{
		"a gap":                     stage(upload, 101, more),
		"other extents":             stage(upload, 99, more),
		"partly beyond what is":     stage(upload, 99, append(extents[99:100:100], more...)),
		"the same at another place": stage(upload, 0, extents[1:2]),
	} {
		res := r.refuses(model.CodeConflict, r.inSession(cmd))
		assert.Equal(t, "100", res.Details["extents"], name)
	}
}

func TestStageExtents_Refusals(t *testing.T) {
	r := newRig(t)
	upload := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 10)))).Id
	r.refuses(model.CodeInvalidArgument, stage(0, 0, nil)) // no session
	r.refuses(model.CodeNotFound, r.inSession(stage(777, 0, nil)))
	r.refuses(model.CodeInvalidArgument, r.inSession(stage(upload, 1, r.extents(2, 10)))) // another tier
	r.refuses(model.CodeInvalidArgument, r.inSession(stage(0, 0, append(r.extents(1, 10), r.extents(2, 10)...))))
	r.refuses(model.CodeConflict, r.inSession(stage(0, 3, r.extents(1, 10))))
	foreign := r.inSession(stage(upload, 1, r.extents(1, 10)))
	foreign.GetStageExtents().Tenant = "other"
	r.refuses(model.CodeNotFound, foreign)
	bad := r.inSession(stage(0, 0, nil))
	bad.GetStageExtents().Tenant = "No"
	r.refuses(model.CodeInvalidArgument, bad)
	r.mustDo(seal(1, 1, 0))
	r.refuses(model.CodeVolumeSealed, r.inSession(stage(upload, 1, r.extents(1, 10))))

	r.session, r.seq = r.mustDo(openSession("n-gw", 1)).Id, 0
	r.refuses(model.CodeNotFound, r.inSession(stage(upload, 1, nil)))
	r.refuses(model.CodeNotFound, r.inSession(abortUpload(upload)))
	r.refuses(model.CodeNotFound, r.inSession(commitUpload(file("/u", 10), upload, 1)))
}

func TestStageExtents_BoundsTheUploadsOfASession(t *testing.T) {
	r := newRig(t)
	r.c.Begin()
	for seq := uint64(1); seq <= catalog.MaxUploadsPerSession; seq++ {
		r.index++
		_, err := r.c.Apply(r.index, as(r.session, seq, seq, stage(0, 0, nil)))
		require.NoError(t, err)
	}
	r.c.End()
	r.seq = catalog.MaxUploadsPerSession
	last := r.index
	r.refuses(model.CodeOverloaded, r.inSession(stage(0, 0, nil)))
	r.mustDo(r.inSession(abortUpload(last)))
	r.mustDo(r.inSession(stage(0, 0, nil)))
}

func TestCommitUpload_RefusalsLeaveTheUpload(t *testing.T) {
	r := newRig(t)
	upload := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 10, 10)))).Id
	r.refuses(model.CodeConflict, r.inSession(commitUpload(file("/u", 20), upload, 1)))
	r.refuses(model.CodeConflict, r.inSession(commitUpload(file("/u", 21), upload, 2)))
	r.refuses(model.CodeInvalidArgument, r.inSession(commitUpload(file("u", 20), upload, 2)))
	otherTier := file("/u", 20)
	otherTier.Tier = 2
	r.refuses(model.CodeInvalidArgument, r.inSession(commitUpload(otherTier, upload, 2)))
	r.refuses(model.CodeNotFound, commitUpload(file("/u", 20), upload, 2)) // no session
	foreign := file("/u", 20)
	foreign.Tenant = "other"
	r.refuses(model.CodeNotFound, r.inSession(commitUpload(foreign, upload, 2)))
	r.mustDo(r.inSession(commitUpload(file("/u", 20), upload, 2)))
}

func TestCommitUpload_RefusesWhatWasLostSinceItWasStaged(t *testing.T) {
	r := newRig(t)
	before := r.mustDo(r.inSession(stage(0, 0, r.extents(1, bodies(70)...)))).Id
	whole := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 10)))).Id
	lost := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 10)))).Id
	r.mustDo(reopen(1, 1, 71*50)) // the last record is gone
	r.mustDo(r.inSession(commitUpload(file("/a", 700), before, 70)))
	r.mustDo(r.inSession(commitUpload(file("/b", 10), whole, 1)))
	res := r.refuses(model.CodeUnavailable, r.inSession(commitUpload(file("/c", 10), lost, 1)))
	assert.Equal(t, "1", res.Details["volume"])
	r.mustDo(r.inSession(abortUpload(lost)))
}

func TestAbortUpload_ReleasesWhatWasStaged(t *testing.T) {
	r := newRig(t)
	upload := r.mustDo(r.inSession(stage(0, 0, r.extents(1, bodies(70)...)))).Id
	r.mustDo(r.inSession(abortUpload(upload)))
	assert.Zero(t, r.volume(1).LiveBytes)
	assert.Zero(t, r.ix.count("m/")+r.ix.count("u/")+r.ix.count("g/"))
	r.refuses(model.CodeNotFound, r.inSession(abortUpload(upload)))
}

// Found by cluster seed 200473: the outcome of an upload's first part was lost, so its
// gateway knew no id to give it up by, and it held its bytes and its reservation for as
// long as that gateway lived.
func TestAbortUpload_FindsWhatACommandOfItsSessionBegan(t *testing.T) {
	r := newRig(t)
	begin := r.inSession(stage(0, 0, r.extents(1, bodies(70)...)))
	r.mustDo(begin)
	r.refuses(model.CodeNotFound, r.inSession(abortUpload(0)))
	other := r.inSession(abortUpload(0))
	other.GetAbortUpload().Begun = other.Sequence
	r.refuses(model.CodeNotFound, other)
	abort := r.inSession(abortUpload(0))
	abort.GetAbortUpload().Begun = begin.Sequence
	r.mustDo(abort)
	assert.Zero(t, r.volume(1).LiveBytes)
	assert.Zero(t, r.ix.count("m/")+r.ix.count("u/")+r.ix.count("g/"))
}

func TestGarbage_IsReleasedInBoundedStepsByEntriesOfAnyKind(t *testing.T) {
	const chunks, perEntry = 20, 8
	r := newRig(t)
	r.mustDo(r.put("/big", bodies(chunks*catalog.ManifestChunkExtents)...))
	r.mustDo(r.put("/small", bodies(5)...))
	small := r.volume(1).LiveBytes - chunks*catalog.ManifestChunkExtents*50

	r.mustDo(deleteFile("/big", nil))
	bytes, files := r.used()
	assert.Equal(t, []int64{50, 1}, []int64{bytes, files}, "usage falls at once")
	assert.Equal(t, chunks-perEntry, r.ix.count("m/")-1)
	assert.Equal(t, 1, r.ix.count("g/"))

	r.mustDo(deleteFile("/small", nil)) // garbage of its own, behind
	assert.Equal(t, chunks-2*perEntry, r.ix.count("m/")-1)
	assert.Equal(t, 2, r.ix.count("g/"))

	r.c = catalog.New(r.ix) // a restart goes on where it was
	require.NoError(t, r.c.Advance(r.index+1))
	r.index++
	assert.Zero(t, r.ix.count("m/")+r.ix.count("g/"))
	assert.Zero(t, r.volume(1).LiveBytes)
	assert.Equal(t, int64(250), small)
	assert.Empty(t, r.c.Verify())
}
