package store

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// volumeAcked is what a scenario was told to be done with volume 5.
type volumeAcked struct {
	created    bool
	generation uint64
	durable    []volumePiece // acknowledged with a sync
	fenced     uint64        // watermark that Fence returned, or 0
	sealed     []byte
}

type volumePiece struct {
	rec    Record
	placed Placed
}

// volumeScenario creates, appends with and without sync, closes, reopens below
// the end, appends, fences and seals.
func volumeScenario(fsys *MemFS) any {
	a := &volumeAcked{}
	if fsys.MkdirAll(dirTmp) != nil {
		return a
	}
	v, _, err := OpenVolumes(fsys, VolumeOptions{WatermarkEveryBytes: 60_000})
	if err != nil {
		return a
	}
	w, err := v.Create(1, 5, 1, 1)
	if err != nil {
		return a
	}
	a.created, a.generation = true, 1
	var pending []volumePiece
	appendBatch := func(sync bool, sizes ...int) bool {
		recs := records(sizes...)
		placed, err := w.AppendBatch(recs, sync)
		if err != nil {
			return false
		}
		for i := range recs {
			pending = append(pending, volumePiece{recs[i], placed[i]})
		}
		if sync {
			a.durable, pending = append(a.durable, pending...), nil
		}
		return true
	}
	if !appendBatch(true, 100, 5000, 10) || !appendBatch(true, 70_000, 300) || !appendBatch(false, 900, 9000) || !appendBatch(true, 40) {
		return a
	}
	cut := w.End()
	if !appendBatch(true, 2000, 100_000) || !appendBatch(false, 5000, 10) {
		return a
	}
	if v, _, err = OpenVolumes(fsys, VolumeOptions{WatermarkEveryBytes: 60_000}); err != nil {
		return a
	}
	pending = nil
	a.durable = slices.DeleteFunc(a.durable, func(p volumePiece) bool { return p.placed.Offset >= cut })
	if w, err = v.Reopen(5, 2, 2, cut); err != nil {
		return a
	}
	a.generation = 2
	if !appendBatch(true, 2000, 30) || !appendBatch(false, 80_000) || w.Sync() != nil {
		return a
	}
	a.durable, pending = append(a.durable, pending...), nil
	if !appendBatch(false, 700) {
		return a
	}
	if a.fenced, err = v.Fence(5); err != nil {
		return a
	}
	a.durable = append(a.durable, pending...)
	a.sealed, _ = v.Seal(5, a.fenced)
	return a
}

func checkVolume(t *testing.T, fsys *MemFS, v any) {
	a := v.(*volumeAcked)
	vols := openVolumes(t, fsys)
	states := vols.States()
	if !a.created && len(states) == 0 {
		w, err := vols.Create(1, 5, 1, 1)
		require.NoError(t, err, "what an unfinished creation left is in nobody's way")
		mustAppend(t, w, records(10))
		return
	}
	require.Len(t, states, 1)
	s := states[0]
	require.Empty(t, s.Damage)
	assert.True(t, s.Generation == a.generation || s.Generation == a.generation+1, "generation %d", s.Generation)
	check := func(vols *Volumes) {
		for _, p := range a.durable {
			assertReadable(t, vols, 5, []Record{p.rec}, []Placed{p.placed})
		}
		require.NoError(t, vols.Scan(5, func(uint64, Record, Placed) error { return nil }))
	}
	check(vols)
	if a.fenced > 0 {
		assert.True(t, s.Fenced)
		assert.GreaterOrEqual(t, s.Watermark, a.fenced)
	}
	if a.sealed != nil {
		digest, err := vols.Seal(5, a.fenced)
		require.NoError(t, err)
		assert.Equal(t, a.sealed, digest)
	}

	// What the state calls durable survives the next power loss.
	lost := openVolumes(t, fsys.Crash(testRand(s.End), true)).States()[0]
	require.GreaterOrEqual(t, lost.End, s.Watermark)
	require.Empty(t, lost.Damage)

	// And so does everything after a reopening at the intact end.
	fsys = fsys.Crash(testRand(s.End), false)
	vols = openVolumes(t, fsys)
	w, err := vols.Reopen(5, 9, 9, s.End)
	require.NoError(t, err)
	rec := records(123)
	a.durable = append(slices.Clip(a.durable), volumePiece{rec[0], mustAppend(t, w, rec)[0]})
	check(openVolumes(t, fsys.Crash(testRand(s.End), true)))
	a.durable = a.durable[:len(a.durable)-1]
}

func TestVolumes_SurviveACrashAnywhere(t *testing.T) {
	crashSuite{
		seeds:    12,
		scenario: volumeScenario,
		recover: func(fsys *MemFS) {
			v, _, err := OpenVolumes(fsys, VolumeOptions{})
			if err == nil && v.Has(5) {
				_, _ = v.Fence(5)
			}
		},
		check: checkVolume,
	}.run(t)
}
