package archive

import (
	"cmp"
	"slices"
)

// Base is what a recovery may build on: a checkpoint, and the journal that follows it.
type Base struct {
	Generation uint64
	Index      uint64 // of the checkpoint
	Of         uint32 // its parts
	Segments   []Item // in order, without a gap
	To         uint64 // log index that they go up to
}

// Candidates lists the bases that were found, the best first: the highest generation,
// in it the one that goes furthest, of those the older checkpoint. It has seen more
// commits go by in its journal, and knows better which records they named. Whether the
// bytes are right only reading tells: who finds a checkpoint damaged takes the next.
func Candidates(found []Item) (bases []Base) {
	for _, p := range complete(found) {
		b := Base{Generation: p.generation, Index: p.index}
		for _, i := range found {
			if i.Kind == Checkpoint && i.Generation == p.generation && i.Index == p.index {
				b.Of = i.Of
				break
			}
		}
		b.Segments, b.To = follow(found, p.generation, p.index)
		bases = append(bases, b)
	}
	slices.SortStableFunc(bases, func(a, b Base) int {
		return cmp.Or(cmp.Compare(b.Generation, a.Generation), cmp.Compare(b.To, a.To), cmp.Compare(a.Index, b.Index))
	})
	return bases
}

// Follow lists the segments that go on from a log index of a generation without a gap.
func Follow(found []Item, generation, from uint64) []Item {
	segments, _ := follow(found, generation, from)
	return segments
}
