package raftlog

import (
	"errors"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// walOpened is the result of opening the write-ahead log.
type walOpened struct {
	wal     *store.WAL
	rec     *store.WALRecovery
	entries []store.LogEntry // above the recovered commit index
	err     error
}

func (l *Log) onStarted(ctx *runtime.Context) {
	ctx.After(l.cfg.Tick, tick{})
	open := l.cfg.OpenWAL
	ctx.Offload(func() any {
		wal, rec, err := open()
		if err != nil {
			return &walOpened{err: err}
		}
		o := &walOpened{wal: wal, rec: rec}
		for lo := max(rec.State.Commit+1, rec.First); lo <= rec.Last; {
			part, err := wal.Entries(lo, rec.Last+1, deliverChunkBytes)
			if err != nil {
				return &walOpened{err: err}
			}
			if len(part) == 0 {
				return &walOpened{err: model.Errorf(model.CodeCorrupt, "open log", "entry %d is missing from log/", lo)}
			}
			o.entries = append(o.entries, part...)
			lo += uint64(len(part))
		}
		return o
	})
}

func (l *Log) onOpened(ctx *runtime.Context, o *walOpened) {
	if o.err != nil {
		ctx.Runtime().Halt(o.err)
		return
	}
	l.wal = o.wal
	l.state = &raftpb.HardState{Term: &o.rec.State.Term, Vote: &o.rec.State.Vote, Commit: &o.rec.State.Commit}
	l.storage = raft.NewMemoryStorage()
	l.recovered(o)
	// The catalog knows the voters and how far it has applied; ask, in case it
	// spoke before we listened.
	ctx.Request(ctx.Runtime().Local(l.cfg.CatalogPath), &messages.AttachCatalog{LogFirst: o.rec.First})
}

// recovered keeps the entries above the commit index for the RawNode.
func (l *Log) recovered(o *walOpened) {
	l.committed = o.rec.State.Commit
	for _, e := range o.entries {
		l.bytesSinceSnap += int64(len(e.Data))
	}
	l.ready = &pendingReady{recovered: o.entries}
}

func (l *Log) onCatalogLoaded(ctx *runtime.Context, m *messages.CatalogLoaded) {
	if l.wal == nil {
		return // asked again when the log is open
	}
	l.attached, l.applied, l.delivered = true, m.Applied, m.Applied
	l.snapshotting = false
	if l.node != nil {
		l.pump(ctx) // the catalog was restarted: deliver again from where it stands
		return
	}
	l.previousSnapshot = m.Snapshot
	if err := l.startNode(ctx, m); err != nil {
		ctx.Runtime().Halt(err)
		return
	}
	l.pump(ctx)
}

// startNode makes the RawNode. Raft is told that everything up to the recovered
// commit index is applied: the catalog gets those entries from the write-ahead
// log in bounded pieces, not through Raft's memory.
func (l *Log) startNode(ctx *runtime.Context, m *messages.CatalogLoaded) error {
	l.conf = &raftpb.ConfState{}
	if err := proto.Unmarshal(m.ConfState, l.conf); err != nil {
		return model.Errorf(model.CodeCorrupt, "open log", "the snapshot's voters cannot be read: %w", err)
	}
	recovered := l.ready.recovered
	l.ready = nil
	base := max(l.committed, m.Applied)
	if last := l.wal.Last(); base > last || m.Applied+1 < l.wal.First() {
		return model.Errorf(model.CodeCorrupt, "open log",
			"log/ holds entries %d to %d but the catalog snapshot is at %d: a piece of the log is missing; restore log/ or the older snapshot",
			l.wal.First(), last, m.Applied)
	}
	l.committed = base
	term, err := l.wal.Term(base)
	if err != nil {
		return err
	}
	snap := &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: l.conf, Index: &base, Term: &term}}
	tail := make([]*raftpb.Entry, 0, len(recovered))
	for i := range recovered {
		if recovered[i].Index > base {
			tail = append(tail, toRaft(&recovered[i]))
		}
	}
	commit := base
	l.state.Commit = &commit
	if err := errors.Join(l.storage.ApplySnapshot(snap), l.storage.SetHardState(l.state), l.storage.Append(tail)); err != nil {
		return err
	}
	l.node, err = raft.NewRawNode(&raft.Config{
		ID: l.cfg.RaftID, ElectionTick: l.cfg.ElectionTicks, HeartbeatTick: l.cfg.HeartbeatTicks,
		Storage: l.storage, Applied: base, MaxSizePerMsg: maxMessageBytes, MaxCommittedSizePerReady: deliverChunkBytes,
		MaxUncommittedEntriesSize: maxUncommittedBytes, MaxInflightMsgs: 256, CheckQuorum: true, PreVote: true,
		DisableProposalForwarding: true, Logger: raftLogger{ctx.Log()},
	})
	if err != nil {
		return err
	}
	if l.alone() {
		return l.node.Campaign() // a lone voter need not wait for a timeout
	}
	return nil
}

// alone reports whether this node is the only voter.
func (l *Log) alone() bool {
	return len(l.conf.Voters) == 1 && l.conf.Voters[0] == l.cfg.RaftID && len(l.conf.VotersOutgoing) == 0
}

func toRaft(e *store.LogEntry) *raftpb.Entry {
	kind := raftpb.EntryType(e.Kind)
	return &raftpb.Entry{Index: &e.Index, Term: &e.Term, Type: &kind, Data: e.Data}
}
