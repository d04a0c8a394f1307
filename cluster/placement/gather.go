package placement

// GatherBytes may be outstanding on one volume before a write goes to another.
const GatherBytes = 1 << 20

// Gather returns the first volume that would carry at most GatherBytes with this
// write; ok is false when there is none and Choose must spread the load. Small
// writes gather because whatever waits for a volume shares one fsync: with 64
// writers of 4 KiB on one disk one busy volume does more than two half-busy ones,
// while large bodies gain by going apart. It cannot herd: what gathers is bounded.
func Gather(open []Open, bytes int64, avoid []uint64) (index int, ok bool) {
	for i := range open {
		if bytes >= 0 && open[i].Outstanding+bytes <= GatherBytes && eligible(&open[i], avoid) {
			return i, true
		}
	}
	return 0, false
}

// Together returns the volume that an earlier item of the same batch was given, so
// that one group commit makes both durable; ok is false when there is none (0) or it
// takes no more. It cannot herd for long: a batch is bounded, and the next begins with
// Gather or Choose again.
func Together(open []Open, volume uint64, avoid []uint64) (index int, ok bool) {
	for i := range open {
		if volume != 0 && open[i].Volume == volume && eligible(&open[i], avoid) {
			return i, true
		}
	}
	return 0, false
}
