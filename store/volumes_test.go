package store

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		assert.Equal(t, VolumeState{Tier: 1, ID: 1, Generation: 1, ReplicaGen: 10, End: placed[2].Offset, Watermark: DataStart}, s)
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
		want := sha256.Sum256([]byte(content(t, fsys, volName(3, 1))[:watermark]))
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

func TestVolume_AFailedWriteIsCutOffAndForgotten(t *testing.T) {
	for name, rule := range map[string]FaultRule{
		"no space":                         {Op: FaultWrite, Match: "*.vol", Times: 1, NoSpace: true},
		"short":                            {Op: FaultWrite, Match: "*.vol", Times: 1, ShortWrite: true},
		"in the second write of the batch": {Op: FaultWrite, Match: "*.vol", After: 1, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := NewFaultFS(NewMemFS(1), 1)
			v := openVolumes(t, fsys)
			w, err := v.Create(model.TierCritical, 1, 1, 1)
			require.NoError(t, err)
			recs := records(100, 80_000, 100)
			first := mustAppend(t, w, recs)
			end := w.End()
			fsys.Add(rule)
			_, err = w.AppendBatch(recs, true)
			want := model.CodeUnavailable
			if rule.NoSpace {
				want = model.CodeClusterFull
			}
			assertCode(t, want, err, "volume 1")
			assert.Equal(t, end, w.End())
			require.NoError(t, w.Poisoned())
			info, err := fsys.Stat(volName(1, 1))
			require.NoError(t, err)
			assert.EqualValues(t, end, info.Size)
			second := mustAppend(t, w, recs)
			assertReadable(t, v, 1, append(recs, recs...), append(first, second...))
		})
	}
}

func TestVolume_AFailedWriteThatCannotBeCutOffPoisons(t *testing.T) {
	fsys := NewFaultFS(NewMemFS(1), 1)
	v := openVolumes(t, fsys)
	w, err := v.Create(model.TierCritical, 1, 1, 1)
	require.NoError(t, err)
	fsys.Add(FaultRule{Op: FaultWrite, ShortWrite: true})
	fsys.Add(FaultRule{Op: FaultTruncate})
	_, err = w.AppendBatch(records(100), true)
	assertCode(t, model.CodeUnavailable, err)
	require.Error(t, w.Poisoned())
	fsys.Clear()
	_, err = w.AppendBatch(records(100), true)
	assertCode(t, model.CodeUnavailable, err, "takes no more appends")
}

func TestVolume_AFailedSyncPoisonsForGood(t *testing.T) {
	fsys := NewMemFS(1)
	v := openVolumes(t, fsys)
	w, err := v.Create(model.TierCritical, 1, 1, 1)
	require.NoError(t, err)
	recs := records(100, 5000)
	placed := mustAppend(t, w, recs)
	watermark := w.Watermark()
	fsys.FailNextSync("*.vol", 1)
	_, err = w.AppendBatch(recs, true)
	assertCode(t, model.CodeUnavailable, err, "volume 1")
	require.Error(t, w.Poisoned())
	_, err = w.AppendBatch(recs, true)
	assertCode(t, model.CodeUnavailable, err)
	assert.Error(t, w.Sync())
	assert.Equal(t, watermark, w.Watermark())
	assertReadable(t, v, 1, recs, placed)
	fenced, err := v.Fence(1)
	require.NoError(t, err)
	assert.Equal(t, watermark, fenced, "a fence does not make up for it")
}

func TestVolume_WhatAFailedSyncLeftReadableIsWrittenAgainBeforeItCounts(t *testing.T) {
	steps := map[string]func(t *testing.T, v *Volumes, end uint64){
		"reopen": func(t *testing.T, v *Volumes, end uint64) {
			w, err := v.Reopen(1, 2, 1, end)
			require.NoError(t, err)
			assert.Equal(t, end, w.Watermark())
		},
		"fence": func(t *testing.T, v *Volumes, end uint64) {
			watermark, err := v.Fence(1)
			require.NoError(t, err)
			assert.Equal(t, end, watermark)
		},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			fsys := NewMemFS(1)
			v := openVolumes(t, fsys)
			w, err := v.Create(model.TierCritical, 1, 1, 1)
			require.NoError(t, err)
			recs := records(100, 5000)
			mustAppend(t, w, recs)
			fsys.FailNextSync("*.vol", 1)
			_, err = w.AppendBatch(recs, true)
			require.Error(t, err)

			fsys = fsys.Crash(testRand(1), false)
			v = openVolumes(t, fsys)
			s := v.States()[0]
			require.Greater(t, s.End, s.Watermark)
			step(t, v, s.End)
			for seed := range uint64(10) {
				after := openVolumes(t, fsys.Crash(testRand(seed), true)).States()[0]
				assert.Equal(t, s.End, after.End, "seed %d", seed)
			}
		})
	}
}

func TestVolume_AWatermarkHintBoundsTheScan(t *testing.T) {
	fsys := NewMemFS(1)
	require.NoError(t, fsys.MkdirAll(dirTmp))
	v, _, err := OpenVolumes(fsys, VolumeOptions{WatermarkEveryBytes: 10_000})
	require.NoError(t, err)
	w, err := v.Create(model.TierCritical, 1, 1, 1)
	require.NoError(t, err)
	for range 10 {
		mustAppend(t, w, records(4000))
	}
	s := openVolumes(t, fsys).States()[0]
	assert.Equal(t, w.End(), s.End)
	assert.Less(t, s.End-s.Watermark, uint64(10_000+2*5000))
	flipBit(t, fsys, metaName(1, 1), metaBlock+3)
	flipBit(t, fsys, metaName(1, 1), 2*metaBlock+3)
	s = openVolumes(t, fsys).States()[0]
	assert.EqualValues(t, DataStart, s.Watermark, "torn hints are ignored")
	assert.Equal(t, w.End(), s.End)
	assert.Empty(t, s.Damage)
}

func TestVolumes_DamageIsReportedAndStopsNobodyElse(t *testing.T) {
	vol, meta := volName(1, 1), metaName(1, 1)
	cases := map[string]struct {
		spoil func(t *testing.T, fsys FS)
		says  string
	}{
		"meta with a flipped bit": {func(t *testing.T, fsys FS) { flipBit(t, fsys, meta, 30) }, "does not match its checksum"},
		"meta cut off":            {func(t *testing.T, fsys FS) { cutFile(t, fsys, meta, metaFileBytes-20) }, "20 bytes"},
		"meta of another volume": {func(t *testing.T, fsys FS) {
			require.NoError(t, fsys.Remove(meta))
			put(t, fsys, meta, content(t, fsys, metaName(2, 2)))
		}, "of volume 2"},
		"header with a flipped bit":  {func(t *testing.T, fsys FS) { flipBit(t, fsys, vol, 9) }, "not the header"},
		"no meta":                    {func(t *testing.T, fsys FS) { require.NoError(t, fsys.Remove(meta)) }, "no .meta"},
		"no vol":                     {func(t *testing.T, fsys FS) { require.NoError(t, fsys.Remove(vol)) }, "no .vol"},
		"file below its watermark":   {func(t *testing.T, fsys FS) { cutFile(t, fsys, vol, 1) }, "were durable"},
		"file shorter than a header": {func(t *testing.T, fsys FS) { f, _ := fsys.Open(vol); require.NoError(t, f.Truncate(5)) }, "not the header"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			fsys := NewMemFS(1)
			v := openVolumes(t, fsys)
			recs := records(100, 3000)
			for _, id := range []model.VolumeID{1, 2} {
				w, err := v.Create(model.Tier(id), id, 1, 1)
				require.NoError(t, err)
				mustAppend(t, w, recs)
			}
			require.NoError(t, v.Close())
			c.spoil(t, fsys)
			before := fsys.Names()
			v = openVolumes(t, fsys)
			states := v.States()
			require.Len(t, states, 2)
			assert.Contains(t, states[0].Damage, c.says)
			assert.Empty(t, states[1].Damage)
			assert.Equal(t, before, fsys.Names(), "nothing is deleted")
			if name != "file below its watermark" {
				_, err := v.Reopen(1, 2, 1, DataStart)
				assertCode(t, model.CodeCorrupt, err, "volume 1")
				_, err = v.Fence(1)
				assertCode(t, model.CodeCorrupt, err)
			}
			_, err := v.Create(1, 1, 1, 1)
			assertCode(t, model.CodeConflict, err)
		})
	}
}

func TestVolumes_ReadErrorsOfOneVolumeStopNobodyElse(t *testing.T) {
	mem := NewMemFS(1)
	v := openVolumes(t, mem)
	for _, id := range []model.VolumeID{1, 2} {
		w, err := v.Create(model.TierCritical, id, 1, 1)
		require.NoError(t, err)
		mustAppend(t, w, records(100))
	}
	fsys := NewFaultFS(mem, 1, FaultRule{Op: FaultRead, Match: "1.vol"})
	states := openVolumes(t, fsys).States()
	assert.Contains(t, states[0].Damage, "cannot be read")
	assert.Empty(t, states[1].Damage)
}

func TestVolumes_KeepFewFilesOpenAndStillReadAll(t *testing.T) {
	v := openVolumes(t, NewMemFS(1)) // two handles
	recs := records(100)
	placed := map[model.VolumeID][]Placed{}
	for id := model.VolumeID(1); id <= 6; id++ {
		w, err := v.Create(model.TierCritical, id, 1, 1)
		require.NoError(t, err)
		placed[id] = mustAppend(t, w, recs)
	}
	for round := range 5 {
		for id := model.VolumeID(1); id <= 6; id++ {
			assertReadable(t, v, 1+(id*model.VolumeID(round+1))%6, recs, placed[1+(id*model.VolumeID(round+1))%6])
			assert.LessOrEqual(t, len(v.handles.byID), 2)
		}
	}
	assert.True(t, v.Has(6))
	assert.False(t, v.Has(7))
	assert.Positive(t, v.Bytes())
	require.NoError(t, v.Close())
	assert.Empty(t, v.handles.byID)
}

func TestVolume_RefusesRecordsBeyondTheirLimits(t *testing.T) {
	v := openVolumes(t, NewMemFS(1))
	_, err := v.Create(model.Tier(4), 1, 1, 1)
	assertCode(t, model.CodeInvalidArgument, err)
	w, err := v.Create(model.TierCritical, 1, 1, 1)
	require.NoError(t, err)
	_, err = w.AppendBatch([]Record{{Path: "/ok"}, {Path: strings.Repeat("x", 2000)}}, true)
	assertCode(t, model.CodeInvalidArgument, err)
	assert.EqualValues(t, DataStart, w.End())
	require.NoError(t, w.Close())
	_, err = w.AppendBatch(records(1), true)
	assertCode(t, model.CodeVolumeSealed, err)
}
