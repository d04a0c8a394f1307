package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestQuota_IsSetLoweredAndTakenAway(t *testing.T) {
	r := newRig(t)
	r.limit(100)
	r.mustDo(r.put("/a", 90))
	r.limit(50) // below the usage: nothing is taken away
	row, _ := r.c.Tenant("default")
	assert.EqualValues(t, []int64{50, 90, 90}, []int64{row.LimitBytes, row.UsedBytes, row.UsedWhenLimitedBytes})
	r.refuses(model.CodeQuotaExceeded, r.put("/b", 1))
	r.mustDo(deleteFile("/a", nil))
	r.mustDo(r.put("/b", 50))

	r.mustDo(removeQuota("default"))
	r.mustDo(r.put("/c", 5000))
	row, _ = r.c.Tenant("default")
	assert.True(t, proto.Equal(&messages.TenantRow{UsedBytes: 5050, Files: 2}, row), "%v", row)
	r.mustDo(removeQuota("default"))
	r.mustDo(removeQuota("never-seen"))
	_, ok := r.c.Tenant("never-seen")
	assert.False(t, ok, "taking away what is not there makes nothing")

	r.mustDo(setQuota("new", 0)) // before its first file
	put := r.put("/x", 1)
	put.GetPutFile().File.Tenant = "new"
	r.refuses(model.CodeQuotaExceeded, put)
	r.refuses(model.CodeInvalidArgument, setQuota("default", -1))
	r.refuses(model.CodeInvalidArgument, setQuota("Not A Tenant", 1))
	r.refuses(model.CodeInvalidArgument, removeQuota(""))
	assert.Equal(t, []string{"new"}, r.c.Limited())
	r.c = catalog.New(r.ix)
	assert.Equal(t, []string{"new"}, r.c.Limited(), "over a restart")
}

func TestQuota_ATenantOfWhichNothingIsLeftHasNoRow(t *testing.T) {
	r := newRig(t)
	has := func() bool { _, ok := r.c.Tenant("default"); return ok }
	r.mustDo(r.put("/a", 90))
	r.mustDo(r.put("/b", 10))
	r.mustDo(deleteFile("/a", nil))
	assert.True(t, has(), "one file is left")
	r.mustDo(deleteFile("/b", nil))
	assert.False(t, has(), "its last file is gone")
	r.c = catalog.New(r.ix)
	assert.False(t, has(), "over a restart")

	r.mustDo(r.put("/a", 7))
	row, _ := r.c.Tenant("default")
	assert.True(t, proto.Equal(&messages.TenantRow{UsedBytes: 7, Files: 1}, row), "it begins anew: %v", row)
	r.limit(100)
	r.mustDo(deleteFile("/a", nil))
	assert.True(t, has(), "a limit stays without files")
	r.mustDo(removeQuota("default"))
	assert.False(t, has())
}

// countCopies makes a file count its size times the copies its tier wants: 3, 2 and 1.
func (r *rig) countCopies(on bool) {
	r.t.Helper()
	r.mustDo(&messages.Command{Kind: &messages.Command_SetSettings{SetSettings: &messages.SetSettings{Settings: &messages.Settings{
		WeightFree: 1, ReadOnlyUsedShare: 1, QuotaCountsCopies: on,
	}}}})
}

// putIn makes a PutFile of a tier, which is that of the volume of the same number.
func (r *rig) putIn(tier uint32, path string, size uint64) *messages.Command {
	f := file(path, size)
	f.Tier = tier
	return putFile(&messages.PutFile{File: f, Extents: r.extents(uint64(tier), size)})
}

func TestQuota_CopiesCountAsTheyDidWhenTheFileWasWritten(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/old", 10))
	r.countCopies(true)
	r.mustDo(r.putIn(1, "/a", 10))
	r.mustDo(r.putIn(3, "/c", 10))
	used, _ := r.used()
	assert.EqualValues(t, 10+30+10, used, "what was written before keeps its charge")
	assert.EqualValues(t, 30, r.c.Totals().UsedBytes, "what they hold is another thing")
	r.mustDo(moveFile("/a", "/b", false))
	r.countCopies(false)
	r.mustDo(deleteFile("/b", nil))
	used, _ = r.used()
	assert.EqualValues(t, 20, used, "it goes with the charge it came with")
	require.Empty(t, r.c.Verify())
}

// A copy and a change of tier are writes like others: read, written, committed on the
// version that was read. A move takes its charge along.
func TestQuota_CopyMoveAndRetierAreJudgedLikeEveryWrite(t *testing.T) {
	r := newRig(t)
	r.countCopies(true)
	r.mustDo(r.putIn(3, "/a", 10)) // counts 10
	r.limit(29)

	retier := r.putIn(1, "/a", 10) // the same bytes in tier 1 count 30
	retier.GetPutFile().File.Conditions = &messages.Conditions{MustExist: true}
	res := r.refuses(model.CodeQuotaExceeded, retier)
	assert.Equal(t, "20", res.Details["asked_bytes"])
	r.mustDo(r.putIn(2, "/a", 10)) // 20

	r.refuses(model.CodeQuotaExceeded, r.putIn(3, "/copy", 10))
	upload := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 5)))).Id
	r.refuses(model.CodeQuotaExceeded, r.inSession(commitUpload(file("/copy", 5), upload, 1))) // 15
	r.mustDo(r.putIn(3, "/copy", 9))
	r.mustDo(moveFile("/copy", "/moved", false))
	r.mustDo(moveFile("/a", "/moved", true))
	used, files := r.used()
	assert.Equal(t, []int64{20, 1}, []int64{used, files})
}

func TestQuota_WhatIsStagedIsNoUsageButIsKnown(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.inSession(stage(0, 0, r.extents(1, 5))))
	assert.Empty(t, r.c.StagedByLimited(), "nobody asks without a limit")
	r.limit(10)
	id := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 7, 8)))).Id
	staged := r.c.StagedByLimited()
	require.Len(t, staged, 2)
	assert.True(t, proto.Equal(&messages.StagedUpload{Id: id, Tenant: "default", Bytes: 15}, staged[1]), "%v", staged)
	used, _ := r.used()
	assert.Zero(t, used)
	assert.True(t, r.c.HasUpload(id) && r.c.HasSession(r.session) && !r.c.HasUpload(999) && !r.c.HasSession(999))
}

func TestQuota_RaisesSaysWhatAWriteWouldAdd(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/a", 60))
	for _, c := range []struct {
		path string
		size uint64
		want int64
	}{{"/a", 60, 0}, {"/a", 10, -50}, {"/a", 61, 1}, {"/b", 5, 5}} {
		_, more := r.c.Raises("default", c.path, 1, c.size)
		assert.Equal(t, c.want, more, "%v", c)
	}
	row, more := r.c.Raises("nobody", "/a", 1, 7)
	assert.Nil(t, row)
	assert.EqualValues(t, 7, more)
}

func TestTenants_AreListedByNameAPageAtATime(t *testing.T) {
	r := newRig(t)
	for i, name := range []string{"b", "a-b", "a", "z", "a_b"} {
		put := r.put("/x", uint64(i))
		put.GetPutFile().File.Tenant = name
		r.mustDo(put)
	}
	r.mustDo(setQuota("m", 5))
	r.mustDo(setQuota("b", 5))
	names := func(after string, most int, limited bool) (out []string, next string) {
		tenants, next := r.c.Tenants(after, most, limited)
		for _, t := range tenants {
			out = append(out, t.Name)
		}
		return out, next
	}
	page, next := names("", 3, false)
	assert.Equal(t, []string{"a", "a-b", "a_b"}, page)
	assert.Equal(t, "a_b", next)
	page, next = names(next, 3, false)
	assert.Equal(t, []string{"b", "m", "z"}, page)
	assert.Empty(t, next)
	page, next = names("", 1, true)
	assert.Equal(t, []string{"b"}, page)
	page, next = names(next, 1, true)
	assert.Equal(t, []string{"m"}, page)
	assert.Empty(t, next)
}

// survey adds everything up, with something happening before each step.
func survey(t *testing.T, c *catalog.Catalog, rows int, before func()) (files uint64, differences []*messages.UsageDifference) {
	c.BeginSurvey()
	for {
		before()
		done, ok := c.Survey(rows)
		require.True(t, ok)
		if done {
			_, files, differences = c.SurveyResult()
			return files, differences
		}
	}
}

func TestSurvey_IsExactWhileFilesComeAndGo(t *testing.T) {
	for seed := range uint64(20) {
		r, rng := newRig(t), rand.New(rand.NewPCG(seed, 3))
		path := func() string { return fmt.Sprintf("/%d", rng.IntN(40)) }
		r.countCopies(seed%2 == 0)
		change := func() {
			switch rng.IntN(4) {
			case 0:
				r.do(deleteFile(path(), nil))
			case 1:
				r.do(moveFile(path(), path(), true))
			default:
				put := r.put(path(), uint64(rng.IntN(50)))
				put.GetPutFile().File.Tenant = []string{"default", "a", "zz"}[rng.IntN(3)]
				r.do(put)
			}
		}
		for range 60 {
			change()
		}
		files, differences := survey(t, r.c, 1+rng.IntN(4), change)
		assert.Empty(t, differences, "seed %d", seed)
		assert.EqualValues(t, r.c.Totals().Files, files)
	}
}

func TestSurvey_FindsWhatIsCountedWrongly(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/a", 10))
	other := r.put("/a", 3)
	other.GetPutFile().File.Tenant = "other"
	r.mustDo(other)
	r.ix.Begin()
	r.ix.Set("t/default", encode(t, &messages.TenantRow{UsedBytes: 11, Files: 1}))
	r.ix.Delete("t/other")
	r.ix.End()
	r.c = catalog.New(r.ix)
	files, differences := survey(t, r.c, 100, func() {})
	assert.EqualValues(t, 2, files)
	require.Len(t, differences, 2)
	assert.True(t, proto.Equal(&messages.UsageDifference{Tenant: "default", CountedBytes: 11, CountedFiles: 1, FoundBytes: 10, FoundFiles: 1}, differences[0]), "%v", differences)
	assert.True(t, proto.Equal(&messages.UsageDifference{Tenant: "other", FoundBytes: 3, FoundFiles: 1}, differences[1]), "%v", differences)

	_, ok := r.c.Survey(1)
	assert.False(t, ok, "none is under way: it must be begun")
}

func TestRemoveQuota_OfATenantWithoutFilesLeavesNoRow(t *testing.T) {
	r := newRig(t)
	rows := r.ix.count("t/")
	r.mustDo(setQuota("invented", 10))
	assert.Equal(t, rows+1, r.ix.count("t/"))
	r.mustDo(removeQuota("invented"))
	assert.Equal(t, rows, r.ix.count("t/"))
	r.mustDo(setQuota("invented", 10))
	r.mustDo(r.put("/a", bodies(1)...))
	r.mustDo(setQuota("default", 1000))
	r.mustDo(removeQuota("default"))
	bytes, files := r.used()
	assert.Equal(t, []int64{10, 1}, []int64{bytes, files}, "who has files is kept")
}
