package placement_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/placement"
)

func TestChoose_TakesTheOneWithFewerOutstandingBytes(t *testing.T) {
	type open = placement.Open
	for _, c := range []struct {
		name  string
		open  []open
		bytes int64
		avoid []uint64
		want  int
		ok    bool
	}{
		{"nothing is open", nil, 1, nil, 0, false},
		{"the only one", []open{{Volume: 1, Outstanding: 99}}, 1, nil, 0, true},
		{"fewer outstanding", []open{{Volume: 1, Outstanding: 9}, {Volume: 2, Outstanding: 8}}, 1, nil, 1, true},
		{"equal: the emptier", []open{{Volume: 1, End: 9}, {Volume: 2, End: 8}}, 1, nil, 1, true},
		{"outstanding before emptiness", []open{{Volume: 1, End: 9}, {Volume: 2, End: 8, Outstanding: 1}}, 1, nil, 0, true},
		{"all equal: the lower id", []open{{Volume: 2}, {Volume: 1}}, 1, nil, 1, true},
		{"avoided", []open{{Volume: 1}, {Volume: 2, Outstanding: 9}}, 1, []uint64{7, 1}, 1, true},
		{"all avoided", []open{{Volume: 1}, {Volume: 2}}, 1, []uint64{2, 1}, 0, false},
		{"an empty body", []open{{Volume: 1}}, 0, nil, 0, true},
		{"a size that cannot be", []open{{Volume: 1}}, -1, nil, 0, false},
	} {
		for r := range uint64(1000) { // of two there is no luck
			index, ok := placement.Choose(c.open, c.bytes, c.avoid, r*0x9e3779b97f4a7c15)
			require.Equal(t, c.ok, ok, c.name)
			require.Equal(t, c.want, index, c.name)
		}
	}
}

func TestChoose_ComparesTwoThatTheDrawDecides(t *testing.T) {
	open := make([]placement.Open, 5)
	for i := range open {
		open[i] = placement.Open{Volume: uint64(i + 1), Outstanding: int64(i)}
	}
	avoid := []uint64{1}
	rng := rand.New(rand.NewPCG(1, 1))
	counts := make([]int, len(open))
	const draws = 60_000
	for range draws {
		r := rng.Uint64()
		index, ok := placement.Choose(open, 1, avoid, r)
		require.True(t, ok)
		again, _ := placement.Choose(open, 1, avoid, r)
		require.Equal(t, index, again, "the same draw is the same choice")
		counts[index]++
	}
	// Of the 6 pairs of 4 volumes, the least loaded wins 3, then 2, 1 and 0.
	want := []int{0, draws / 2, draws / 3, draws / 6, 0}
	for i := range open {
		assert.InDelta(t, want[i], counts[i], draws/100, "volume %d", i+1)
	}
}

// TestChoose_DoesNotHerdBetweenReports lets writers choose by figures that are
// stale for a while, as they are between two reports.
func TestChoose_DoesNotHerdBetweenReports(t *testing.T) {
	const volumes, rounds, stale = 8, 200, 64
	rng := rand.New(rand.NewPCG(2, 3))
	load := make([]int64, volumes)
	for range rounds {
		open := make([]placement.Open, volumes)
		for i := range open {
			open[i] = placement.Open{Volume: uint64(i + 1), Outstanding: load[i]}
		}
		most := [volumes]int{}
		for range stale {
			i, ok := placement.Choose(open, 1, nil, rng.Uint64())
			require.True(t, ok)
			most[i]++
			load[i]++
		}
		for i, n := range most {
			require.Less(t, n, stale/2, "volume %d drew the crowd", i+1)
		}
	}
	least, most := load[0], load[0]
	for _, n := range load {
		least, most = min(least, n), max(most, n)
	}
	assert.Less(t, most-least, int64(stale), "and the loads stay close")
}
