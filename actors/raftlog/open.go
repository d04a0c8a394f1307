package raftlog

import (
	"errors"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// walOpened is the result of opening the write-ahead log.
type walOpened struct {
	wal *store.WAL
	rec *store.WALRecovery
	err error
}

func (l *Log) onStarted(ctx *runtime.Context) {
	ctx.After(l.cfg.Tick, tick{})
	open := l.cfg.OpenWAL
	ctx.Offload(func() any {
		wal, rec, err := open()
		return &walOpened{wal: wal, rec: rec, err: err}
	})
}

func (l *Log) onOpened(ctx *runtime.Context, o *walOpened) {
	if o.err != nil {
		ctx.Runtime().Halt(o.err)
		return
	}
	l.wal = o.wal
	l.state = &raftpb.HardState{Term: &o.rec.State.Term, Vote: &o.rec.State.Vote, Commit: &o.rec.State.Commit}
	l.storage = &storage{MemoryStorage: raft.NewMemoryStorage()}
	l.committed = o.rec.State.Commit
	// The catalog knows the voters and how far it has applied; ask, in case it
	// spoke before we listened.
	ctx.Request(ctx.Runtime().Local(l.cfg.CatalogPath), &messages.AttachCatalog{LogFirst: o.rec.First})
}

func (l *Log) onCatalogLoaded(ctx *runtime.Context, m *messages.CatalogLoaded) {
	if l.wal == nil {
		return // asked again when the log is open
	}
	if l.node != nil {
		// The catalog was restarted: deliver again from where it stands.
		l.attached, l.applied, l.delivered = true, m.Applied, m.Applied
		l.snapshotting = false
		l.installFailed(ctx, model.Errorf(model.CodeUnavailable, "install snapshot", "the catalog was restarted"))
		l.pump(ctx)
		return
	}
	if l.starting {
		return
	}
	l.starting = true
	wal, committed, takeover := l.wal, l.committed, l.cfg.Takeover
	ctx.Offload(func() any { return readBeginning(wal, committed, m, takeover) })
}

// beginning is what the RawNode starts with: the voters at the commit index and
// the entries that Raft shall have in memory.
type beginning struct {
	loaded    *messages.CatalogLoaded
	base      uint64 // committed, and taken as applied by Raft
	conf      *raftpb.ConfState
	confIndex uint64 // of the newest change of it
	newest    *raftpb.SnapshotMetadata
	memory    uint64 // index before the first entry in memory
	term      uint64 // of it
	entries   []*raftpb.Entry
	err       error
}

// readBeginning reads what follows the newest snapshot. A snapshot that lies
// beyond the log, or that the log contradicts, was being installed when the node
// ended: the log goes on after it.
func readBeginning(wal *store.WAL, committed uint64, m *messages.CatalogLoaded, t logconf.Takeover) *beginning {
	b := &beginning{loaded: m, conf: &raftpb.ConfState{}}
	if err := proto.Unmarshal(m.ConfState, b.conf); err != nil {
		b.err = model.Errorf(model.CodeCorrupt, "open log", "the snapshot's voters cannot be read: %w", err)
		return b
	}
	b.conf = logconf.Start(b.conf, m.Snapshot, t)
	if m.Snapshot != 0 {
		b.newest = &raftpb.SnapshotMetadata{ConfState: b.conf, Index: &m.Snapshot, Term: &m.Term}
	}
	if b.err = goOnAfter(wal, m.Snapshot, m.Term); b.err != nil {
		return b
	}
	b.base = max(committed, m.Applied)
	if last := wal.Last(); b.base > last || m.Applied+1 < wal.First() {
		b.err = model.Errorf(model.CodeCorrupt, "open log",
			"log/ holds entries %d to %d but the catalog is at %d and %d were committed: a piece of the log is missing. %s",
			wal.First(), last, m.Applied, committed, store.DamagedLogHelp)
		return b
	}
	b.read(wal, t)
	return b
}

// goOnAfter makes the log begin after the snapshot when it does not hold its entry.
func goOnAfter(wal *store.WAL, snapshot, term uint64) error {
	if snapshot == 0 || snapshot < wal.First()-1 {
		return nil
	}
	if snapshot <= wal.Last() {
		if t, err := wal.Term(snapshot); err != nil || t == term {
			return err
		}
	}
	return wal.Reset(snapshot, term)
}

// read folds the voters up to base and keeps in memory what Raft needs: with other
// members everything after the snapshot, alone only what is not committed.
func (b *beginning) read(wal *store.WAL, t logconf.Takeover) {
	b.memory = max(b.loaded.Snapshot, wal.First()-1)
	for lo := b.memory + 1; lo <= wal.Last(); {
		part, err := wal.Entries(lo, wal.Last()+1, deliverChunkBytes)
		if err == nil && len(part) == 0 {
			err = model.Errorf(model.CodeCorrupt, "open log", "entry %d is missing from log/", lo)
		}
		for i := range part {
			e := &part[i]
			if err == nil && e.Index <= b.base && raftpb.EntryType(e.Kind) != raftpb.EntryType_EntryNormal {
				b.confIndex = e.Index
			}
			if err == nil && e.Index <= b.base {
				b.conf, err = logconf.Fold(b.conf, e.Index, raftpb.EntryType(e.Kind), e.Data, t)
			}
			b.entries = append(b.entries, toRaft(e))
		}
		if err != nil {
			b.err = err
			return
		}
		lo += uint64(len(part))
	}
	if len(b.conf.Voters)+len(b.conf.Learners) <= 1 {
		drop := min(b.base-b.memory, uint64(len(b.entries)))
		b.memory, b.entries = b.memory+drop, b.entries[drop:]
	}
	b.term, b.err = wal.Term(b.memory)
}

// onBeginning makes the RawNode. Raft is told that everything up to the recovered
// commit index is applied: the catalog gets those entries from the write-ahead
// log in bounded pieces, not through Raft's memory.
func (l *Log) onBeginning(ctx *runtime.Context, b *beginning) {
	l.starting = false
	if b.err == nil {
		b.err = l.startNode(ctx, b)
	}
	if b.err != nil {
		ctx.Runtime().Halt(b.err)
		return
	}
	l.pump(ctx)
}

func (l *Log) startNode(ctx *runtime.Context, b *beginning) error {
	l.attached, l.applied, l.delivered = true, b.loaded.Applied, b.loaded.Applied
	l.conf, l.committed, l.previous = b.conf, b.base, b.loaded.Snapshot
	l.storage.newest, l.storage.confIndex = b.newest, b.confIndex
	for _, e := range b.entries {
		l.bytesSinceSnap += int64(len(e.Data))
	}
	if b.memory > 0 {
		snap := &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: b.conf, Index: &b.memory, Term: &b.term}}
		if err := l.storage.ApplySnapshot(snap); err != nil {
			return err
		}
	}
	commit := b.base
	l.state.Commit = &commit
	if err := errors.Join(l.storage.SetHardState(l.state), l.storage.Append(b.entries)); err != nil {
		return err
	}
	var err error
	l.node, err = raft.NewRawNode(&raft.Config{
		ID: l.cfg.RaftID, ElectionTick: l.cfg.ElectionTicks, HeartbeatTick: l.cfg.HeartbeatTicks,
		Storage: l.storage, Applied: b.base, MaxSizePerMsg: maxMessageBytes, MaxCommittedSizePerReady: deliverChunkBytes,
		MaxUncommittedEntriesSize: maxUncommittedBytes, MaxInflightMsgs: maxInflight, CheckQuorum: true, PreVote: true,
		DisableProposalForwarding: true, StepDownOnRemoval: true, Logger: raftLogger{ctx.Log()},
	})
	if err != nil {
		return err
	}
	l.silence.began(ctx.Now())
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
