package catalog

import (
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/cluster/quota"
	"tiercel/messages"
)

// setQuota limits a tenant, where the licence has limits; those that are set stay in
// force whatever becomes of it, and can be taken away. A limit below the usage takes nothing away: from then on
// only what raises the usage is refused.
func (c *Catalog) setQuota(set *messages.SetQuota) *messages.CommandResult {
	name := set.GetTenant()
	switch {
	case model.CheckTenant(name) != nil:
		return refuse("bad_tenant")
	case set.LimitBytes < 0:
		return refuse("bad_field", "field", "limit_bytes")
	case !c.limited[name] && len(c.limited) >= MaxLimitedTenants:
		return refuse("quotas_full", "tenants", strconv.Itoa(len(c.limited)))
	}
	if d := c.grant().Deny(license.Quotas); d != nil {
		return c.unlicensed(d)
	}
	row := c.tenantOf(name).row
	row.Limited, row.LimitBytes, row.UsedWhenLimitedBytes = true, set.LimitBytes, row.UsedBytes
	c.limited[name] = true
	return &messages.CommandResult{}
}

// removeQuota takes a tenant's limit away. A tenant without one is left as it is.
func (c *Catalog) removeQuota(remove *messages.RemoveQuota) *messages.CommandResult {
	name := remove.GetTenant()
	if model.CheckTenant(name) != nil {
		return refuse("bad_tenant")
	}
	if c.limited[name] {
		t := c.tenantOf(name)
		t.row.Limited, t.row.LimitBytes, t.row.UsedWhenLimitedBytes = false, 0, 0
		delete(c.limited, name)
		c.forgetEmpty(t)
	}
	return &messages.CommandResult{}
}

// forgetEmpty ends the row of a tenant of which nothing is left: no file, no limit and
// no idempotency key. Its next file makes another.
func (c *Catalog) forgetEmpty(t *tenant) {
	if proto.Equal(t.row, &messages.TenantRow{}) {
		t.gone = true
		delete(c.tenants, t.name)
		c.remove(t.key())
	}
}

// Limited returns the tenants with a limit, by name.
func (c *Catalog) Limited() []string {
	names := make([]string, 0, len(c.limited))
	for name := range c.limited {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Raises is by how much a write would raise its tenant's usage, which the row
// describes; it may be negative. The row is nil for a tenant that has none.
func (c *Catalog) Raises(tenant, path string, fileTier uint32, size uint64) (row *messages.TenantRow, more int64) {
	row, _ = c.Tenant(tenant)
	return row, quota.Charge(c.cluster, fileTier, size) - quota.Charged(c.fileAt(fileKey(tenant, path)))
}

// StagedByLimited returns what the uploads of tenants with a limit have staged, by id.
func (c *Catalog) StagedByLimited() []*messages.StagedUpload {
	var staged []*messages.StagedUpload
	for id, u := range c.uploads {
		if c.limited[u.row.Tenant] {
			staged = append(staged, &messages.StagedUpload{Id: id, Tenant: u.row.Tenant, Bytes: quota.Charge(c.cluster, u.tier, u.row.SizeBytes)})
		}
	}
	slices.SortFunc(staged, func(a, b *messages.StagedUpload) int { return int(a.Id) - int(b.Id) })
	return staged
}

// HasSession and HasUpload report whether there is one of that id.
func (c *Catalog) HasSession(id uint64) bool { return c.sessions[id] != nil }

// HasUpload reports whether there is an upload of that id.
func (c *Catalog) HasUpload(id uint64) bool { return c.uploads[id] != nil }

// Tenants returns up to most tenants behind a name, in order, with their rows; next is
// the last of them if there are more, to be passed as after. limitedOnly leaves out
// those without a limit.
func (c *Catalog) Tenants(after string, most int, limitedOnly bool) (tenants []*messages.NamedTenant, next string) {
	names := []string(nil)
	if limitedOnly {
		for _, name := range c.Limited() {
			if name > after && len(names) <= most {
				names = append(names, name)
			}
		}
	} else {
		c.flush()
		c.ix.Ascend(prefixTenant+after, func(key, _ string) bool {
			name, ok := strings.CutPrefix(key, prefixTenant)
			if ok && name > after && name != model.SystemTenant {
				names = append(names, name)
			}
			return ok && len(names) <= most
		})
	}
	if len(names) > most {
		names, next = names[:most], names[most-1]
	}
	for _, name := range names {
		tenants = append(tenants, &messages.NamedTenant{Name: name, Row: proto.CloneOf(c.tenants[name].row)})
	}
	return tenants, next
}
