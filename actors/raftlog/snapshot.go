package raftlog

import (
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// truncated is the result of dropping old segments of the log.
type truncated struct{ err error }

// maybeSnapshot asks the catalog for a snapshot when enough log has gathered.
func (l *Log) maybeSnapshot(ctx *runtime.Context) {
	if l.snapshotting || !l.attached || l.node == nil || l.bytesSinceSnap < l.cfg.SnapshotEveryBytes {
		return
	}
	conf, err := proto.Marshal(l.conf)
	if err != nil {
		ctx.Runtime().Halt(err)
		return
	}
	l.snapshotting = true
	l.bytesSinceSnap = 0
	ctx.Request(ctx.Runtime().Local(l.cfg.CatalogPath), &messages.TakeSnapshot{ConfState: conf})
}

// onSnapshotTaken truncates the log below the previous snapshot, never the new
// one: should the new one rot, the previous one and the log still tell it all.
func (l *Log) onSnapshotTaken(ctx *runtime.Context, m *messages.SnapshotTaken) {
	l.snapshotting = false
	if m.Error != nil {
		ctx.Log().Error("snapshot failed; the log is kept and it is tried again", "code", m.Error.Code, "error", m.Error.Message)
		return
	}
	l.truncateBelow = l.previousSnapshot
	l.previousSnapshot = m.Index
	if l.truncateBelow == 0 {
		return
	}
	wal, below := l.wal, l.truncateBelow
	ctx.Offload(func() any { return &truncated{err: wal.TruncateBefore(below)} })
}

func (l *Log) onTruncated(ctx *runtime.Context, m *truncated) {
	if m.err != nil {
		ctx.Log().Error("old log segments could not be removed; they take space until the next try", "error", m.err)
	}
}
