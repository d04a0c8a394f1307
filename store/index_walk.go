package store

import "container/heap"

// Snapshot implements Index.
func (x *buntIndex) Snapshot() SnapshotWalk {
	if x.walk != nil {
		panic("store: index: a snapshot walk is under way")
	}
	x.walk = &indexWalk{index: x, before: map[string]preimage{}}
	return x.walk
}

// indexWalk walks an index in key order while it is written to. A write to a key
// that the walk has not reached saves what was there first; the walk returns
// that instead. So its cost is what it returns plus what is written meanwhile.
type indexWalk struct {
	index  *buntIndex
	cursor string // keys below it have been returned
	before map[string]preimage
	saved  keyHeap // the keys of before that existed
	done   bool
}

// preimage is what a key held when the walk began.
type preimage struct {
	value   string
	existed bool
}

// changed notes that key was written; previous is what it held, if it existed.
func (w *indexWalk) changed(key, previous string, existed bool) {
	if w.done || key < w.cursor {
		return
	}
	if _, saved := w.before[key]; saved {
		return
	}
	w.before[key] = preimage{previous, existed}
	if existed {
		heap.Push(&w.saved, key)
	}
}

// Next implements SnapshotWalk.
func (w *indexWalk) Next(maxBytes int) []Pair {
	if w.done {
		return nil
	}
	var pairs []Pair
	bytes := 0
	emit := func(key, value string) (more bool) {
		pairs = append(pairs, Pair{key, value})
		bytes += len(key) + len(value)
		w.cursor = key + "\x00"
		return bytes < maxBytes
	}
	more := true
	w.index.Ascend(w.cursor, func(key, value string) bool {
		for more && len(w.saved) > 0 && w.saved[0] < key {
			more = w.emitSaved(emit)
		}
		if !more {
			return false
		}
		// A key that was written has its pre-image among the saved, or is new.
		if _, changed := w.before[key]; !changed {
			more = emit(key, value)
		}
		return more
	})
	for more && len(w.saved) > 0 {
		more = w.emitSaved(emit)
	}
	if more {
		w.Close() // the end was reached
	}
	return pairs
}

// emitSaved returns the lowest saved key with what it held.
func (w *indexWalk) emitSaved(emit func(key, value string) bool) bool {
	key := heap.Pop(&w.saved).(string)
	old := w.before[key]
	delete(w.before, key)
	return emit(key, old.value)
}

// Close implements SnapshotWalk.
func (w *indexWalk) Close() {
	if w.done {
		return
	}
	w.done, w.before, w.saved = true, nil, nil
	w.index.walk = nil
}

// keyHeap is a heap of keys, the lowest first.
type keyHeap []string

func (h keyHeap) Len() int           { return len(h) }
func (h keyHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h keyHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *keyHeap) Push(key any) { *h = append(*h, key.(string)) }

// Pop implements heap.Interface.
func (h *keyHeap) Pop() any {
	old := *h
	key := old[len(old)-1]
	old[len(old)-1] = ""
	*h = old[:len(old)-1]
	return key
}
