package raftlog

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"tiercel/actors/runtime"
	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// pendingReady is one Ready of the RawNode on its way to the disk.
type pendingReady struct {
	raft.Ready
	entries []store.LogEntry
	sent    bool // its messages are out
}

// persisted is the result of one append to the write-ahead log.
type persisted struct{ err error }

// pump moves everything that can move: a Ready to the disk, messages to the other
// members, committed entries to the catalog. It is called after every change, and
// is idempotent.
func (l *Log) pump(ctx *runtime.Context) {
	for l.node != nil && l.ready == nil && l.node.HasReady() {
		rd := l.node.Ready()
		l.ready = &pendingReady{Ready: rd}
		l.noteSoftState(ctx, rd.SoftState)
		l.finishReads(ctx, rd.ReadStates)
		if rd.HardState != nil {
			l.state = rd.HardState // durable with the next append, at the latest
		}
		// What is committed and already on disk need not wait for the next fsync, up to
		// the first change of the voters.
		early, changes := untilChange(l.durableCommitted(rd.CommittedEntries))
		l.deliverReady(ctx, early)
		if l.leading {
			// A leader's messages promise nothing of its own disk: its vote for an
			// entry counts only at Advance. Followers write while it writes.
			l.sendReady(ctx)
		}
		if len(rd.Entries) == 0 && (rd.HardState == nil || !rd.MustSync) && raft.IsEmptySnap(rd.Snapshot) && !changes {
			// A commit index alone is not persisted: Raft finds it again. Not so when it
			// changes the voters: a node that has acted under the new set and forgets it
			// could elect itself under the old one.
			l.advance(ctx)
			continue
		}
		for _, e := range rd.Entries {
			l.ready.entries = append(l.ready.entries, store.LogEntry{
				Index: e.GetIndex(), Term: e.GetTerm(), Kind: uint8(e.GetType()), Data: e.Data,
			})
		}
	}
	// Both want the disk; taking turns, neither starves the other.
	if l.readTurn {
		l.deliverFromDisk(ctx)
		l.persist(ctx)
	} else {
		l.persist(ctx)
		l.deliverFromDisk(ctx)
	}
	l.maybeSnapshot(ctx)
}

// durableCommitted is the prefix of entries that the write-ahead log holds.
func (l *Log) durableCommitted(entries []*raftpb.Entry) []*raftpb.Entry {
	last, err := l.storage.LastIndex()
	if err != nil {
		return nil
	}
	for i, e := range entries {
		if e.GetIndex() > last {
			return entries[:i]
		}
	}
	return entries
}

// untilChange is what comes before the first change of the voters, if there is one.
func untilChange(entries []*raftpb.Entry) (before []*raftpb.Entry, changes bool) {
	for i, e := range entries {
		if e.GetType() != raftpb.EntryType_EntryNormal {
			return entries[:i], true
		}
	}
	return entries, false
}

// persist starts the append of the pending Ready; one at a time.
func (l *Log) persist(ctx *runtime.Context) {
	if l.ready == nil || l.diskBusy || l.pausing || l.node == nil {
		return
	}
	wal, entries, snapshot := l.wal, l.ready.entries, l.ready.Snapshot.GetMetadata()
	state := &store.HardState{Term: l.state.GetTerm(), Vote: l.state.GetVote(), Commit: l.state.GetCommit()}
	identity, update := l.cfg.Identity, l.cfg.UpdateNode
	l.diskBusy = true
	ctx.Offload(func() any {
		if snapshot.GetIndex() > wal.Last() || snapshot.GetIndex() > 0 && !holds(wal, snapshot) {
			if err := wal.Reset(snapshot.GetIndex(), snapshot.GetTerm()); err != nil {
				return &persisted{err: err}
			}
		}
		err := wal.Append(state, entries, true)
		if err == nil && wal.Last() > 0 && !identity().HeldLog {
			// Before anything of it is confirmed to others.
			err = noteHeldLog(update)
		}
		return &persisted{err: err}
	})
}

// noteHeldLog writes down that this node is a member of the log. A full disk may
// come in the way: then the next append tries again.
func noteHeldLog(update func(func(*store.NodeFile)) error) error {
	err := update(func(n *store.NodeFile) { n.HeldLog = true })
	if model.CodeOf(err) == model.CodeClusterFull {
		return nil
	}
	return err
}

// holds reports whether the log has the entry that a snapshot ends with.
func holds(wal *store.WAL, snapshot *raftpb.SnapshotMetadata) bool {
	term, err := wal.Term(snapshot.GetIndex())
	return err == nil && term == snapshot.GetTerm()
}

func (l *Log) onPersisted(ctx *runtime.Context, m *persisted) {
	l.diskBusy, l.readTurn = false, true
	if m.err != nil {
		if model.CodeOf(m.err) != model.CodeClusterFull {
			ctx.Runtime().Halt(model.Errorf(model.CodeInternal, "write log", "the log could not be made durable, so this node stops: %w", m.err))
			return
		}
		// Nothing of the batch is on disk. It stays first in line until there is room.
		l.diskFull, l.pausing = true, true
		ctx.After(fullDiskRetry, retryDisk{})
		return
	}
	l.diskFull = false
	if err := l.stored(); err != nil {
		ctx.Runtime().Halt(err)
		return
	}
	for i := range l.ready.entries {
		l.bytesSinceSnap += int64(len(l.ready.entries[i].Data)) + entryOverheadBytes
	}
	l.advance(ctx)
	l.pump(ctx)
}

const entryOverheadBytes = 32

// stored shows Raft what is on disk now.
func (l *Log) stored() error {
	if s := l.ready.Snapshot; !raft.IsEmptySnap(s) {
		if err := l.storage.ApplySnapshot(s); err != nil {
			return err
		}
		l.conf = s.GetMetadata().GetConfState()
		l.storage.newest = s.GetMetadata()
		l.committed = max(l.committed, s.GetMetadata().GetIndex())
		l.bytesSinceSnap = 0
	}
	return l.storage.Append(l.ready.Entries)
}

// advance finishes the pending Ready: its messages go out, what it committed goes
// to the catalog.
func (l *Log) advance(ctx *runtime.Context) {
	l.sendReady(ctx)
	rd := l.ready.Ready
	l.ready = nil
	l.deliverReady(ctx, rd.CommittedEntries)
	l.node.Advance(rd)
}

func (l *Log) sendReady(ctx *runtime.Context) {
	if !l.ready.sent {
		l.ready.sent = true
		l.send(ctx, l.ready.Messages)
	}
}

// deliverReady hands committed entries to the catalog straight from memory.
// Those that do not follow what was delivered are left to deliverFromDisk.
func (l *Log) deliverReady(ctx *runtime.Context, entries []*raftpb.Entry) {
	if len(entries) == 0 {
		return
	}
	direct := l.attached && l.delivered == l.committed
	out := &messages.ApplyEntries{Term: l.term}
	for _, e := range entries {
		index := e.GetIndex()
		if index <= l.committed {
			continue
		}
		l.committed = index
		l.changeVoters(ctx, e)
		if l.leading && l.ownTermIndex == 0 && e.GetTerm() == l.term {
			l.ownTermIndex = index
		}
		if direct && index == l.delivered+1 {
			l.delivered = index
			out.Entries = append(out.Entries, &messages.LogEntry{Index: index, Term: e.GetTerm(), Data: e.Data, Kind: uint32(e.GetType())})
		}
	}
	if len(out.Entries) > 0 {
		ctx.Request(ctx.Runtime().Local(l.cfg.CatalogPath), out)
	}
}

// changeVoters applies a committed configuration change, to Raft and to our own
// fold, which must agree.
func (l *Log) changeVoters(ctx *runtime.Context, e *raftpb.Entry) {
	if e.GetType() == raftpb.EntryType_EntryNormal {
		return
	}
	change, err := logconf.Decode(e.GetType(), e.Data)
	if err == nil {
		l.conf, err = logconf.Fold(l.conf, e.GetIndex(), e.GetType(), e.Data, l.cfg.Takeover)
	}
	if err != nil {
		ctx.Runtime().Halt(err)
		return
	}
	if l.cfg.Takeover.At == 0 || e.GetIndex() > l.cfg.Takeover.At {
		l.node.ApplyConfChange(change)
	}
	l.storage.confIndex = e.GetIndex()
	ctx.Log().Info("the voters changed", "voters", l.conf.Voters, "outgoing", l.conf.VotersOutgoing, "learners", l.conf.Learners)
}

// entriesRead is a piece of the log read back for the catalog.
type entriesRead struct {
	from    uint64
	entries []store.LogEntry
	err     error
}

// deliverFromDisk feeds a catalog that is behind (after a restart) from the
// write-ahead log, in pieces, with a bounded number under way.
func (l *Log) deliverFromDisk(ctx *runtime.Context) {
	if !l.attached || l.diskBusy || l.node == nil || l.delivered >= l.committed || l.delivered-l.applied >= deliverWindow || l.install != nil {
		return
	}
	wal, from, to := l.wal, l.delivered+1, l.committed+1
	l.diskBusy = true
	ctx.Offload(func() any {
		entries, err := wal.Entries(from, min(to, wal.Last()+1), deliverChunkBytes)
		return &entriesRead{from: from, entries: entries, err: err}
	})
}

func (l *Log) onEntriesRead(ctx *runtime.Context, m *entriesRead) {
	l.diskBusy, l.readTurn = false, false
	if m.err != nil && m.from == l.delivered+1 && l.install == nil {
		ctx.Runtime().Halt(m.err)
		return
	}
	if m.from == l.delivered+1 && l.attached { // else the catalog restarted meanwhile
		out := &messages.ApplyEntries{Term: l.term}
		for i := range m.entries {
			e := &m.entries[i]
			l.delivered = e.Index
			out.Entries = append(out.Entries, &messages.LogEntry{Index: e.Index, Term: e.Term, Data: e.Data, Kind: uint32(e.Kind)})
		}
		ctx.Request(ctx.Runtime().Local(l.cfg.CatalogPath), out)
	}
	l.pump(ctx)
}
