package gateway

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// Limits of reads.
const (
	maxReads      = 1 << 15
	maxReadsBatch = 512
)

// reads batches lookups: one ReadIndex covers all that had arrived before it was
// sent, and whatever arrives meanwhile goes with the next.
type reads struct {
	waiting []*read
	batch   *readBatch            // waits for its index
	lookups map[uint64]*readBatch // wait for the catalog
	count   int
	shown   uint64    // the highest applied index that was shown
	lostAt  time.Time // since when there is no master; zero: there is one
}

// uncheckedAfter without a master, reads are answered without a quorum's word.
const uncheckedAfter = time.Second

type read struct {
	from     *actor.PID
	item     *messages.LookupItem
	deadline time.Time
}

type readBatch struct {
	id        uint64
	items     []*read
	since     time.Time
	unchecked bool
	master    model.NodeID // whose word it was
}

func (g *Gateway) onRead(ctx *runtime.Context, msg any) {
	r := &read{from: ctx.Sender(), item: &messages.LookupItem{}}
	var h *messages.Header
	var err error
	switch m := msg.(type) {
	case *messages.Stat:
		h, r.item.Kind, err = m.Header, &messages.LookupItem_Stat{Stat: m}, checkName(m.Tenant, m.Path)
	case *messages.ReadManifest:
		h, r.item.Kind, err = m.Header, &messages.LookupItem_Manifest{Manifest: m}, checkName(m.Tenant, m.Path)
	case *messages.List:
		h, r.item.Kind, err = m.Header, &messages.LookupItem_List{List: m}, checkList(m)
	case *messages.ClusterStatus:
		h, r.item.Kind = m.Header, &messages.LookupItem_Status{Status: m}
	case *messages.DescribeVolumes:
		h, r.item.Kind = m.Header, &messages.LookupItem_DescribeVolumes{DescribeVolumes: m}
	case *messages.FindAffected:
		h, r.item.Kind = m.Header, &messages.LookupItem_FindAffected{FindAffected: m}
	}
	patience := g.budget(h)
	if r.item.GetStatus() != nil {
		patience = min(patience, questionPatience)
	}
	if err == nil && g.reads.count >= maxReads {
		err = model.Errorf(model.CodeOverloaded, "read", "%d reads are under way; try again", g.reads.count)
	}
	g.reads.count++
	if err != nil {
		g.answerRead(ctx, r, messages.RefusedAnswer(r.item, messages.FromError(err)))
		return
	}
	r.deadline = ctx.Now().Add(patience)
	g.reads.waiting = append(g.reads.waiting, r)
	g.flushReads(ctx)
}

func checkName(tenant, path string) error {
	if err := model.CheckTenant(tenant); err != nil {
		return err
	}
	return model.CheckPath(path)
}

func checkList(m *messages.List) error {
	if err := model.CheckTenant(m.Tenant); err != nil {
		return err
	}
	return model.CheckPrefix(m.Prefix)
}

// flushReads asks for an index for all that waits, one batch at a time.
func (g *Gateway) flushReads(ctx *runtime.Context) {
	if g.serving() {
		g.reads.lostAt = time.Time{}
	} else if g.reads.lostAt.IsZero() {
		g.reads.lostAt = ctx.Now()
	}
	if g.reads.batch != nil || len(g.reads.waiting) == 0 {
		return
	}
	if !g.serving() {
		g.flushUnchecked(ctx)
		return
	}
	n := min(len(g.reads.waiting), maxReadsBatch)
	g.nextID++
	b := &readBatch{id: g.nextID, items: g.reads.waiting[:n:n], since: ctx.Now(), master: model.NodeID(g.master.Node)}
	g.reads.waiting = slices.Clone(g.reads.waiting[n:])
	g.reads.batch = b
	ctx.Request(g.onMasterNode(ctx, g.cfg.LogPath), &messages.ReadIndex{Header: &messages.Header{Request: b.id}})
}

// flushUnchecked answers from the catalog of this node while there is no master,
// never from an index older than one that was shown before.
func (g *Gateway) flushUnchecked(ctx *runtime.Context) {
	if g.reads.shown == 0 && g.master == nil || ctx.Now().Sub(g.reads.lostAt) < uncheckedAfter {
		return
	}
	n := min(len(g.reads.waiting), maxReadsBatch)
	g.nextID++
	b := &readBatch{id: g.nextID, items: g.reads.waiting[:n:n], since: ctx.Now(), unchecked: true}
	g.reads.waiting = slices.Clone(g.reads.waiting[n:])
	g.lookup(ctx, b, ctx.Runtime().Local(g.cfg.CatalogPath), max(1, g.reads.shown))
}

// recallReads takes back what was asked of a master that is gone: its successor, or
// while there is none the own catalog, answers it.
func (g *Gateway) recallReads() {
	if b := g.reads.batch; b != nil {
		g.reads.waiting = append(b.items, g.reads.waiting...)
		g.reads.batch = nil
	}
	for _, id := range slices.Sorted(maps.Keys(g.reads.lookups)) {
		if b := g.reads.lookups[id]; !b.unchecked {
			delete(g.reads.lookups, id)
			g.reads.waiting = append(b.items, g.reads.waiting...)
		}
	}
}

// lookup asks a catalog at or above an index.
func (g *Gateway) lookup(ctx *runtime.Context, b *readBatch, catalog *actor.PID, at uint64) {
	ask := &messages.Lookup{Header: &messages.Header{Request: b.id}, MinApplied: at, Items: make([]*messages.LookupItem, len(b.items))}
	for i, r := range b.items {
		ask.Items[i] = r.item
	}
	b.since = ctx.Now()
	g.reads.lookups[b.id] = b
	ctx.Request(catalog, ask)
}

func (g *Gateway) onReadIndex(ctx *runtime.Context, m *messages.ReadIndexReply) {
	b := g.reads.batch
	if b == nil || b.id != m.Header.GetRequest() {
		return
	}
	g.reads.batch = nil
	if m.Error != nil {
		// The leader is gone or just comes: the reads wait for the next sweep.
		g.reads.waiting = append(b.items, g.reads.waiting...)
		return
	}
	g.lookup(ctx, b, ctx.Runtime().Peer(b.master, g.cfg.CatalogPath), m.Index)
	g.flushReads(ctx)
}

func (g *Gateway) onLookup(ctx *runtime.Context, m *messages.LookupReply) {
	b, ok := g.reads.lookups[m.Header.GetRequest()]
	if !ok || len(m.Answers) != len(b.items) {
		return
	}
	delete(g.reads.lookups, b.id)
	g.reads.shown = max(g.reads.shown, m.Applied)
	for i, r := range b.items {
		if b.unchecked {
			mark(m.Answers[i])
		}
		g.answerRead(ctx, r, m.Answers[i])
	}
}

// mark says of an answer of our own catalog that no quorum was asked.
func mark(a *messages.LookupAnswer) {
	switch k := a.Kind.(type) {
	case *messages.LookupAnswer_Stat:
		k.Stat.Unchecked = true
	case *messages.LookupAnswer_Manifest:
		k.Manifest.Unchecked = true
	case *messages.LookupAnswer_List:
		k.List.Unchecked = true
	case *messages.LookupAnswer_Status:
		k.Status.Unchecked = true
	case *messages.LookupAnswer_DescribeVolumes:
		k.DescribeVolumes.Unchecked = true
	case *messages.LookupAnswer_FindAffected:
		k.FindAffected.Unchecked = true
	}
}

func (g *Gateway) answerRead(ctx *runtime.Context, r *read, a *messages.LookupAnswer) {
	g.reads.count--
	var reply proto.Message
	switch k := a.Kind.(type) {
	case *messages.LookupAnswer_Stat:
		reply = k.Stat
	case *messages.LookupAnswer_Manifest:
		reply = k.Manifest
	case *messages.LookupAnswer_List:
		reply = k.List
	case *messages.LookupAnswer_Status:
		g.completeStatus(k.Status)
		reply = k.Status
	case *messages.LookupAnswer_DescribeVolumes:
		reply = k.DescribeVolumes
	case *messages.LookupAnswer_FindAffected:
		reply = k.FindAffected
	default:
		return
	}
	ctx.Send(r.from, reply)
}

// sweepReads repeats what got no answer and ends what is past its deadline.
func (g *Gateway) sweepReads(ctx *runtime.Context, now time.Time) {
	if b := g.reads.batch; b != nil && now.Sub(b.since) >= stepPatience {
		g.reads.waiting = append(b.items, g.reads.waiting...)
		g.reads.batch = nil
	}
	for _, id := range slices.Sorted(maps.Keys(g.reads.lookups)) {
		if b := g.reads.lookups[id]; now.Sub(b.since) >= stepPatience {
			delete(g.reads.lookups, id)
			g.reads.waiting = append(b.items, g.reads.waiting...)
		}
	}
	kept := g.reads.waiting[:0:0]
	for _, r := range g.reads.waiting {
		if now.After(r.deadline) {
			g.answerRead(ctx, r, messages.RefusedAnswer(r.item, messages.FromError(g.lateRead())))
			continue
		}
		kept = append(kept, r)
	}
	g.reads.waiting = kept
	g.flushReads(ctx)
}

func (g *Gateway) lateRead() error {
	if !g.serving() {
		return g.noMaster("read")
	}
	return model.Errorf(model.CodeDeadlineExceeded, "read", "the time ran out before the read could be checked")
}
