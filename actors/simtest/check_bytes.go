package simtest

import (
	"errors"
	"fmt"
	"time"

	rules "tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// checkContent finds the value that a row stands for and reads its bytes back
// from the volumes, as a reader would at this moment.
func (s *story) checkContent(in input, m *messages.StatReply) string {
	value, known := s.values.find(m.Row.Crc32C, m.Row.SizeBytes)
	if !known {
		s.violate("%s has content that nobody wrote (crc %08x, %d bytes)", pathOf(in.group, in.path), m.Row.Crc32C, m.Row.SizeBytes)
		return "?"
	}
	if c := s.catalogAt(m.Row.Version); c != nil {
		s.checkBytes(c, pathOf(in.group, in.path), m.Row)
	}
	return value
}

// checkAcknowledged: at the moment a write is acknowledged it is durable on every
// member (tier 1) or on the primary (tier 2), as far as they run (invariant 1). The
// receipt may be on its way for a while: what a copy had then, it has now. A process
// that was started since the write was sent knows an older watermark; what counts then
// is what it found on the disk.
func (s *story) checkAcknowledged(m *messages.PutReply, sent time.Duration) {
	tier := model.Tier(m.Row.GetTier())
	if tier == model.TierRebuildable || len(m.Volumes) != 1 {
		return
	}
	for _, e := range m.Row.Extents {
		for i, member := range m.Volumes[0].Members {
			h := s.hostOf(member.Node)
			if h == nil || h.gone || !h.node.Up() || h.data == nil || i > 0 && tier != model.TierCritical {
				continue
			}
			for _, state := range h.data.Volumes.States() {
				durable := state.Watermark
				if h.since >= sent {
					durable = state.End
				}
				if uint64(state.ID) == e.Volume && state.Damage == "" && durable < e.Offset+e.RecordBytes {
					s.violate("tier %d was acknowledged and %s is durable up to %d, before %v", tier, member.Node, durable, e)
				}
			}
		}
	}
}

// catalogAt is the newest catalog of a living host, if it has applied index, or nil. An
// older one, of a node that votes no more or is behind, may name copies that were moved
// since; so may the newest that is up while whoever had applied more is down.
func (s *story) catalogAt(index uint64) (newest *rules.Catalog) {
	for _, h := range s.living() {
		if h.node.Up() && h.catalog != nil && h.data != nil && h.catalog.Applied() >= index {
			if newest == nil || placeOf(newest).before(placeOf(h.catalog)) {
				newest = h.catalog
			}
		}
	}
	if newest != nil && placeOf(newest).before(s.watch.copies.newest) {
		return nil
	}
	return newest
}

// placeOf says how far a catalog is; a take-over by hand goes on below where another
// generation had come to.
func placeOf(c *rules.Catalog) at { return at{c.Cluster().GetGeneration(), c.Applied()} }

func (a at) before(b at) bool {
	return a.generation < b.generation || a.generation == b.generation && a.index < b.index
}

// checkBytes reads a row's extents and compares them (invariants 1 and 6).
func (s *story) checkBytes(c *rules.Catalog, path string, row *messages.FileRow) {
	if c == nil {
		return // whoever knows where the bytes are is down
	}
	extents := row.Extents
	current, ok := c.Stat(clientTenant, path)
	overwritten := !ok || current.Version != row.Version
	switch {
	case row.Manifest != 0 && overwritten:
		return // its manifest may be gone
	case row.Manifest != 0:
		extents = c.Manifest(row.Manifest, 0, int(row.ManifestExtents))
	case !overwritten:
		extents = current.Extents // compaction moves them
	}
	var content []byte
	for _, e := range extents {
		volume, ok := c.Volume(e.Volume)
		if !ok && overwritten {
			return // and its volume was given up since
		}
		if !ok {
			s.violate("%s names volume %d, which is not in the catalog", path, e.Volume)
			return
		}
		body, err := s.readExtent(volume, e)
		if err == nil {
			content = append(content, body...)
			continue
		}
		if errors.Is(err, store.ErrCrashed) || s.excused(volume) {
			return
		}
		s.violate("%s at version %d cannot be read: %v (volume %v)", path, row.Version, err, volume)
		return
	}
	if _, known := s.values.find(crcOf(content), uint64(len(content))); !known || crcOf(content) != row.Crc32C {
		value, _ := s.values.find(row.Crc32C, row.SizeBytes)
		s.violate("%s at version %d has wrong bytes (%s expected)", path, row.Version, value)
	}
}

// readExtent reads from every member that can be reached and covers the extent:
// each must answer the right bytes (invariant 6).
func (s *story) readExtent(volume *messages.VolumeRow, e *messages.Extent) ([]byte, error) {
	var body []byte
	err := fmt.Errorf("no member holds it")
	for _, m := range volume.Members {
		h := s.hostOf(m.Node)
		if h == nil || h.gone || h.data == nil {
			continue
		}
		got, readErr := h.data.Volumes.ReadBody(model.VolumeID(e.Volume), e.Offset, e.RecordBytes, e.HeaderCrc32C, 0, e.BodyBytes, nil)
		if readErr == nil {
			body, err = got, nil
			continue
		}
		if body == nil {
			err = fmt.Errorf("%s: %w", m.Node, readErr)
		}
		if errors.Is(readErr, store.ErrCrashed) {
			continue // by this very look: a crash was due within some disk operations
		}
		if s.lied[e.Volume] == m.Node && !s.scrubbed && model.CodeOf(readErr) == model.CodeCorrupt {
			continue // its disk lies, and it says so
		}
		if s.covers(h, e) {
			s.violate("%s covers extent %v and cannot read it: %v", m.Node, e, readErr)
		}
	}
	return body, err
}

// covers reports whether a copy claims to hold an extent durably.
func (s *story) covers(h *host, e *messages.Extent) bool {
	if !h.node.Up() {
		return false
	}
	for _, state := range h.data.Volumes.States() {
		if uint64(state.ID) == e.Volume && state.Generation == e.Generation && state.Damage == "" {
			return state.Watermark >= e.Offset+e.RecordBytes
		}
	}
	return false
}

// excused reports whether content of a volume may be unreadable now: a holder is
// down and will be back, or it is of a tier whose only copy the faults may take.
func (s *story) excused(v *messages.VolumeRow) bool {
	tier := model.Tier(v.Tier)
	if tier == model.TierRebuildable && (s.powerCut || s.replaced) {
		s.count("tier 3 content lost")
		return true
	}
	for i, m := range v.Members {
		h := s.hostOf(m.Node)
		switch {
		case h == nil:
		case h.gone && len(v.Members) == 1:
			s.count("content of a founder's only copy lost with its disk")
			return true
		case h.gone && tier == model.TierImportant && i == 0:
			s.count("tier 2 content lost with its primary's disk")
			return true
		case !h.gone && !h.node.Up() && !s.calm:
			return true
		}
	}
	return false
}

// checkState checks every byte that the catalog names.
func (s *story) checkState() {
	// A catalog whose actor has failed is read again from its snapshot and the log, and is
	// behind what it was meanwhile.
	if !s.world.RunUntil(func() bool { return s.catalogAt(0) != nil }, time.Minute) {
		s.violate("nobody holds the catalog: %s", s.state())
		return
	}
	c := s.catalogAt(0)
	for g := range groups {
		for p := range groups[g].paths {
			if row, ok := c.Stat(clientTenant, pathOf(g, p)); ok {
				s.checkBytes(c, pathOf(g, p), row)
			}
		}
	}
}
