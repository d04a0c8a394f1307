package raftlog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/raft/v3"

	"tiercel/actors/runtime"
	"tiercel/cluster/logconf"
	"tiercel/messages"
)

// lonely says why nobody is elected for long, so that a person knows what to do.
type lonely struct {
	since time.Time // without a leader; zero: there is one
	said  string
}

// lonelyAfter is longer than an election takes; voters that live ask each other for
// votes more often than that.
const lonelyAfter = 3 * time.Second

// lookForVoters tells when nobody can be elected for a while. It is called every tick.
func (l *Log) lookForVoters(ctx *runtime.Context) {
	s, now := &l.lonely, ctx.Now()
	if !l.masterless(now) {
		*s = lonely{}
		return
	}
	if s.since.IsZero() {
		s.since = now
	}
	if now.Sub(s.since) < l.lonelyWindow() {
		return
	}
	said := l.whatIsMissing(now)
	if said == s.said {
		return
	}
	s.said = said
	if said == "" {
		said = "a master is being elected"
	} else {
		ctx.Log().Warn("nobody can be elected", "reason", said)
	}
	ctx.Send(ctx.Runtime().Local(l.cfg.OwnerPath), &messages.MasterReady{EpochTerm: l.term, Reason: said})
}

// masterless: a voter knows of no leader; a learner does not hear the one there was.
func (l *Log) masterless(now time.Time) bool {
	switch {
	case logconf.Voter(l.conf, l.cfg.RaftID):
		return l.leader == raft.None || l.silence.cutOff
	case l.standsBy():
		return now.Sub(l.silence.leaderAt) >= silentIntervals*l.interval()
	}
	return false
}

// standsBy: beside a single voter this node follows the log, to take over by hand.
func (l *Log) standsBy() bool {
	return len(l.conf.Voters) == 1 && slices.Contains(l.conf.Learners, l.cfg.RaftID)
}

func (l *Log) lonelyWindow() time.Duration { return max(lonelyAfter, 2*silentIntervals*l.interval()) }

// whatIsMissing counts the voters that were heard lately; empty: they are enough.
func (l *Log) whatIsMissing(now time.Time) string {
	if l.standsBy() {
		return "the master is silent, and no other node votes; start it, or, if it is gone for good, let this standby take over: 'tiercel takeover --help'"
	}
	heard := func(id uint64) bool { return id == l.cfg.RaftID || now.Sub(l.peers.heard[id]) < l.lonelyWindow() }
	if logconf.Quorum(l.conf, heard) {
		return ""
	}
	var missing []string
	for _, id := range l.conf.Voters {
		switch node, known := l.peers.nodes[id]; {
		case heard(id):
		case known:
			missing = append(missing, string(node))
		default:
			missing = append(missing, fmt.Sprintf("one of which only the Raft id %x is known", id))
		}
	}
	slices.Sort(missing)
	all := len(l.conf.Voters)
	return fmt.Sprintf("there is no master: this node hears %d of the %d voters, and %d must agree; start the others: %s", all-len(missing), all, all/2+1, strings.Join(missing, ", "))
}
