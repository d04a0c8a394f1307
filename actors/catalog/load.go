package catalog

import (
	"bytes"
	"fmt"
	"log/slog"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	rules "tiercel/cluster/catalog"
	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// loaded is the newest state that could be verified.
type loaded struct {
	cat  *rules.Catalog
	ix   store.Index
	meta store.SnapshotMeta
	conf *raftpb.ConfState
	err  error
}

func (c *Catalog) onStarted(ctx *runtime.Context) {
	fs, log, joined := ctx.Runtime().FS(), ctx.Log(), c.cfg.Joined
	ctx.Offload(func() any { return load(fs, log, joined) })
}

// load reads the newest snapshot that verifies. A damaged one is passed over for
// the one before it, from which the log still goes on.
func load(fs store.FS, log *slog.Logger, joined bool) *loaded {
	indexes, err := store.ListSnapshots(fs)
	if err != nil {
		return &loaded{err: err}
	}
	if len(indexes) == 0 && joined {
		// It has never held the log.
		ix := store.NewIndex()
		return &loaded{cat: rules.New(ix), ix: ix, conf: &raftpb.ConfState{}}
	}
	var first error
	for i := len(indexes) - 1; i >= 0; i-- {
		l := loadOne(fs, indexes[i])
		if l.err == nil {
			return l
		}
		log.Error("a catalog snapshot is damaged; trying the one before it", "index", indexes[i], "error", l.err)
		if first == nil {
			first = l.err
		}
	}
	if first == nil {
		first = model.Errorf(model.CodeCorrupt, "load catalog", "there is no snapshot in snapshots/; a data directory always has one")
	}
	return &loaded{err: first}
}

func loadOne(fs store.FS, index uint64) *loaded {
	ix := store.NewIndex()
	meta, err := store.LoadSnapshot(fs, index, func(pairs []store.Pair) error {
		store.Load(ix, pairs)
		return nil
	})
	if err != nil {
		return &loaded{err: err}
	}
	cat := rules.New(ix)
	if err := cat.Err(); err != nil {
		return &loaded{err: err}
	}
	if len(meta.StateHash) > 0 && !bytes.Equal(meta.StateHash, cat.StateHash()) {
		return &loaded{err: model.Errorf(model.CodeCorrupt, "load catalog",
			"snapshot %d has state hash %x but was taken at %x", index, cat.StateHash(), meta.StateHash)}
	}
	if cat.Applied() < meta.Index {
		// The first snapshot of a data directory is empty.
		if err := cat.Advance(meta.Index); err != nil {
			return &loaded{err: err}
		}
	}
	conf := &raftpb.ConfState{}
	if err := proto.Unmarshal(meta.Conf, conf); err != nil {
		return &loaded{err: model.Errorf(model.CodeCorrupt, "load catalog", "the voters in snapshot %d cannot be read: %w", index, err)}
	}
	return &loaded{cat: cat, ix: ix, meta: meta, conf: conf}
}

func (c *Catalog) onLoaded(ctx *runtime.Context, l *loaded) {
	if l.err != nil {
		ctx.Runtime().Halt(fmt.Errorf("the catalog cannot be loaded: %w", l.err))
		return
	}
	c.takeOver(ctx, l)
	c.sayWhere(ctx)
}

// takeOver makes a verified state ours.
func (c *Catalog) takeOver(ctx *runtime.Context, l *loaded) {
	c.cat, c.ix, c.meta, c.term = l.cat, l.ix, l.meta, l.meta.Term
	c.conf = logconf.Start(l.conf, l.meta.Index, c.cfg.Takeover)
	c.syncing = true
	if c.cfg.Loaded != nil {
		c.cfg.Loaded(c.cat, func() *raftpb.ConfState { return c.conf })
	}
	c.tellMembers(ctx)
}

func (c *Catalog) onAttach(ctx *runtime.Context) {
	if c.cat != nil {
		c.tellMembers(ctx) // a log that was restarted knows nobody, and a learner does not speak first
		c.sayWhere(ctx)
	}
}

func (c *Catalog) sayWhere(ctx *runtime.Context) {
	ctx.Request(ctx.Runtime().Local(c.cfg.LogPath), &messages.CatalogLoaded{
		Applied: c.cat.Applied(), Term: c.meta.Term, ConfState: c.meta.Conf, Snapshot: c.meta.Index,
	})
}
