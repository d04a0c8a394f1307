package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/pace"
)

func TestWritableBytes_KeepsTheReserveAndTheWatermark(t *testing.T) {
	for _, tc := range []struct {
		name                 string
		total, free, reserve uint64
		share                float64
		want                 uint64
	}{
		{"an empty disk", 1000, 1000, 100, 0, 900},
		{"the watermark keeps more than the reserve", 1000, 1000, 100, 0.75, 750},
		{"the reserve keeps more than the watermark", 1000, 1000, 300, 0.75, 700},
		{"at the watermark", 1000, 250, 100, 0.75, 0},
		{"beyond it", 1000, 249, 100, 0.75, 0},
		{"just below it", 1000, 251, 100, 0.75, 1},
		{"in the reserve", 1000, 50, 100, 0, 0},
		{"a share of one is no watermark", 1000, 200, 100, 1, 100},
		{"an unknown disk", 0, 0, 100, 0.75, 0},
	} {
		assert.Equal(t, tc.want, writableBytes(tc.total, tc.free, tc.reserve, tc.share), tc.name)
	}
}

func TestTurns_UsersGoFirst(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, tc := range []struct {
		name string
		rate uint64
		load float64
		want time.Duration
	}{
		{"no limit on an idle disk", 0, 0, 0},
		{"no limit on a busy one", 0, 0.9, busyPause},
		{"a limit on an idle disk", 1 << 20, 0, time.Second},
		{"half of it on one that is half busy", 1 << 20, 0.5, 2 * time.Second},
		{"a tenth is always left", 1 << 20, 1, 10 * time.Second},
	} {
		var turns turns
		assert.InDelta(t, tc.want, turns.take(now, tc.rate, 1<<20, tc.load), float64(time.Millisecond), tc.name)
	}
	assert.Less(t, pace.BusyLoad, 1.0)
}
