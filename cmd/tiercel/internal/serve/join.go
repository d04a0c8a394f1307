package serve

import (
	"context"
	"path/filepath"
	"time"

	"tiercel/actors/runtime/discovery"
	"tiercel/store"
)

// lookTime bounds the look for an existing cluster before one is founded.
const lookTime = 30 * time.Second

// joins decides whether a new data directory is for a node that joins a cluster. With
// discovery a node founds one only when it was told to and nobody is registered: if
// that cannot be found out, it does not start, because a second cluster under the same
// name would take writes that the first never sees.
func (s *serving) joins(ctx context.Context, fs store.FS) (bool, error) {
	named := len(s.cfg.Join) > 0
	d := s.cfg.Discovery
	if d.Kind == "static" {
		return named, nil
	}
	var err error
	if s.finder, err = discovery.New(discovery.Config{Kind: d.Kind, Address: d.Address, Name: d.Name, Log: s.log}); err != nil {
		return false, err
	}
	fresh, err := store.IsNew(fs)
	if err != nil || !fresh {
		return named, err // it stays what it is
	}
	if !d.Found {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	others, err := s.finder.Look(ctx)
	if err != nil {
		return false, err
	}
	if len(others) > 0 {
		s.log.Warn("--found was given, but nodes are registered already; this one joins them", "name", d.Name, "nodes", others)
	}
	return len(others) > 0, nil
}

// tellAside says at the start that does it what became of a node which its cluster went on
// without: a supervisor that starts it again and again would else have it done unseen.
func (s *serving) tellAside(aside *store.Aside) {
	if aside == nil {
		return
	}
	s.log.Warn("this directory was of a member of the log that its cluster went on without; --join set its data aside, and this is a new node. "+
		"If the cluster was recovered or restored, 'tiercel recover --worker' before this start would have kept the volumes in use. "+
		"No command puts them back; nothing was deleted",
		"dir", filepath.Join(s.cfg.DataDir, aside.Dir), "was", aside.Node, "generation", aside.Superseded, "volumes", aside.Volumes, "bytes", aside.Bytes)
}
