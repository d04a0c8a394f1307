package raftlog

import (
	"maps"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// truncated is the result of dropping old segments of the log.
type truncated struct{ err error }

// maybeSnapshot asks the catalog for a snapshot when enough log has gathered, or
// when a follower needs a newer one than there is.
func (l *Log) maybeSnapshot(ctx *runtime.Context) {
	if l.snapshotting || !l.attached || l.node == nil || l.bytesSinceSnap < l.cfg.SnapshotEveryBytes && !l.storage.wanted {
		return
	}
	if l.applied <= l.storage.newest.GetIndex() {
		return
	}
	l.snapshotting, l.storage.wanted = true, false
	l.bytesSinceSnap = 0
	ctx.Request(ctx.Runtime().Local(l.cfg.CatalogPath), &messages.TakeSnapshot{})
}

// onSnapshotTaken truncates the log below the previous snapshot, never the new
// one: should the new one rot, the previous one and the log still tell it all.
func (l *Log) onSnapshotTaken(ctx *runtime.Context, m *messages.SnapshotTaken) {
	l.snapshotting = false
	if l.node == nil {
		return // an earlier life asked; the catalog says where it stands
	}
	l.answerAskers(ctx, m)
	conf := &raftpb.ConfState{}
	err := m.Error.Err("snapshot")
	if err == nil {
		err = proto.Unmarshal(m.ConfState, conf)
	}
	if err != nil {
		ctx.Log().Error("snapshot failed; the log is kept and it is tried again", "error", err)
		return
	}
	below := l.previous
	l.previous = m.Index
	if m.Index > l.storage.newest.GetIndex() {
		l.storage.newest = &raftpb.SnapshotMetadata{ConfState: conf, Index: &m.Index, Term: &m.Term}
	}
	if below == 0 {
		return
	}
	wal := l.wal
	ctx.Offload(func() any { return &truncated{err: wal.TruncateBefore(below)} })
}

func (l *Log) onTruncated(ctx *runtime.Context, m *truncated) {
	if m.err != nil {
		ctx.Log().Error("old log segments could not be removed; they take space until the next try", "error", m.err)
	}
}

// installing is a leader's snapshot on its way to our catalog.
type installing struct {
	m     *raftpb.Message
	since time.Time
}

// installPatience bounds the way of one snapshot, then Raft sends another.
const installPatience = 10 * time.Minute

// beginInstall lets the catalog fetch the snapshot that a MsgSnap names; false when
// Raft can judge the message at once. One at a time: a newer one waits for its
// repetition.
func (l *Log) beginInstall(ctx *runtime.Context, m *raftpb.Message) bool {
	meta := m.GetSnapshot().GetMetadata()
	if m.GetTerm() < l.term || meta.GetIndex() <= l.committed {
		return false
	}
	if l.install != nil {
		return true
	}
	conf, err := proto.Marshal(meta.GetConfState())
	if err != nil {
		return true
	}
	l.install = &installing{m: m, since: ctx.Now()}
	ctx.Request(ctx.Runtime().Local(l.cfg.CatalogPath), &messages.InstallSnapshot{
		Node: string(l.peers.nodes[m.GetFrom()]), Index: meta.GetIndex(), Term: meta.GetTerm(), ConfState: conf,
	})
	return true
}

// onSnapshotInstalled steps the message whose state the catalog now has, or tells
// the leader that it could not be had.
func (l *Log) onSnapshotInstalled(ctx *runtime.Context, m *messages.SnapshotInstalled) {
	if l.install == nil || l.install.m.GetSnapshot().GetMetadata().GetIndex() != m.Index {
		return
	}
	if err := m.Error.Err("install snapshot"); err != nil {
		l.installFailed(ctx, err)
		return
	}
	in := l.install
	l.install = nil
	l.applied, l.delivered = max(l.applied, m.Index), max(l.delivered, m.Index)
	l.previous = m.Index
	// Raft refuses it when the leader has changed meanwhile; the catalog is then ahead
	// of this log, by entries that were committed.
	_ = l.node.Step(in.m)
	l.pump(ctx)
}

func (l *Log) installFailed(ctx *runtime.Context, err error) {
	in := l.install
	if in == nil {
		return
	}
	l.install = nil
	ctx.Log().Warn("a snapshot of the master could not be installed; another is asked for", "error", err)
	ctx.Send(ctx.Runtime().Peer(l.peers.nodes[in.m.GetFrom()], l.cfg.Path), &messages.SnapshotRefused{
		From: l.cfg.RaftID, Index: in.m.GetSnapshot().GetMetadata().GetIndex(), Error: messages.FromError(err),
	})
}

func (l *Log) onSnapshotRefused(m *messages.SnapshotRefused) {
	if l.node != nil {
		l.settleSnapshot(m.From, raft.SnapshotFailure)
	}
}

func (l *Log) settleSnapshot(to uint64, status raft.SnapshotStatus) {
	delete(l.peers.sent, to)
	l.node.ReportSnapshot(to, status)
}

// snapshotPatience is how long a leader waits for a follower that was sent a
// snapshot, before Raft probes it again: its answer may have been lost, or it was
// restarted. One that is still fetching takes no notice of a second reference.
const snapshotPatience = 5 * time.Second

// watchSnapshots makes sure that every snapshot sent is settled: whoever has it
// answers Raft; whoever is gone, or was restarted, is probed again.
func (l *Log) watchSnapshots(ctx *runtime.Context) {
	if in := l.install; in != nil && ctx.Now().Sub(in.since) > installPatience {
		l.installFailed(ctx, model.Errorf(model.CodeDeadlineExceeded, "install snapshot", "it took more than %v", installPatience))
	}
	if len(l.peers.sent) == 0 {
		return
	}
	waiting := make(map[uint64]bool)
	l.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		waiting[id] = p.State == tracker.StateSnapshot
	})
	for _, id := range slices.Sorted(maps.Keys(l.peers.sent)) {
		switch {
		case !waiting[id]:
			delete(l.peers.sent, id)
		case ctx.Now().Sub(l.peers.sent[id]) > snapshotPatience:
			l.settleSnapshot(id, raft.SnapshotFailure)
		}
	}
}
