package worker

import (
	"sync/atomic"
	"time"
)

// load is how busy the disk was between two reports.
type load struct {
	volumesNs atomic.Int64 // time in which volumes had it write, all together
	disk      diskCounter  // at the last report
	at        time.Time

	whole, foreground float64 // shares of the last interval
}

// diskCounter is what the system has counted; unknown where it does not.
type diskCounter struct {
	busy  time.Duration
	known bool
}

func readDisk(busy func() (time.Duration, bool)) (c diskCounter) {
	if busy != nil {
		c.busy, c.known = busy()
	}
	return c
}

// measure notes the shares of the time since it was last called, 0 to 1: that in which
// the disk had work, by the system's counter, which sees everybody's, or else by what the
// volumes did, where several at once make it full; and that in which volumes wrote what
// users send. The second is what background work makes room for: its own reads show in
// the first.
func (l *load) measure(now time.Time, disk diskCounter) {
	before, span := l.disk, now.Sub(l.at)
	foreground := time.Duration(l.volumesNs.Swap(0))
	busy := foreground
	l.disk, l.at = disk, now
	if disk.known && before.known && disk.busy >= before.busy {
		busy = disk.busy - before.busy
	}
	if span <= 0 {
		l.whole, l.foreground = 0, 0
		return
	}
	l.whole, l.foreground = min(1, float64(busy)/float64(span)), min(1, float64(foreground)/float64(span))
}
