package master

import (
	"tiercel/actors/runtime"
	"tiercel/cluster/archive"
	"tiercel/messages"
)

// checkpointing is a catalog snapshot on its way into volumes, in parts.
type checkpointing struct {
	index  uint64 // 0: the snapshot is being taken
	number uint64 // of the request under way
	offset uint64 // read so far
	total  uint64
	part   uint32
	body   []byte // of the part that is being read
}

// beginCheckpoint has a snapshot taken: the same file that the log relies on, verified
// when it is whole.
func (a *Archivist) beginCheckpoint(ctx *runtime.Context) {
	a.begin(ctx, "write a checkpoint").check = &checkpointing{}
	ctx.Request(ctx.Runtime().Local(a.cfg.LogPath), &messages.WantSnapshot{Header: &messages.Header{}})
}

// checkpoint is the one under way, or nil.
func (a *Archivist) checkpoint() *checkpointing {
	if a.task == nil {
		return nil
	}
	return a.task.check
}

func (a *Archivist) onSnapshot(ctx *runtime.Context, m *messages.SnapshotTaken) {
	a.backupTaken(ctx, m)
	c := a.checkpoint()
	if c == nil || c.index != 0 {
		return
	}
	if m.Error != nil {
		a.fail(ctx, m.Error.Message)
		return
	}
	c.index = m.Index
	a.nextPiece(ctx, c)
}

func (a *Archivist) nextPiece(ctx *runtime.Context, c *checkpointing) {
	a.number++
	c.number = a.number
	a.task.since = ctx.Now()
	ctx.Request(ctx.Runtime().Local(a.cfg.CatalogPath), &messages.FetchSnapshot{
		Header: &messages.Header{Request: c.number}, Index: c.index, Offset: c.offset,
	})
}

// onPiece gathers pieces to a part, and writes it.
func (a *Archivist) onPiece(ctx *runtime.Context, m *messages.FetchSnapshotReply) {
	c := a.checkpoint()
	if c == nil || m.Header.GetRequest() != c.number || m.Offset != c.offset {
		return
	}
	if m.Error != nil || len(m.Data) == 0 || m.TotalBytes == 0 {
		a.fail(ctx, "snapshot "+m.Error.GetMessage())
		return
	}
	c.total, c.offset = m.TotalBytes, c.offset+uint64(len(m.Data))
	c.body = append(c.body, m.Data...)
	if len(c.body) < archive.PartBytes && c.offset < c.total {
		a.nextPiece(ctx, c)
		return
	}
	item := archive.Item{
		Kind: archive.Checkpoint, Generation: a.cfg.Generation, Index: c.index, Part: c.part,
		Of: uint32((c.total + archive.PartBytes - 1) / archive.PartBytes),
	}
	body := c.body // pieces are a whole fraction of a part
	c.body = nil
	a.writeFile(ctx, a.task, item, body, func(ctx *runtime.Context) { a.partWritten(ctx, c, item) })
}

func (a *Archivist) partWritten(ctx *runtime.Context, c *checkpointing, item archive.Item) {
	c.part++
	if c.part < item.Of {
		a.nextPiece(ctx, c)
		return
	}
	a.task, a.newest = nil, ctx.Now()
	a.covered(ctx, c.index, a.coverAt)
	ctx.Log().Info("a checkpoint of the catalog is complete", "index", c.index, "bytes", c.total)
	a.next(ctx)
}
