package quota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/quota"
)

// history is one sample every ten seconds.
func history(used ...int64) *quota.History {
	h := &quota.History{}
	for i, u := range used {
		h.Note(quota.Sample{At: t0.Add(time.Duration(i) * 10 * time.Second), UsedBytes: u}, 10*time.Second)
	}
	return h
}

func TestForecast_FollowsTheGrowthThatWasSeen(t *testing.T) {
	now := t0.Add(30 * time.Second)
	for _, c := range []struct {
		name    string
		samples []int64
		limit   int64
		used    int64
		want    time.Duration // from now on; -1: none
	}{
		{"steady growth of ten a second", []int64{0, 100, 200, 300}, 1300, 300, 100 * time.Second},
		{"the usage of this moment counts, not that of the last sample", []int64{0, 100, 200, 300}, 1300, 800, 50 * time.Second},
		{"full already", []int64{0, 100, 200, 300}, 300, 300, 0},
		{"over already", []int64{0, 100, 200, 300}, 200, 300, 0},
		{"too few samples", []int64{0, 100, 200}, 1000, 200, -1},
		{"none", nil, 1000, 0, -1},
		{"no growth", []int64{50, 50, 50, 50}, 1000, 50, -1},
		{"it shrinks", []int64{90, 60, 30, 0}, 1000, 0, -1},
		{"growth so slow that it takes a century", []int64{0, 0, 0, 1}, 1 << 50, 1, -1},
	} {
		at, ok := history(c.samples...).FullAt(c.limit, c.used, now)
		if assert.Equal(t, c.want >= 0, ok, c.name) && ok {
			assert.WithinDuration(t, now.Add(c.want), at, time.Millisecond, c.name)
		}
	}
}

func TestHistory_SpansEverMoreInBoundedSpace(t *testing.T) {
	h := &quota.History{}
	const day = 24 * time.Hour
	for at := time.Duration(0); at < 7*day; at += 5 * time.Second {
		h.Note(quota.Sample{At: t0.Add(at), UsedBytes: int64(at / time.Second)}, 5*time.Second)
	}
	require.LessOrEqual(t, quota.Samples(h), 64)
	now := t0.Add(7 * day)
	at, ok := h.FullAt(int64(14*day/time.Second), int64(7*day/time.Second), now)
	require.True(t, ok)
	assert.WithinDuration(t, t0.Add(14*day), at, time.Minute, "a byte a second for a week, and as much again")
	assert.Greater(t, quota.Span(h), 6*day, "the beginning is not forgotten")
}
