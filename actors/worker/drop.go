package worker

import (
	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// dropped is the result of deleting a copy.
type dropped struct {
	to  *actor.PID
	ask *messages.DropCopy
	err error
}

// dropCopy deletes the copy that is named, or sets it aside. One that is being
// settled as a newer one stays. One that still takes appends has missed, with its
// process paused or cut off, that its volume was sealed and given to others: no
// replica generation is ever given twice, so it is fenced and goes like the rest.
func (w *Worker) dropCopy(ctx *runtime.Context, to *actor.PID, m *messages.DropCopy) {
	switch s := w.settling[m.Volume]; {
	case s == nil:
	case s.ask.ReplicaGen > m.ReplicaGen:
		w.onDropped(ctx, &dropped{to: to, ask: m, err: model.Errorf(model.CodeConflict, "drop copy",
			"volume %d is being settled as replica generation %d; it stays", m.Volume, s.ask.ReplicaGen)})
		return
	case s.ask.ReplicaGen == m.ReplicaGen:
		w.endSettle(ctx, s, &settled{ask: s.ask, end: s.end, err: model.Errorf(model.CodeConflict, "settle volume", "the copy of volume %d is dropped", m.Volume)})
	}
	state, here := w.cfg.Volumes.State(model.VolumeID(m.Volume))
	named := here && state.ReplicaGen == m.ReplicaGen
	if o := w.open[m.Volume]; o != nil && named {
		ctx.Stop(o.pid)
		delete(w.open, m.Volume)
	}
	volumes, fence := w.cfg.Volumes, named && !state.Fenced && !state.Broken
	ctx.Offload(func() any { return &dropped{to: to, ask: m, err: drop(volumes, m, fence)} })
}

func drop(volumes *store.Volumes, m *messages.DropCopy, fence bool) error {
	id := model.VolumeID(m.Volume)
	if fence { // it may take appends, also of a volume actor that an earlier life of this one began
		if _, err := volumes.Fence(id); err != nil {
			return err
		}
	}
	if m.SetAside {
		return volumes.SetAside(id, m.ReplicaGen, m.Cause)
	}
	return volumes.Drop(id, m.ReplicaGen)
}

func (w *Worker) onDropped(ctx *runtime.Context, m *dropped) {
	if m.err == nil {
		ctx.Log().Info("a copy was dropped", "volume", m.ask.Volume, "replica_gen", m.ask.ReplicaGen, "set_aside", m.ask.SetAside, "cause", m.ask.Cause)
	}
	w.noteDisk(ctx, m.ask.Volume, m.err)
	ctx.Send(m.to, &messages.DropCopyReply{
		Header: messages.ReplyHeader(m.ask.Header), Volume: m.ask.Volume, ReplicaGen: m.ask.ReplicaGen,
		Node: string(ctx.Runtime().Node()), Error: messages.FromError(m.err),
	})
}
