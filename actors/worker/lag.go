package worker

import (
	"sync/atomic"
	"time"

	"tiercel/messages"
)

// lags is how far the followers of one volume are behind its primary: written by the
// volume's actor with every batch and acknowledgement, read by the worker's.
type lags struct{ latest atomic.Pointer[[]lag] }

type lag struct {
	node      string
	watermark uint64
	bytes     uint64    // on their way or not acknowledged
	since     time.Time // of the oldest of them; zero: none
}

// showLag is called when something was sent or acknowledged.
func (v *Volume) showLag() {
	out := make([]lag, len(v.followers))
	for i, f := range v.followers {
		out[i] = lag{node: f.node, watermark: f.watermark, bytes: uint64(f.bytes)}
		if len(f.window) > 0 {
			out[i].since = f.window[0].at
		}
	}
	v.shared.lags.latest.Store(&out)
}

// report is what a worker tells of them; nil when nothing was sent yet.
func (l *lags) report(now time.Time) []*messages.FollowerLag {
	latest := l.latest.Load()
	if latest == nil {
		return nil
	}
	out := make([]*messages.FollowerLag, 0, len(*latest))
	for _, f := range *latest {
		m := &messages.FollowerLag{Node: f.node, Watermark: f.watermark, LagBytes: f.bytes}
		if !f.since.IsZero() {
			m.LagMs = now.Sub(f.since).Milliseconds()
		}
		out = append(out, m)
	}
	return out
}
