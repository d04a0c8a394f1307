package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func allPairs(x Index, from string) []Pair {
	var pairs []Pair
	x.Ascend(from, func(key, value string) bool {
		pairs = append(pairs, Pair{key, value})
		return true
	})
	return pairs
}

func TestIndex_GetsSetsDeletesAndAscends(t *testing.T) {
	for _, batched := range []bool{false, true} {
		t.Run(fmt.Sprintf("batched %v", batched), func(t *testing.T) {
			x := NewIndex()
			if batched {
				x.Begin()
			}
			_, replaced := x.Set("b", "1")
			assert.False(t, replaced)
			previous, replaced := x.Set("b", "2")
			assert.True(t, replaced)
			assert.Equal(t, "1", previous)
			x.Set("a\x00z", "3")
			x.Set("a", "")
			x.Set("\xff", "4")
			x.Set("", "empty")
			assert.Equal(t, 5, x.Len())
			value, ok := x.Get("b")
			assert.True(t, ok)
			assert.Equal(t, "2", value)
			_, ok = x.Get("c")
			assert.False(t, ok)
			previous, deleted := x.Delete("b")
			assert.True(t, deleted)
			assert.Equal(t, "2", previous)
			_, deleted = x.Delete("b")
			assert.False(t, deleted)
			assert.Equal(t, []Pair{{"", "empty"}, {"a", ""}, {"a\x00z", "3"}, {"\xff", "4"}}, allPairs(x, ""))
			assert.Equal(t, []Pair{{"a\x00z", "3"}, {"\xff", "4"}}, allPairs(x, "a\x00"))
			if batched {
				x.End()
			}
			assert.Equal(t, 4, x.Len())
			first := 0
			x.Ascend("", func(string, string) bool { first++; return false })
			assert.Equal(t, 1, first)
		})
	}
}

func TestIndex_WrongUseIsNotSilent(t *testing.T) {
	x := NewIndex()
	assert.Panics(t, func() { x.End() })
	x.Begin()
	assert.Panics(t, func() { x.Begin() })
	x.End()
	walk := x.Snapshot()
	assert.Panics(t, func() { x.Snapshot() })
	walk.Close()
	walk.Close()
	assert.NotPanics(t, func() { x.Snapshot().Close() })
	require.NoError(t, x.(*buntIndex).Close())
}

func TestIndex_AWalkReturnsTheStateOfItsBeginningWhateverIsWritten(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 2))
		x, live := NewIndex(), map[string]string{}
		key := func() string { return fmt.Sprint(random.IntN(300)) }
		set := func(k, v string) { x.Set(k, v); live[k] = v }
		for i := range 150 {
			set(key(), fmt.Sprint("old", i))
		}
		want, got := maps.Clone(live), []Pair(nil)
		walk := x.Snapshot()
		for step := 0; ; step++ {
			x.Begin()
			for i := range random.IntN(20) {
				if k := key(); random.IntN(3) == 0 {
					x.Delete(k)
					delete(live, k)
				} else {
					set(k, fmt.Sprint("new", step, i))
				}
			}
			inBatch := random.IntN(2) == 0
			if !inBatch {
				x.End()
			}
			pairs := walk.Next(1 + random.IntN(60))
			if inBatch {
				x.End()
			}
			if pairs == nil {
				break
			}
			got = append(got, pairs...)
		}
		assert.Nil(t, walk.Next(100), "the end is the end")
		wantPairs := []Pair{}
		for _, k := range slices.Sorted(maps.Keys(want)) {
			wantPairs = append(wantPairs, Pair{k, want[k]})
		}
		require.Equal(t, wantPairs, got, "seed %d", seed)
		after := []Pair{}
		for _, k := range slices.Sorted(maps.Keys(live)) {
			after = append(after, Pair{k, live[k]})
		}
		require.Equal(t, after, allPairs(x, ""), "seed %d: the index itself has all writes", seed)
		require.Equal(t, len(live), x.Len())
	}
}

func TestIndex_LoadFillsFromASnapshot(t *testing.T) {
	fsys := NewMemFS(1)
	x := NewIndex()
	Load(x, pairsOf(5000))
	w, err := CreateSnapshot(fsys, metaAt(1))
	require.NoError(t, err)
	walk := x.Snapshot()
	for pairs := walk.Next(1000); pairs != nil; pairs = walk.Next(1000) {
		require.NoError(t, w.WriteChunk(pairs))
	}
	require.NoError(t, w.Finish())
	y := NewIndex()
	_, err = LoadSnapshot(fsys, 1, func(p []Pair) error { Load(y, p); return nil })
	require.NoError(t, err)
	assert.Equal(t, allPairs(x, ""), allPairs(y, ""))
	assert.Equal(t, 5000, y.Len())
}
