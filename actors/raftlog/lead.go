package raftlog

import (
	"encoding/binary"
	"maps"
	"slices"

	"go.etcd.io/raft/v3"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// noteSoftState follows who leads. A new leader holds reads until an entry of
// its own term is applied.
func (l *Log) noteSoftState(ctx *runtime.Context, s *raft.SoftState) {
	if s == nil {
		return
	}
	term := l.node.BasicStatus().GetTerm()
	leading := s.RaftState == raft.StateLeader
	if leading == l.leading && s.Lead == l.leader && term == l.term {
		return
	}
	if leading && !l.leading {
		// The votes were words of a quorum a moment ago; contact is counted from now.
		for id := range l.conf.GetVoters() {
			l.peers.heard[l.conf.Voters[id]] = ctx.Now()
		}
		for id := range l.conf.GetVotersOutgoing() {
			l.peers.heard[l.conf.VotersOutgoing[id]] = ctx.Now()
		}
	}
	l.leader, l.term, l.leading = s.Lead, term, leading
	l.ownTermIndex, l.ownTermDone = 0, false
	if !leading {
		l.silence.cutOff = false
		l.dropReads(ctx)
	}
	l.announce(ctx)
}

// dropReads refuses every read that waits, in the order they came.
func (l *Log) dropReads(ctx *runtime.Context) {
	waiting := l.held
	for _, id := range slices.Sorted(maps.Keys(l.reads)) {
		waiting = append(waiting, l.reads[id])
	}
	l.held = nil
	clear(l.reads)
	for _, r := range waiting {
		l.refuseRead(ctx, r, model.CodeNoMaster, "this node no longer leads the log")
	}
}

func (l *Log) announce(ctx *runtime.Context) {
	ctx.Send(ctx.Runtime().Local(l.cfg.OwnerPath), &messages.LeadershipChanged{
		Leader: string(l.nodeOf(ctx, l.leader)), Term: l.term, Leading: l.leading && !l.silence.cutOff, OwnTermApplied: l.ownTermDone,
	})
}

func (l *Log) nodeOf(ctx *runtime.Context, id uint64) model.NodeID {
	if id == l.cfg.RaftID {
		return ctx.Runtime().Node()
	}
	return l.peers.nodes[id]
}

// onApplied follows the catalog; the first own-term entry opens the reads.
func (l *Log) onApplied(ctx *runtime.Context, m *messages.EntriesApplied) {
	if l.node == nil || m.Applied < l.applied {
		return // of an earlier life of this actor: the catalog says anew where it stands
	}
	l.applied = m.Applied
	if l.leading && !l.ownTermDone && l.ownTermIndex != 0 && l.applied >= l.ownTermIndex {
		l.ownTermDone = true
		held := l.held
		l.held = nil
		for _, r := range held {
			l.startRead(r)
		}
		l.announce(ctx)
	}
	l.trimMemory()
	l.pump(ctx)
}

func (l *Log) startRead(r heldRead) {
	l.nextRead++
	l.reads[l.nextRead] = r
	l.node.ReadIndex(binary.BigEndian.AppendUint64(nil, l.nextRead))
}

func (l *Log) finishReads(ctx *runtime.Context, states []raft.ReadState) {
	for _, s := range states {
		if len(s.RequestCtx) != 8 {
			continue
		}
		id := binary.BigEndian.Uint64(s.RequestCtx)
		r, ok := l.reads[id]
		if !ok {
			continue
		}
		delete(l.reads, id)
		ctx.Send(r.from, &messages.ReadIndexReply{Header: &messages.Header{Request: r.request}, Index: s.Index, Term: l.term})
	}
}

// trimMemory drops applied entries from memory; the write-ahead log has them.
// With other members those after the newest snapshot stay: a follower that is
// behind gets the snapshot and then needs all that follows.
func (l *Log) trimMemory() {
	first, err := l.storage.FirstIndex()
	if err != nil || l.applied < first+2*memoryEntries {
		return
	}
	to := l.applied - memoryEntries
	if len(l.conf.Voters)+len(l.conf.Learners) > 1 {
		to = min(to, l.storage.newest.GetIndex())
	}
	// The storage only refuses what is already gone.
	_ = l.storage.Compact(to)
}
