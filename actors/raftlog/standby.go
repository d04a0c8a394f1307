package raftlog

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"tiercel/actors/runtime"
	"tiercel/cluster/logconf"
	"tiercel/messages"
)

// standbyAt is how far the learner beside a single voter is.
type standbyAt struct {
	standing, inContact bool
	match               uint64
}

func (s standbyAt) message() *messages.StandbyMatch {
	return &messages.StandbyMatch{Standing: s.standing, Match: s.match, InContact: s.inContact}
}

// lookAtStandby tells the coordinator when that changes: commits of tier 1 wait until
// a standby has them, because it is what a take-over by hand goes on from.
func (l *Log) lookAtStandby(ctx *runtime.Context) {
	var now standbyAt
	if l.leading && len(l.conf.Voters) == 1 && !logconf.Joint(l.conf) && len(l.conf.Learners) > 0 {
		now.standing = true
		l.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
			if kind == raft.ProgressTypeLearner {
				now.match, now.inContact = max(now.match, p.Match), now.inContact || l.inContact(ctx, id)
			}
		})
	}
	if now != l.standby {
		l.standby = now
		ctx.Send(ctx.Runtime().Local(l.cfg.CoordinatorPath), now.message())
	}
}
