package worker

import (
	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// maxVerifying copies are read for the master at once; the next order is told to come again.
const maxVerifying = 8

// verifyAsk is who wants to know whether a copy is sound.
type verifyAsk struct {
	to *actor.PID
	m  *messages.VerifyCopy
}

// verifyCopy reads a copy, because another one is to go.
func (w *Worker) verifyCopy(ctx *runtime.Context, to *actor.PID, m *messages.VerifyCopy) {
	ask := &verifyAsk{to, m}
	if err := w.sealedHere(m); err != nil {
		w.verified(ctx, ask, err)
		return
	}
	c := w.verifying[m.Volume]
	switch {
	case c != nil && c.ask.m.ReplicaGen == m.ReplicaGen && c.ask.m.Generation == m.Generation:
		c.ask = ask // asked again; the answer will come
		return
	case c != nil: // what is being read is another copy than this one
		w.verified(ctx, ask, model.Errorf(model.CodeOverloaded, "verify copy", "an earlier copy of volume %d is being read; order it again later", m.Volume))
		return
	case len(w.verifying) >= maxVerifying:
		w.verified(ctx, ask, model.Errorf(model.CodeOverloaded, "verify copy", "%d copies are being read; order it again later", maxVerifying))
		return
	}
	c = &check{by: byOrder, volume: m.Volume, ask: ask}
	w.verifying[m.Volume] = c
	volumes := w.cfg.Volumes
	ctx.Offload(func() any {
		copy, err := volumes.OpenCheck(model.VolumeID(c.volume))
		c.copy = copy
		return &checkOpened{check: c, err: err}
	})
}

// sealedHere reports why what is here is not the sealed copy that was asked for.
func (w *Worker) sealedHere(m *messages.VerifyCopy) error {
	state, here := w.cfg.Volumes.State(model.VolumeID(m.Volume))
	switch {
	case !here:
		return model.Errorf(model.CodeConflict, "verify copy", "there is no copy of volume %d", m.Volume)
	case state.Damage != "":
		return model.Errorf(model.CodeCorrupt, "verify copy", "%s", state.Damage)
	case !state.Sealed || state.Generation != m.Generation || state.ReplicaGen != m.ReplicaGen || state.End < m.SealedEnd:
		return model.Errorf(model.CodeConflict, "verify copy",
			"the copy of volume %d is of generation %d and replica generation %d, sealed: %v, and ends at byte %d; it should be sealed as %d and %d at byte %d",
			m.Volume, state.Generation, state.ReplicaGen, state.Sealed, state.End, m.Generation, m.ReplicaGen, m.SealedEnd)
	}
	return nil
}

// endVerify answers with what was found. What is here may have changed while it was read.
func (w *Worker) endVerify(ctx *runtime.Context, m *checkEnded) {
	ask := m.check.ask
	delete(w.verifying, m.check.volume)
	err := m.err
	switch {
	case m.cause != "":
		err = model.Errorf(model.CodeCorrupt, "verify copy", "%s", m.cause)
	case m.gone:
		err = model.Errorf(model.CodeUnavailable, "verify copy", "the copy of volume %d could not be opened", ask.m.Volume)
	case err == nil:
		err = w.sealedHere(ask.m)
	}
	w.verified(ctx, ask, err)
}

func (w *Worker) verified(ctx *runtime.Context, ask *verifyAsk, err error) {
	ctx.Send(ask.to, &messages.VerifyCopyReply{
		Header: messages.ReplyHeader(ask.m.Header), Volume: ask.m.Volume, ReplicaGen: ask.m.ReplicaGen,
		Node: string(ctx.Runtime().Node()), Error: messages.FromError(err),
	})
}
