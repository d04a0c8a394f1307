package archive

import (
	"cmp"
	"slices"
)

// Limits of what is kept.
const (
	// MinCheckpointBytes of journal come before another checkpoint, and at least as many
	// as the newest has: what is written twice stays in proportion to what is written.
	MinCheckpointBytes = 16 << 20
	// MaxSegments of journal come before another checkpoint: a recovery reads them all.
	MaxSegments = 512
	// KeepCheckpoints are the complete ones that are kept, with the journal since the
	// oldest of them. Two: should the newest rot, the one before it and the journal
	// still tell it all.
	KeepCheckpoints = 2
)

// Input is what Plan looks at.
type Input struct {
	Generation uint64 // of the cluster now
	Items      []Item // the catalog's rows of the system's tenant
	// Under is the log index of a checkpoint that is being written; 0: none.
	Under uint64
	// Segments of journal come before another checkpoint; 0: MaxSegments.
	Segments int
	// Gone is a log index up to which the log is known to have been truncated; 0: none.
	Gone uint64
}

// Output is what there is, and what to do.
type Output struct {
	// Newest is the log index of the newest complete checkpoint of this generation, 0:
	// there is none; Bytes are its size.
	Newest, Bytes uint64
	// Journaled is the log index behind which the journal goes on. It may lie below
	// Newest: the checkpoint before that one needs the journal without a gap, too.
	Journaled uint64
	// Checkpoint says that another one is due.
	Checkpoint bool
	// Retire are files that no recovery needs any more, the oldest first.
	Retire []Item
}

// point names a checkpoint.
type point struct{ generation, index uint64 }

func comparePoints(a, b point) int {
	return cmp.Or(cmp.Compare(a.generation, b.generation), cmp.Compare(a.index, b.index))
}

// complete lists the checkpoints of which every part is there, the newest first.
func complete(items []Item) (points []point) {
	have := make(map[point]map[uint32]bool)
	of := make(map[point]uint32)
	for _, i := range items {
		if i.Kind != Checkpoint {
			continue
		}
		p := point{i.Generation, i.Index}
		if have[p] == nil {
			have[p], of[p] = make(map[uint32]bool), i.Of
		}
		if i.Of == of[p] {
			have[p][i.Part] = true
		}
	}
	for p, parts := range have {
		if len(parts) == int(of[p]) {
			points = append(points, p)
		}
	}
	slices.SortFunc(points, func(a, b point) int { return comparePoints(b, a) })
	return points
}

// follow goes from a log index on through segments of one generation as long as there
// is no gap, and returns those it needs, in order, and how far they go.
func follow(items []Item, generation, from uint64) (segments []Item, to uint64) {
	for _, i := range items {
		if i.Kind == Journal && i.Generation == generation && i.To > from {
			segments = append(segments, i)
		}
	}
	slices.SortFunc(segments, func(a, b Item) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	to = from
	needed := segments[:0]
	for _, s := range segments {
		if s.From > to+1 {
			break
		}
		if s.To > to {
			needed, to = append(needed, s), s.To
		}
	}
	return needed, to
}

// Plan says what the archive has, what is due, and what may go.
func Plan(in Input) Output {
	points := complete(in.Items)
	out := Output{Retire: retire(in, points)}
	if len(points) == 0 || points[0].generation != in.Generation {
		out.Checkpoint = in.Under == 0
		return out
	}
	out.Newest = points[0].index
	for _, i := range in.Items {
		if i.Kind == Checkpoint && i.Generation == in.Generation && i.Index == out.Newest {
			out.Bytes += i.Bytes
		}
	}
	segments, to := follow(in.Items, in.Generation, out.Newest)
	out.Journaled = to
	for _, p := range points[:min(len(points), KeepCheckpoints)] {
		if p.generation != in.Generation {
			continue
		}
		if _, older := follow(in.Items, in.Generation, p.index); older < out.Newest && older >= in.Gone {
			out.Journaled = older
		}
	}
	bytes := uint64(0)
	for _, s := range segments {
		bytes += s.Bytes
	}
	most := MaxSegments
	if in.Segments > 0 {
		most = in.Segments
	}
	out.Checkpoint = in.Under == 0 && (to < in.Gone || len(segments) >= most || bytes >= max(MinCheckpointBytes, out.Bytes))
	return out
}

// retire lists what neither the kept checkpoints nor the journal since them need.
func retire(in Input, points []point) (out []Item) {
	if len(points) == 0 {
		return nil // whatever there is may be all that a recovery has
	}
	kept := points[:min(len(points), KeepCheckpoints)]
	for _, i := range in.Items {
		p := point{i.Generation, i.Index}
		switch {
		case i.Kind == Checkpoint && slices.Contains(kept, p):
		case i.Kind == Checkpoint && i.Generation == in.Generation && i.Index == in.Under && in.Under != 0:
		case i.Kind == Checkpoint && comparePoints(p, kept[0]) > 0 && in.Under != 0:
			// Newer than the newest complete one, and not being written by us: left for the
			// next pass, when nothing is under way.
		case i.Kind == Journal && neededBy(kept, i):
		default:
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(max(a.Index, a.To), max(b.Index, b.To)), cmp.Compare(a.Part, b.Part))
	})
	return out
}

// neededBy reports whether a segment goes beyond a kept checkpoint of its generation,
// or is of a generation that has none yet.
func neededBy(kept []point, segment Item) bool {
	if segment.Generation > kept[0].generation {
		return true
	}
	return slices.ContainsFunc(kept, func(p point) bool { return p.generation == segment.Generation && segment.To > p.index })
}
