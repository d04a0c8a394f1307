package election

import (
	"cmp"
	"slices"
	"time"

	"tiercel/messages"
)

// Candidate is what the ranking looks at.
type Candidate struct {
	Node     string
	RaftID   uint64
	State    messages.WorkerState
	Licensed bool
	Voter    bool
	DiskType string // nvme, ssd, hdd
	Free     uint64 // bytes
	Total    uint64 // bytes
}

// diskWorth orders disk types: SSD is a strong preference, not a wall.
var diskWorth = map[string]int{"nvme": 3, "ssd": 2, "hdd": 1}

// FreeClass is the free capacity in classes: 0 under 5 % free, then 1, and 2 from
// 25 %, so that a candidate's class changes seldom.
func FreeClass(free, total uint64) int {
	switch {
	case total == 0 || free < total/20:
		return 0
	case free < total/4:
		return 1
	}
	return 2
}

// Refusal is why a candidate cannot be master; empty: it can.
func (c Candidate) Refusal() string {
	switch {
	case !c.Voter:
		return "it does not vote"
	case !c.Licensed:
		return "its licence has no failover"
	case c.State == messages.WorkerState_LEFT || c.State == messages.WorkerState_DECOMMISSIONED || c.State == messages.WorkerState_UNREACHABLE:
		return "it is " + messages.StateName(c.State)
	}
	return ""
}

// Compare orders by class: negative when a is the better master. Zero means that
// they differ by nothing but the node id.
func Compare(a, b Candidate) int {
	return cmp.Or(
		cmp.Compare(refused(a), refused(b)),
		cmp.Compare(a.State, b.State),
		cmp.Compare(diskWorth[b.DiskType], diskWorth[a.DiskType]),
		cmp.Compare(FreeClass(b.Free, b.Total), FreeClass(a.Free, a.Total)),
	)
}

// HandsOver reports whether the master gives the lead to the best candidate: that is
// better by class, and no operator has promoted the master. A promotion is no longer kept
// by one that is not healthy or has next to no room, for its log has to grow.
func HandsOver(self, best Candidate, promoted bool) bool {
	if promoted && self.State == messages.WorkerState_HEALTHY && FreeClass(self.Free, self.Total) > 0 {
		return false
	}
	return best.Node != self.Node && best.Refusal() == "" && Compare(best, self) < 0
}

func refused(c Candidate) int {
	if c.Refusal() != "" {
		return 1
	}
	return 0
}

// Rank orders candidates, the best first, ties by node id; those that cannot be
// master come last with the reason.
func Rank(candidates []Candidate) []*messages.Candidate {
	sorted := slices.Clone(candidates)
	slices.SortFunc(sorted, func(a, b Candidate) int { return cmp.Or(Compare(a, b), cmp.Compare(a.Node, b.Node)) })
	out := make([]*messages.Candidate, len(sorted))
	for i, c := range sorted {
		terms := map[string]float64{
			"health": float64(messages.WorkerState_LEFT-c.State) / float64(messages.WorkerState_LEFT-messages.WorkerState_HEALTHY),
			"disk":   float64(diskWorth[c.DiskType]) / 3, "free_class": float64(FreeClass(c.Free, c.Total)) / 2,
		}
		out[i] = &messages.Candidate{
			Node: c.Node, RaftId: c.RaftID, Rank: uint32(i), Refusal: c.Refusal(), Terms: terms,
			// For people: the order is by the terms one after the other, not by this sum.
			Score: 0.5*terms["health"] + 0.3*terms["disk"] + 0.2*terms["free_class"],
		}
	}
	return out
}

// CampaignDelay is how long after the master has fallen silent the candidate of a
// rank campaigns. The best waits for a tick and a half: the others notice the
// silence at ticks of their own, and until then they ignore whoever asks. The next
// follow two ticks apart, so that the better one has asked before they begin.
func CampaignDelay(rank uint32, tick time.Duration) time.Duration {
	return time.Duration(min(rank, 16))*2*tick + 3*tick/2
}
