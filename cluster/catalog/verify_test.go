package catalog_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/catalog"
	"tiercel/messages"
)

// edit changes a row behind the catalog's back.
func edit[M proto.Message](t *testing.T, ix *memIndex, key string, row M, change func(row M)) {
	value, ok := ix.Get(key)
	require.True(t, ok, "there is no row %q", key)
	require.NoError(t, proto.Unmarshal([]byte(value), row))
	change(row)
	ix.Set(key, encode(t, row))
}

// full is a catalog with a row of every kind: a file with extents inline and
// one with a manifest, an upload under way, garbage, a key, a worker.
func full(t *testing.T) *rig {
	r := newRig(t)
	r.mustDo(&messages.Command{Kind: &messages.Command_RegisterWorker{RegisterWorker: &messages.RegisterWorker{
		Node: "n-1", Worker: &messages.WorkerRow{Address: "x"}}}})
	r.mustDo(keyed("k", r.put("/a", 10)))
	r.mustDo(r.put("/big", bodies(70)...))
	upload := r.mustDo(r.inSession(stage(0, 0, r.extents(1, bodies(65)...)))).Id
	require.Equal(t, uint64(9), upload)
	r.mustDo(r.put("/gone", bodies(20*catalog.ManifestChunkExtents)...))
	r.mustDo(deleteFile("/gone", nil))
	require.Equal(t, 1, r.ix.count("g/"))
	return r
}

// TestVerify_NoticesEveryKindOfDamage plants one fault a time and expects it to
// be named, in the catalog that has it under its feet and in one that loads it.
func TestVerify_NoticesEveryKindOfDamage(t *testing.T) {
	const (
		fileA    = "f/default\x00/a"
		big      = "f/default\x00/big"
		volume1  = "v/0000000000000001"
		manifest = "m/0000000000000008/00000000"
	)
	volume := func(change func(*messages.VolumeRow)) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) { edit(t, r.ix, volume1, &messages.VolumeRow{}, change) }
	}
	fileRow := func(key string, change func(*messages.FileRow)) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) { edit(t, r.ix, key, &messages.FileRow{}, change) }
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, r *rig)
		says   string
	}{
		"live bytes":                  {volume(func(v *messages.VolumeRow) { v.LiveBytes++ }), "live bytes"},
		"committed end":               {volume(func(v *messages.VolumeRow) { v.CommittedEnd = 60 }), "committed up to 60"},
		"generation":                  {volume(func(v *messages.VolumeRow) { v.Generation = 0 }), "generation 1 of volume 1"},
		"sealed too short":            {volume(func(v *messages.VolumeRow) { v.State = 2; v.SealedEnd = 60 }), "no loss is logged"},
		"beyond the sealed end":       {volume(func(v *messages.VolumeRow) { v.State = 2; v.SealedEnd = 60 }), "beyond the sealed end 60"},
		"no member":                   {volume(func(v *messages.VolumeRow) { v.Members = nil }), "no member"},
		"retired, but not by the log": {volume(func(v *messages.VolumeRow) { v.State = 3; v.SealedEnd = v.CommittedEnd }), "retired at 0"},
		"volume gone":                 {func(_ *testing.T, r *rig) { r.ix.Delete(volume1) }, "names volume 1, which is not there"},
		"file size":                   {fileRow(fileA, func(f *messages.FileRow) { f.SizeBytes++ }), "extents hold"},
		"file version":                {fileRow(fileA, func(f *messages.FileRow) { f.Version = 1 << 40 }), "is applied"},
		"file tier":                   {fileRow(fileA, func(f *messages.FileRow) { f.Tier = 2 }), "of tier 2 is in volume 1"},
		"file gone":                   {func(_ *testing.T, r *rig) { r.ix.Delete(fileA) }, "the rows hold"},
		"file unreadable":             {func(_ *testing.T, r *rig) { r.ix.Set(fileA, "\xff") }, "cannot be read"},
		"file not canonical":          {func(_ *testing.T, r *rig) { r.ix.Set(fileA, r.ix.rows[fileA]+"\x08\x06") }, "canonical"},
		"bad path":                    {func(_ *testing.T, r *rig) { r.ix.Set("f/default\x00a", r.ix.rows[fileA]) }, "not that of a file"},
		"manifest shorter":            {fileRow(big, func(f *messages.FileRow) { f.ManifestExtents-- }), "manifest 8"},
		"manifest smaller":            {fileRow(big, func(f *messages.FileRow) { f.SizeBytes-- }), "manifest 8"},
		"manifest named twice":        {func(_ *testing.T, r *rig) { r.ix.Set("f/default\x00/twice", r.ix.rows[big]) }, "named by 2 rows"},
		"manifest named by none":      {func(_ *testing.T, r *rig) { r.ix.Delete(big) }, "named by 0 rows"},
		"manifest chunk gone":         {func(_ *testing.T, r *rig) { r.ix.Delete(manifest) }, "manifest 8"},
		"manifest key":                {func(_ *testing.T, r *rig) { r.ix.Set("m/x", "") }, "not that of a manifest"},
		"garbage position":            {func(_ *testing.T, r *rig) { r.ix.Set("g/000000000000000a", "00000000") }, "garbage manifest 10"},
		"garbage forgotten":           {func(_ *testing.T, r *rig) { r.ix.Delete("g/000000000000000a") }, "named by 0 rows"},
		"usage": {func(t *testing.T, r *rig) {
			edit(t, r.ix, "t/default", &messages.TenantRow{}, func(row *messages.TenantRow) { row.UsedBytes++ })
		}, "the rows hold"},
		"tenant gone": {func(_ *testing.T, r *rig) { r.ix.Delete("t/default") }, "no row"},
		"upload size": {func(t *testing.T, r *rig) {
			edit(t, r.ix, "u/0000000000000009", &messages.UploadRow{}, func(row *messages.UploadRow) { row.SizeBytes++ })
		}, "manifest 9"},
		"upload without session": {func(_ *testing.T, r *rig) { r.ix.Delete("s/" + hex16(r.session)) }, "belongs to session"},
		"key gone":               {func(_ *testing.T, r *rig) { r.ix.Delete("i/default\x00k") }, "does not name it"},
		"age gone":               {func(_ *testing.T, r *rig) { r.ix.Delete("j/default\x00" + hex16(7)) }, "has no age row"},
		"worker":                 {func(_ *testing.T, r *rig) { r.ix.Delete("w/n-1") }, "workers differ"},
		"cluster": {func(t *testing.T, r *rig) {
			edit(t, r.ix, "c", &messages.ClusterRow{}, func(row *messages.ClusterRow) { row.NextVolume = 2 })
		}, "at or above the counter"},
		"applied":      {func(_ *testing.T, r *rig) { r.ix.Set("a", hex16(3)) }, "applied"},
		"unknown kind": {func(_ *testing.T, r *rig) { r.ix.Set("y/1", "") }, "no known kind"},
	} {
		t.Run(name, func(t *testing.T) {
			r := full(t)
			c.damage(t, r)
			found := strings.Join(r.c.Verify(), "\n")
			assert.Contains(t, found, "state hash", "the hash notices every change of a row")
			loaded := strings.Join(catalog.New(r.ix).Verify(), "\n")
			assert.Contains(t, found+loaded, c.says)
			if name != "applied" && name != "worker" { // right by themselves
				assert.NotEmpty(t, loaded, "damage that was there before loading is found too")
			}
		})
	}
}

func TestStateHash_SeesSwappedValuesAndMovedBytes(t *testing.T) {
	// Rows of a kind that a load does not read.
	base := map[string]string{"m/a": "1", "m/b": "2", "m/ab": "c"}
	hashOf := func(rows map[string]string) string {
		ix := newMemIndex()
		for key, value := range rows {
			ix.Set(key, value)
		}
		return string(catalog.New(ix).StateHash())
	}
	want := hashOf(base)
	assert.Len(t, want, 16)
	for name, other := range map[string]map[string]string{
		"another value":      {"m/a": "3", "m/b": "2", "m/ab": "c"},
		"swapped values":     {"m/a": "2", "m/b": "1", "m/ab": "c"},
		"byte moved":         {"m/a": "1", "m/b": "2", "m/a ": "bc"},
		"one row less":       {"m/a": "1", "m/b": "2"},
		"key and value swap": {"m/a": "1", "m/b": "2", "m/c": "ab"},
	} {
		assert.NotEqual(t, want[:8], hashOf(other)[:8], name)
		assert.NotEqual(t, want[8:], hashOf(other)[8:], name)
	}
	assert.Equal(t, want, hashOf(base))
}
