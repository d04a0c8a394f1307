package pace

import (
	"math"
	"time"
)

// Bucket is a token bucket of bytes. The zero value has no limit. It belongs to one
// owner at a time.
//
// Take grants in the order of the calls, each after all before it, so several takers
// that take piece by piece get equal shares. A bucket in debt grants later, not less.
type Bucket struct {
	rate  uint64    // bytes per second; 0: no limit
	bytes float64   // to be had at once; negative: owed to those who wait already
	at    time.Time // when bytes was right
}

// Rate is the limit in bytes per second; 0: none.
func (b *Bucket) Rate() uint64 { return b.rate }

// SetRate changes the limit from now on. Those who were told how long to wait keep
// to that; what they were granted is paid for at the new rate.
func (b *Bucket) SetRate(now time.Time, rate uint64) {
	if rate == b.rate {
		return
	}
	b.fill(now)
	if b.rate == 0 || rate == 0 {
		b.bytes = 0
	}
	b.rate = rate
	b.bytes = min(b.bytes, b.burst())
}

// Take grants bytes and returns how long the taker waits before it moves them.
func (b *Bucket) Take(now time.Time, bytes uint64) (wait time.Duration) {
	if b.rate == 0 {
		return 0
	}
	b.fill(now)
	b.bytes -= float64(bytes)
	if b.bytes >= 0 {
		return 0
	}
	seconds := -b.bytes / float64(b.rate)
	if seconds >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(math.Ceil(seconds * float64(time.Second)))
}

// Return gives back what was taken and not moved.
func (b *Bucket) Return(now time.Time, bytes uint64) {
	if b.rate != 0 {
		b.fill(now)
		b.bytes = min(b.bytes+float64(bytes), b.burst())
	}
}

// fill adds what has come since. A clock that went back adds nothing.
func (b *Bucket) fill(now time.Time) {
	if passed := now.Sub(b.at); !b.at.IsZero() && passed > 0 {
		b.bytes = min(b.bytes+passed.Seconds()*float64(b.rate), b.burst())
	}
	if b.at.IsZero() || now.After(b.at) {
		b.at = now
	}
}

// burst is what an idle bucket saves up: a piece, but never more than a second's worth.
func (b *Bucket) burst() float64 { return float64(min(Piece(b.rate), b.rate)) }
