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
	l.leader, l.term, l.leading = s.Lead, term, leading
	l.ownTermIndex, l.ownTermDone = 0, false
	if !leading {
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
		Term: l.term, Leading: l.leading, OwnTermApplied: l.ownTermDone,
	})
}

// onApplied follows the catalog; the first own-term entry opens the reads.
func (l *Log) onApplied(ctx *runtime.Context, m *messages.EntriesApplied) {
	if m.Applied < l.applied {
		return
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
	l.maybeSnapshot(ctx)
	l.pump(ctx)
}

func (l *Log) startRead(r heldRead) {
	l.nextRead++
	l.reads[l.nextRead] = r
	l.node.ReadIndex(binary.BigEndian.AppendUint64(nil, l.nextRead))
}

func (l *Log) finishReads(ctx *runtime.Context, states []raft.ReadState) {
	for _, s := range states {
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
func (l *Log) trimMemory() {
	first, err := l.storage.FirstIndex()
	if err != nil || l.applied < first+2*memoryEntries {
		return
	}
	// The storage only refuses what is already gone.
	_ = l.storage.Compact(l.applied - memoryEntries)
}
