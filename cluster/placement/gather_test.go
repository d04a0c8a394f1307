package placement_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/placement"
)

func TestGather_KeepsSmallWritesTogetherUntilAVolumeIsBusy(t *testing.T) {
	const limit = placement.GatherBytes
	idle, busy := placement.Open{Volume: 1}, placement.Open{Volume: 2, Outstanding: limit}
	for _, c := range []struct {
		name  string
		open  []placement.Open
		bytes int64
		avoid []uint64
		want  int
		ok    bool
	}{
		{"nothing is open", nil, 1, nil, 0, false},
		{"the first that is not busy", []placement.Open{idle, {Volume: 3}}, 1, nil, 0, true},
		{"not the busy one", []placement.Open{busy, idle}, 1, nil, 1, true},
		{"all busy", []placement.Open{busy, busy}, 1, nil, 0, false},
		{"just fits", []placement.Open{idle}, limit, nil, 0, true},
		{"a large body is spread", []placement.Open{idle}, limit + 1, nil, 0, false},
		{"not one to avoid", []placement.Open{idle, {Volume: 3}}, 1, []uint64{1}, 1, true},
		{"a size that cannot be", []placement.Open{idle}, -1, nil, 0, false},
	} {
		index, ok := placement.Gather(c.open, c.bytes, c.avoid)
		assert.Equal(t, c.ok, ok, c.name)
		assert.Equal(t, c.want, index, c.name)
	}
}

func TestTogether_ABatchStaysOnItsVolumeWhileThatTakesIt(t *testing.T) {
	open := []placement.Open{{Volume: 1}, {Volume: 2, Outstanding: placement.GatherBytes}}
	for _, c := range []struct {
		name   string
		volume uint64
		avoid  []uint64
		want   int
		ok     bool
	}{
		{"the first of a batch", 0, nil, 0, false},
		{"however busy it is", 2, nil, 1, true},
		{"not when it has no room any more", 3, nil, 0, false},
		{"not one to avoid", 2, []uint64{2}, 0, false},
	} {
		i, ok := placement.Together(open, c.volume, c.avoid)
		assert.Equal(t, c.ok, ok, c.name)
		assert.Equal(t, c.want, i, c.name)
	}
}
