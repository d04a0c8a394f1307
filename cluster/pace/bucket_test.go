package pace

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const kib, mib = 1 << 10, 1 << 20

var start = time.Unix(1000, 0)

func TestBucket_SaysHowLongToWait(t *testing.T) {
	type take struct {
		at    time.Duration
		rate  int // set before; -1: as it was
		bytes uint64
		want  time.Duration
	}
	for _, tc := range []struct {
		name  string
		takes []take
	}{
		{"no limit", []take{{0, 0, 100 * mib, 0}, {0, -1, 100 * mib, 0}}},
		{"a new bucket has nothing saved", []take{{0, 1 * mib, 1 * mib, time.Second}}},
		{"takers wait one after the other", []take{
			{0, 4 * mib, 1 * mib, 250 * time.Millisecond}, {0, -1, 1 * mib, 500 * time.Millisecond}, {100 * time.Millisecond, -1, 1 * mib, 650 * time.Millisecond},
		}},
		{"an idle bucket saves one piece", []take{{0, 4 * mib, 0, 0}, {time.Hour, -1, 1 * mib, 0}, {time.Hour, -1, 1 * mib, 250 * time.Millisecond}}},
		{"and at a small rate one second", []take{{0, 1 * kib, 0, 0}, {time.Hour, -1, 2 * kib, time.Second}}},
		{"a higher rate pays the debt sooner", []take{{0, 1 * mib, 2 * mib, 2 * time.Second}, {0, 2 * mib, 2 * mib, 2 * time.Second}}},
		{"a lower one later", []take{{0, 2 * mib, 2 * mib, time.Second}, {0, 1 * mib, 1 * mib, 3 * time.Second}}},
		{"no limit forgets the debt", []take{{0, 1 * mib, 90 * mib, 90 * time.Second}, {0, 0, 1, 0}, {0, 1 * mib, 1 * mib, time.Second}}},
		{"a clock that goes back gives nothing", []take{{time.Minute, 1 * mib, 0, 0}, {0, -1, 1 * mib, time.Second}, {time.Minute, -1, 0, time.Second}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b Bucket
			for i, k := range tc.takes {
				now := start.Add(k.at)
				if k.rate >= 0 {
					b.SetRate(now, uint64(k.rate))
				}
				assert.Equal(t, k.want, b.Take(now, k.bytes), "taking %d", i)
			}
		})
	}
}

func TestBucket_WhatIsReturnedServesTheNext(t *testing.T) {
	var b Bucket
	b.SetRate(start, 1*mib)
	assert.Equal(t, time.Second, b.Take(start, 1*mib))
	b.Return(start, 1*mib)
	assert.Equal(t, time.Second, b.Take(start, 1*mib))
}

// TestBucket_StaysWithinItsRateInEveryWindow: takers wait as told, at random times.
func TestBucket_StaysWithinItsRateInEveryWindow(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		rate := uint64(1+r.IntN(1000)) * 10 * kib
		var b Bucket
		b.SetRate(start, rate)
		type grant struct {
			at    time.Time
			bytes uint64
		}
		var grants []grant
		now, largest := start, uint64(b.burst())
		for range 300 {
			now = now.Add(time.Duration(r.IntN(100)) * time.Millisecond)
			bytes := uint64(r.IntN(int(2 * Piece(rate))))
			largest = max(largest, bytes)
			grants = append(grants, grant{now.Add(b.Take(now, bytes)), bytes})
		}
		for i := range grants {
			sum := uint64(0)
			for j := i; j < len(grants); j++ {
				assert.False(t, grants[j].at.Before(grants[i].at), "in the order of the calls")
				sum += grants[j].bytes
				allowed := float64(largest) + grants[j].at.Sub(grants[i].at).Seconds()*float64(rate)
				if float64(sum) > allowed+1 {
					t.Fatalf("seed %d: %d bytes between grants %d and %d, allowed %.0f", seed, sum, i, j, allowed)
				}
			}
		}
	}
}

func TestPiece_IsSmallWhenTheLimitIs(t *testing.T) {
	for _, tc := range []struct {
		rates []uint64
		want  uint64
	}{
		{nil, 4 * mib}, {[]uint64{0, 0}, 4 * mib}, {[]uint64{1 * kib}, 64 * kib}, {[]uint64{1 * mib}, 256 * kib},
		{[]uint64{0, 8 * mib}, 2 * mib}, {[]uint64{100 * mib, 8 * mib}, 2 * mib}, {[]uint64{1 << 40}, 4 * mib},
	} {
		assert.Equal(t, tc.want, Piece(tc.rates...), "%v", tc.rates)
	}
}

func TestShare_LeavesTheDiskToUsersButNeverStops(t *testing.T) {
	for _, tc := range []struct {
		rate uint64
		load float64
		want uint64
	}{{1000, 0, 1000}, {1000, 0.5, 500}, {1000, 1, 100}, {1000, 7, 100}, {1000, -1, 1000}, {0, 0.9, 0}, {1, 1, 1}} {
		assert.Equal(t, tc.want, Share(tc.rate, tc.load), "%d at %v", tc.rate, tc.load)
	}
}
