package store

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

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
