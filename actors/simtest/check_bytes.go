package simtest

import (
	"fmt"

	rules "tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
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

// checkAcknowledged: at the moment a tier 1 write is acknowledged, every member that
// runs has it (invariant 1). The receipt may be on its way for a while; what a copy
// had then, it has now.
func (s *story) checkAcknowledged(m *messages.PutReply) {
	if m.Row.GetTier() != uint32(model.TierCritical) || len(m.Volumes) != 1 {
		return
	}
	for _, e := range m.Row.Extents {
		for _, member := range m.Volumes[0].Members {
			h := s.hostOf(member.Node)
			if h == nil || h.gone || !h.node.Up() || h.data == nil {
				continue
			}
			for _, state := range h.data.Volumes.States() {
				if uint64(state.ID) == e.Volume && state.Damage == "" && state.End < e.Offset+e.RecordBytes {
					s.violate("tier 1 was acknowledged and %s ends at %d, before %v", member.Node, state.End, e)
				}
			}
		}
	}
}

// catalogAt is a catalog of a living host that has applied index, or nil.
func (s *story) catalogAt(index uint64) *rules.Catalog {
	for _, h := range s.living() {
		if h.node.Up() && h.catalog != nil && h.data != nil && h.catalog.Applied() >= index {
			return h.catalog
		}
	}
	return nil
}

// checkBytes reads a row's extents and compares them (invariants 1 and 6).
func (s *story) checkBytes(c *rules.Catalog, path string, row *messages.FileRow) {
	extents := row.Extents
	if row.Manifest != 0 {
		current, ok := c.Stat(clientTenant, path)
		if !ok || current.Version != row.Version {
			return // overwritten since; its manifest may be gone
		}
		extents = c.Manifest(row.Manifest, 0, int(row.ManifestExtents))
	}
	var content []byte
	for _, e := range extents {
		volume, ok := c.Volume(e.Volume)
		if !ok {
			s.violate("%s names volume %d, which is not in the catalog", path, e.Volume)
			return
		}
		body, err := s.readExtent(volume, e)
		if err == nil {
			content = append(content, body...)
			continue
		}
		if s.excused(volume) {
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
	c := s.catalogAt(0)
	if c == nil {
		s.violate("nobody holds the catalog: %s", s.state())
		return
	}
	for g := range groups {
		for p := range groups[g].paths {
			if row, ok := c.Stat(clientTenant, pathOf(g, p)); ok {
				s.checkBytes(c, pathOf(g, p), row)
			}
		}
	}
}
