package raftlog

import (
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"tiercel/actors/runtime"
	"tiercel/cluster/election"
	"tiercel/cluster/logconf"
	"tiercel/messages"
)

// silence decides who campaigns when the leader is silent, and notices when this
// node leads and nobody hears it. Raft's own timeouts stand behind both.
//
// Withholding ticks would not work: followers that have heard the leader within
// an election timeout ignore pre-votes until they forget it themselves.
type silence struct {
	leaderAt   time.Time // newest word of the leader
	campaignAt time.Time // zero: no campaign is due
	lost       uint64    // the leader that fell silent
	ranks      map[uint64]uint32
	epoch      uint64 // term of the ranks
	cutOff     bool   // leading without contact to a quorum
}

func newSilence() silence { return silence{ranks: make(map[uint64]uint32)} }

// silentIntervals without a word from the leader, or from a quorum, are enough.
const silentIntervals = 3

// againTicks are between two campaigns of one node, beside its rank's delay.
const againTicks = 6

func (s *silence) began(now time.Time) { s.leaderAt = now }

func (s *silence) heard(now time.Time) { s.leaderAt, s.campaignAt = now, time.Time{} }

// onCandidateRanks takes over in which order voters shall campaign.
func (l *Log) onCandidateRanks(m *messages.CandidateRanks) {
	if m.EpochTerm < l.silence.epoch {
		return
	}
	l.silence.epoch = m.EpochTerm
	clear(l.silence.ranks)
	for _, c := range m.Candidates {
		if c.RaftId != 0 && c.Refusal == "" {
			l.silence.ranks[c.RaftId] = c.Rank
		}
	}
}

// rank is this node's place among the voters that may follow the leader that fell
// silent; who is not ranked comes last.
func (l *Log) rank() uint32 {
	own, ok := l.silence.ranks[l.cfg.RaftID]
	if !ok {
		return uint32(len(l.conf.Voters))
	}
	if r, ok := l.silence.ranks[l.silence.lost]; ok && r < own {
		own-- // a dead master needs no head start
	}
	return own
}

// watchSilence is called every tick.
func (l *Log) watchSilence(ctx *runtime.Context) {
	l.lookAtContact(ctx)
	l.lookForVoters(ctx)
	now, s := ctx.Now(), &l.silence
	if l.leading || !logconf.Voter(l.conf, l.cfg.RaftID) || l.install != nil || l.ready != nil {
		if l.leading {
			s.heard(now)
		}
		return
	}
	if now.Sub(s.leaderAt) < silentIntervals*l.interval() || l.outOfDate() {
		return
	}
	if s.campaignAt.IsZero() {
		if l.leader != raft.None {
			s.lost = l.leader
			ctx.Log().Warn("the master is silent", "leader", l.peers.nodes[l.leader], "rank", l.rank())
			// Only a follower can: a candidate has no leader to forget.
			_ = l.node.ForgetLeader()
		}
		s.campaignAt = now.Add(election.CampaignDelay(l.rank(), l.cfg.Tick))
	}
	if now.Before(s.campaignAt) {
		return
	}
	// Others may have forgotten the leader a moment later than this node: once more
	// after a while, until somebody leads.
	s.campaignAt = now.Add(againTicks*l.cfg.Tick + election.CampaignDelay(l.rank(), l.cfg.Tick))
	if err := l.node.Campaign(); err != nil {
		ctx.Log().Warn("this node cannot campaign", "error", err)
	}
}

// outOfDate: a master of a later term than this log knows says that this node does
// not vote. It was replaced while it was away; the voters it knows are not asked.
func (l *Log) outOfDate() bool {
	_, ranked := l.silence.ranks[l.cfg.RaftID]
	return l.silence.epoch > l.term && len(l.silence.ranks) > 0 && !ranked
}

// lookAtContact compares the clock with the newest word of each voter. A leader
// without a quorum stops being master at once, long before Raft steps down.
func (l *Log) lookAtContact(ctx *runtime.Context) {
	cutOff := l.leading && !logconf.Quorum(l.conf, func(id uint64) bool { return l.inContact(ctx, id) })
	if cutOff == l.silence.cutOff {
		return
	}
	l.silence.cutOff = cutOff
	if cutOff {
		ctx.Log().Warn("this master hears no quorum of the voters any more and stops serving")
		l.dropReads(ctx)
	}
	l.announce(ctx)
}

// withheld are the words by which followers know that they have a leader, while this one
// hears no quorum. Where only the way to it is cut they would follow it, who can commit
// nothing, until Raft gives up: so they miss it as if it were dead, and another one leads.
// The first word from a quorum ends it, and Raft sends again what was lost.
func (l *Log) withheld(m *raftpb.Message) bool {
	t := m.GetType()
	return l.leading && l.silence.cutOff && (t == raftpb.MessageType_MsgHeartbeat || t == raftpb.MessageType_MsgApp)
}

func (l *Log) inContact(ctx *runtime.Context, id uint64) bool {
	return id == l.cfg.RaftID || ctx.Now().Sub(l.peers.heard[id]) < silentIntervals*l.interval()
}
