package catalog_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

func decimal(v uint64) string { return strconv.FormatUint(v, 10) }

func hex16(v uint64) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 16)
	for i := range out {
		out[15-i] = digits[v>>(4*i)&15]
	}
	return string(out)
}

func TestPutFile_StoresTheRowAndAccountsForIt(t *testing.T) {
	r := newRig(t)
	cmd := r.put("/a", 10, 20)
	f := cmd.GetPutFile().File
	f.ContentType, f.Meta, f.TierAsked = "text/plain", map[string]string{"k": "v"}, 1
	res := r.mustDo(cmd)
	assert.Equal(t, &messages.CommandResult{Version: r.index, Created: true, ModifiedUnixMs: 5, Tier: 1}, res)

	row, ok := r.c.Stat("default", "/a")
	require.True(t, ok)
	assert.Equal(t, r.index, row.Version)
	assert.Equal(t, uint64(30), row.SizeBytes)
	assert.Equal(t, uint32(7), row.Crc32C)
	assert.Equal(t, "text/plain", row.ContentType)
	assert.Equal(t, "v", row.Meta["k"])
	assert.Equal(t, uint32(1), row.TierAsked)
	assert.Len(t, row.Extents, 2)
	bytes, files := r.used()
	assert.Equal(t, []int64{30, 1}, []int64{bytes, files})
	assert.Equal(t, int64(110), r.volume(1).LiveBytes)
	assert.Equal(t, uint64(110), r.volume(1).CommittedEnd)

	_, ok = r.c.Stat("other", "/a")
	assert.False(t, ok, "each tenant has a namespace of its own")
}

func TestPutFile_WithoutATimeHasThatOfTheProposal(t *testing.T) {
	r := newRig(t)
	cmd := r.put("/a", 10)
	cmd.GetPutFile().File.ModifiedUnixMs = 0
	assert.Equal(t, int64(2000), r.mustDo(cmd).ModifiedUnixMs)
}

func TestPutFile_ReplacesAndReleasesThePreviousBytes(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/a", 10))
	res := r.mustDo(r.put("/a", 20))
	assert.False(t, res.Created)
	bytes, files := r.used()
	assert.Equal(t, []int64{20, 1}, []int64{bytes, files})
	assert.Equal(t, int64(60), r.volume(1).LiveBytes)
	assert.Equal(t, uint64(110), r.volume(1).CommittedEnd, "the committed end only grows")
}

func TestPutFile_OfManyExtentsHasAManifest(t *testing.T) {
	bodies := make([]uint64, 2*catalog.ManifestChunkExtents+5)
	for i := range bodies {
		bodies[i] = uint64(i)
	}
	for _, c := range []struct{ extents, rows int }{
		{0, 0}, {1, 0}, {catalog.MaxInlineExtents, 0}, {catalog.MaxInlineExtents + 1, 1},
		{catalog.ManifestChunkExtents, 1}, {catalog.ManifestChunkExtents + 1, 2}, {len(bodies), 3},
	} {
		r := newRig(t)
		r.mustDo(r.put("/a", bodies[:c.extents]...))
		row, _ := r.c.Stat("default", "/a")
		assert.Equal(t, c.rows, r.ix.count("m/"), "%d extents", c.extents)
		if c.rows == 0 {
			assert.Len(t, row.Extents, c.extents)
			continue
		}
		assert.Empty(t, row.Extents)
		assert.Equal(t, uint64(c.extents), row.ManifestExtents)
		held := r.c.Manifest(row.Manifest, 0, 1000)
		require.Len(t, held, c.extents)
		part := r.c.Manifest(row.Manifest, 3, 2)
		require.Len(t, part, 2)
		assert.Equal(t, uint64(3), part[0].BodyBytes)
		assert.Empty(t, r.c.Manifest(row.Manifest, uint64(c.extents), 10))
		assert.Empty(t, r.c.Manifest(row.Manifest, 1<<40, 10))

		r.mustDo(deleteFile("/a", nil))
		assert.Zero(t, r.ix.count("m/")+r.ix.count("g/"))
		assert.Zero(t, r.volume(1).LiveBytes)
	}
}

func TestPutFile_RefusesWhatNoRowShouldHold(t *testing.T) {
	long := strings.Repeat("x", 9000)
	for name, c := range map[string]struct {
		code  model.Code
		spoil func(cmd *messages.Command, f *messages.FileAttributes)
	}{
		"tenant":       {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.Tenant = "No" }},
		"no tenant":    {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.Tenant = "" }},
		"path":         {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.Path = "/a/../b" }},
		"nul":          {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.Path = "/a\x00b" }},
		"long path":    {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.Path = "/" + long }},
		"no tier":      {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.Tier = 0 }},
		"tier 4":       {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.Tier = 4 }},
		"tier asked":   {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.TierAsked = 4 }},
		"content type": {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.ContentType = long }},
		"meta":         {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.Meta = map[string]string{"k": long} }},
		"not UTF-8":    {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.ContentType = "\xff" }},
		"key":          {model.CodeInvalidArgument, func(cmd *messages.Command, _ *messages.FileAttributes) { cmd.IdempotencyKey = long }},
		"too large":    {model.CodeTooLarge, func(_ *messages.Command, f *messages.FileAttributes) { f.SizeBytes = 5<<40 + 1 }},
		"size, more":   {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.SizeBytes++ }},
		"size, less":   {model.CodeInvalidArgument, func(_ *messages.Command, f *messages.FileAttributes) { f.SizeBytes-- }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			cmd := r.put("/a", 10)
			c.spoil(cmd, cmd.GetPutFile().File)
			r.refuses(c.code, cmd)
		})
	}
	newRig(t).refuses(model.CodeInvalidArgument, putFile(&messages.PutFile{}))
	newRig(t).refuses(model.CodeInvalidArgument, putFile(nil))
}

func TestPutFile_ChecksEveryExtentAgainstTheVolumeRow(t *testing.T) {
	// Volume 1 is of tier 1 and open, 2 of tier 2; 4 is sealed at 100; 5 is open
	// at generation 2 from offset 100 on.
	setup := func(t *testing.T) *rig {
		r := newRig(t)
		r.mustDo(createVolume(1, "n-1"))
		r.mustDo(createVolume(1, "n-1"))
		r.mustDo(seal(4, 1, 100))
		r.mustDo(reopen(5, 1, 100))
		return r
	}
	for name, c := range map[string]struct {
		want   model.Code
		extent *messages.Extent
	}{
		"open":                       {"", &messages.Extent{Volume: 1, Generation: 1, Offset: 0, RecordBytes: 50}},
		"open, leaving a gap":        {"", &messages.Extent{Volume: 1, Generation: 1, Offset: 999, RecordBytes: 50}},
		"unknown volume":             {model.CodeVolumeSealed, &messages.Extent{Volume: 77, Generation: 1, RecordBytes: 50}},
		"another generation":         {model.CodeVolumeSealed, &messages.Extent{Volume: 1, Generation: 2, RecordBytes: 50}},
		"another tier":               {model.CodeInvalidArgument, &messages.Extent{Volume: 2, Generation: 1, RecordBytes: 50}},
		"sealed, up to its end":      {"", &messages.Extent{Volume: 4, Generation: 1, Offset: 50, RecordBytes: 50}},
		"sealed, beyond its end":     {model.CodeVolumeSealed, &messages.Extent{Volume: 4, Generation: 1, Offset: 51, RecordBytes: 50}},
		"reopened":                   {"", &messages.Extent{Volume: 5, Generation: 2, Offset: 100, RecordBytes: 50}},
		"reopened, below its start":  {model.CodeVolumeSealed, &messages.Extent{Volume: 5, Generation: 2, Offset: 99, RecordBytes: 50}},
		"reopened, old generation":   {model.CodeVolumeSealed, &messages.Extent{Volume: 5, Generation: 1, Offset: 0, RecordBytes: 50}},
		"no record":                  {model.CodeInvalidArgument, &messages.Extent{Volume: 1, Generation: 1}},
		"record too large":           {model.CodeInvalidArgument, &messages.Extent{Volume: 1, Generation: 1, RecordBytes: 1 << 40}},
		"more content than record":   {model.CodeInvalidArgument, &messages.Extent{Volume: 1, Generation: 1, RecordBytes: 5, BodyBytes: 6}},
		"offset that would overflow": {model.CodeInvalidArgument, &messages.Extent{Volume: 4, Generation: 1, Offset: 1<<64 - 10, RecordBytes: 50}},
	} {
		t.Run(name, func(t *testing.T) {
			r := setup(t)
			// One good extent before it: nothing is taken unless all pass.
			extents := append(r.extents(1, 10), c.extent)
			cmd := putFile(&messages.PutFile{File: file("/a", 10+c.extent.BodyBytes), Extents: extents})
			if c.want == "" {
				r.mustDo(cmd)
				return
			}
			r.refuses(c.want, cmd)
		})
	}
}

func TestConditions_AreJudgedAgainstTheFileAsItIsNow(t *testing.T) {
	never := uint64(1 << 40)
	for _, c := range []struct {
		name   string
		exists bool
		cond   func(version uint64) *messages.Conditions
		put    model.Code
		delete model.Code
	}{
		{"none, absent", false, func(uint64) *messages.Conditions { return nil }, "", model.CodeNotFound},
		{"none, there", true, func(uint64) *messages.Conditions { return &messages.Conditions{} }, "", ""},
		{"must not exist, absent", false, func(uint64) *messages.Conditions { return &messages.Conditions{MustNotExist: true} }, "", model.CodeNotFound},
		{"must not exist, there", true, func(uint64) *messages.Conditions { return &messages.Conditions{MustNotExist: true} },
			model.CodePreconditionFailed, model.CodePreconditionFailed},
		{"must exist, absent", false, func(uint64) *messages.Conditions { return &messages.Conditions{MustExist: true} },
			model.CodePreconditionFailed, model.CodePreconditionFailed},
		{"must exist, there", true, func(uint64) *messages.Conditions { return &messages.Conditions{MustExist: true} }, "", ""},
		{"version, absent", false, func(v uint64) *messages.Conditions { return &messages.Conditions{Versions: []uint64{v}} },
			model.CodePreconditionFailed, model.CodePreconditionFailed},
		{"this version", true, func(v uint64) *messages.Conditions { return &messages.Conditions{Versions: []uint64{never, v}} }, "", ""},
		{"another version", true, func(uint64) *messages.Conditions { return &messages.Conditions{Versions: []uint64{never}} },
			model.CodePreconditionFailed, model.CodePreconditionFailed},
		{"version 0, absent", false, func(uint64) *messages.Conditions { return &messages.Conditions{Versions: []uint64{0}} },
			model.CodePreconditionFailed, model.CodePreconditionFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			for kind, want := range map[string]model.Code{"put": c.put, "delete": c.delete, "commit": c.put} {
				r := newRig(t)
				version := uint64(0)
				if c.exists {
					version = r.mustDo(r.put("/a", 10)).Version
				}
				var cmd *messages.Command
				switch kind {
				case "put":
					cmd = r.put("/a", 20)
					cmd.GetPutFile().File.Conditions = c.cond(version)
				case "delete":
					cmd = deleteFile("/a", c.cond(version))
				case "commit":
					upload := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 20)))).Id
					f := file("/a", 20)
					f.Conditions = c.cond(version)
					cmd = r.inSession(commitUpload(f, upload, 1))
				}
				if want == "" {
					r.mustDo(cmd)
					continue
				}
				res := r.refuses(want, cmd)
				if want == model.CodePreconditionFailed {
					assert.Equal(t, decimal(version), res.Details["current_version"], kind)
				}
			}
		})
	}
}

func TestTierUse_FollowsEveryFileIntoOutOfAndBetweenTiers(t *testing.T) {
	r := newRig(t)
	use := func() (out []int64) {
		for _, u := range r.c.TierUse() {
			out = append(out, u.Files, u.LogicalBytes)
		}
		return out
	}
	assert.Equal(t, []int64{0, 0, 0, 0, 0, 0}, use())
	r.mustDo(r.put("/models/a", 100))
	r.mustDo(r.put("/models/b", 40, 2))
	assert.Equal(t, []int64{2, 142, 0, 0, 0, 0}, use())
	r.mustDo(r.put("/models/a", 7))
	assert.Equal(t, []int64{2, 49, 0, 0, 0, 0}, use())
	cheap := file("/models/b", 5)
	cheap.Tier, cheap.TierAsked = 3, 3
	r.mustDo(putFile(&messages.PutFile{File: cheap, Extents: r.extents(3, 5)}))
	assert.Equal(t, []int64{1, 7, 0, 0, 1, 5}, use())
	assert.Equal(t, r.c.TierUse(), catalog.New(r.ix).TierUse(), "the same after a restart")
	r.mustDo(moveFile("/models/a", "/models/b", true))
	assert.Equal(t, []int64{1, 7, 0, 0, 0, 0}, use())
	r.mustDo(deleteFile("/models/b", nil))
	assert.Equal(t, []int64{0, 0, 0, 0, 0, 0}, use())
}

func TestDeleteFile_ReleasesEverything(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/a", 10))
	res := r.mustDo(deleteFile("/a", nil))
	assert.Equal(t, r.index, res.Version)
	_, ok := r.c.Stat("default", "/a")
	assert.False(t, ok)
	bytes, files := r.used()
	assert.Equal(t, []int64{0, 0}, []int64{bytes, files})
	assert.Zero(t, r.volume(1).LiveBytes)
	r.refuses(model.CodeNotFound, deleteFile("/a", nil))
	r.refuses(model.CodeInvalidArgument, deleteFile("a", nil))
}

func TestMoveFile_KeepsAllButTheVersion(t *testing.T) {
	for name, bodies := range map[string][]uint64{"inline": {10}, "manifest": {1, 2, 3, 4, 5, 6}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.mustDo(r.put("/a", bodies...))
			before, _ := r.c.Stat("default", "/a")
			bytes, files := r.used()
			live := r.volume(1).LiveBytes

			res := r.mustDo(moveFile("/a", "/b/c", false))
			assert.True(t, res.Created)
			_, ok := r.c.Stat("default", "/a")
			assert.False(t, ok)
			after, _ := r.c.Stat("default", "/b/c")
			assert.Equal(t, r.index, after.Version)
			after.Version = before.Version
			assert.Equal(t, encode(t, before), encode(t, after))
			bytesAfter, filesAfter := r.used()
			assert.Equal(t, []int64{bytes, files, live}, []int64{bytesAfter, filesAfter, r.volume(1).LiveBytes})
		})
	}
}

func TestMoveFile_Refusals(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/a", 10))
	version := r.mustDo(r.put("/b", 20)).Version
	r.refuses(model.CodeNotFound, moveFile("/none", "/c", true))
	r.refuses(model.CodeInvalidArgument, moveFile("/a", "/a", true))
	r.refuses(model.CodeInvalidArgument, moveFile("/a", "/a/", true))
	r.refuses(model.CodeInvalidArgument, moveFile("a", "/c", true))
	res := r.refuses(model.CodeConflict, moveFile("/a", "/b", false))
	assert.Equal(t, decimal(version), res.Details["current_version"])

	assert.False(t, r.mustDo(moveFile("/a", "/b", true)).Created)
	bytes, files := r.used()
	assert.Equal(t, []int64{10, 1}, []int64{bytes, files})
	assert.Equal(t, int64(50), r.volume(1).LiveBytes)
}

func TestQuota_OnlyWhatRaisesUsageAboveTheLimitIsRefused(t *testing.T) {
	r := newRig(t)
	r.mustDo(r.put("/a", 60))
	r.mustDo(r.put("/b", 30))
	r.limit(100)
	res := r.refuses(model.CodeQuotaExceeded, r.put("/c", 11))
	assert.Equal(t, map[string]string{
		"reason": "quota", "tenant": "default", "limit_bytes": "100", "used_bytes": "90", "asked_bytes": "11",
	}, res.Details)
	r.mustDo(r.put("/c", 10)) // up to the limit
	r.refuses(model.CodeQuotaExceeded, r.put("/a", 61))
	r.mustDo(r.put("/a", 60)) // replaced by as much

	r.limit(50) // below the usage of 100
	r.refuses(model.CodeQuotaExceeded, r.put("/d", 1))
	r.mustDo(r.put("/d")) // an empty file raises nothing
	r.mustDo(r.put("/a", 59))
	r.mustDo(moveFile("/a", "/e", false))
	r.mustDo(moveFile("/e", "/b", true))
	r.mustDo(deleteFile("/b", nil))

	upload := r.mustDo(r.inSession(stage(0, 0, r.extents(1, 60)))).Id
	r.refuses(model.CodeQuotaExceeded, r.inSession(commitUpload(file("/u", 60), upload, 1)))
	other := putFile(&messages.PutFile{File: file("/x", 1000), Extents: r.extents(1, 1000)})
	other.GetPutFile().File.Tenant = "other"
	r.mustDo(other)
	assert.Equal(t, int64(1010), r.c.Totals().UsedBytes)
}
