package worker

import (
	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// order is a command of a master that waits until its epoch is durable.
type order struct {
	from *actor.PID
	m    orderMessage
}

const maxOrders = 10_000

// raised is the result of making a higher epoch durable.
type raised struct {
	epoch model.Epoch
	err   error
}

// onOrder obeys a master of the highest epoch seen. A higher one is durable before
// anything is done in its name, so that after a restart, too, nobody of an older
// epoch is obeyed.
func (w *Worker) onOrder(ctx *runtime.Context, m orderMessage) {
	o := order{from: ctx.Sender(), m: m}
	epoch := model.Epoch{Generation: m.GetHeader().GetEpochGeneration(), Term: m.GetHeader().GetEpochTerm()}
	switch {
	case epoch.Less(w.epoch):
		w.refuse(ctx, o, model.Errorf(model.CodeStaleEpoch, "obey", "this worker has obeyed epoch %v; %v is over", w.epoch, epoch))
	case epoch == w.epoch && !w.raising:
		w.obey(ctx, o)
	case len(w.orders) >= maxOrders:
		w.refuse(ctx, o, model.Errorf(model.CodeOverloaded, "obey", "%d commands of masters wait", len(w.orders)))
	default:
		w.orders = append(w.orders, o)
		w.raise(ctx, epoch)
	}
}

func (w *Worker) raise(ctx *runtime.Context, epoch model.Epoch) {
	if w.raising {
		return
	}
	w.raising = true
	update := w.cfg.UpdateNode
	w.atDisk(ctx, func() any {
		return &raised{epoch: epoch, err: update(func(n *store.NodeFile) {
			if n.HighestEpoch.Less(epoch) {
				n.HighestEpoch = epoch
			}
		})}
	})
}

func (w *Worker) onRaised(ctx *runtime.Context, m *raised) {
	w.raising = false
	orders := w.orders
	w.orders = nil
	if m.err != nil {
		ctx.Log().Error("a new master's epoch cannot be made durable, so it is not obeyed yet", "epoch", m.epoch.String(), "error", m.err)
		for _, o := range orders {
			w.refuse(ctx, o, m.err)
		}
		return
	}
	if w.epoch.Less(m.epoch) {
		w.epoch = m.epoch
	}
	for _, o := range orders {
		w.again(ctx, o)
	}
}

// again judges an order anew: a still higher epoch may have come meanwhile.
func (w *Worker) again(ctx *runtime.Context, o order) {
	h := o.m.GetHeader()
	epoch := model.Epoch{Generation: h.GetEpochGeneration(), Term: h.GetEpochTerm()}
	switch {
	case epoch.Less(w.epoch):
		w.refuse(ctx, o, model.Errorf(model.CodeStaleEpoch, "obey", "this worker has obeyed epoch %v; %v is over", w.epoch, epoch))
	case epoch == w.epoch && !w.raising:
		w.obey(ctx, o)
	default:
		w.orders = append(w.orders, o)
		w.raise(ctx, epoch)
	}
}

func (w *Worker) obey(ctx *runtime.Context, o order) {
	w.master = actor.NewPID(o.from.GetAddress(), w.cfg.CoordinatorPath)
	switch m := o.m.(type) {
	case *messages.ReportVolumes:
		w.reportVolumes(ctx, o.from, m)
	case *messages.OpenVolume:
		w.openVolume(ctx, o.from, m)
	case *messages.FenceVolume:
		w.fenceVolume(ctx, o.from, m)
	case *messages.SettleVolume:
		w.settleVolume(ctx, o.from, m)
	case *messages.DropCopy:
		w.dropCopy(ctx, o.from, m)
	case *messages.VerifyCopy:
		w.verifyCopy(ctx, o.from, m)
	case *messages.ScrubCopies:
		w.scrubCopies(ctx, o.from, m)
	}
}

// refuse answers an order that is not obeyed.
func (w *Worker) refuse(ctx *runtime.Context, o order, err error) {
	node, e := string(ctx.Runtime().Node()), messages.FromError(err)
	switch m := o.m.(type) {
	case *messages.ReportVolumes:
		ctx.Send(o.from, &messages.ReportVolumesReply{Header: messages.ReplyHeader(m.Header), Node: node, Error: e})
	case *messages.OpenVolume:
		ctx.Send(o.from, w.openReply(ctx, m, err))
	case *messages.FenceVolume:
		ctx.Send(o.from, &messages.FenceVolumeReply{Header: messages.ReplyHeader(m.Header), Volume: m.Volume, Generation: m.Generation, Node: node, Error: e})
	case *messages.SettleVolume:
		w.settleReply(ctx, o.from, m.Header, &settled{ask: m, err: err})
	case *messages.DropCopy:
		ctx.Send(o.from, &messages.DropCopyReply{Header: messages.ReplyHeader(m.Header), Volume: m.Volume, ReplicaGen: m.ReplicaGen, Node: node, Error: e})
	case *messages.VerifyCopy:
		w.verified(ctx, &verifyAsk{o.from, m}, err)
	case *messages.ScrubCopies:
		ctx.Send(o.from, &messages.ScrubCopiesReply{Header: messages.ReplyHeader(m.Header), Job: m.Job, Node: node, Error: e})
	}
}
