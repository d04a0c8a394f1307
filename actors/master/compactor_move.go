package master

import (
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/compaction"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// moveStep is how far an extent has come.
type moveStep uint8

const (
	moveWaiting   moveStep = iota // for bandwidth
	moveReading                   // from a verified copy
	moveBeginning                 // a volume is being asked for
	moveAppending                 // on its way to the primary
	moveProving                   // until every member has fsynced it
	moveCommitting
)

// compactProof is the pause between two questions whether the members have it.
const compactProof = 300 * time.Millisecond

// move is one extent on its way to another volume.
type move struct {
	id       uint64 // of the request, the item and the grant of every step
	named    *messages.NamedExtent
	step     moveStep
	began    time.Time // with its first read
	since    time.Time // of the step
	tier     uint32
	sources  []string // copies that have not been tried
	body     []byte
	members  []string // that must hold it
	proven   []string // those that have fsynced it
	extent   *messages.Extent
	proposal uint64
}

func (c *Compactor) start(ctx *runtime.Context, n *messages.NamedExtent) {
	row := c.rows[n.Extent.Volume]
	if row == nil || c.pass.failed[n.Extent.Volume] >= passFailures {
		return // the next pass finds it again
	}
	c.next++
	m := &move{id: c.next, named: n, tier: row.Tier, sources: c.sourcesOf(row), began: ctx.Now()}
	c.pass.moves = append(c.pass.moves, m)
	c.pass.bytes += n.Extent.BodyBytes
	c.to(ctx, m, moveWaiting)
	c.askBandwidth(ctx, m)
}

// sourcesOf lists the verified copies, those on this node and on healthy workers first,
// and after them the damaged ones: what is read is compared with its checksums, and a
// copy is bad in a few places.
func (c *Compactor) sourcesOf(row *messages.VolumeRow) []string {
	var here, healthy, others, damaged []string
	for _, m := range row.Members {
		i, known := slices.BinarySearch(c.nodes, m.Node)
		switch {
		case m.Damaged:
			damaged = append(damaged, m.Node)
		case !whole(m):
		case m.Node == c.cluster.GetMaster():
			here = append(here, m.Node)
		case known && c.workers[i].State == messages.WorkerState_HEALTHY:
			healthy = append(healthy, m.Node)
		default:
			others = append(others, m.Node)
		}
	}
	return slices.Concat(here, healthy, others, damaged)
}

func (c *Compactor) to(ctx *runtime.Context, m *move, step moveStep) {
	m.step, m.since = step, ctx.Now()
}

// moveOf is the move that an answer is for, if it still waits for that.
func (c *Compactor) moveOf(id uint64, step moveStep) *move {
	if c.pass == nil {
		return nil
	}
	i := slices.IndexFunc(c.pass.moves, func(m *move) bool { return m.id == id && m.step == step })
	if i < 0 {
		return nil
	}
	return c.pass.moves[i]
}

// readNext reads from the next copy, or gives the extent up for this pass.
func (c *Compactor) readNext(ctx *runtime.Context, m *move) {
	if len(m.sources) == 0 {
		if c.pass != nil {
			c.pass.failed[m.named.Extent.Volume]++
		}
		c.tellUnread(ctx, m)
		c.end(ctx, m)
		return
	}
	node := m.sources[0]
	m.sources = m.sources[1:]
	c.to(ctx, m, moveReading)
	ctx.Request(ctx.Runtime().Peer(model.NodeID(node), c.cfg.WorkerPath), &messages.ReadExtent{
		Header: &messages.Header{Request: m.id}, Extent: m.named.Extent, To: m.named.Extent.BodyBytes,
	})
}

// tellUnread names a file of which a piece can be read from no copy: to the job with each
// pass, in the log once.
func (c *Compactor) tellUnread(ctx *runtime.Context, m *move) {
	at := m.named
	if !compaction.Damaged(c.rows[at.Extent.Volume]) {
		return
	}
	ctx.Send(ctx.Runtime().Local(c.cfg.ForemanPath), &messages.FileUnread{Volume: at.Extent.Volume, Tenant: at.Tenant, Path: at.Path, Version: at.Version})
	if !c.told[at.Version] {
		if len(c.told) >= maxTold {
			clear(c.told)
		}
		c.told[at.Version] = true
		ctx.Log().Error("a piece of a file can be read from no copy; delete the file or store it again",
			"tenant", at.Tenant, "path", at.Path, "version", at.Version, "volume", at.Extent.Volume, "offset", at.Extent.Offset)
	}
}

// onRead takes verified content and asks for a volume to put it in.
func (c *Compactor) onRead(ctx *runtime.Context, r *messages.ReadExtentReply) {
	m := c.moveOf(r.Header.GetRequest(), moveReading)
	if m == nil {
		return
	}
	if model.CodeOf(r.Error.Err("read")) == model.CodeCorrupt && whole(memberOf(c.rows[m.named.Extent.Volume], r.Node)) {
		ctx.Send(ctx.Runtime().Peer(model.NodeID(r.Node), c.cfg.WorkerPath), &messages.CheckCopy{
			Volume: m.named.Extent.Volume, Cause: "compaction met damage: " + r.Error.GetMessage(),
		})
	}
	if r.Error != nil || uint64(len(r.Body)) != m.named.Extent.BodyBytes {
		c.readNext(ctx, m)
		return
	}
	m.body = r.Body
	c.to(ctx, m, moveBeginning)
	ctx.Request(ctx.Runtime().Local(c.cfg.CoordinatorPath), &messages.Begin{
		Header: &messages.Header{Request: m.id},
		Items:  []*messages.BeginItem{{Item: m.id, Tier: m.tier, Bytes: uint64(len(m.body)), Tenant: m.named.Tenant, Reserved: true}},
	})
}

// onBegun sends the content to the primary of the volume that was granted. A record
// that compaction writes carries session 0, which no gateway has, and the version of
// the file (of an upload its id) as its sequence: by itself it says where it came
// from, and only the log says that it counts.
func (c *Compactor) onBegun(ctx *runtime.Context, r *messages.BeginReply) {
	for _, g := range r.Grants {
		m := c.moveOf(g.Item, moveBeginning)
		if m == nil {
			continue
		}
		if g.Error != nil {
			c.end(ctx, m) // there is no room now; the next pass tries again
			continue
		}
		m.members = g.Members
		c.to(ctx, m, moveAppending)
		ctx.RequestBulk(ctx.Runtime().Peer(model.NodeID(g.Primary), c.cfg.VolumePath(g.Volume, g.Generation)), &messages.AppendRecords{
			Header: &messages.Header{Request: m.id}, Volume: g.Volume, Generation: g.Generation,
			Items: []*messages.AppendItem{{
				Item: m.id, Tenant: m.named.Tenant, Path: m.named.Path, Sequence: max(m.named.Version, m.named.Upload),
				Part: uint32(m.named.Position), Body: m.body,
			}},
		})
	}
}

func (c *Compactor) onAppended(ctx *runtime.Context, r *messages.AppendRecordsReply) {
	for _, item := range r.Items {
		m := c.moveOf(item.Item, moveAppending)
		if m == nil {
			continue
		}
		if item.Error != nil || item.Extent.GetBodyBytes() != m.named.Extent.BodyBytes {
			c.end(ctx, m)
			continue
		}
		m.extent, m.body, m.proven = item.Extent, nil, item.DurableOn
		c.proceed(ctx, m)
	}
}

// proceed commits once every member has fsynced the new record, whatever the tier
// asks of a write: the old copies, which are about to go, were whole and durable.
func (c *Compactor) proceed(ctx *runtime.Context, m *move) {
	if slices.ContainsFunc(m.members, func(node string) bool { return !slices.Contains(m.proven, node) }) {
		c.prove(ctx, m)
		return
	}
	c.to(ctx, m, moveCommitting)
	n := m.named
	c.commit(ctx, &messages.Command{Kind: &messages.Command_MoveExtents{MoveExtents: &messages.MoveExtents{
		Tenant: n.Tenant, Path: n.Path, Version: n.Version, Upload: n.Upload,
		Moves: []*messages.ExtentMove{{Position: n.Position, From: n.Extent, To: m.extent}},
	}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		if c.pass != nil && !o.Dropped {
			c.pass.moved++ // or the file has changed meanwhile, which is as good
		}
		c.end(ctx, m)
	})
	m.proposal = c.next
}

// prove asks the members that have not said so how far their copies are durable.
func (c *Compactor) prove(ctx *runtime.Context, m *move) {
	c.to(ctx, m, moveProving)
	for _, node := range m.members {
		if !slices.Contains(m.proven, node) {
			ctx.Request(ctx.Runtime().Peer(model.NodeID(node), c.cfg.WorkerPath), &messages.ReportVolumes{
				Header:  &messages.Header{Request: m.id, EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term},
				Volumes: []uint64{m.extent.Volume},
			})
		}
	}
}

// onHeld takes a member's word of its copy.
func (c *Compactor) onHeld(ctx *runtime.Context, r *messages.ReportVolumesReply) {
	m := c.moveOf(r.Header.GetRequest(), moveProving)
	if m == nil || r.Error != nil {
		return
	}
	for _, v := range r.Volumes {
		if v.Volume == m.extent.Volume && v.Generation == m.extent.Generation && v.Watermark >= m.extent.Offset+m.extent.RecordBytes && !slices.Contains(m.proven, r.Node) {
			m.proven = append(slices.Clone(m.proven), r.Node)
			if len(m.proven) >= len(m.members) {
				c.proceed(ctx, m)
			}
		}
	}
}
