package catalog

import (
	"slices"

	"tiercel/cluster/model"
	"tiercel/cluster/quota"
	"tiercel/messages"
)

// tenant is a cached tenant row. It is made by the tenant's first file, limit or key,
// and goes when nothing of these is left.
type tenant struct {
	marks
	name string
	row  *messages.TenantRow
}

func (t *tenant) key() string               { return tenantKey(t.name) }
func (t *tenant) encoded(c *Catalog) string { return c.encode(t.row) }

// tenantOf returns the tenant for a change to its row.
func (c *Catalog) tenantOf(name string) *tenant {
	t := c.tenants[name]
	if t == nil {
		t = &tenant{name: name, row: &messages.TenantRow{}}
		c.tenants[name] = t
	}
	c.touch(t)
	return t
}

// putFile stores a file whose extents are durable, in place of the one at the path.
func (c *Catalog) putFile(e entry, put *messages.PutFile) *messages.CommandResult {
	file := put.GetFile()
	if refused := checkAttributes(e, file); refused != nil {
		return refused
	}
	if known := c.repeated(e, file); known != nil {
		return known
	}
	key := fileKey(file.Tenant, file.Path)
	old := c.fileAt(key)
	if refused := c.checkReplace(file, old); refused != nil {
		return refused
	}
	held, refused := c.checkExtents(put.Extents, file.Tier)
	if refused != nil {
		return refused
	}
	if held != file.SizeBytes {
		return refuse("size_mismatch", "size_bytes", decimal(file.SizeBytes), "held_bytes", decimal(held))
	}
	c.retain(put.Extents)
	row := c.newRow(e, file)
	if len(put.Extents) <= MaxInlineExtents {
		row.Extents = put.Extents
	} else {
		row.Manifest, row.ManifestExtents = e.index, uint64(len(put.Extents))
		c.writeManifest(e.index, 0, put.Extents)
	}
	return c.install(e, file, key, old, row)
}

// deleteFile removes a file and releases what it held.
func (c *Catalog) deleteFile(e entry, del *messages.DeleteFile) *messages.CommandResult {
	if refused := checkName(del.GetTenant(), del.GetPath()); refused != nil {
		return refused
	}
	key := fileKey(del.Tenant, del.Path)
	old := c.fileAt(key)
	if refused := judge(del.Conditions, old); refused != nil {
		return refused
	}
	if old == nil {
		return refuse("no_file")
	}
	c.remove(key)
	c.releaseFile(old)
	c.charge(del.Tenant, nil, old)
	return &messages.CommandResult{Version: e.index, Tier: old.Tier}
}

// moveFile gives a file another path: same bytes, tier and times, a new version.
func (c *Catalog) moveFile(e entry, move *messages.MoveFile) *messages.CommandResult {
	if refused := checkName(move.GetTenant(), move.GetFrom()); refused != nil {
		return refused
	}
	if refused := checkName(move.Tenant, move.To); refused != nil {
		return refused
	}
	if move.From == move.To {
		return refuse("same_path")
	}
	from, to := fileKey(move.Tenant, move.From), fileKey(move.Tenant, move.To)
	row := c.fileAt(from)
	if row == nil {
		return refuse("no_file")
	}
	old := c.fileAt(to)
	if old != nil && !move.Overwrite {
		return refuse("target_exists", "current_version", decimal(old.Version))
	}
	row.Version = e.index
	c.remove(from)
	c.setRow(to, row)
	if old != nil {
		c.releaseFile(old)
		c.charge(move.Tenant, nil, old)
	}
	return fileResult(row, old)
}

// checkReplace judges the conditions and the quota of a write over old.
func (c *Catalog) checkReplace(file *messages.FileAttributes, old *messages.FileRow) *messages.CommandResult {
	if refused := judge(file.Conditions, old); refused != nil {
		return refused
	}
	if refused := c.checkTierAsked(file); refused != nil {
		return refused
	}
	t := c.tenants[file.Tenant]
	more := quota.Charge(c.cluster, file.Tier, file.SizeBytes) - quota.Charged(old)
	if t == nil || quota.Fits(t.row, more) {
		return nil
	}
	return refuse("quota", "tenant", file.Tenant, "limit_bytes", signed(t.row.LimitBytes),
		"used_bytes", signed(t.row.UsedBytes), "asked_bytes", signed(more))
}

// newRow begins the row of a file; it is used again by the next call.
func (c *Catalog) newRow(e entry, file *messages.FileAttributes) *messages.FileRow {
	row := &c.file
	row.Reset()
	row.Version = e.index
	row.SizeBytes = file.SizeBytes
	row.Crc32C = file.Crc32C
	row.Tier = file.Tier
	row.TierAsked = file.TierAsked
	row.ContentType = file.ContentType
	row.Meta = file.Meta
	if charge := quota.Charge(c.cluster, file.Tier, file.SizeBytes); charge != int64(file.SizeBytes) {
		row.ChargedBytes = uint64(charge)
	}
	row.ModifiedUnixMs = file.ModifiedUnixMs
	if row.ModifiedUnixMs == 0 {
		row.ModifiedUnixMs = e.cmd.ProposedUnixMs
	}
	return row
}

// install puts a checked row in place of old and accounts for both.
func (c *Catalog) install(e entry, file *messages.FileAttributes, key string, old, row *messages.FileRow) *messages.CommandResult {
	c.setRow(key, row)
	if old != nil {
		c.releaseFile(old)
	}
	c.charge(file.Tenant, row, old)
	res := fileResult(row, old)
	c.remember(e, file, res)
	return res
}

// charge replaces old by row in the usage of a tenant; either may be nil.
func (c *Catalog) charge(name string, row, old *messages.FileRow) {
	cached := c.tenantOf(name)
	t := cached.row
	t.UsedBytes += quota.Charged(row) - quota.Charged(old)
	if row != nil {
		t.Files++
		c.useOf(name).add(row.Tier, 1, int64(row.SizeBytes))
	}
	if old != nil {
		t.Files--
		c.useOf(name).add(old.Tier, -1, -int64(old.SizeBytes))
	}
	if t.Files < 0 || t.UsedBytes < 0 {
		c.halt(model.CodeCorrupt, "tenant %q would have %d files with %d bytes", name, t.Files, t.UsedBytes)
	}
	c.forgetEmpty(cached)
}

// releaseFile gives up what a file named.
func (c *Catalog) releaseFile(row *messages.FileRow) {
	c.release(row.Extents)
	if row.Manifest != 0 {
		c.discard(row.Manifest)
	}
}

// judge checks the conditions of a command against the file as it is now.
func judge(cond *messages.Conditions, old *messages.FileRow) *messages.CommandResult {
	if cond == nil {
		return nil
	}
	failed := cond.MustNotExist && old != nil ||
		cond.MustExist && old == nil ||
		len(cond.Versions) > 0 && (old == nil || !slices.Contains(cond.Versions, old.Version))
	if !failed {
		return nil
	}
	return refuse("precondition", "current_version", decimal(old.GetVersion()))
}

// fileResult answers a write.
func fileResult(row, old *messages.FileRow) *messages.CommandResult {
	return &messages.CommandResult{
		Version: row.Version, Created: old == nil, ModifiedUnixMs: row.ModifiedUnixMs, Tier: row.Tier,
	}
}
