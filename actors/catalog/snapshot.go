package catalog

import (
	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// snapshotting is one walk under way: chunk after chunk, each written off the
// mailbox while applies go on.
type snapshotting struct {
	to   *actor.PID
	walk store.SnapshotWalk
	meta store.SnapshotMeta
	out  *store.SnapshotWriter
}

type chunkWritten struct {
	snap *snapshotting
	out  *store.SnapshotWriter
	err  error
}

type snapshotVerified struct {
	snap *snapshotting
	err  error
}

func (c *Catalog) onTakeSnapshot(ctx *runtime.Context) {
	if c.cat == nil || c.snap != nil || c.cat.Applied() <= c.meta.Index {
		ctx.Reply(&messages.SnapshotTaken{Error: messages.FromError(
			model.Errorf(model.CodeUnavailable, "snapshot", "nothing new to take, or one is under way"))})
		return
	}
	conf, err := messages.MarshalDeterministic(c.conf)
	if err != nil {
		ctx.Runtime().Halt(err)
		return
	}
	s := &snapshotting{to: ctx.Sender(), walk: c.ix.Snapshot()}
	s.meta = store.SnapshotMeta{
		Index: c.cat.Applied(), Term: c.term, Conf: conf,
		StateHash: c.cat.StateHash(), ClusterVersion: c.cat.Cluster().GetClusterVersion(),
	}
	c.snap = s
	fs := ctx.Runtime().FS()
	ctx.Offload(func() any {
		out, err := store.CreateSnapshot(fs, s.meta)
		return &chunkWritten{snap: s, out: out, err: err}
	})
}

func (c *Catalog) onChunkWritten(ctx *runtime.Context, m *chunkWritten) {
	if m.snap != c.snap {
		return
	}
	s := c.snap
	if m.out != nil {
		s.out = m.out
	}
	if m.err != nil {
		c.finish(ctx, m.err)
		return
	}
	out, fs := s.out, ctx.Runtime().FS()
	if pairs := s.walk.Next(c.cfg.ChunkBytes); pairs != nil {
		ctx.Offload(func() any { return &chunkWritten{snap: s, err: out.WriteChunk(pairs)} })
		return
	}
	index := s.meta.Index
	ctx.Offload(func() any {
		if err := out.Finish(); err != nil {
			return &snapshotVerified{snap: s, err: err}
		}
		_, err := store.VerifySnapshot(fs, index)
		return &snapshotVerified{snap: s, err: err}
	})
}

func (c *Catalog) onSnapshotVerified(ctx *runtime.Context, m *snapshotVerified) {
	if m.snap == c.snap {
		c.finish(ctx, m.err)
	}
}

// finish reports to the log and keeps the newest two snapshots.
func (c *Catalog) finish(ctx *runtime.Context, err error) {
	s, previous := c.snap, c.meta.Index
	s.walk.Close()
	c.snap = nil
	reply := &messages.SnapshotTaken{Index: s.meta.Index, Term: s.meta.Term, ConfState: s.meta.Conf, Error: messages.FromError(err)}
	if err == nil {
		c.meta = s.meta
		fs, log := ctx.Runtime().FS(), ctx.Log()
		previous = c.pins.below(previous, ctx.Now())
		ctx.Offload(func() any {
			if err := store.RemoveSnapshotsBelow(fs, previous); err != nil {
				log.Error("old snapshots could not be removed; they take space until the next one", "error", err)
			}
			return nil
		})
	} else if s.out != nil {
		out := s.out
		ctx.Offload(func() any { _ = out.Abort(); return nil })
	}
	ctx.Send(s.to, reply)
}

func (c *Catalog) abortSnapshot() {
	if c.snap != nil {
		c.snap.walk.Close()
		c.snap = nil
	}
}
