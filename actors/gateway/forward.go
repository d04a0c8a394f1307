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

// headed is a message with a header.
type headed interface {
	proto.Message
	GetHeader() *messages.Header
}

// forward is a question for the master's controller on its way there.
type forward struct {
	from     *actor.PID
	request  uint64
	msg      headed // ours: a copy under our own number
	sent     bool
	deadline time.Time
}

const maxForwards = 1000

// onForward passes a question on to the master, or keeps it until there is one.
func (g *Gateway) onForward(ctx *runtime.Context, m headed) {
	f := &forward{from: ctx.Sender(), request: m.GetHeader().GetRequest(), msg: proto.Clone(m).(headed), deadline: ctx.Now().Add(g.budget(m.GetHeader()))}
	if len(g.forwards) >= maxForwards {
		g.refuseForward(ctx, f, model.Errorf(model.CodeOverloaded, "ask the master", "%d questions are under way; try again", maxForwards))
		return
	}
	g.nextID++
	g.forwards[g.nextID] = f
	if h := f.msg.GetHeader(); h != nil {
		h.Request = g.nextID
	}
	g.sendForward(ctx, f)
}

func (g *Gateway) sendForward(ctx *runtime.Context, f *forward) {
	if g.master.GetReady() && !f.sent {
		f.sent = true
		ctx.Request(g.onMasterNode(ctx, g.cfg.ControllerPath), f.msg)
	}
}

func (g *Gateway) onForwarded(ctx *runtime.Context, m headed) {
	f := g.forwards[m.GetHeader().GetRequest()]
	if f == nil {
		return
	}
	delete(g.forwards, m.GetHeader().GetRequest())
	answer := proto.Clone(m).(headed)
	answer.GetHeader().Request = f.request
	ctx.Send(f.from, answer)
}

// sweepForwards sends what waited for a master and ends what is late.
func (g *Gateway) sweepForwards(ctx *runtime.Context, now time.Time) {
	for _, id := range slices.Sorted(maps.Keys(g.forwards)) {
		f := g.forwards[id]
		if now.After(f.deadline) {
			delete(g.forwards, id)
			g.refuseForward(ctx, f, model.Errorf(model.CodeNoMaster, "ask the master", "no master answered within the time allowed"))
			continue
		}
		g.sendForward(ctx, f)
	}
}

func (g *Gateway) refuseForward(ctx *runtime.Context, f *forward, err error) {
	h, e := &messages.Header{Request: f.request}, messages.FromError(err)
	var r proto.Message
	switch f.msg.(type) {
	case *messages.ListWorkers:
		r = &messages.ListWorkersReply{Header: h, Error: e}
	case *messages.DescribeMaster:
		r = &messages.DescribeMasterReply{Header: h, Error: e}
	case *messages.PromoteWorker:
		r = &messages.PromoteWorkerReply{Header: h, Error: e}
	case *messages.RemoveNode:
		r = &messages.RemoveNodeReply{Header: h, Error: e}
	case *messages.ReleaseBrake:
		r = &messages.ReleaseBrakeReply{Header: h, Error: e}
	default:
		return
	}
	ctx.Send(f.from, r)
}
