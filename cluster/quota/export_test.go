package quota

import "time"

// Samples is how many a history holds.
func Samples(h *History) int { return len(h.samples) }

// Span is from its first to its last.
func Span(h *History) time.Duration { return h.samples[len(h.samples)-1].At.Sub(h.samples[0].At) }
