package catalog

import (
	"slices"
	"strconv"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// upload is a cached upload row: a large file under way, whose durable extents
// are staged in the manifest of the same id.
type upload struct {
	marks
	id   uint64
	row  *messages.UploadRow
	tier uint32 // of the volumes of its extents; 0 while there are none
}

func (u *upload) key() string               { return idKey(prefixUpload, u.id) }
func (u *upload) encoded(c *Catalog) string { return c.encode(u.row) }

// stageExtents adds durable extents to an upload, or opens one. Staging what
// is staged already, at the same place, changes nothing and is no error.
func (c *Catalog) stageExtents(e entry, stage *messages.StageExtents) *messages.CommandResult {
	if model.CheckTenant(stage.GetTenant()) != nil {
		return refuse("bad_tenant")
	}
	u, refused := c.uploadToStage(e, stage)
	if refused != nil {
		return refused
	}
	n := uint64(len(stage.Extents))
	if stage.First != u.row.Extents {
		if stage.First < u.row.Extents && n <= u.row.Extents-stage.First && c.holdsAt(u.id, stage.First, stage.Extents) {
			return &messages.CommandResult{Id: u.id, Tier: u.tier}
		}
		return refuse("upload_position", "extents", decimal(u.row.Extents))
	}
	held, refused := c.checkExtents(stage.Extents, u.tier)
	if refused != nil {
		return refused
	}
	if u.row.Extents+n > MaxUploadExtents {
		return refuse("too_large", "field", "extents", "limit", strconv.Itoa(MaxUploadExtents))
	}
	if u.row.SizeBytes+held > model.MaxContentBytes {
		return refuse("too_large", "field", "size_bytes", "limit", strconv.Itoa(model.MaxContentBytes))
	}
	if stage.Upload == 0 {
		c.uploads[u.id] = u
		c.sessions[u.row.Session].uploads++
	}
	c.retain(stage.Extents)
	c.writeManifest(u.id, u.row.Extents, stage.Extents)
	u.row.Extents += n
	u.row.SizeBytes += held
	if u.tier == 0 && n > 0 {
		u.tier = c.volumes[stage.Extents[0].Volume].row.Tier
	}
	c.touch(u)
	return &messages.CommandResult{Id: u.id, Tier: u.tier}
}

// uploadToStage finds the upload of a stage command, or makes a new one that is
// not entered yet.
func (c *Catalog) uploadToStage(e entry, stage *messages.StageExtents) (*upload, *messages.CommandResult) {
	s := c.sessions[e.cmd.Session]
	if s == nil { // only a command without one comes here
		return nil, refuse("session_needed")
	}
	if stage.Upload != 0 {
		return c.uploadOf(e, stage.Upload, stage.Tenant)
	}
	if s.uploads >= MaxUploadsPerSession {
		return nil, refuse("uploads_full", "uploads", strconv.Itoa(s.uploads))
	}
	return &upload{id: e.index, row: &messages.UploadRow{Session: s.id, Tenant: stage.Tenant, Begun: e.cmd.Sequence}}, nil
}

// uploadOf finds an upload of the command's own session and tenant.
func (c *Catalog) uploadOf(e entry, id uint64, tenant string) (*upload, *messages.CommandResult) {
	u := c.uploads[id]
	if u == nil || u.row.Session != e.cmd.Session || u.row.Tenant != tenant {
		return nil, refuse("no_upload", "upload", decimal(id))
	}
	return u, nil
}

// commitUpload makes a file of everything that an upload has staged. A refusal
// leaves the upload as it is.
func (c *Catalog) commitUpload(e entry, commit *messages.CommitUpload) *messages.CommandResult {
	file := commit.GetFile()
	if refused := checkAttributes(e, file); refused != nil {
		return refused
	}
	u, missing := c.uploadOf(e, commit.Upload, file.Tenant)
	if known := c.repeated(e, file); known != nil {
		if known.Code == "" && u != nil {
			c.dropUpload(u) // the file is stored already
		}
		return known
	}
	if missing != nil {
		return missing
	}
	if u.row.Extents != commit.Extents || u.row.SizeBytes != file.SizeBytes {
		return refuse("upload_incomplete", "extents", decimal(u.row.Extents), "held_bytes", decimal(u.row.SizeBytes))
	}
	if u.tier != 0 && u.tier != file.Tier {
		return refuse("bad_field", "field", "tier")
	}
	key := fileKey(file.Tenant, file.Path)
	old := c.fileAt(key)
	if refused := c.checkReplace(file, old); refused != nil {
		return refused
	}
	if refused := c.checkStaged(u); refused != nil {
		return refused
	}
	row := c.newRow(e, file)
	c.takeStaged(u, row)
	c.closeUpload(u)
	return c.install(e, file, key, old, row)
}

// checkStaged refuses an upload of which a part was lost since it was staged:
// to commit it would acknowledge a file that cannot be read. Losses are rare,
// so the manifest is walked only if one was logged since the upload began.
func (c *Catalog) checkStaged(u *upload) *messages.CommandResult {
	if c.lostAt <= u.id {
		return nil
	}
	for n := uint32(0); ; n++ {
		extents := c.chunk(u.id, n)
		if extents == nil {
			return nil
		}
		for _, e := range extents {
			if v := c.volumes[e.Volume]; v != nil && ExtentState(v.row, e) == ExtentLost {
				return refuse("upload_lost", "volume", decimal(e.Volume))
			}
		}
	}
}

// takeStaged hands the extents of an upload over to a file row: few inline,
// many as the manifest they are in. Live bytes stay as they are.
func (c *Catalog) takeStaged(u *upload, row *messages.FileRow) {
	if u.row.Extents > MaxInlineExtents {
		row.Manifest, row.ManifestExtents = u.id, u.row.Extents
		return
	}
	row.Extents = c.chunk(u.id, 0)
	c.remove(manifestKey(u.id, 0))
}

// abortUpload gives an upload of the command's session up.
func (c *Catalog) abortUpload(e entry, abort *messages.AbortUpload) *messages.CommandResult {
	u := c.uploads[abort.GetUpload()]
	if abort.GetUpload() == 0 {
		u = c.uploadBegunBy(e.cmd.Session, abort.GetBegun())
	}
	if u == nil || u.row.Session != e.cmd.Session {
		return refuse("no_upload", "upload", decimal(abort.GetUpload()))
	}
	c.dropUpload(u)
	return &messages.CommandResult{Id: u.id}
}

// uploadBegunBy finds an upload by the command that began it.
func (c *Catalog) uploadBegunBy(session, sequence uint64) *upload {
	for _, u := range c.uploads { // at most one is it
		if sequence != 0 && u.row.Session == session && u.row.Begun == sequence {
			return u
		}
	}
	return nil
}

// dropUpload gives up an upload and what it has staged.
func (c *Catalog) dropUpload(u *upload) {
	if u.row.Extents > 0 {
		c.discard(u.id)
	}
	c.closeUpload(u)
}

// closeUpload removes the row of an upload; its manifest is somebody else's now.
func (c *Catalog) closeUpload(u *upload) {
	u.gone = true
	delete(c.uploads, u.id)
	c.remove(u.key())
	if s := c.sessions[u.row.Session]; s != nil {
		s.uploads--
	}
}

// uploadsOf lists the uploads of a session, oldest first.
func (c *Catalog) uploadsOf(session uint64) []*upload {
	var found []*upload
	for _, u := range c.uploads {
		if u.row.Session == session {
			found = append(found, u)
		}
	}
	slices.SortFunc(found, func(a, b *upload) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return found
}
