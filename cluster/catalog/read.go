package catalog

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// Stat returns the row of a file. The row is the caller's.
func (c *Catalog) Stat(tenant, path string) (*messages.FileRow, bool) {
	row := c.fileAt(fileKey(tenant, path))
	return row, row != nil
}

// Volume returns a volume's row, which is shared and never changes.
func (c *Catalog) Volume(id uint64) (*messages.VolumeRow, bool) {
	v := c.volumes[id]
	if v == nil {
		return nil, false
	}
	return v.view(), true
}

// Volumes returns all volumes by id, as Volume does.
func (c *Catalog) Volumes() []*messages.VolumeRow {
	rows := make([]*messages.VolumeRow, 0, len(c.order))
	for _, id := range c.order {
		rows = append(rows, c.volumes[id].view())
	}
	return rows
}

// Workers returns the workers by node id, the row of nodes[i] in rows[i]. Rows
// are shared and never change.
func (c *Catalog) Workers() (nodes []string, rows []*messages.WorkerRow) {
	if !c.ordered {
		slices.Sort(c.nodes)
		c.ordered = true
	}
	nodes, rows = slices.Clone(c.nodes), make([]*messages.WorkerRow, 0, len(c.nodes))
	for _, node := range nodes {
		rows = append(rows, c.workers[node])
	}
	return nodes, rows
}

// Worker returns a worker's row, as Workers does.
func (c *Catalog) Worker(node string) (*messages.WorkerRow, bool) {
	row, ok := c.workers[node]
	return row, ok
}

// Tenant returns a tenant's row. A tenant that has never had a file and has no
// limit has none.
func (c *Catalog) Tenant(name string) (*messages.TenantRow, bool) {
	t := c.tenants[name]
	if t == nil {
		return nil, false
	}
	return proto.CloneOf(t.row), true
}

// Totals sums over all tenants but the system's own: used_bytes are those that the files
// hold, whatever they count for their tenants.
func (c *Catalog) Totals() *messages.TenantRow {
	sum := &messages.TenantRow{}
	for name, t := range c.tenants { // a sum: the order does not matter
		if name == model.SystemTenant {
			continue
		}
		sum.Files += t.row.Files
		sum.IdempotencyKeys += t.row.IdempotencyKeys
	}
	for _, u := range c.byTier {
		sum.UsedBytes += u.bytes
	}
	return sum
}

// Cluster returns the cluster row, nil before bootstrap. It is shared and never changes.
func (c *Catalog) Cluster() *messages.ClusterRow { return c.cluster }

// Session returns a session with its kept results.
func (c *Catalog) Session(id uint64) (*messages.SessionRow, bool) {
	s := c.sessions[id]
	if s == nil {
		return nil, false
	}
	row := &messages.SessionRow{Node: s.node, Incarnation: s.incarnation, LowWater: s.low}
	for at, k := range s.kept {
		row.Results = append(row.Results, &messages.SessionResult{Sequence: k.sequence, Result: c.recorded(s, at)})
	}
	return row, true
}
