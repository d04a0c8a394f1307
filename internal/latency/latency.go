package latency

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a histogram tells apart: from a nanosecond to a day, to two digits. That is
// 40 KiB, so that each of a thousand connections can have its own.
const (
	lowest  = time.Nanosecond
	longest = 24 * time.Hour
	digits  = 2
)

// MaxError is how much a quantile may be too high, as a share of it.
const MaxError = 0.01

// Histogram counts durations. The zero value is empty. It is used by one goroutine.
type Histogram struct {
	counts *hdrhistogram.Histogram // nil: nothing was recorded
	max    time.Duration
}

func (h *Histogram) ensure() {
	if h.counts == nil {
		h.counts = hdrhistogram.New(int64(lowest), int64(longest), digits)
	}
}

// Record counts one duration: a negative one as zero, one of more than a day as a day.
func (h *Histogram) Record(d time.Duration) {
	d = min(max(d, 0), longest)
	h.ensure()
	// It can only refuse what is out of its range.
	_ = h.counts.RecordValue(int64(d))
	h.max = max(h.max, d)
}

// Merge adds the counts of other.
func (h *Histogram) Merge(other *Histogram) {
	if other.counts == nil {
		return
	}
	h.ensure()
	h.counts.Merge(other.counts)
	h.max = max(h.max, other.max)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 {
	if h.counts == nil {
		return 0
	}
	return uint64(h.counts.TotalCount())
}

// Max is the longest duration, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the duration that the share q (0..1) of samples does not
// exceed, too high by MaxError at most; zero without samples.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.counts == nil {
		return 0
	}
	return min(time.Duration(h.counts.ValueAtQuantile(100*q)), h.max)
}
