package gateway

// window hands out sequences and knows the low water: every sequence up to it
// has its outcome, or was given up, and will never be sent again.
type window struct {
	last uint64
	low  uint64
	open map[uint64]bool // above low: true while under way
}

// next hands out a sequence.
func (w *window) next() uint64 {
	if w.open == nil {
		w.open = make(map[uint64]bool)
	}
	w.last++
	w.open[w.last] = true
	return w.last
}

// done marks a sequence as answered for good and moves the low water up.
func (w *window) done(sequence uint64) {
	if sequence <= w.low || sequence > w.last {
		return
	}
	w.open[sequence] = false
	for w.low < w.last && !w.open[w.low+1] {
		w.low++
		delete(w.open, w.low)
	}
}
