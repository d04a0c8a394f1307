package voters

import (
	"cmp"
	"fmt"
	"slices"

	"tiercel/cluster/election"
	"tiercel/messages"
)

// Input is what Plan looks at.
type Input struct {
	Workers  []election.Candidate // every worker that the log knows
	Voters   []uint64             // Raft ids
	Learners []uint64
	Joint    bool   // a change is under way
	Self     uint64 // the master's
	Failover bool   // licensed
	Progress map[uint64]*messages.LogProgress
}

// Change is the next set of voters and learners.
type Change struct {
	Voters, Learners []uint64
	AllowFewer       bool
	Cause            string
}

// gone reports whether a voter will not come back: it left, or was evacuated.
func gone(s messages.WorkerState) bool {
	return s == messages.WorkerState_LEFT || s == messages.WorkerState_DECOMMISSIONED
}

// Size is how many nodes vote in a cluster of n workers.
func Size(n int, failover bool) int {
	switch {
	case !failover || n < 3:
		return 1
	case n < 5:
		return 3
	}
	return 5
}

// Plan returns the next change, or nil. One at a time: newcomers first learn, and
// vote when they have caught up.
func Plan(in Input) *Change {
	if in.Joint || len(in.Voters) == 0 {
		return nil
	}
	byID := make(map[uint64]election.Candidate, len(in.Workers))
	members := 0
	for _, w := range in.Workers {
		if w.RaftID != 0 {
			byID[w.RaftID] = w
		}
		if !gone(w.State) {
			members++
		}
	}
	var stay, left []uint64
	for _, id := range in.Voters {
		// An id that nobody has was that of a node which lost its log, and came back with
		// another one.
		if w, known := byID[id]; known && gone(w.State) || !known && id != in.Self {
			left = append(left, id)
		} else {
			stay = append(stay, id)
		}
	}
	size := max(Size(members, in.Failover), len(in.Voters))
	candidates := fit(in, byID)
	if size == 1 {
		return standby(in, byID, candidates, stay)
	}
	need := size - len(stay)
	if c := smaller(in, byID, stay, left, candidates, need); c != nil {
		return c
	}
	return grow(in, stay, left, candidates, need)
}

// fit are the healthy workers that do not vote, the best disks first; those that
// already learn come before equals.
func fit(in Input, byID map[uint64]election.Candidate) []election.Candidate {
	var out []election.Candidate
	for _, w := range in.Workers {
		if w.RaftID != 0 && w.State == messages.WorkerState_HEALTHY && !slices.Contains(in.Voters, w.RaftID) && byID[w.RaftID].Node == w.Node {
			w.Voter, w.Licensed = true, true // as which it is judged
			out = append(out, w)
		}
	}
	learns := func(c election.Candidate) int {
		if slices.Contains(in.Learners, c.RaftID) {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(a, b election.Candidate) int {
		return cmp.Or(cmp.Compare(learns(a), learns(b)), election.Compare(a, b), cmp.Compare(a.Node, b.Node))
	})
	return out
}

// standby keeps one learner beside a single voter, so that a take-over by hand
// has something to take over.
func standby(in Input, byID map[uint64]election.Candidate, candidates []election.Candidate, stay []uint64) *Change {
	if len(stay) == 0 {
		return nil
	}
	if len(candidates) == 0 {
		for _, id := range in.Learners {
			if w, known := byID[id]; known && gone(w.State) {
				// Writes wait for a standby; not for one that will not come back.
				return &Change{Voters: in.Voters, Cause: w.Node + " is gone and nobody else can stand by"}
			}
		}
		return nil
	}
	want := []uint64{candidates[0].RaftID}
	if slices.Equal(want, in.Learners) {
		return nil
	}
	return &Change{Voters: in.Voters, Learners: want, Cause: candidates[0].Node + " stands by"}
}

// grow adds what is missing: first as learners, then, all at once, as voters in
// the place of those that are gone.
func grow(in Input, stay, left []uint64, candidates []election.Candidate, need int) *Change {
	if need <= 0 {
		if len(in.Learners) > 0 {
			return &Change{Voters: in.Voters, Cause: "learners that are not needed"}
		}
		return nil
	}
	if len(candidates) < need {
		// One for one all the same, as far as it goes; growth only as a whole.
		if need = min(len(candidates), len(left)); need == 0 {
			return nil
		}
	}
	var chosen []uint64
	ready := true
	for _, c := range candidates[:need] {
		chosen = append(chosen, c.RaftID)
		p := in.Progress[c.RaftID]
		ready = ready && slices.Contains(in.Learners, c.RaftID) && p.GetCaughtUp() && p.GetRecentlyActive()
	}
	if !ready {
		if slices.Equal(sorted(chosen), sorted(in.Learners)) {
			return nil // they are catching up
		}
		return &Change{Voters: in.Voters, Learners: chosen, Cause: fmt.Sprintf("%d voters are needed", need)}
	}
	next := slices.Concat(stay, chosen)
	// Whoever is gone and has no replacement yet keeps its place: never fewer.
	next = append(next, left[min(len(left), len(chosen)):]...)
	return &Change{Voters: next, Cause: fmt.Sprintf("%d learners have caught up, %d voters are gone", need, len(left))}
}

// smaller is the one way to fewer voters: nodes left for good, on request, and
// nobody is there to take their places.
func smaller(in Input, byID map[uint64]election.Candidate, stay, left []uint64, candidates []election.Candidate, need int) *Change {
	for _, id := range left {
		if byID[id].State != messages.WorkerState_LEFT {
			return nil
		}
	}
	if len(left) == 0 || need <= 0 || len(candidates) >= len(left) || !slices.Contains(stay, in.Self) {
		return nil
	}
	if len(stay) >= 3 {
		return &Change{Voters: keep(stay, in.Self, 3), AllowFewer: true, Cause: "voters have left for good"}
	}
	next := &Change{Voters: []uint64{in.Self}, AllowFewer: true, Cause: "voters have left for good"}
	for _, id := range stay {
		if id != in.Self {
			next.Learners = append(next.Learners, id)
		}
	}
	return next
}

// keep returns n of ids, self among them.
func keep(ids []uint64, self uint64, n int) []uint64 {
	out := []uint64{self}
	for _, id := range ids {
		if id != self && len(out) < n {
			out = append(out, id)
		}
	}
	return out
}

func sorted(ids []uint64) []uint64 { return slices.Sorted(slices.Values(ids)) }
