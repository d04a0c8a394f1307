package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"

	"tiercel/cluster/model"
)

func openVolumes(t *testing.T, fsys FS) *Volumes {
	t.Helper()
	require.NoError(t, fsys.MkdirAll(dirTmp))
	v, _, err := OpenVolumes(fsys, VolumeOptions{MaxOpenFiles: 2})
	require.NoError(t, err)
	return v
}

func records(sizes ...int) []Record {
	var recs []Record
	for i, size := range sizes {
		recs = append(recs, Record{Tenant: "acme", Path: fmt.Sprintf("/f/%d", i), Session: 3, Sequence: uint64(i), Part: 1, Parts: 1, Body: body(i+size, size)})
	}
	return recs
}

func mustAppend(t *testing.T, w *VolumeWriter, recs []Record) []Placed {
	t.Helper()
	placed, err := w.AppendBatch(recs, true)
	require.NoError(t, err)
	require.Len(t, placed, len(recs))
	return placed
}

func readBack(v *Volumes, id model.VolumeID, p Placed, from, to uint64) ([]byte, error) {
	return v.ReadBody(id, p.Offset, p.RecordBytes, p.HeaderCRC, from, to, nil)
}

func assertReadable(t *testing.T, v *Volumes, id model.VolumeID, recs []Record, placed []Placed) {
	t.Helper()
	for i, p := range placed {
		got, err := readBack(v, id, p, 0, p.BodyBytes)
		require.NoError(t, err)
		equalBytes(t, recs[i].Body, got, recs[i].Path)
	}
}

func TestVolume_ReadsEveryRangeOfEveryRecord(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		v := openVolumes(t, fsys)
		w, err := v.Create(model.TierCritical, 9, 1, 1)
		require.NoError(t, err)
		recs := records(0, 10, 1024, recordBlock-1, recordBlock, wholeRead, 3*recordBlock, 3*recordBlock+100, 1<<20+1)
		placed := mustAppend(t, w, recs)
		assert.EqualValues(t, DataStart, placed[0].Offset)
		assertReadable(t, v, 9, recs, placed)
		prefix := []byte("before")
		for i, p := range placed {
			points := []uint64{0, 1, p.BodyBytes / 2, recordBlock - 1, recordBlock, recordBlock + 1, 2 * recordBlock, 2*recordBlock + 7, p.BodyBytes - min(1, p.BodyBytes), p.BodyBytes}
			for _, from := range points {
				for _, to := range points {
					if from > to || to > p.BodyBytes {
						continue
					}
					got, err := v.ReadBody(9, p.Offset, p.RecordBytes, p.HeaderCRC, from, to, prefix)
					require.NoError(t, err)
					equalBytes(t, append([]byte("before"), recs[i].Body[from:to]...), got, fmt.Sprintf("record %d from %d to %d", i, from, to))
				}
			}
			_, err := readBack(v, 9, p, 0, p.BodyBytes+1)
			assertCode(t, model.CodeInvalidArgument, err)
			rec, err := v.CheckRecord(9, p.Offset, p.RecordBytes, p.HeaderCRC)
			require.NoError(t, err)
			assert.Equal(t, recs[i].Path, rec.Path)
		}
		last := placed[len(placed)-1]
		assert.Equal(t, last.Offset+last.RecordBytes, w.End())
		assert.Equal(t, w.End(), w.Watermark())
		require.NoError(t, v.Close())
	})
}

func TestVolume_AReadTellsDamageFromBehindFromMissing(t *testing.T) {
	fsys := NewMemFS(1)
	v := openVolumes(t, fsys)
	w, err := v.Create(model.TierImportant, 4, 1, 1)
	require.NoError(t, err)
	recs := records(100, 5*recordBlock, 100)
	placed := mustAppend(t, w, recs)
	small, large := placed[0], placed[1]
	name := volName(model.TierImportant, 4)

	_, err = readBack(v, 5, small, 0, 1)
	assertCode(t, model.CodeUnavailable, err, "volume 5")
	past := Placed{Offset: w.End(), RecordBytes: 100, HeaderCRC: 1}
	_, err = readBack(v, 4, past, 0, 1)
	assertCode(t, model.CodeUnavailable, err, "volume 4", "behind")
	wrong := small
	wrong.HeaderCRC++
	_, err = readBack(v, 4, wrong, 0, 1)
	assertCode(t, model.CodeCorrupt, err, "volume 4", fmt.Sprint(small.Offset))
	absurd := Placed{Offset: 1 << 63, RecordBytes: 1 << 40}
	_, err = readBack(v, 4, absurd, 0, 1)
	assertCode(t, model.CodeInvalidArgument, err)

	bodyAt := int64(large.Offset + large.RecordBytes - large.BodyBytes)
	flipBit(t, fsys, name, bodyAt+2*recordBlock+5)
	_, err = readBack(v, 4, large, 0, 2*recordBlock)
	assert.NoError(t, err, "blocks that are intact can be read")
	_, err = readBack(v, 4, large, 3*recordBlock, 5*recordBlock)
	assert.NoError(t, err)
	for _, r := range [][2]uint64{{0, 5 * recordBlock}, {2 * recordBlock, 2*recordBlock + 1}, {recordBlock, 3 * recordBlock}} {
		_, err = readBack(v, 4, large, r[0], r[1])
		assertCode(t, model.CodeCorrupt, err, "volume 4", "block 2")
	}
	_, err = v.CheckRecord(4, large.Offset, large.RecordBytes, large.HeaderCRC)
	assertCode(t, model.CodeCorrupt, err)
	flipBit(t, fsys, name, int64(small.Offset)+20)
	_, err = readBack(v, 4, small, 0, 1)
	assertCode(t, model.CodeCorrupt, err)

	found := 0
	err = v.Scan(4, func(_ uint64, rec Record, p Placed) error {
		found++
		assert.Equal(t, placed[2], p)
		equalBytes(t, recs[2].Body, rec.Body, "the record after the damage")
		return nil
	})
	assert.Equal(t, 1, found)
	assertCode(t, model.CodeCorrupt, err, "damaged places: 1", fmt.Sprint(small.Offset))
	assert.ErrorIs(t, v.Scan(4, func(uint64, Record, Placed) error { return errBoom }), errBoom)
}

func TestVolume_ReopenTruncatesTheTornTail(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		v := openVolumes(t, fsys)
		w, err := v.Create(model.TierCritical, 1, 1, 10)
		require.NoError(t, err)
		recs := records(100, 200, 70_000)
		placed := mustAppend(t, w, recs)
		cutFile(t, fsys, volName(model.TierCritical, 1), 1)
		// The watermark in .meta is older: only Close writes it.
		v = openVolumes(t, fsys)
		s := v.States()[0]
		assert.Equal(t, VolumeState{Tier: 1, ID: 1, Generation: 1, Start: DataStart, ReplicaGen: 10, End: placed[2].Offset, Watermark: DataStart}, s)
		for _, bad := range []struct{ generation, start uint64 }{{1, s.End}, {0, s.End}, {2, s.End + 1}, {2, DataStart - 1}} {
			_, err = v.Reopen(1, bad.generation, 11, bad.start)
			assertCode(t, model.CodeConflict, err, "volume 1")
		}
		w, err = v.Reopen(1, 2, 11, s.End)
		require.NoError(t, err)
		info, err := fsys.Stat(volName(model.TierCritical, 1))
		require.NoError(t, err)
		assert.EqualValues(t, s.End, info.Size)
		again := mustAppend(t, w, recs[2:])
		assert.Equal(t, placed[2].Offset, again[0].Offset, "the offset is used again")
		assert.NotEqual(t, placed[2].HeaderCRC, again[0].HeaderCRC, "but the record is another: its generation is")
		_, err = readBack(v, 1, placed[2], 0, 1)
		assertCode(t, model.CodeCorrupt, err)
		assertReadable(t, v, 1, recs, []Placed{placed[0], placed[1], again[0]})
		require.NoError(t, v.Close())
		s = openVolumes(t, fsys).States()[0]
		assert.Equal(t, uint64(2), s.Generation)
		assert.Equal(t, s.End, s.Watermark, "a clean end leaves nothing to scan")
	})
}

func TestVolume_RecordsOfACutOffGenerationStayCutOff(t *testing.T) {
	fsys := NewMemFS(1)
	v := openVolumes(t, fsys)
	w, err := v.Create(model.TierCritical, 1, 1, 1)
	require.NoError(t, err)
	recs := records(100, 100, 100)
	placed := mustAppend(t, w, recs)
	tail := content(t, fsys, volName(1, 1))[placed[1].Offset:]
	w, err = v.Reopen(1, 2, 1, placed[1].Offset)
	require.NoError(t, err)
	f, err := fsys.Open(volName(1, 1))
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(tail), int64(placed[1].Offset)) // as if the cut had not reached the disk
	require.NoError(t, err)
	assert.Equal(t, placed[1].Offset, openVolumes(t, fsys).States()[0].End)

	one := mustAppend(t, w, recs[1:2])
	assert.Equal(t, one[0].Offset+one[0].RecordBytes, openVolumes(t, fsys).States()[0].End,
		"after the new record the old ones of a lower generation do not count")
}

func TestVolume_AFenceEndsAppendsForGood(t *testing.T) {
	onEachBackend(t, func(t *testing.T, fsys FS) {
		v := openVolumes(t, fsys)
		w, err := v.Create(model.TierRebuildable, 1, 5, 1)
		require.NoError(t, err)
		recs := records(100, 100)
		_, err = w.AppendBatch(recs, false)
		require.NoError(t, err)
		assert.EqualValues(t, DataStart, w.Watermark(), "nothing was synced yet")
		watermark, err := v.Fence(1)
		require.NoError(t, err)
		assert.Equal(t, w.End(), watermark, "the fence makes durable what is there")
		_, err = w.AppendBatch(recs, false)
		assertCode(t, model.CodeVolumeSealed, err)
		again, err := v.Fence(1)
		require.NoError(t, err)
		assert.Equal(t, watermark, again)

		_, err = v.Seal(1, watermark+1)
		assertCode(t, model.CodeConflict, err)
		digest, err := v.Seal(1, watermark)
		require.NoError(t, err)
		want := xxh3.Hash128([]byte(content(t, fsys, volName(3, 1))[:watermark])).Bytes()
		assert.Equal(t, want[:], digest)

		v = openVolumes(t, fsys)
		s := v.States()[0]
		assert.True(t, s.Fenced && s.Sealed)
		assert.Equal(t, watermark, s.Watermark)
		digest, err = v.Seal(1, watermark)
		require.NoError(t, err)
		assert.Equal(t, want[:], digest)
		_, err = v.Reopen(1, 5, 1, watermark)
		assertCode(t, model.CodeConflict, err, "generation 5")
		w, err = v.Reopen(1, 6, 1, watermark)
		require.NoError(t, err, "a higher generation from the log overrules the fence")
		mustAppend(t, w, recs)
		require.NoError(t, v.Close())
	})
}

func TestVolume_OneBatchOfSmallRecordsIsOneWrite(t *testing.T) {
	fsys := NewMemFS(1)
	v := openVolumes(t, fsys)
	w, err := v.Create(model.TierCritical, 1, 1, 1)
	require.NoError(t, err)
	mustAppend(t, w, records(1))
	before := fsys.Mutations()
	mustAppend(t, w, records(1, 1000, 4096, 60_000, 0, 7))
	assert.Equal(t, 2, fsys.Mutations()-before, "one write and one sync")
}
