package simtest

import (
	"bytes"
	"slices"
	"time"

	rules "tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// watched is what is looked at again and again while a run goes on.
type watched struct {
	masters map[model.Epoch]string // who said to be master of an epoch
	hashes  map[at][]byte          // state by generation of the node and applied index
	missed  map[string]uint64      // newest transition looked at, by node
	copies  copiesWatch
}

// at is a place in the log: after a take-over by hand two nodes may be at one index
// of different ones.
type at struct{ generation, index uint64 }

func newWatched() watched {
	return watched{masters: make(map[model.Epoch]string), hashes: make(map[at][]byte), missed: make(map[string]uint64)}
}

// keepWatch looks at every catalog and every worker's epoch in short intervals.
func (s *story) keepWatch() {
	s.world.At(7*time.Millisecond, func() {
		for _, h := range s.living() {
			if h.node.Up() {
				s.look(h)
			}
		}
		s.keepWatch()
	})
}

func (s *story) look(h *host) {
	if h.data != nil {
		// Invariant 4: what a worker has obeyed never goes back, over restarts too.
		if e := h.data.Dir.Identity().HighestEpoch; e.Less(h.epoch) {
			s.violate("%s had obeyed epoch %v and is back at %v", h.name, h.epoch, e)
		} else {
			h.epoch = e
		}
	}
	if h.catalog == nil || h.catalog.Applied() == 0 {
		return
	}
	applied, hash := at{h.data.Dir.Identity().Generation, h.catalog.Applied()}, h.catalog.StateHash()
	if known, ok := s.watch.hashes[applied]; ok && !bytes.Equal(known, hash) {
		s.violate("two catalogs differ at index %d (%s is one of them)", applied.index, h.name)
	} else if !ok {
		s.watch.hashes[applied] = slices.Clone(hash)
	}
	c := h.catalog.Cluster()
	s.lookAtQuota(h)
	if c.GetMaster() == "" {
		return
	}
	epoch := model.Epoch{Generation: c.Generation, Term: c.Term}
	if known, ok := s.watch.masters[epoch]; ok && known != c.Master {
		s.violate("epoch %v has two masters: %s and %s", epoch, known, c.Master)
	}
	s.watch.masters[epoch] = c.Master
	s.lookAtHealth(h.catalog)
	s.lookAtCopies(h.catalog)
}

// lookAtHealth checks what can be seen of invariant 8 in the rows: whole missed
// intervals at exactly the table's steps.
func (s *story) lookAtHealth(c *rules.Catalog) {
	nodes, rows := c.Workers()
	for i, row := range rows {
		for _, t := range row.Transitions {
			if t.Index <= s.watch.missed[nodes[i]] {
				continue
			}
			s.watch.missed[nodes[i]] = t.Index
			s.count("worker becomes " + t.To.String())
			if want, ok := missedAt[t.To]; ok && t.Missed != want && t.From < t.To {
				s.violate("%s became %v at %d missed intervals, not %d", nodes[i], t.To, t.Missed, want)
			}
		}
	}
}

var missedAt = map[messages.WorkerState]uint32{
	messages.WorkerState_DEGRADED: 3, messages.WorkerState_UNREACHABLE: 5, messages.WorkerState_DECOMMISSIONED: 10,
}

// checkAgreement waits until every catalog has the same index and compares the
// states (invariant 11).
func (s *story) checkAgreement() bool {
	agree := func() bool {
		var first *rules.Catalog
		for _, h := range s.holders() {
			if first == nil {
				first = h.catalog
			}
			if h.catalog.Applied() != first.Applied() {
				return false
			}
		}
		return first != nil
	}
	if !s.world.RunUntil(agree, time.Minute) {
		s.violate("the catalogs do not reach the same index: %s", s.state())
		return false
	}
	var hash []byte
	for _, h := range s.holders() {
		if hash == nil {
			hash = h.catalog.StateHash()
		}
		if !bytes.Equal(hash, h.catalog.StateHash()) {
			s.violate("catalogs differ at index %d", h.catalog.Applied())
		}
		for _, problem := range h.catalog.Verify() {
			s.violate("catalog of %s: %s", h.name, problem)
		}
		if !bytes.Equal(h.catalog.StateHash(), h.catalog.Recompute()) {
			s.violate("the incremental state hash of %s is not the recomputed one", h.name)
		}
	}
	return true
}

// countDropped notes how many volumes compaction has taken out of the catalog.
func (s *story) countDropped() {
	if c := s.catalogAt(0); c != nil && c.Cluster() != nil {
		s.fired["volume dropped"] += int(c.Cluster().NextVolume) - 1 - len(c.Volumes())
	}
}
