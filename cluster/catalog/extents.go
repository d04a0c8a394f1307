package catalog

import (
	"strconv"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// State is what a reader may expect of an extent, as far as the catalog knows.
type State uint8

// The states of an extent. DESIGN's *stranded* depends on who is reachable and
// is not the catalog's to say.
const (
	// ExtentOK: the bytes are in the volume.
	ExtentOK State = iota
	// ExtentLost: the log says that they are gone; a read answers corrupt.
	ExtentLost
	// ExtentDropped: the volume is gone; resolve the same path and version again.
	ExtentDropped
)

// ExtentState judges an extent by the row of its volume, nil when there is none.
func ExtentState(vol *messages.VolumeRow, e *messages.Extent) State {
	if vol == nil || vol.Id != e.GetVolume() {
		return ExtentDropped
	}
	for _, lost := range vol.Lost {
		if e.Offset < lost.To && e.Offset+e.RecordBytes > lost.From {
			return ExtentLost
		}
	}
	return ExtentOK
}

// checkExtents judges the extents of a command one by one, before anything is
// changed. tier 0 means that of the first. held is the content they hold, in bytes.
func (c *Catalog) checkExtents(extents []*messages.Extent, tier uint32) (held uint64, refused *messages.CommandResult) {
	for i, e := range extents {
		if e.GetRecordBytes() == 0 || e.RecordBytes > MaxRecordBytes || e.BodyBytes > e.RecordBytes || e.Offset > MaxVolumeBytes {
			return 0, refuse("bad_extent", "extent", strconv.Itoa(i))
		}
		v := c.volumes[e.Volume]
		if v == nil {
			return 0, refuse("volume_unknown", "volume", decimal(e.Volume))
		}
		if tier == 0 {
			tier = v.row.Tier
		}
		if refused := checkExtent(v.row, e, tier); refused != nil {
			return 0, refused
		}
		held += e.BodyBytes
	}
	return held, nil
}

// checkExtent judges one extent by the row of its volume.
func checkExtent(row *messages.VolumeRow, e *messages.Extent, tier uint32) *messages.CommandResult {
	fits := false
	switch row.State {
	case messages.VolumeState_OPEN:
		fits = e.Offset >= row.GenerationStart
	case messages.VolumeState_SEALED:
		fits = e.Offset >= row.GenerationStart && e.Offset+e.RecordBytes <= row.SealedEnd
	}
	switch {
	case row.Generation != e.Generation:
		return refuse("volume_generation", "volume", decimal(row.Id), "generation", decimal(row.Generation))
	case !fits:
		return refuse("volume_closed", "volume", decimal(row.Id), "state", stateName(row.State))
	case row.Tier != tier:
		return refuse("volume_tier", "volume", decimal(row.Id), "tier", strconv.Itoa(int(row.Tier)))
	}
	return nil
}

// retain counts extents that a file or an upload names from now on.
func (c *Catalog) retain(extents []*messages.Extent) {
	for _, e := range extents {
		v := c.volumes[e.Volume]
		v.row.LiveBytes += int64(e.RecordBytes)
		v.row.CommittedEnd = max(v.row.CommittedEnd, e.Offset+e.RecordBytes)
		c.changed(v)
	}
}

// release counts extents that nothing names any more.
func (c *Catalog) release(extents []*messages.Extent) {
	for _, e := range extents {
		v := c.volumes[e.Volume]
		if v == nil || v.row.LiveBytes < int64(e.RecordBytes) {
			c.halt(model.CodeCorrupt, "volume %d has fewer live bytes than the record at %d that is released", e.Volume, e.Offset)
			return
		}
		v.row.LiveBytes -= int64(e.RecordBytes)
		c.changed(v)
	}
}

// writeManifest appends extents to a manifest that holds `from` of them.
func (c *Catalog) writeManifest(id, from uint64, extents []*messages.Extent) {
	for len(extents) > 0 {
		key := manifestKey(id, uint32(from/ManifestChunkExtents))
		room := ManifestChunkExtents - int(from%ManifestChunkExtents)
		n := min(room, len(extents))
		value := c.encode(&messages.ManifestRow{Extents: extents[:n]})
		if room < ManifestChunkExtents {
			// The encoding of a repeated field is the sum of its parts.
			begun, ok := c.ix.Get(key)
			if !ok {
				c.halt(model.CodeCorrupt, "row %q is missing", key)
				return
			}
			value = begun + value
		}
		c.set(key, value)
		from += uint64(n)
		extents = extents[n:]
	}
}

// chunk reads one row of a manifest; nil when there is none.
func (c *Catalog) chunk(id uint64, n uint32) []*messages.Extent {
	key := manifestKey(id, n)
	value, ok := c.ix.Get(key)
	if !ok {
		return nil
	}
	row := &messages.ManifestRow{}
	if !c.decode(key, value, row) {
		return nil
	}
	return row.Extents
}

// Manifest returns up to most extents of a manifest from position first on;
// none at its end. It reads whole rows, so ask for many.
func (c *Catalog) Manifest(id, first uint64, most int) []*messages.Extent {
	if first/ManifestChunkExtents > MaxUploadExtents/ManifestChunkExtents {
		return nil
	}
	n, skip := uint32(first/ManifestChunkExtents), int(first%ManifestChunkExtents)
	var out []*messages.Extent
	for len(out) < most {
		extents := c.chunk(id, n)
		if len(extents) <= skip {
			break
		}
		extents = extents[skip:]
		out = append(out, extents[:min(len(extents), most-len(out))]...)
		n, skip = n+1, 0
	}
	return out
}

// holdsAt reports whether a manifest holds exactly these extents from position first on.
func (c *Catalog) holdsAt(id, first uint64, extents []*messages.Extent) bool {
	held := c.Manifest(id, first, len(extents))
	if len(held) != len(extents) {
		return false
	}
	for i := range held {
		if !proto.Equal(held[i], extents[i]) {
			return false
		}
	}
	return true
}
