package raftlog

import (
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// caughtUpEntries behind the end is near enough to vote.
const caughtUpEntries = 1000

// progress is what the leader knows of the other members, by Raft id.
func (l *Log) progress(ctx *runtime.Context) map[uint64]*messages.LogProgress {
	out := make(map[uint64]*messages.LogProgress)
	if l.node == nil || !l.leading {
		return out
	}
	l.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
		out[id] = &messages.LogProgress{
			RaftId: id, Match: p.Match, Learner: kind == raft.ProgressTypeLearner, RecentlyActive: l.inContact(ctx, id),
			CaughtUp: p.Match+caughtUpEntries >= l.committed && p.State == tracker.StateReplicate || id == l.cfg.RaftID,
		}
		if heard, ok := l.peers.heard[id]; ok {
			out[id].SilentMs = ctx.Now().Sub(heard).Milliseconds()
		}
	})
	return out
}

// onChangeVoters proposes one change of the voters. The master decides which; what
// could lose a quorum is refused here.
func (l *Log) onChangeVoters(ctx *runtime.Context, m *messages.ChangeVoters) {
	err := l.proposeVoters(ctx, m)
	ctx.Reply(&messages.ChangeVotersReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(err)})
	l.pump(ctx)
}

func (l *Log) proposeVoters(ctx *runtime.Context, m *messages.ChangeVoters) error {
	if err := l.refuseProposal(); err != nil {
		return err
	}
	if err := l.judgeVoters(m, l.progress(ctx)); err != nil {
		return err
	}
	change := logconf.Change(l.conf, m.Voters, m.Learners)
	if change == nil {
		return nil
	}
	if l.changing > l.applied || logconf.Joint(l.conf) {
		return model.Errorf(model.CodeConflict, "change voters", "another change of the voters is under way")
	}
	// A cause that travels with the entry: it is read in the log, not interpreted.
	change.Context = []byte(m.Cause)
	if err := l.node.ProposeConfChange(change); err != nil {
		return model.Errorf(model.CodeOverloaded, "change voters", "the log takes no more for now: %w", err)
	}
	last, err := l.storage.LastIndex()
	if err != nil {
		return err
	}
	l.changing = last + 1
	ctx.Log().Info("the voters are being changed", "voters", m.Voters, "learners", m.Learners, "cause", m.Cause)
	return nil
}

// judgeVoters is the rule of DESIGN "Voters": never fewer, newcomers are learners
// that have caught up, and those that stay are a live majority of the new set.
func (l *Log) judgeVoters(m *messages.ChangeVoters, progress map[uint64]*messages.LogProgress) error {
	const op = "change voters"
	if len(m.Voters) == 0 || len(m.Voters) < len(l.conf.Voters) && !m.AllowFewer {
		return model.Errorf(model.CodeConflict, op, "%d voters instead of %d: the set is never shrunk by itself", len(m.Voters), len(l.conf.Voters))
	}
	live := 0
	for _, id := range m.Voters {
		p := progress[id]
		switch old := slices.Contains(l.conf.Voters, id); {
		case old && p.GetRecentlyActive():
			live++
		case old:
		case p == nil || !p.CaughtUp || !p.RecentlyActive:
			return model.Errorf(model.CodeConflict, op, "the member %x is not a learner that has caught up", id)
		}
	}
	stay := 0
	for _, id := range m.Voters {
		if slices.Contains(l.conf.Voters, id) {
			stay++
		}
	}
	// Growing from one voter there is no majority without the newcomers; then all of
	// them are live and caught up, as was just judged.
	if added := len(m.Voters) - stay; live+added <= len(m.Voters)/2 || stay > 1 && live <= stay/2 {
		return model.Errorf(model.CodeConflict, op, "only %d of the %d voters that stay are live", live, stay)
	}
	return nil
}

// onTransfer moves the lead to another voter, if it can take it in a moment.
func (l *Log) onTransfer(ctx *runtime.Context, m *messages.TransferLeadership) {
	err := l.transfer(ctx, m.RaftId)
	ctx.Reply(&messages.TransferLeadershipReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(err)})
	l.pump(ctx)
}

func (l *Log) transfer(ctx *runtime.Context, to uint64) error {
	const op = "transfer leadership"
	if l.node == nil || !l.leading {
		return model.Errorf(model.CodeNoMaster, op, "this node does not lead the log")
	}
	p := l.progress(ctx)[to]
	switch {
	case to == l.cfg.RaftID:
		return nil
	case !slices.Contains(l.conf.Voters, to):
		return model.Errorf(model.CodeConflict, op, "the node does not vote")
	case !p.GetRecentlyActive():
		return model.Errorf(model.CodeConflict, op, "the node was not heard for %d ms", p.GetSilentMs())
	case !p.GetCaughtUp(): // Raft sends it the last entries, and takes no others until it has them
		return model.Errorf(model.CodeConflict, op, "the node's log is at %d, behind %d", p.GetMatch(), l.committed)
	}
	l.node.TransferLeader(to)
	return nil
}

func (l *Log) onDescribe(ctx *runtime.Context, m *messages.DescribeLog) {
	conf, err := proto.Marshal(l.conf)
	if err != nil {
		ctx.Log().Error("the voters cannot be encoded", "error", err)
	}
	reply := &messages.DescribeLogReply{
		Header: messages.ReplyHeader(m.Header), Term: l.term, Leading: l.leading && !l.silence.cutOff, Leader: l.leader, ConfState: conf,
		Committed: l.committed, Applied: l.applied, RaftId: l.cfg.RaftID,
	}
	progress := l.progress(ctx)
	for _, id := range slices.Concat(l.conf.Voters, l.conf.Learners) {
		if p := progress[id]; p != nil {
			reply.Progress = append(reply.Progress, p)
		}
	}
	ctx.Reply(reply)
}
