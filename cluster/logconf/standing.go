package logconf

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// End is where the log of one stopped node ends, and who its members are there.
type End struct {
	Self       uint64 // the Raft id of the node
	Term, Last uint64 // of the newest entry
	Conf       *raftpb.ConfState
}

// Standing is how a cluster stands of which some logs are intact.
type Standing struct {
	// Furthest is the place in the list of the log that knows most: a start elects
	// nobody who knows less, and a take-over goes on from it.
	Furthest int
	// Voting counts the nodes of the list that vote; Voters are all that there are.
	Voting, Voters int
	// Majority says that those of the list are enough to go on as they are: nothing
	// that was committed is missing in all of them.
	Majority bool
}

// Stand judges by the log that goes furthest, in Raft's order: term before index. ends
// is not empty.
func Stand(ends []End) Standing {
	s := Standing{}
	for i, e := range ends {
		best := ends[s.Furthest]
		if e.Term > best.Term || e.Term == best.Term && e.Last > best.Last {
			s.Furthest = i
		}
	}
	conf := ends[s.Furthest].Conf
	here := func(id uint64) bool { return slices.ContainsFunc(ends, func(e End) bool { return e.Self == id }) }
	voters := slices.Concat(conf.Voters, conf.VotersOutgoing)
	slices.Sort(voters)
	for _, id := range slices.Compact(voters) {
		s.Voters++
		if here(id) {
			s.Voting++
		}
	}
	s.Majority = s.Voters > 0 && Quorum(conf, here)
	return s
}
