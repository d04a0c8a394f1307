package raftlog

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// maxReadBytes bounds one answer to ReadLog, which stays on this node.
const maxReadBytes = 4 << 20

// logRead is applied entries on their way to whoever asked.
type logRead struct {
	to    *actor.PID
	reply *messages.ReadLogReply
}

// onReadLog reads applied entries from the write-ahead log: what is applied is
// committed, and means the same for ever.
func (l *Log) onReadLog(ctx *runtime.Context, m *messages.ReadLog) {
	reply := &messages.ReadLogReply{Header: messages.ReplyHeader(m.Header), Applied: l.applied}
	if l.node == nil || m.From > l.applied {
		ctx.Reply(reply) // nothing yet
		return
	}
	to, wal, end, most := ctx.Sender(), l.wal, l.applied+1, int(min(m.Bytes, maxReadBytes))
	ctx.Offload(func() any {
		entries, err := wal.Entries(m.From, end, most)
		if errors.Is(err, store.ErrLogCompacted) {
			err = model.Errorf(model.CodeNotFound, "read log", "entry %d is in a snapshot already", m.From)
		}
		reply.Error = messages.FromError(err)
		for i := range entries {
			e := &entries[i]
			reply.Entries = append(reply.Entries, &messages.LogEntry{Index: e.Index, Term: e.Term, Kind: uint32(e.Kind), Data: e.Data})
		}
		return &logRead{to: to, reply: reply}
	})
}

// onWantSnapshot has a snapshot taken for whoever asks, who hears of it with
// everybody else who did.
func (l *Log) onWantSnapshot(ctx *runtime.Context, m *messages.WantSnapshot) {
	if l.node == nil {
		return // asked again
	}
	if newest := l.storage.newest; newest.GetIndex() >= l.applied && newest.GetIndex() > 0 && !l.snapshotting {
		ctx.Reply(&messages.SnapshotTaken{Index: newest.GetIndex(), Term: newest.GetTerm()})
		return
	}
	// One that is under way may have begun before what the asker has to see: it then asks again.
	l.snapshotAskers = append(l.snapshotAskers, ctx.Sender())
	l.storage.wanted = true
	l.maybeSnapshot(ctx)
}

// answerAskers tells of a snapshot that was taken, or was not.
func (l *Log) answerAskers(ctx *runtime.Context, m *messages.SnapshotTaken) {
	askers := l.snapshotAskers
	l.snapshotAskers = nil
	for _, to := range askers {
		ctx.Send(to, m)
	}
}
