package catalog

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"tiercel/messages"
)

// MaxMovesPerCommand bounds the extents that one MoveExtents moves, and so the
// manifest rows that one entry writes anew. All voters must agree on it.
const MaxMovesPerCommand = 256

// retireVolume takes a sealed volume out of use: nothing may be committed into it
// any more, so that what a walk finds in it from this index on is all there is.
func (c *Catalog) retireVolume(e entry, retire *messages.RetireVolume) *messages.CommandResult {
	v, refused := c.volumeAt(retire.GetVolume(), retire.GetGeneration())
	switch {
	case refused != nil:
		return refused
	case !validText(retire.Cause, MaxDecisionBytes):
		return refuse("bad_field", "field", "cause")
	case v.row.State == messages.VolumeState_SEALED:
		v.row.State, v.row.RetiredAt = messages.VolumeState_RETIRING, e.index
		c.changed(v)
	case v.row.State != messages.VolumeState_RETIRING:
		return refuseState(v.row)
	}
	return volumeResult(v.row)
}

// dropVolume takes a retired volume out of the catalog once nothing names it:
// neither a file nor an upload nor a manifest whose release is still under way,
// all of which live_bytes counts. A volume that is gone already is no error. Even
// a refusal is an entry of the log, which releases a piece of such a manifest.
func (c *Catalog) dropVolume(drop *messages.DropVolume) *messages.CommandResult {
	id := drop.GetVolume()
	if c.volumes[id] == nil && id > 0 && id < c.cluster.NextVolume {
		return &messages.CommandResult{Id: id}
	}
	v, refused := c.volumeAt(id, drop.GetGeneration())
	switch {
	case refused != nil:
		return refused
	case v.row.State != messages.VolumeState_RETIRING:
		return refuseState(v.row)
	case v.row.LiveBytes != 0:
		return refuse("volume_named", "volume", decimal(id), "live_bytes", signed(v.row.LiveBytes))
	}
	c.forgetVolume(v)
	return &messages.CommandResult{Id: id}
}

// forgetVolume takes a volume out of the rows and of what is derived from them.
func (c *Catalog) forgetVolume(v *volume) {
	v.gone = true
	c.remove(v.key())
	delete(c.volumes, v.row.Id)
	if at, found := slices.BinarySearch(c.order, v.row.Id); found {
		c.order = slices.Delete(c.order, at, at+1)
	}
	if len(v.row.Lost) == 0 {
		return
	}
	// Nothing staged can be in the ranges that were lost with it.
	c.lostAt = 0
	for _, other := range c.volumes { // a maximum: the order does not matter
		for _, lost := range other.row.Lost {
			c.lostAt = max(c.lostAt, lost.LoggedAt)
		}
	}
}

// moveExtents names the same content elsewhere. The file keeps its version, times
// and checksum: a reader that holds the old extents meets a dropped volume at
// worst, and resolves the same version again. A file that changed since it was
// read is refused, and the next walk finds what has become of it.
func (c *Catalog) moveExtents(move *messages.MoveExtents) *messages.CommandResult {
	if n := len(move.GetMoves()); n == 0 || n > MaxMovesPerCommand {
		return refuse("bad_field", "field", "moves")
	}
	h, refused := c.holdingOf(move)
	if refused != nil {
		return refused
	}
	from, to := make([]*messages.Extent, 0, len(move.Moves)), make([]*messages.Extent, 0, len(move.Moves))
	for i, m := range move.Moves {
		if i > 0 && m.Position <= move.Moves[i-1].Position {
			return refuse("bad_field", "field", "position")
		}
		if refused := c.checkMove(h, m); refused != nil {
			return refused
		}
		from, to = append(from, m.From), append(to, m.To)
	}
	if _, refused := c.checkExtents(to, h.tier); refused != nil {
		return refused
	}
	c.retain(to)
	c.release(from)
	c.rewrite(h, move.Moves)
	return &messages.CommandResult{Version: move.Version, Id: move.Upload, Tier: h.tier}
}

// checkMove judges one move by what is named at its position now.
func (c *Catalog) checkMove(h *holding, m *messages.ExtentMove) *messages.CommandResult {
	held := c.heldAt(h, m.Position)
	if held == nil || !proto.Equal(held, m.From) {
		return refuse("extent_changed", "position", decimal(m.Position))
	}
	v := c.volumes[held.Volume]
	switch {
	case v == nil || v.row.State != messages.VolumeState_RETIRING:
		return refuse("not_retiring", "volume", decimal(held.Volume))
	case m.To.GetBodyBytes() != held.BodyBytes:
		return refuse("size_mismatch", "size_bytes", decimal(held.BodyBytes), "held_bytes", decimal(m.To.GetBodyBytes()))
	}
	return nil
}

// holding is whatever names the extents that a MoveExtents moves: a file, with its
// extents inline or in a manifest, or an upload, with a manifest only.
type holding struct {
	key      string
	file     *messages.FileRow // nil: an upload
	tier     uint32
	manifest uint64
	chunks   map[uint32][]*messages.Extent // of the manifest, as far as they were read
}

// holdingOf finds the file at exactly the version that a move names, or the upload.
func (c *Catalog) holdingOf(move *messages.MoveExtents) (*holding, *messages.CommandResult) {
	if move.Upload != 0 {
		u := c.uploads[move.Upload]
		if u == nil {
			return nil, refuse("upload_gone", "upload", decimal(move.Upload))
		}
		return &holding{tier: u.tier, manifest: u.id, chunks: map[uint32][]*messages.Extent{}}, nil
	}
	if refused := checkName(move.Tenant, move.Path); refused != nil {
		return nil, refused
	}
	key := fileKey(move.Tenant, move.Path)
	row := c.fileAt(key)
	if row == nil || row.Version != move.Version {
		return nil, refuse("file_changed", "current_version", decimal(row.GetVersion()))
	}
	return &holding{key: key, file: row, tier: row.Tier, manifest: row.Manifest, chunks: map[uint32][]*messages.Extent{}}, nil
}

// heldAt is the extent at a position, or nil.
func (c *Catalog) heldAt(h *holding, position uint64) *messages.Extent {
	extents, at := h.file.GetExtents(), position
	if h.manifest != 0 {
		if position >= MaxUploadExtents {
			return nil
		}
		n := uint32(position / ManifestChunkExtents)
		if _, known := h.chunks[n]; !known {
			h.chunks[n] = c.chunk(h.manifest, n)
		}
		extents, at = h.chunks[n], position%ManifestChunkExtents
	}
	if at >= uint64(len(extents)) {
		return nil
	}
	return extents[at]
}

// rewrite puts the new extents in the place of the old ones; moves are in order.
func (c *Catalog) rewrite(h *holding, moves []*messages.ExtentMove) {
	if h.manifest == 0 {
		for _, m := range moves {
			h.file.Extents[m.Position] = m.To
		}
		c.setRow(h.key, h.file)
		return
	}
	for i, m := range moves {
		n := uint32(m.Position / ManifestChunkExtents)
		h.chunks[n][m.Position%ManifestChunkExtents] = m.To
		if i+1 == len(moves) || uint32(moves[i+1].Position/ManifestChunkExtents) != n {
			c.setRow(manifestKey(h.manifest, n), &messages.ManifestRow{Extents: h.chunks[n]})
		}
	}
}
