package catalog

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// New makes a catalog over an index, which is empty or holds a loaded snapshot:
// everything kept in memory beside the rows is derived from them in one walk.
// A row that cannot be read, or that a newer version wrote, shows in Err.
func New(ix store.Index) *Catalog {
	c := &Catalog{
		ix:       ix,
		workers:  map[string]*messages.WorkerRow{},
		raftIDs:  map[uint64]string{},
		labels:   map[string]int{},
		volumes:  map[uint64]*volume{},
		tenants:  map[string]*tenant{},
		sessions: map[uint64]*session{},
		uploads:  map[uint64]*upload{},
		jobs:     map[uint64]*messages.JobRow{},
		limited:  map[string]bool{},
	}
	ix.Ascend("", func(key, value string) bool {
		c.hash.add(key, value)
		return c.load(key, value)
	})
	for _, u := range c.uploads {
		c.deriveUpload(u)
	}
	return c
}

// load derives the cached struct of one row, if it has one.
func (c *Catalog) load(key, value string) bool {
	switch {
	case key == keyApplied:
		applied, ok := parseHex(value, 16)
		if !ok {
			c.halt(model.CodeCorrupt, "row %q holds no index", key)
		}
		c.applied = applied
	case key == keyCluster:
		c.cluster = &messages.ClusterRow{}
		if c.decode(key, value, c.cluster) {
			c.checkVersion(c.cluster.ClusterVersion)
		}
	case len(key) > 2 && key[1] == '/':
		c.loadRow(key[:2], key[2:], value)
	default:
		c.halt(model.CodeCorrupt, "row %q is of no known kind", key)
	}
	return c.halted == nil
}

// loadRow derives the cached struct of a row with a prefix.
func (c *Catalog) loadRow(prefix, rest, value string) {
	switch prefix {
	case prefixFile:
		c.scratch = append(c.scratch[:0], value...)
		tenant, _, _ := strings.Cut(rest, "\x00")
		if err := c.useOf(tenant).addRow(c.scratch); err != nil {
			c.halt(model.CodeCorrupt, "row %q is damaged; restore this node from a snapshot: %w", prefix+rest, err)
		}
	case prefixManifest, prefixIdempotency, prefixAge:
	case prefixGarbage:
		c.garbage++
	case prefixWorker:
		row := &messages.WorkerRow{}
		c.decode(prefix+rest, value, row)
		c.indexWorker(rest, row)
	case prefixJob:
		row := &messages.JobRow{}
		if id := c.loadNumbered(prefix, rest, value, row); id == row.Id {
			c.jobs[id] = row
		} else {
			c.halt(model.CodeCorrupt, "row %q is that of job %d", prefix+rest, row.Id)
		}
	case prefixTenant:
		row := &messages.TenantRow{}
		c.decode(prefix+rest, value, row)
		c.tenants[rest] = &tenant{name: rest, row: row}
		if row.Limited {
			c.limited[rest] = true
		}
	case prefixVolume:
		row := &messages.VolumeRow{}
		if id := c.loadNumbered(prefix, rest, value, row); id == row.Id {
			c.addVolume(&volume{row: row})
		} else {
			c.halt(model.CodeCorrupt, "row %q is that of volume %d", prefix+rest, row.Id)
		}
	case prefixSession:
		row := &messages.SessionRow{}
		id := c.loadNumbered(prefix, rest, value, row)
		c.sessions[id] = c.sessionOf(id, row)
	case prefixUpload:
		row := &messages.UploadRow{}
		id := c.loadNumbered(prefix, rest, value, row)
		c.uploads[id] = &upload{id: id, row: row}
	default:
		c.halt(model.CodeCorrupt, "row %q is of no known kind", prefix+rest)
	}
}

// loadNumbered decodes a row that is named by a number, which it returns.
func (c *Catalog) loadNumbered(prefix, rest, value string, row proto.Message) uint64 {
	id, ok := parseHex(rest, 16)
	if !ok {
		c.halt(model.CodeCorrupt, "row %q is not named by a number", prefix+strings.ToValidUTF8(rest, "?"))
	}
	c.decode(prefix+rest, value, row)
	return id
}

// deriveUpload completes what rows of other kinds say about an upload.
func (c *Catalog) deriveUpload(u *upload) {
	if s := c.sessions[u.row.Session]; s != nil {
		s.uploads++
	}
	first := c.Manifest(u.id, 0, 1)
	if len(first) == 0 {
		return
	}
	if v := c.volumes[first[0].Volume]; v != nil {
		u.tier = v.row.Tier
	}
}

// checkVersion halts when the log is for a newer version than this code.
func (c *Catalog) checkVersion(version uint32) {
	if version > ClusterVersion {
		c.halt(model.CodeInternal, "the cluster is at version %d and this node knows up to %d; upgrade this node", version, ClusterVersion)
	}
}
