package worker

import (
	"time"

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
	number uint64
	to     *actor.PID
	reply  proto.Message
}

// read does work that answers the sender, and remembers since when the disk has it.
func (w *Worker) read(ctx *runtime.Context, work func() proto.Message) {
	number, to := w.reads.begin(ctx.Now()), ctx.Sender()
	ctx.Offload(func() any { return &readDone{number: number, to: to, reply: work()} })
}

func (w *Worker) onReadDone(ctx *runtime.Context, m *readDone) {
	w.reads.end(m.number)
	w.readEnded = ctx.Now()
	ctx.SendBulk(m.to, m.reply)
}

// readPause is how long reads may go on after one that was answered, and how often one
// is tried while none is.
const readPause = time.Second

// readsHang says that the disk has not answered a read for so long, and no other since,
// that one more would only wait, too; nil: it may be tried.
func (w *Worker) readsHang(ctx *runtime.Context) error {
	now := ctx.Now()
	switch {
	case now.Sub(w.reads.oldest(now)) <= workWaits*w.cfg.AppendPatience, now.Sub(w.readEnded) < readPause:
		return nil
	case now.Sub(w.readTried) >= readPause:
		w.readTried = now
		return nil
	}
	return model.Errorf(model.CodeUnavailable, "read", "the disk of %s does not answer", ctx.Runtime().Node())
}

// onReadExtent reads content for an edge on any node.
func (w *Worker) onReadExtent(ctx *runtime.Context, m *messages.ReadExtent) {
	volumes, node := w.cfg.Volumes, string(ctx.Runtime().Node())
	if err := w.readsHang(ctx); err != nil {
		ctx.Reply(&messages.ReadExtentReply{Header: messages.ReplyHeader(m.Header), Node: node, Error: messages.FromError(err)})
		return
	}
	w.read(ctx, func() proto.Message {
		e := m.Extent
		body, err := volumes.ReadBody(model.VolumeID(e.GetVolume()), e.GetOffset(), e.GetRecordBytes(), e.GetHeaderCrc32C(), m.From, m.To, nil)
		return &messages.ReadExtentReply{
			Header: messages.ReplyHeader(m.Header), Body: body, Node: node, Error: messages.FromError(err),
		}
	})
}

// onReadVolume reads raw bytes for a copy that is being settled elsewhere.
func (w *Worker) onReadVolume(ctx *runtime.Context, m *messages.ReadVolume) {
	volumes := w.cfg.Volumes
	if err := w.readsHang(ctx); err != nil {
		ctx.Reply(&messages.ReadVolumeReply{Header: messages.ReplyHeader(m.Header), Volume: m.Volume, Offset: m.Offset, Error: messages.FromError(err)})
		return
	}
	w.read(ctx, func() proto.Message {
		r := &messages.ReadVolumeReply{Header: messages.ReplyHeader(m.Header), Volume: m.Volume, Offset: m.Offset}
		err := checkSource(volumes, m)
		if err == nil {
			r.Data, r.Watermark, err = volumes.ReadRaw(model.VolumeID(m.Volume), m.Offset, int(min(m.Bytes, pace.MaxPieceBytes)))
		}
		r.Error = messages.FromError(err)
		return r
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
