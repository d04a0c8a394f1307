package catalog

import (
	"bytes"
	"fmt"
	"log/slog"

	"tiercel/actors/runtime"
	rules "tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// loaded is the newest state that could be verified.
type loaded struct {
	cat  *rules.Catalog
	ix   store.Index
	meta store.SnapshotMeta
	err  error
}

func (c *Catalog) onStarted(ctx *runtime.Context) {
	fs, log := ctx.Runtime().FS(), ctx.Log()
	ctx.Offload(func() any { return load(fs, log) })
}

// load reads the newest snapshot that verifies. A damaged one is passed over for
// the one before it, from which the log still goes on.
func load(fs store.FS, log *slog.Logger) *loaded {
	indexes, err := store.ListSnapshots(fs)
	if err != nil {
		return &loaded{err: err}
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
	return &loaded{cat: cat, ix: ix, meta: meta}
}

func (c *Catalog) onLoaded(ctx *runtime.Context, l *loaded) {
	if l.err != nil {
		ctx.Runtime().Halt(fmt.Errorf("the catalog cannot be loaded: %w", l.err))
		return
	}
	c.cat, c.ix, c.meta, c.term = l.cat, l.ix, l.meta, l.meta.Term
	c.syncing = true
	if c.cfg.Loaded != nil {
		c.cfg.Loaded(c.cat)
	}
	c.sayWhere(ctx)
}

func (c *Catalog) onAttach(ctx *runtime.Context) {
	if c.cat != nil {
		c.sayWhere(ctx)
	}
}

func (c *Catalog) sayWhere(ctx *runtime.Context) {
	ctx.Request(ctx.Runtime().Local(c.cfg.LogPath), &messages.CatalogLoaded{
		Applied: c.cat.Applied(), Term: c.meta.Term, ConfState: c.meta.Conf, Snapshot: c.meta.Index,
	})
}
