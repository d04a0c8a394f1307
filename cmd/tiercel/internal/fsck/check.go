package fsck

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

const op = "fsck"

// Watch hears of a check while it goes on, from several goroutines.
type Watch interface {
	// Found: so many more files and bytes are to be checked.
	Found(files, bytes int64)
	// Moved: so many bytes have been checked.
	Moved(bytes int64)
	// Done: one file is finished.
	Done()
}

// Options are the knobs of Check.
type Options struct {
	Jobs  int  // files checked at a time
	Quick bool // leave the content unread
	Watch Watch
}

// Check checks the data directory dir. An error means that it could not be
// checked at all: not_found for what is no data directory, unavailable when a
// node uses it, invalid_argument for another format version. Damage is in the
// report, and so is an interruption.
func Check(ctx context.Context, dir string, o Options) (*Report, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, model.Errorf(model.CodeNotFound, op, "there is no directory %s; name the node's with --data-dir", dir)
	case err != nil:
		return nil, model.Errorf(model.CodeUnavailable, op, "%s cannot be read: %w", dir, err)
	case !info.IsDir():
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%s is not a directory", dir)
	}
	below, err := store.NewDirFS(dir)
	if err != nil {
		return nil, err
	}
	return checkFS(ctx, below, o)
}

// checkFS is Check over any file system.
func checkFS(ctx context.Context, below store.FS, o Options) (_ *Report, err error) {
	if err := mustHoldData(below); err != nil {
		return nil, err
	}
	over := newOverlay(below)
	// Its writes (the number of this start, empty directories) stay in the overlay.
	dir, err := store.OpenDataDir(over, rand.Reader, false)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, model.Errorf(model.CodeUnavailable, op, "a node is using the data directory; stop it first")
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()

	c := &check{ctx: ctx, fs: over, o: o, node: dir.Identity(), report: newReport()}
	c.report.NodeID, c.report.ClusterID, c.report.Quick = c.node.NodeID, c.node.ClusterID, o.Quick
	if err := c.run(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		c.report.Incomplete = "interrupted"
	}
	return c.report, nil
}

// mustHoldData refuses a directory in which a start would begin from nothing.
func mustHoldData(below store.FS) error {
	names, err := below.List(".")
	if err != nil {
		return model.Errorf(model.CodeUnavailable, op, "the data directory cannot be listed: %w", err)
	}
	for _, name := range names {
		switch name {
		case "VERSION", "node.yaml", "log/", "snapshots/", "volumes/":
			return nil
		}
	}
	return model.Errorf(model.CodeNotFound, op, "this is no data directory: it has neither VERSION nor node.yaml, log/, snapshots/ or volumes/")
}

// check is the state of one check.
type check struct {
	ctx    context.Context
	fs     store.FS
	o      Options
	node   store.NodeFile
	report *Report

	index   store.Index
	catalog *catalog.Catalog
	volumes *store.Volumes
	rows    map[uint64]*messages.VolumeRow
	states  map[model.VolumeID]store.VolumeState
	covered map[model.VolumeID]*int64 // record bytes that were read as part of files
}

func (c *check) run() (err error) {
	if err := c.loadCatalog(); err != nil {
		return err
	}
	if c.volumes, err = c.openVolumes(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.volumes.Close()) }()
	if c.catalog == nil {
		if c.report.HoldsLog {
			c.report.Incomplete = "without a catalog, files could not be checked"
		}
		c.scanVolumes()
		return nil
	}
	for _, problem := range c.catalog.Verify() {
		c.report.add(Problem{Kind: KindCatalog, Message: problem})
	}
	c.checkVolumes()
	c.checkFiles()
	c.scanVolumes()
	return nil
}
