package worker

import (
	"bytes"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Limits of settling.
const (
	settlePiece    = 4 << 20
	settlePatience = 2 * time.Second // then the next source is asked
	maxSettling    = 4
)

// settling is a sealed copy on its way to its row: cut, filled, compared.
type settling struct {
	to     *actor.PID
	ask    *messages.SettleVolume
	source int    // whom the next piece comes from
	asked  uint64 // request number of the piece under way; answers to others are not ours
	busy   bool   // at the disk
	end    uint64
}

// settled is the result of one step at the disk.
type settled struct {
	ask    *messages.SettleVolume
	end    uint64
	digest []byte // of the whole, when it is complete
	err    error
}

type settleDue struct {
	volume, asked uint64
}

// settleVolume brings a copy to its row. A copy that is whole already is only
// compared.
func (w *Worker) settleVolume(ctx *runtime.Context, to *actor.PID, m *messages.SettleVolume) {
	if s := w.settling[m.Volume]; s != nil && s.ask.Generation == m.Generation && s.ask.SealedEnd == m.SealedEnd {
		s.to = to // asked again; the answer will come
		return
	}
	if len(w.settling) >= maxSettling {
		w.settleReply(ctx, to, m, &settled{err: model.Errorf(model.CodeOverloaded, "settle volume", "%d copies are being settled", maxSettling)})
		return
	}
	s := &settling{to: to, ask: m, busy: true}
	w.settling[m.Volume] = s
	volumes := w.cfg.Volumes
	ctx.Offload(func() any { return firstSettle(volumes, m) })
}

// firstSettle fences the copy, cuts what no file names, and seals it if it is whole.
func firstSettle(volumes *store.Volumes, m *messages.SettleVolume) *settled {
	id := model.VolumeID(m.Volume)
	state, err := stateOf(volumes, m)
	if err != nil {
		return &settled{ask: m, err: err}
	}
	if !state.Fenced {
		if _, err := volumes.Fence(id); err != nil {
			return &settled{ask: m, err: err}
		}
	}
	end, err := volumes.Trim(id, m.SealedEnd)
	if err != nil {
		return &settled{ask: m, err: err}
	}
	return sealIfWhole(volumes, m, end)
}

func stateOf(volumes *store.Volumes, m *messages.SettleVolume) (store.VolumeState, error) {
	for _, s := range volumes.States() {
		switch {
		case uint64(s.ID) != m.Volume:
		case s.Generation != m.Generation || s.ReplicaGen != m.ReplicaGen:
			return s, model.Errorf(model.CodeConflict, "settle volume",
				"the copy of volume %d is of generation %d and replica generation %d, not %d and %d", m.Volume, s.Generation, s.ReplicaGen, m.Generation, m.ReplicaGen)
		default:
			return s, nil
		}
	}
	return store.VolumeState{}, model.Errorf(model.CodeNotFound, "settle volume", "there is no copy of volume %d here", m.Volume)
}

// sealIfWhole compares a copy that has its full length with the digest of its row.
func sealIfWhole(volumes *store.Volumes, m *messages.SettleVolume, end uint64) *settled {
	s := &settled{ask: m, end: end}
	if end < max(m.SealedEnd, store.DataStart) {
		return s
	}
	s.digest, s.err = volumes.Seal(model.VolumeID(m.Volume), end)
	if s.err == nil && len(m.Digest) > 0 && !bytes.Equal(s.digest, m.Digest) {
		s.err = model.Errorf(model.CodeCorrupt, "settle volume", "the copy of volume %d has its full length but other bytes than were sealed", m.Volume)
	}
	return s
}

// onSettled asks for the next piece, or ends.
func (w *Worker) onSettled(ctx *runtime.Context, m *settled) {
	s := w.settling[m.ask.Volume]
	if s == nil || s.ask != m.ask {
		return
	}
	s.busy, s.end = false, m.end
	if m.err != nil || m.digest != nil {
		delete(w.settling, m.ask.Volume)
		w.settleReply(ctx, s.to, m.ask, m)
		return
	}
	w.askPiece(ctx, s)
}

func (w *Worker) askPiece(ctx *runtime.Context, s *settling) {
	if s.source >= len(s.ask.Sources) {
		delete(w.settling, s.ask.Volume)
		w.settleReply(ctx, s.to, s.ask, &settled{ask: s.ask, end: s.end, err: model.Errorf(model.CodeUnavailable, "settle volume",
			"no other copy of volume %d could be read beyond byte %d", s.ask.Volume, s.end)})
		return
	}
	s.asked = ctx.Rand()
	ctx.Request(ctx.Runtime().Peer(model.NodeID(s.ask.Sources[s.source]), w.cfg.Path), &messages.ReadVolume{
		Header: &messages.Header{Request: s.asked}, Volume: s.ask.Volume, Generation: s.ask.Generation, Offset: s.end,
		Bytes: min(settlePiece, s.ask.SealedEnd-s.end),
	})
	ctx.After(settlePatience, settleDue{s.ask.Volume, s.asked})
}

func (w *Worker) onSettleDue(ctx *runtime.Context, m settleDue) {
	if s := w.settling[m.volume]; s != nil && s.asked == m.asked && !s.busy {
		s.source++
		w.askPiece(ctx, s)
	}
}

// onPiece writes what came. A source that has no more is passed over.
func (w *Worker) onPiece(ctx *runtime.Context, m *messages.ReadVolumeReply) {
	s := w.settling[m.Volume]
	if s == nil || s.busy || m.Header.GetRequest() != s.asked || m.Offset != s.end {
		return
	}
	if m.Error != nil || len(m.Data) == 0 || s.end+uint64(len(m.Data)) > s.ask.SealedEnd {
		s.source++
		w.askPiece(ctx, s)
		return
	}
	s.busy = true
	volumes, ask, data, at := w.cfg.Volumes, s.ask, m.Data, s.end
	ctx.Offload(func() any {
		if err := volumes.Fill(model.VolumeID(ask.Volume), at, data); err != nil {
			return &settled{ask: ask, end: at, err: err}
		}
		return sealIfWhole(volumes, ask, at+uint64(len(data)))
	})
}

func (w *Worker) settleReply(ctx *runtime.Context, to *actor.PID, m *messages.SettleVolume, s *settled) {
	ctx.Send(to, &messages.SettleVolumeReply{
		Header: messages.ReplyHeader(m.Header), Volume: m.Volume, Generation: m.Generation, ReplicaGen: m.ReplicaGen,
		Node: string(ctx.Runtime().Node()), End: s.end, Digest: s.digest, Error: messages.FromError(s.err),
	})
}

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
		var err error
		r.Data, r.Watermark, err = volumes.ReadRaw(model.VolumeID(m.Volume), m.Offset, int(min(m.Bytes, settlePiece)))
		r.Error = messages.FromError(err)
		return &readDone{to: to, reply: r}
	})
}
