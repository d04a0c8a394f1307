package gateway

import (
	"errors"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// maxBeginItems bounds one Begin; what has queued beyond it travels in the next.
const maxBeginItems = 1024

// retryBegin asks for a volume again after a short pause.
type retryBegin struct{}

// onRetryBegin lets those that were refused a volume ask again.
func (g *Gateway) onRetryBegin(ctx *runtime.Context) {
	g.begin = append(g.begin, g.later...)
	g.later = nil
	g.flushBegin(ctx)
}

// queueBegin asks for a volume for o's content with the next Begin. Whatever has
// queued while one Begin is under way travels together in the next.
func (g *Gateway) queueBegin(ctx *runtime.Context, o *op) {
	g.forgetVolume(ctx, o)
	g.begin = append(g.begin, o)
	g.flushBegin(ctx)
}

// elsewhere sends content whose volume failed to another one. Being granted one again
// that was to be avoided means that there is no other: then it is asked after a pause.
func (g *Gateway) elsewhere(ctx *runtime.Context, o *op) {
	again := slices.Contains(o.avoid, o.volume)
	o.avoid = appendUnique(o.avoid, o.volume)
	if !again {
		g.queueBegin(ctx, o)
		return
	}
	g.forgetVolume(ctx, o)
	g.later = append(g.later, o)
	ctx.After(retryPause, retryBegin{})
}

// forgetVolume takes back what was done for o's content.
func (g *Gateway) forgetVolume(ctx *runtime.Context, o *op) {
	g.to(ctx, o, needVolume)
	o.extent, o.command, o.volume = nil, nil, 0
	if o.sequence != 0 {
		// Refused for good under this sequence. A second copy of it may still be on
		// its way: its answer must not be taken for that of the next.
		g.window.done(o.sequence)
		o.sequence = 0
		delete(g.ops, o.id)
		g.nextID++
		o.id = g.nextID
		g.ops[o.id] = o
	}
}

func (g *Gateway) flushBegin(ctx *runtime.Context) {
	if len(g.begin) == 0 || g.beginReq != 0 || !g.serving() {
		return
	}
	m := &messages.Begin{Session: g.session, Items: make([]*messages.BeginItem, 0, min(len(g.begin), maxBeginItems))}
	rest := g.begin[:0]
	for _, o := range g.begin {
		if g.ops[o.id] != o || o.state != needVolume {
			continue // answered meanwhile
		}
		if len(m.Items) == maxBeginItems {
			rest = append(rest, o)
			continue
		}
		g.resolveTier(o)
		g.to(ctx, o, beginning)
		m.Items = append(m.Items, &messages.BeginItem{
			Item: o.id, Tier: o.file.Tier, Bytes: uint64(len(o.body)), Tenant: o.file.Tenant, Avoid: o.avoid,
			Path: o.file.Path, Write: o.write, WriteBytes: o.needs, Upload: o.upload.inLog(), Batch: o.batch, ReserveOnly: o.opening,
		})
	}
	clear(g.begin[len(rest):])
	g.begin = rest
	if len(m.Items) == 0 {
		return
	}
	g.nextID++
	g.beginReq, g.beginAt = g.nextID, ctx.Now()
	m.Header = &messages.Header{Request: g.beginReq}
	ctx.Request(g.onMasterNode(ctx, g.cfg.CoordinatorPath), m)
}

// resolveTier settles where the content goes: what was asked, or what the path says.
func (g *Gateway) resolveTier(o *op) {
	if o.upload != nil {
		if o.upload.file.Tier == 0 {
			o.upload.file.Tier = uint32(g.tierOf(o.upload.file))
		}
		o.file.Tier = o.upload.file.Tier
		return
	}
	if o.file.Tier == 0 {
		o.file.Tier = uint32(g.tierOf(o.file))
	}
}

func (g *Gateway) tierOf(f *messages.FileAttributes) model.Tier {
	if t := model.Tier(f.TierAsked); t.Valid() {
		return t
	}
	if g.tiers == nil {
		return model.TierCritical
	}
	return g.tiers.For(f.Path)
}

// onBegun sends each content to the volume it was granted.
func (g *Gateway) onBegun(ctx *runtime.Context, m *messages.BeginReply) {
	if m.Header.GetRequest() == g.beginReq {
		g.beginReq = 0
	}
	var order []target
	batches := make(map[target]*messages.AppendRecords)
	bytes := make(map[target]int)
	retry := false
	for _, grant := range m.Grants {
		o, ok := g.ops[grant.Item]
		if !ok || o.state != beginning {
			g.strayGrant(ctx, grant, o)
			continue
		}
		g.noteReserved(o, grant.Reserved)
		if grant.Error != nil {
			retry = g.refused(ctx, o, grant.Error.Err("begin")) || retry
			continue
		}
		if o.opening {
			g.finish(ctx, o, nil, nil)
			continue
		}
		t := target{grant.Volume, grant.Generation, grant.Primary}
		b := batches[t]
		if b == nil || bytes[t]+len(o.body) > maxBulkBytes {
			if b == nil {
				order = append(order, t)
			} else {
				g.appendTo(ctx, t, b)
			}
			b = &messages.AppendRecords{Header: &messages.Header{}, Volume: t.volume, Generation: t.generation}
			batches[t], bytes[t] = b, 0
		}
		bytes[t] += len(o.body)
		o.volume, o.members = grant.Volume, grant.Members
		o.appends++
		g.to(ctx, o, appending)
		b.Items = append(b.Items, &messages.AppendItem{
			Item: o.id, Tenant: o.file.Tenant, Path: o.file.Path, Session: g.session, Sequence: o.id,
			Part: uint32(o.part), Body: o.body,
		})
	}
	for _, t := range order {
		g.appendTo(ctx, t, batches[t])
	}
	if retry {
		ctx.After(retryPause, retryBegin{})
	}
	g.flushBegin(ctx)
}

// target is a volume that content goes to.
type target struct {
	volume, generation uint64
	primary            string
}

// appendTo sends content to a volume's primary and watches it: when its process is
// gone, the content goes elsewhere at once.
func (g *Gateway) appendTo(ctx *runtime.Context, t target, m *messages.AppendRecords) {
	pid := ctx.Runtime().Peer(model.NodeID(t.primary), g.cfg.VolumePath(t.volume, t.generation))
	if key := pid.Address + "/" + pid.Id; g.watched[key] == 0 {
		g.watched[key] = t.volume
		ctx.Watch(pid)
	}
	ctx.RequestBulk(pid, m)
}

// onPrimaryGone sends what was on its way to a volume elsewhere.
func (g *Gateway) onPrimaryGone(ctx *runtime.Context, m *actor.Terminated) {
	key := m.Who.Address + "/" + m.Who.Id
	volume := g.watched[key]
	delete(g.watched, key)
	for _, o := range g.inOrder() {
		if o.state == appending && o.volume == volume {
			g.elsewhere(ctx, o)
		}
	}
}

// refused handles an error on the way of the content. What another try can mend
// is queued again, without the volume that failed; the rest is the answer.
func (g *Gateway) refused(ctx *runtime.Context, o *op, err error) (again bool) {
	switch model.CodeOf(err) {
	case model.CodeVolumeSealed:
		o.avoid = appendUnique(o.avoid, o.volume)
	case model.CodeUnavailable, model.CodeNoMaster, model.CodeStaleEpoch:
	case model.CodeInsufficientReplicas:
		o.refusal = err // the answer, should it last
	default:
		g.fail(ctx, o, err)
		return false
	}
	g.to(ctx, o, needVolume)
	o.volume = 0
	g.later = append(g.later, o)
	return true
}

// onAppended collects durable content and commits what is next in its lane.
func (g *Gateway) onAppended(ctx *runtime.Context, m *messages.AppendRecordsReply) {
	var ready []*op
	retry := false
	for _, item := range m.Items {
		o, ok := g.ops[item.Item]
		if !ok || o.state != appending || o.volume != m.Volume {
			continue // answered meanwhile, or it went to another volume
		}
		if item.Error != nil {
			err := item.Error.Err("append")
			if code := model.CodeOf(err); code == model.CodeInternal || code == model.CodeCorrupt {
				// This volume's disk failed; another one may take it.
				err = model.Errorf(model.CodeVolumeSealed, "append", "%w", err)
			}
			retry = g.refused(ctx, o, err) || retry
			continue
		}
		o.extent, o.durable, o.durableOn, o.inSync = item.Extent, item.Durable, item.DurableOn, item.InSync
		g.to(ctx, o, inLane)
		if g.atHead(o) {
			ready = append(ready, o)
		}
	}
	g.commit(ctx, ready)
	if retry {
		ctx.After(retryPause, retryBegin{})
	}
}

// commit proposes ops that are at the head of their lanes, in one message. An op
// that was proposed before goes again under the same sequence.
func (g *Gateway) commit(ctx *runtime.Context, ops []*op) {
	if len(ops) == 0 || !g.serving() {
		return
	}
	m := &messages.Commit{Header: &messages.Header{}, Commands: make([]*messages.Command, 0, len(ops))}
	bytes := 0
	for _, o := range ops {
		if g.ops[o.id] != o {
			continue
		}
		if o.command == nil {
			o.command = o.build(o)
			if o.command == nil {
				g.fail(ctx, o, model.Errorf(model.CodeConflict, "upload", "an earlier part of the upload failed; begin again"))
				continue
			}
			o.sequence = g.window.next()
			o.command.Proposal, o.command.Session, o.command.Sequence = o.id, g.session, o.sequence
			o.command.ProposedUnixMs = ctx.Now().UnixMilli()
		}
		g.to(ctx, o, committing)
		c := messages.CopyCommand(o.command) // what was sent before is not ours to change
		c.LowWater, c.Reserved = g.window.low, g.settles(o)
		if bytes += proto.Size(c); bytes > maxCommitBytes && len(m.Commands) > 0 {
			ctx.Request(g.onMasterNode(ctx, g.cfg.CoordinatorPath), m)
			m, bytes = &messages.Commit{Header: &messages.Header{}}, proto.Size(c)
		}
		m.Commands = append(m.Commands, c)
	}
	if len(m.Commands) > 0 {
		ctx.Request(g.onMasterNode(ctx, g.cfg.CoordinatorPath), m)
	}
}

// onCommitted takes the outcomes of commands.
func (g *Gateway) onCommitted(ctx *runtime.Context, m *messages.CommitReply) {
	for _, out := range m.Outcomes {
		if out.Proposal == g.openID {
			g.onSessionOpened(ctx, out)
			continue
		}
		o, ok := g.ops[out.Proposal]
		if !ok || o.state != committing {
			continue
		}
		if out.Dropped {
			// It never entered the log; the same sequence goes again at the next sweep.
			o.since = ctx.Now().Add(retryPause - stepPatience)
			continue
		}
		o.index = out.Index
		g.settle(ctx, o, out.Result)
	}
}

// settle ends an op by its result, or sends its content to another volume.
func (g *Gateway) settle(ctx *runtime.Context, o *op, result *messages.CommandResult) {
	err := result.Err("commit")
	switch {
	case err == nil:
		g.finish(ctx, o, result, nil)
	case model.CodeOf(err) == model.CodeVolumeSealed && o.content:
		g.elsewhere(ctx, o)
	case model.CodeOf(err) == model.CodeOutcomeUnknown && unknownSession(err):
		g.sessionLost(ctx)
	default:
		g.finish(ctx, o, result, err)
	}
}

func unknownSession(err error) bool {
	var e *model.Error
	return errors.As(err, &e) && e.Details["reason"] == "no_session"
}
