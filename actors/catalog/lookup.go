package catalog

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/affected"
	rules "tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// manifestPage bounds the extents of one answer.
const manifestPage = 4096

// maxFindRows bounds the rows that one FindExtents looks at.
const maxFindRows = 1024

// maxAffectedRows bounds those that one FindAffected does.
const maxAffectedRows = 2048

// onLookup answers at or above the index asked for; until then it waits.
func (c *Catalog) onLookup(ctx *runtime.Context, m *messages.Lookup) {
	if c.cat != nil && c.cat.Applied() >= m.MinApplied {
		c.answer(ctx, ctx.Sender(), m)
		return
	}
	if c.cat != nil && len(c.conf.GetVoters()) == 0 {
		c.refuseFor(ctx, m, model.Errorf(model.CodeUnavailable, "lookup", "this node holds no catalog"))
		return
	}
	if len(c.waiting) >= maxWaiting {
		c.refuseFor(ctx, m, model.Errorf(model.CodeOverloaded, "lookup", "too many lookups wait for the catalog to catch up"))
		return
	}
	c.waiting = append(c.waiting, waitingLookup{from: ctx.Sender(), ask: m})
}

func (c *Catalog) answerWaiting(ctx *runtime.Context) {
	if len(c.waiting) == 0 {
		return
	}
	kept := c.waiting[:0]
	for _, w := range c.waiting {
		if c.cat.Applied() >= w.ask.MinApplied {
			c.answer(ctx, w.from, w.ask)
		} else {
			kept = append(kept, w)
		}
	}
	clear(c.waiting[len(kept):])
	c.waiting = kept
}

func (c *Catalog) refuseFor(ctx *runtime.Context, m *messages.Lookup, err error) {
	c.refuse(ctx, ctx.Sender(), m, err)
}

func (c *Catalog) refuse(ctx *runtime.Context, to *actor.PID, m *messages.Lookup, err error) {
	refusal := messages.FromError(err)
	reply := &messages.LookupReply{Header: messages.ReplyHeader(m.Header)}
	for _, item := range m.Items {
		reply.Answers = append(reply.Answers, messages.RefusedAnswer(item, refusal))
	}
	ctx.SendBulk(to, reply)
}

func (c *Catalog) answer(ctx *runtime.Context, to *actor.PID, m *messages.Lookup) {
	reply := &messages.LookupReply{
		Header: messages.ReplyHeader(m.Header), Applied: c.cat.Applied(),
		Answers: make([]*messages.LookupAnswer, 0, len(m.Items)),
	}
	for _, item := range m.Items {
		reply.Answers = append(reply.Answers, c.answerItem(item))
	}
	ctx.SendBulk(to, reply)
}

func (c *Catalog) answerItem(item *messages.LookupItem) *messages.LookupAnswer {
	switch k := item.Kind.(type) {
	case *messages.LookupItem_Stat:
		return &messages.LookupAnswer{Kind: &messages.LookupAnswer_Stat{Stat: c.stat(k.Stat)}}
	case *messages.LookupItem_Manifest:
		return &messages.LookupAnswer{Kind: &messages.LookupAnswer_Manifest{Manifest: c.manifest(k.Manifest)}}
	case *messages.LookupItem_List:
		return &messages.LookupAnswer{Kind: &messages.LookupAnswer_List{List: c.list(k.List)}}
	case *messages.LookupItem_Status:
		return &messages.LookupAnswer{Kind: &messages.LookupAnswer_Status{Status: c.status(k.Status)}}
	case *messages.LookupItem_FindExtents:
		return &messages.LookupAnswer{Kind: &messages.LookupAnswer_FindExtents{FindExtents: c.findExtents(k.FindExtents)}}
	case *messages.LookupItem_DescribeVolumes:
		return &messages.LookupAnswer{Kind: &messages.LookupAnswer_DescribeVolumes{DescribeVolumes: c.describeVolumes(k.DescribeVolumes)}}
	case *messages.LookupItem_QuotaStand:
		return &messages.LookupAnswer{Kind: &messages.LookupAnswer_QuotaStand{QuotaStand: c.quotaStand(k.QuotaStand)}}
	case *messages.LookupItem_ListTenants:
		return &messages.LookupAnswer{Kind: &messages.LookupAnswer_ListTenants{ListTenants: c.listTenants(k.ListTenants)}}
	case *messages.LookupItem_SurveyUsage:
		return &messages.LookupAnswer{Kind: &messages.LookupAnswer_SurveyUsage{SurveyUsage: c.surveyUsage(k.SurveyUsage)}}
	case *messages.LookupItem_FindAffected:
		return &messages.LookupAnswer{Kind: &messages.LookupAnswer_FindAffected{FindAffected: c.findAffected(k.FindAffected)}}
	}
	return &messages.LookupAnswer{}
}

func (c *Catalog) stat(m *messages.Stat) *messages.StatReply {
	reply := &messages.StatReply{Header: messages.ReplyHeader(m.Header), Applied: c.cat.Applied()}
	row, ok := c.cat.Stat(m.Tenant, m.Path)
	if !ok {
		reply.Error = messages.FromError(model.Errorf(model.CodeNotFound, "stat", "there is no file %s", m.Path))
		return reply
	}
	reply.Row = row
	if row.Manifest == 0 || c.lost(row.Extents) || m.WithVolumes {
		// A reader needs to know who holds the extents it is given.
		extents := row.Extents
		if row.Manifest != 0 {
			extents = c.cat.Manifest(row.Manifest, 0, int(row.ManifestExtents))
		}
		reply.Volumes = c.volumesOf(extents)
	}
	cluster := c.cat.Cluster()
	reply.EpochGeneration, reply.EpochTerm = cluster.GetGeneration(), cluster.GetTerm()
	reply.ReplicationFactor = cluster.GetReplicationFactor()
	reply.CopiesWanted = uint32(tier.Wanted(cluster.GetTiers(), model.Tier(row.Tier), int(cluster.GetReplicationFactor())))
	return reply
}

// lost reports whether any extent is known to be gone, so that the reader is
// told why instead of meeting a short file.
func (c *Catalog) lost(extents []*messages.Extent) bool {
	for _, e := range extents {
		if v, ok := c.cat.Volume(e.Volume); ok && len(v.Lost) > 0 && rules.ExtentState(v, e) != rules.ExtentOK {
			return true
		}
	}
	return false
}

// volumesOf returns the rows of the volumes that hold extents, each once.
func (c *Catalog) volumesOf(extents []*messages.Extent) []*messages.VolumeRow {
	var rows []*messages.VolumeRow
	seen := make(map[uint64]bool, 4)
	for _, e := range extents {
		if seen[e.Volume] {
			continue
		}
		seen[e.Volume] = true
		if v, ok := c.cat.Volume(e.Volume); ok {
			rows = append(rows, v)
		}
	}
	return rows
}

func (c *Catalog) manifest(m *messages.ReadManifest) *messages.ReadManifestReply {
	reply := &messages.ReadManifestReply{Header: messages.ReplyHeader(m.Header)}
	row, ok := c.cat.Stat(m.Tenant, m.Path)
	if !ok || row.Version != m.Version || row.Manifest == 0 {
		reply.Error = messages.FromError(model.Errorf(model.CodeNotFound, "read manifest",
			"version %d of %s is gone; it was overwritten, moved or deleted while it was being read", m.Version, m.Path))
		return reply
	}
	reply.Extents = c.cat.Manifest(row.Manifest, m.First, manifestPage)
	reply.Volumes = c.volumesOf(reply.Extents)
	return reply
}

func (c *Catalog) list(m *messages.List) *messages.ListReply {
	limit := int(m.Limit)
	if limit <= 0 || limit > model.MaxListLimit {
		limit = model.MaxListLimit
	}
	reply := &messages.ListReply{Header: messages.ReplyHeader(m.Header)}
	reply.Files, reply.Prefixes, reply.Next = c.cat.List(m.Tenant, m.Prefix, m.Delimiter, m.After, limit)
	return reply
}

// findExtents answers with one page of what names the volumes asked for.
func (c *Catalog) findExtents(m *messages.FindExtents) *messages.FindExtentsReply {
	volumes := make(map[uint64]bool, len(m.Volumes))
	for _, id := range m.Volumes {
		volumes[id] = true
	}
	reply := &messages.FindExtentsReply{Header: messages.ReplyHeader(m.Header)}
	reply.Found, reply.Next = c.cat.Named(volumes, m.After, min(int(m.Rows), maxFindRows))
	return reply
}

// findAffected answers with one page of the files that have content nobody can read.
func (c *Catalog) findAffected(m *messages.FindAffected) *messages.FindAffectedReply {
	p := affected.Files(c.cat, m.Tenant, m.After, int(min(m.Rows, maxAffectedRows)), int(min(m.Limit, model.MaxListLimit)))
	return &messages.FindAffectedReply{Header: messages.ReplyHeader(m.Header), Files: p.Files, Next: p.Next, Within: p.Within}
}

// describeVolumes answers with the rows there are.
func (c *Catalog) describeVolumes(m *messages.DescribeVolumes) *messages.DescribeVolumesReply {
	reply := &messages.DescribeVolumesReply{Header: messages.ReplyHeader(m.Header)}
	for _, id := range m.Volumes[:min(len(m.Volumes), manifestPage)] {
		if row, ok := c.cat.Volume(id); ok {
			reply.Volumes = append(reply.Volumes, row)
		}
	}
	return reply
}

func (c *Catalog) status(m *messages.ClusterStatus) *messages.ClusterStatusReply {
	nodes, workers := c.cat.Workers()
	volumes := c.cat.Volumes()
	if m.OpenVolumesOnly {
		volumes = slices.DeleteFunc(volumes, func(v *messages.VolumeRow) bool { return v.State != messages.VolumeState_OPEN })
	}
	conf, _ := messages.MarshalDeterministic(c.conf) // it was read from such bytes
	return &messages.ClusterStatusReply{
		Header: messages.ReplyHeader(m.Header), Cluster: c.cat.Cluster(), Totals: []*messages.TenantRow{c.cat.Totals()},
		Volumes: volumes, ConfState: conf, WorkerNodes: nodes, Workers: workers,
		Applied: c.cat.Applied(), StateHash: c.cat.StateHash(), RaftTerm: c.term, Jobs: c.cat.Jobs(), Tiers: c.cat.TierUse(),
	}
}
