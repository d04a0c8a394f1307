package quota

import "time"

// Sample is a tenant's usage at a time.
type Sample struct {
	At        time.Time
	UsedBytes int64
}

const (
	// minSamples is what a forecast needs at least.
	minSamples = 4
	// maxSamples are kept; then every other is forgotten, and they are taken half as often.
	maxSamples = 64
	// horizon is as far as a forecast looks.
	horizon = 10 * 365 * 24 * time.Hour
)

// History is a tenant's usage over time: samples at even intervals, which grow with
// its length, so that it spans minutes at first and weeks in the end.
type History struct {
	samples []Sample
	every   time.Duration
}

// Note adds a sample when its time has come; every is the shortest interval.
func (h *History) Note(s Sample, every time.Duration) {
	h.every = max(h.every, every)
	if n := len(h.samples); n > 0 && s.At.Sub(h.samples[n-1].At) < h.every {
		return
	}
	h.samples = append(h.samples, s)
	if len(h.samples) < maxSamples {
		return
	}
	kept := h.samples[:0]
	for i := 0; i < maxSamples; i += 2 {
		kept = append(kept, h.samples[i])
	}
	h.samples, h.every = kept, 2*h.every
}

// FullAt is when usage reaches the limit if it goes on as it went, by the straight
// line of least squares through the samples. ok is false when there are too few of
// them, usage does not grow, or it is years away. Usage at the limit is full now.
func (h *History) FullAt(limit, used int64, now time.Time) (at time.Time, ok bool) {
	n := float64(len(h.samples))
	if len(h.samples) < minSamples {
		return time.Time{}, false
	}
	first := h.samples[0]
	var sumX, sumY, sumXX, sumXY float64
	for _, s := range h.samples {
		x, y := s.At.Sub(first.At).Seconds(), float64(s.UsedBytes-first.UsedBytes)
		sumX, sumY, sumXX, sumXY = sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	spread := n*sumXX - sumX*sumX
	if spread <= 0 {
		return time.Time{}, false
	}
	perSecond := (n*sumXY - sumX*sumY) / spread
	if perSecond <= 0 {
		return time.Time{}, false
	}
	seconds := max(0, float64(limit-used)) / perSecond
	if seconds > horizon.Seconds() {
		return time.Time{}, false
	}
	return now.Add(time.Duration(seconds * float64(time.Second))), true
}
