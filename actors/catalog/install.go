package catalog

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// fetching is a leader's snapshot on its way in: its file comes piece by piece,
// is verified as a whole, and only then takes the place of our state.
type fetching struct {
	ask    *messages.InstallSnapshot
	number uint64 // of this fetch; answers to an earlier one are not ours
	offset uint64
	heard  time.Time
	busy   bool // a piece is being written, or the whole verified
}

const (
	fetchPatience = time.Second      // then a piece is asked for again
	fetchGiveUp   = 15 * time.Second // without any piece
	fetchPiece    = 1 << 20
)

type fetchDue struct{ number uint64 }

type pieceWritten struct {
	number uint64
	bytes  int
	last   bool
	err    error
}

type installed struct {
	number uint64
	state  *loaded
}

// onInstallSnapshot begins to fetch. State that is newer already is kept.
func (c *Catalog) onInstallSnapshot(ctx *runtime.Context, m *messages.InstallSnapshot) {
	if c.cat != nil && c.cat.Applied() >= m.Index {
		ctx.Reply(&messages.SnapshotInstalled{Index: m.Index})
		return
	}
	c.fetches++
	c.fetch = &fetching{ask: m, number: c.fetches, heard: ctx.Now()}
	c.askPiece(ctx)
	ctx.After(fetchPatience, fetchDue{c.fetches})
}

func (c *Catalog) askPiece(ctx *runtime.Context) {
	f := c.fetch
	ctx.Request(ctx.Runtime().Peer(model.NodeID(f.ask.Node), c.cfg.Path), &messages.FetchSnapshot{
		Header: &messages.Header{Request: f.number}, Index: f.ask.Index, Offset: f.offset,
	})
}

func (c *Catalog) onFetchDue(ctx *runtime.Context, m fetchDue) {
	f := c.fetch
	if f == nil || f.number != m.number {
		return
	}
	if ctx.Now().Sub(f.heard) > fetchGiveUp && !f.busy {
		c.installFailed(ctx, model.Errorf(model.CodeDeadlineExceeded, "install snapshot", "%s sent no piece of it for %v", f.ask.Node, fetchGiveUp))
		return
	}
	if !f.busy {
		c.askPiece(ctx)
	}
	ctx.After(fetchPatience, fetchDue{f.number})
}

// onFetchSnapshot reads a piece of a snapshot file for another catalog.
func (c *Catalog) onFetchSnapshot(ctx *runtime.Context, m *messages.FetchSnapshot) {
	to, fs := ctx.Sender(), ctx.Runtime().FS()
	c.pins.hold(m.Index, ctx.Now())
	ctx.Offload(func() any {
		r := &messages.FetchSnapshotReply{Header: messages.ReplyHeader(m.Header), Index: m.Index, Offset: m.Offset}
		var err error
		r.Data, r.TotalBytes, err = store.ReadSnapshotPiece(fs, m.Index, m.Offset, fetchPiece)
		r.Last = err == nil && m.Offset+uint64(len(r.Data)) == r.TotalBytes
		r.Error = messages.FromError(err)
		return &pieceRead{to: to, reply: r}
	})
}

// onPiece writes the piece that is next in line.
func (c *Catalog) onPiece(ctx *runtime.Context, m *messages.FetchSnapshotReply) {
	f := c.fetch
	if f == nil || m.Header.GetRequest() != f.number || m.Index != f.ask.Index || m.Offset != f.offset || f.busy {
		return
	}
	if err := m.Error.Err("fetch snapshot"); err != nil {
		c.installFailed(ctx, err)
		return
	}
	f.heard, f.busy = ctx.Now(), true
	fs, number := ctx.Runtime().FS(), f.number
	ctx.Offload(func() any {
		err := store.WriteSnapshotPiece(fs, m.Index, m.Offset, m.Data)
		return &pieceWritten{number: number, bytes: len(m.Data), last: m.Last, err: err}
	})
}

func (c *Catalog) onPieceWritten(ctx *runtime.Context, m *pieceWritten) {
	f := c.fetch
	if f == nil || m.number != f.number {
		return
	}
	f.busy = false
	if m.err != nil {
		c.installFailed(ctx, m.err)
		return
	}
	f.offset += uint64(m.bytes)
	if !m.last {
		c.askPiece(ctx)
		return
	}
	f.busy = true
	fs, ask, log := ctx.Runtime().FS(), f.ask, ctx.Log()
	ctx.Offload(func() any {
		if err := store.AdoptSnapshot(fs, ask.Index); err != nil {
			return &installed{number: m.number, state: &loaded{err: err}}
		}
		l := loadOne(fs, ask.Index)
		if l.err == nil && (l.meta.Term != ask.Term) {
			l.err = model.Errorf(model.CodeCorrupt, "install snapshot", "it is of term %d, not %d", l.meta.Term, ask.Term)
		}
		if l.err != nil {
			log.Error("a snapshot that came from the master is not what it should be", "error", l.err)
		}
		return &installed{number: m.number, state: l}
	})
}

// onInstalled takes the new state over: from here on it is what we have applied.
func (c *Catalog) onInstalled(ctx *runtime.Context, m *installed) {
	f := c.fetch
	if f == nil || m.number != f.number {
		return
	}
	if m.state.err != nil {
		c.installFailed(ctx, m.state.err)
		return
	}
	c.fetch = nil
	if c.cat == nil || c.cat.Applied() < m.state.meta.Index {
		c.abortSnapshot()
		c.takeOver(ctx, m.state)
		ctx.Log().Info("the state of the master was installed", "index", m.state.meta.Index, "from", f.ask.Node)
	}
	ctx.Send(ctx.Runtime().Local(c.cfg.LogPath), &messages.SnapshotInstalled{Index: f.ask.Index})
	c.answerWaiting(ctx)
}

func (c *Catalog) installFailed(ctx *runtime.Context, err error) {
	index := c.fetch.ask.Index
	c.fetch = nil
	ctx.Send(ctx.Runtime().Local(c.cfg.LogPath), &messages.SnapshotInstalled{Index: index, Error: messages.FromError(err)})
}

// pieceRead is a piece on its way out.
type pieceRead struct {
	to    *actor.PID
	reply *messages.FetchSnapshotReply
}
