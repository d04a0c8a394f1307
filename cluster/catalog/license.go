package catalog

import (
	"maps"
	"slices"

	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// grant is what the licence allows, as the log has it at this entry.
func (c *Catalog) grant() license.Grant { return license.Of(c.cluster.GetLicense()) }

// unlicensed is the refusal of what the licence does not allow; nil: it does.
func (c *Catalog) unlicensed(d *license.Denial) *messages.CommandResult {
	if d == nil {
		return nil
	}
	res := refuse("unlicensed")
	for name, value := range d.Facts() { // into a map: the order does not matter
		res.Details[name] = value
	}
	return explain(res)
}

// wrongLicense names the first fact of a licence that cannot be; empty: none. Whether it
// was signed, the proposer has verified: apply knows no key.
func wrongLicense(set *messages.SetLicense) string {
	l := set.GetLicense()
	switch {
	case l == nil:
		return "license"
	case !validName(l.Id):
		return "id"
	case !validName(l.Customer):
		return "customer"
	case !license.Level(l.Level).Known():
		return "level"
	case l.IssuedUnixMs >= l.ExpiresUnixMs:
		return "expires_unix_ms"
	case !validText(l.Key, MaxNameBytes):
		return "key"
	case !validText(l.Cluster, MaxNameBytes):
		return "cluster"
	case set.AtUnixMs <= 0:
		return "at_unix_ms"
	}
	return ""
}

// setLicense installs the facts of a licence.
func (c *Catalog) setLicense(e entry, set *messages.SetLicense) *messages.CommandResult {
	if field := wrongLicense(set); field != "" {
		return refuse("bad_field", "field", field)
	}
	next, changed, expired := license.Install(c.cluster.GetLicense(), set, e.index)
	switch {
	case expired:
		return refuse("license_expired", "license", set.License.Id)
	case changed:
		row := c.nextCluster()
		row.License = next
		c.setCluster(row)
		c.liftCopies()
		c.relabel()
	}
	return &messages.CommandResult{Version: e.index, Created: changed}
}

// noteLicenseTime takes the master's word of what time it is; a licence may expire by it.
func (c *Catalog) noteLicenseTime(e entry, note *messages.NoteLicenseTime) *messages.CommandResult {
	if next := license.Note(c.cluster.GetLicense(), note.GetAtUnixMs()); next != nil {
		row := c.nextCluster()
		row.License = next
		c.setCluster(row)
	}
	return &messages.CommandResult{Version: e.index}
}

// liftCopies lets volumes that were made with one copy, for want of a licence, have as
// many as their tier wants, once it is licensed. The other way round nothing is taken: a
// volume that had its copies keeps them, and is repaired, whatever becomes of the licence.
func (c *Catalog) liftCopies() {
	g := c.grant()
	for _, id := range c.order {
		if v := c.volumes[id]; v.row.LicensedCopies > 0 && g.Replicates(model.Tier(v.row.Tier)) {
			v.row.LicensedCopies = 0
			c.changed(v)
		}
	}
}

// checkNewWorker refuses a worker that the licence has no place for. Those that are
// registered already are not asked.
func (c *Catalog) checkNewWorker(row *messages.WorkerRow) *messages.CommandResult {
	present := 0
	for _, n := range c.labels { // a sum: the order does not matter
		present += n
	}
	if d := c.grant().DenyWorker(present); d != nil {
		return c.unlicensed(d)
	}
	return c.checkDC("", row.Dc)
}

// checkDC refuses a worker that comes to another datacenter than the others are in, or
// goes there by a changed label, where the licence is for one.
func (c *Catalog) checkDC(node, dc string) *messages.CommandResult {
	own := c.workers[node]
	var others []string
	for _, label := range slices.Sorted(maps.Keys(c.labels)) {
		if n := c.labels[label]; n > 1 || own == nil || own.State == messages.WorkerState_LEFT || own.Dc != label {
			others = append(others, label)
		}
	}
	return c.unlicensed(c.grant().DenyDC(dc, others))
}

// checkLicensedTier refuses settings of a tier that ask for what the licence lacks. What
// stands in the row already may stay there, unless it is asked for by name.
func (c *Catalog) checkLicensedTier(set *messages.SetTier) *messages.CommandResult {
	t, old := set.Tier, &messages.TierRow{}
	for _, row := range c.cluster.Tiers {
		if row.Tier == t.Tier {
			old = row
		}
	}
	more := func(now, before uint32) bool { return now > 1 && (set.CopiesAsked || now != before) }
	if more(t.Copies, old.Copies) || more(t.MinCopies, old.MinCopies) {
		if d := c.grant().DenyCopies(model.Tier(t.Tier)); d != nil {
			return c.unlicensed(d)
		}
	}
	if t.DiskPreference != "" && t.DiskPreference != "any" && (set.DiskAsked || t.DiskPreference != old.DiskPreference) {
		return c.unlicensed(c.grant().Deny(license.DiskPlacement))
	}
	return nil
}

// checkTierAsked refuses a file of a tier that was asked for by name and that the licence
// lacks. What has its tier by its path goes on, with the copies there are.
func (c *Catalog) checkTierAsked(file *messages.FileAttributes) *messages.CommandResult {
	if file.TierAsked == 0 || file.Tenant == model.SystemTenant { // the archive is kept at every level
		return nil
	}
	return c.unlicensed(c.grant().DenyTier(model.Tier(file.TierAsked)))
}
