package worker

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/pace"
	"tiercel/messages"
	"tiercel/store"
)

// readDone is an answer with bytes on its way out.
type readDone struct {
	to    *actor.PID
	reply proto.Message
}

// onReadExtent reads content for an edge on any node.
func (w *Worker) onReadExtent(ctx *runtime.Context, m *messages.ReadExtent) {
	to, volumes, node := ctx.Sender(), w.cfg.Volumes, string(ctx.Runtime().Node())
	ctx.Offload(func() any {
		e := m.Extent
		body, err := volumes.ReadBody(model.VolumeID(e.GetVolume()), e.GetOffset(), e.GetRecordBytes(), e.GetHeaderCrc32C(), m.From, m.To, nil)
		return &readDone{to: to, reply: &messages.ReadExtentReply{
			Header: messages.ReplyHeader(m.Header), Body: body, Node: node, Error: messages.FromError(err),
		}}
	})
}

// onReadVolume reads raw bytes for a copy that is being settled elsewhere.
func (w *Worker) onReadVolume(ctx *runtime.Context, m *messages.ReadVolume) {
	to, volumes := ctx.Sender(), w.cfg.Volumes
	ctx.Offload(func() any {
		r := &messages.ReadVolumeReply{Header: messages.ReplyHeader(m.Header), Volume: m.Volume, Offset: m.Offset}
		err := checkSource(volumes, m)
		if err == nil {
			r.Data, r.Watermark, err = volumes.ReadRaw(model.VolumeID(m.Volume), m.Offset, int(min(m.Bytes, pace.MaxPieceBytes)))
		}
		r.Error = messages.FromError(err)
		return &readDone{to: to, reply: r}
	})
}

// checkSource refuses to spread what is not known to be right: raw bytes carry no
// proof of their own.
func checkSource(volumes *store.Volumes, m *messages.ReadVolume) error {
	const op = "read volume"
	state, here := volumes.State(model.VolumeID(m.Volume))
	switch {
	case !here:
		return model.Errorf(model.CodeUnavailable, op, "volume %d is not on this node", m.Volume)
	case state.Damage != "":
		return model.Errorf(model.CodeCorrupt, op, "the copy of volume %d here is damaged: %s", m.Volume, state.Damage)
	case state.Generation != m.Generation:
		return model.Errorf(model.CodeUnavailable, op, "the copy of volume %d here is of generation %d, not %d", m.Volume, state.Generation, m.Generation)
	case state.Partial:
		return model.Errorf(model.CodeUnavailable, op, "the copy of volume %d here is not whole yet", m.Volume)
	}
	return nil
}
