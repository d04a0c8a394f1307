package placement

import (
	"slices"

	"tiercel/cluster/model"
)

// Open is one volume that takes appends, as the master sees it. A caller
// passes the volumes of one tier, best first or in any fixed order.
type Open struct {
	Volume      uint64
	Tier        model.Tier
	Outstanding int64 // bytes granted and not yet committed or given up
	End         int64 // bytes in the file, grants included
}

// Choose returns the index in open of the volume for a write of so many bytes:
// two distinct candidates are drawn with r, uniformly, and the one with fewer
// outstanding bytes wins; of equals the emptier one, then the lower id. ok is
// false when no volume is left after avoid, the volumes that a retry has met
// trouble with.
//
// Two draws instead of the minimum, because between two reports every writer
// sees the same minimum and all would go there; see Mitzenmacher, "The Power of
// Two Choices in Randomized Load Balancing" (2001). bytes is part of what each
// candidate would carry, so it decides nothing between two of them; a negative
// one is refused.
func Choose(open []Open, bytes int64, avoid []uint64, r uint64) (index int, ok bool) {
	if bytes < 0 {
		return 0, false
	}
	n := 0
	for i := range open {
		if eligible(&open[i], avoid) {
			n++
		}
	}
	switch n {
	case 0:
		return 0, false
	case 1:
		return nth(open, avoid, 0), true
	}
	// One draw gives both: the high half picks the first, the low half one of the others.
	first := int((r >> 32) % uint64(n))
	second := int((r & 0xffffffff) % uint64(n-1))
	if second >= first {
		second++
	}
	a, b := nth(open, avoid, first), nth(open, avoid, second)
	if better(&open[b], &open[a]) {
		return b, true
	}
	return a, true
}

// nth is the index of the nth eligible volume; there must be one.
func nth(open []Open, avoid []uint64, n int) int {
	for i := range open {
		if !eligible(&open[i], avoid) {
			continue
		}
		if n == 0 {
			return i
		}
		n--
	}
	return -1
}

func eligible(o *Open, avoid []uint64) bool { return !slices.Contains(avoid, o.Volume) }

func better(a, b *Open) bool {
	if a.Outstanding != b.Outstanding {
		return a.Outstanding < b.Outstanding
	}
	if a.End != b.End {
		return a.End < b.End
	}
	return a.Volume < b.Volume
}
