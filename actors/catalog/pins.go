package catalog

import "time"

// pinFor is how long a snapshot stays after a piece of it was read: whoever fetches it
// is not overtaken by newer ones.
const pinFor = 30 * time.Second

// maxPins bounds how many old snapshots readers can keep.
const maxPins = 4

// pins are the snapshots that somebody reads, with the time of the newest piece.
type pins map[uint64]time.Time

// hold notes that a snapshot is being read.
func (p *pins) hold(index uint64, now time.Time) {
	p.sweep(now)
	if _, held := (*p)[index]; !held && len(*p) >= maxPins {
		return
	}
	if *p == nil {
		*p = make(pins)
	}
	(*p)[index] = now
}

func (p *pins) sweep(now time.Time) {
	for index, at := range *p {
		if now.Sub(at) > pinFor {
			delete(*p, index)
		}
	}
}

// below is the index below which no snapshot is needed, given that of the previous one.
func (p *pins) below(previous uint64, now time.Time) uint64 {
	p.sweep(now)
	for index := range *p {
		previous = min(previous, index)
	}
	return previous
}
