package main

import (
	"math/bits"
	"time"
)

// subBuckets per power of two bound the error of a quantile to 1/64 (1.6 %).
const (
	subBucketBits = 6
	subBuckets    = 1 << subBucketBits
)

// histogram counts durations in logarithmic buckets: constant memory, mergeable,
// and no sample is thrown away, which p99.9 needs. It is used by one goroutine.
type histogram struct {
	counts [64 * subBuckets]uint64
	total  uint64
	max    time.Duration
}

// bucketOf maps nanoseconds to a bucket: exact below subBuckets, then
// subBuckets per doubling.
func bucketOf(ns uint64) int {
	if ns < subBuckets {
		return int(ns)
	}
	exponent := bits.Len64(ns) - subBucketBits - 1 // how many low bits are dropped
	return (exponent+1)*subBuckets + int(ns>>exponent) - subBuckets
}

// bucketTop is the largest duration that falls into a bucket.
func bucketTop(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket)
	}
	exponent := bucket/subBuckets - 1
	return time.Duration((uint64(bucket%subBuckets+subBuckets+1) << exponent) - 1)
}

// record counts one duration; a negative one counts as zero.
func (h *histogram) record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// merge adds the counts of other.
func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// quantile returns the duration that the share q (0..1) of samples does not
// exceed, at most 1.6 % too high; zero without samples.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(q * float64(h.total))
	if float64(rank) < q*float64(h.total) || rank == 0 {
		rank++
	}
	var seen uint64
	for bucket, n := range h.counts {
		if seen += n; seen >= rank {
			return min(bucketTop(bucket), h.max)
		}
	}
	return h.max
}
