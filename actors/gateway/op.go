package gateway

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// op is one write on its way:
//
//	admitted ─▶ needVolume ─▶ beginning ─▶ appending ─▶ inLane ─▶ committing ─▶ answered
//	     └─────────────(no content: delete, move, finish)────▲
//	                 ▲────────── volume sealed ───────────────────────┘
//
// Content may be appended while an earlier write to the same path commits; the
// commits themselves go one after the other, in order of arrival.
type op struct {
	id       uint64
	from     *actor.PID
	request  uint64
	deadline time.Time
	state    state
	since    time.Time // of the state
	lanes    []string  // paths (and upload) whose order it keeps

	file    *messages.FileAttributes
	body    []byte
	content bool   // has a body to append, even an empty one
	volume  uint64 // granted
	avoid   []uint64
	appends int // times the body was handed to a volume
	extent  *messages.Extent
	members []string
	durable bool
	// durableOn and inSync are the members that have fsynced the content, and that hold it.
	durableOn, inSync []string
	refusal           error // why there is no volume for it at the moment

	upload   *upload
	opening  bool // of the upload: no content, only room under the tenant's limit
	part     uint64
	batch    uint64 // that it came with: its volume too; 0: alone
	write    uint64 // one number for all tries of a put, and for all parts of an upload
	needs    uint64 // bytes of the write up to this content, or in all if that is known
	reserved bool   // the master holds a quota reservation for the write
	sequence uint64
	command  *messages.Command
	index    uint64                        // of the log, where its outcome comes from
	build    func(o *op) *messages.Command // the command, once the content is durable
	reply    func(g *Gateway, ctx *runtime.Context, o *op, result *messages.CommandResult, err error)
}

type state uint8

const (
	needVolume state = iota
	beginning
	appending
	inLane
	committing
)

// admit takes a write in, or refuses it at the edge of the queue.
func (g *Gateway) admit(ctx *runtime.Context, h *messages.Header, o *op) bool {
	admitted := g.enqueue(ctx, h, o)
	if admitted && o.content {
		g.queueBegin(ctx, o)
	} else if admitted {
		g.enterLane(ctx, o)
	}
	return admitted
}

// enqueue is admit without the first step of the write.
func (g *Gateway) enqueue(ctx *runtime.Context, h *messages.Header, o *op) bool {
	o.from, o.request = ctx.Sender(), h.GetRequest()
	if len(g.ops) >= maxOps || g.held+int64(len(o.body)) > g.cfg.QueueBytes {
		code, why := model.CodeOverloaded, "too many writes are under way"
		if !g.serving() {
			code, why = model.CodeNoMaster, "there is no master and the queue for writes is full"
		}
		o.reply(g, ctx, o, nil, model.Errorf(code, "queue", "%s", why))
		return false
	}
	g.nextID++
	o.id = g.nextID
	if o.write == 0 {
		o.write, o.needs = o.id, uint64(len(o.body))
	}
	o.deadline = ctx.Now().Add(g.budget(h))
	g.ops[o.id] = o
	g.held += int64(len(o.body))
	for _, lane := range o.lanes {
		g.lanes[lane] = append(g.lanes[lane], o)
	}
	return true
}

func (g *Gateway) budget(h *messages.Header) time.Duration {
	if ms := h.GetBudgetMs(); ms > 0 {
		return min(time.Duration(ms)*time.Millisecond, 10*g.cfg.DefaultBudget)
	}
	return g.cfg.DefaultBudget
}

// enterLane waits until every earlier write to the same paths has its outcome.
func (g *Gateway) enterLane(ctx *runtime.Context, o *op) {
	g.to(ctx, o, inLane)
	if g.atHead(o) {
		g.commit(ctx, []*op{o})
	}
}

func (g *Gateway) atHead(o *op) bool {
	for _, lane := range o.lanes {
		if g.lanes[lane][0] != o {
			return false
		}
	}
	return true
}

func (g *Gateway) to(ctx *runtime.Context, o *op, s state) { o.state, o.since = s, ctx.Now() }

// finish answers the requester, once, and lets the next in its lanes go.
func (g *Gateway) finish(ctx *runtime.Context, o *op, result *messages.CommandResult, err error) {
	if g.ops[o.id] != o {
		return
	}
	delete(g.ops, o.id)
	g.held -= int64(len(o.body))
	o.body = nil // lists that have not noticed yet must not keep it
	g.unreserve(ctx, o, result)
	if o.sequence != 0 {
		g.window.done(o.sequence)
	}
	var next []*op
	for _, lane := range o.lanes {
		rest := g.lanes[lane]
		i := slices.Index(rest, o)
		rest = slices.Delete(rest, i, i+1)
		if len(rest) == 0 {
			delete(g.lanes, lane)
			continue
		}
		g.lanes[lane] = rest
		if rest[0].state == inLane && !slices.Contains(next, rest[0]) {
			next = append(next, rest[0])
		}
	}
	o.reply(g, ctx, o, result, err)
	next = slices.DeleteFunc(next, func(n *op) bool { return g.ops[n.id] != n || !g.atHead(n) })
	g.commit(ctx, next)
}

func (g *Gateway) fail(ctx *runtime.Context, o *op, err error) { g.finish(ctx, o, nil, err) }

// inOrder returns the ops by arrival: what is sent must not depend on map order.
func (g *Gateway) inOrder() []*op {
	ids := slices.Sorted(maps.Keys(g.ops))
	ops := make([]*op, len(ids))
	for i, id := range ids {
		ops[i] = g.ops[id]
	}
	return ops
}

// onSweep ends what is past its deadline and repeats steps that got no answer.
func (g *Gateway) onSweep(ctx *runtime.Context) {
	ctx.After(sweepEvery, sweepDue{})
	now := ctx.Now()
	if g.master != nil && g.master.Ready && g.session == 0 {
		g.openSession(ctx)
	}
	g.sweepReads(ctx, now)
	g.sweepForwards(ctx, now)
	g.sweepUploads(ctx, now)
	g.flushOpens(ctx)
	g.begin = slices.DeleteFunc(g.begin, func(o *op) bool { return g.ops[o.id] != o })
	if len(g.ops) == 0 {
		return
	}
	var again []*op
	for _, o := range g.inOrder() {
		switch {
		case now.After(o.deadline):
			g.fail(ctx, o, g.late(o))
		case now.Sub(o.since) < patienceOf(o.state):
		case o.state == committing:
			again = append(again, o)
		case o.state == beginning || o.state == appending:
			if o.state == appending { // its volume does not answer
				o.avoid = appendUnique(o.avoid, o.volume)
			}
			g.queueBegin(ctx, o)
		}
	}
	g.commit(ctx, again)
	if now.Sub(g.beginAt) >= 2*askPatience {
		g.beginReq = 0
	}
	g.flushBegin(ctx)
}

func patienceOf(s state) time.Duration {
	if s == appending {
		return appendPatience
	}
	return stepPatience
}

// late says honestly what is known of a write whose time is up.
func (g *Gateway) late(o *op) error {
	switch {
	case o.sequence != 0:
		return model.Errorf(model.CodeOutcomeUnknown, "commit", "the time ran out before the outcome was known; read to see what happened, or repeat with the same Idempotency-Key")
	case o.refusal != nil:
		return o.refusal
	case !g.serving():
		return model.Errorf(model.CodeNoMaster, "queue", "there was no master within the time allowed; nothing was stored")
	}
	return model.Errorf(model.CodeDeadlineExceeded, "queue", "the time ran out before the write could be committed; nothing was stored")
}

// resendAll repeats every step under way to a new master.
func (g *Gateway) resendAll(ctx *runtime.Context) {
	g.beginReq = 0
	if !g.serving() {
		return
	}
	var again []*op
	for _, o := range g.inOrder() {
		switch {
		case o.state == beginning, o.state == appending && ctx.Now().Sub(o.since) >= appendPatience/2:
			g.queueBegin(ctx, o)
		case o.state == committing, o.state == inLane && g.atHead(o):
			again = append(again, o)
		}
	}
	g.commit(ctx, again)
}

func appendUnique(list []uint64, v uint64) []uint64 {
	if v == 0 || slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}
