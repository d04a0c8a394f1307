package gateway

import (
	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// putBatch is the answer to a PutBatch as it comes together.
type putBatch struct {
	from    *actor.PID
	request uint64
	items   []*messages.PutReply
	left    int
}

// onPutBatch takes all items in before any of them is begun, so that they ask for
// their volume with one Begin, are appended with one message and committed with one:
// what one put costs each replica, all of them cost together. Each is a write of its
// own otherwise: it keeps the order of its path, is refused and repeated alone.
func (g *Gateway) onPutBatch(ctx *runtime.Context, m *messages.PutBatch) {
	if len(m.Items) == 0 || len(m.Items) > model.MaxBatchGroupItems {
		ctx.Reply(&messages.PutBatchReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(model.Errorf(model.CodeInvalidArgument, "put",
			"a batch of %d items; 1 to %d travel together", len(m.Items), model.MaxBatchGroupItems))})
		return
	}
	b := &putBatch{from: ctx.Sender(), request: m.Header.GetRequest(), items: make([]*messages.PutReply, len(m.Items)), left: len(m.Items)}
	g.nextID++
	number := g.nextID
	for i, item := range m.Items {
		o, err := newPut(item)
		o.batch = number
		o.reply = func(g *Gateway, ctx *runtime.Context, o *op, result *messages.CommandResult, err error) {
			b.settle(ctx, i, g.outcomeOfPut(o, result, err))
		}
		if err != nil {
			o.reply(g, ctx, o, nil, err)
			continue
		}
		if g.enqueue(ctx, m.Header, o) {
			g.to(ctx, o, needVolume)
			g.begin = append(g.begin, o)
		}
	}
	g.flushBegin(ctx)
}

// settle takes the outcome of item i, and answers when it was the last.
func (b *putBatch) settle(ctx *runtime.Context, i int, outcome *messages.PutReply) {
	b.items[i] = outcome
	if b.left--; b.left == 0 {
		ctx.Send(b.from, &messages.PutBatchReply{Header: &messages.Header{Request: b.request}, Items: b.items})
	}
}
