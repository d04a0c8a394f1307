package serve

import (
	"context"
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
