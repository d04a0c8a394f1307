package worker

import (
	"fmt"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/pace"
	"tiercel/messages"
	"tiercel/store"
)

// maxSettling copies are settled at once; the next order is told to come again.
const maxSettling = 8

// settling is a copy of a sealed volume on its way to its row. Between two steps it
// waits for one thing at a time, and asked tells whose answer that is.
type settling struct {
	to     *actor.PID
	header *messages.Header
	ask    *messages.SettleVolume
	end    uint64 // what the copy has
	source int    // whom the next piece comes from
	round  int    // whole copies that were fetched and were not right
	awaits await
	asked  uint64 // request number of what it waits for
	bytes  uint64 // of the piece under way
	silent int    // times the foreman did not answer

	making bool   // the first piece makes the copy anew
	why    string // what is here is set aside when the new one is whole
	made   bool   // all bytes came from the sources, in this order
	beside *store.Replacement
}

// await is what a settling waits for.
type await uint8

const (
	awaitDisk await = iota
	awaitGrant
	awaitTurn
	awaitPiece
)

type settleDue struct {
	volume, asked uint64
}

// settleVolume brings a copy to its row.
func (w *Worker) settleVolume(ctx *runtime.Context, to *actor.PID, m *messages.SettleVolume) {
	s := w.settling[m.Volume]
	switch {
	case s != nil && sameSettle(s.ask, m):
		s.to, s.header = to, m.Header // asked again; the answer will come
		return
	case s != nil && s.ask.ReplicaGen > m.ReplicaGen:
		w.settleReply(ctx, to, m.Header, &settled{ask: m, err: model.Errorf(model.CodeConflict, "settle volume",
			"volume %d is being settled as replica generation %d, which is newer than %d", m.Volume, s.ask.ReplicaGen, m.ReplicaGen)})
		return
	case s == nil && len(w.settling) >= maxSettling:
		w.settleReply(ctx, to, m.Header, &settled{ask: m, err: model.Errorf(model.CodeOverloaded, "settle volume",
			"%d copies are being settled; order it again later", maxSettling)})
		return
	}
	if s != nil {
		w.giveUp(ctx, s.beside)
	}
	w.settling[m.Volume] = &settling{to: to, header: m.Header, ask: m}
	w.endAppends(ctx, m)
	volumes := w.cfg.Volumes
	ctx.Offload(func() any { return firstSettle(volumes, m) })
}

func sameSettle(a, b *messages.SettleVolume) bool {
	return a.Generation == b.Generation && a.ReplicaGen == b.ReplicaGen && a.SealedEnd == b.SealedEnd && a.Job == b.Job && a.Replace == b.Replace
}

// endAppends stops the Volume of a copy that is settled because its volume is sealed.
func (w *Worker) endAppends(ctx *runtime.Context, m *messages.SettleVolume) {
	state, here := w.cfg.Volumes.State(model.VolumeID(m.Volume))
	o := w.open[m.Volume]
	if o == nil || !here || o.generation > m.Generation || state.ReplicaGen > m.ReplicaGen {
		return
	}
	o.writable = false
	ctx.Send(o.pid, &messages.FenceVolume{Header: &messages.Header{}, Volume: m.Volume, Generation: o.generation})
}

// onSettled asks for the next piece, or ends.
func (w *Worker) onSettled(ctx *runtime.Context, m *settled) {
	s := w.settling[m.ask.Volume]
	if s == nil || s.ask != m.ask {
		w.giveUp(ctx, m.beside)
		return
	}
	s.end, s.beside = m.end, m.beside
	w.noteDisk(ctx, m.ask.Volume, m.err)
	switch {
	case m.absent:
		s.making, s.why = true, m.why
	case m.discarded && s.round >= len(s.ask.Sources):
		w.endSettle(ctx, s, &settled{ask: s.ask, err: model.Errorf(model.CodeCorrupt, "settle volume",
			"what %s have of volume %d is not what was sealed; check their copies", strings.Join(s.ask.Sources, ", "), s.ask.Volume)})
		return
	case m.discarded:
		s.making, s.made = true, false
	case m.err == nil && m.digest == nil:
		// more to fetch
	case model.CodeOf(m.err) == model.CodeCorrupt && s.made:
		w.discard(ctx, s)
		return
	case model.CodeOf(m.err) == model.CodeCorrupt:
		s.making, s.why = true, m.err.Error()
	default:
		w.endSettle(ctx, s, m)
		return
	}
	if s.making && s.ask.SealedEnd <= store.DataStart {
		w.fill(ctx, s, nil)
		return
	}
	w.nextPiece(ctx, s)
}

// discard deletes a copy that was fetched whole and is not what was sealed, and
// begins again with the next source first: one of them has other bytes than it says.
func (w *Worker) discard(ctx *runtime.Context, s *settling) {
	for _, node := range s.ask.Sources[s.round:min(s.source+1, len(s.ask.Sources))] {
		ctx.Send(ctx.Runtime().Peer(model.NodeID(node), w.cfg.Path), &messages.CheckCopy{Volume: s.ask.Volume, Cause: "a copy made from it is not what was sealed"})
	}
	s.round++
	s.source = s.round
	volumes, ask, replaced := w.cfg.Volumes, s.ask, s.why != ""
	ctx.Offload(func() any {
		if replaced { // the new bytes are gone already, and what is here is as it was
			return &settled{ask: ask, discarded: true}
		}
		if err := volumes.Drop(model.VolumeID(ask.Volume), ask.ReplicaGen); err != nil {
			return &settled{ask: ask, err: err}
		}
		return &settled{ask: ask, discarded: true}
	})
}

// at is where the next piece begins.
func (s *settling) at() uint64 {
	if s.making {
		return store.DataStart
	}
	return s.end
}

// nextPiece measures a piece and asks the foreman whether it may be fetched now.
func (w *Worker) nextPiece(ctx *runtime.Context, s *settling) {
	if w.outOfSources(ctx, s) {
		return
	}
	s.bytes = min(pace.Piece(w.settings.GetNodeBackgroundBytesPerSecond(), w.settings.GetBackgroundBytesPerSecond()), s.ask.SealedEnd-s.at())
	if s.ask.Job == 0 {
		w.takeTurn(ctx, s)
		return
	}
	s.awaits, s.asked, s.silent = awaitGrant, ctx.Rand(), 0
	w.askForeman(ctx, s)
}

func (w *Worker) outOfSources(ctx *runtime.Context, s *settling) bool {
	if s.source < len(s.ask.Sources) {
		return false
	}
	named := "no other copy is named"
	if len(s.ask.Sources) > 0 {
		named = fmt.Sprintf("%s could not be read beyond byte %d", strings.Join(s.ask.Sources, ", "), s.at())
	}
	w.endSettle(ctx, s, &settled{ask: s.ask, end: s.end, err: model.Errorf(model.CodeUnavailable, "settle volume",
		"the copy of volume %d is not whole and %s", s.ask.Volume, named)})
	return true
}

// Patience with others.
const (
	piecePatience = 2 * time.Second // and the time of its bytes on a slow link
	slowLink      = 1 << 20         // bytes per second
	grantPatience = 3 * time.Second // then the foreman is asked again
	maxSilent     = 10
)

// fetch asks a source for the piece that was granted.
func (w *Worker) fetch(ctx *runtime.Context, s *settling) {
	if w.outOfSources(ctx, s) {
		return
	}
	s.awaits, s.asked = awaitPiece, ctx.Rand()
	ctx.Request(ctx.Runtime().Peer(model.NodeID(s.ask.Sources[s.source]), w.cfg.Path), &messages.ReadVolume{
		Header: &messages.Header{Request: s.asked}, Volume: s.ask.Volume, Generation: s.ask.Generation, Offset: s.at(), Bytes: s.bytes,
	})
	patience := piecePatience + time.Duration(s.bytes)*time.Second/slowLink
	ctx.After(patience, settleDue{s.ask.Volume, s.asked})
}

// onSettleDue: what was waited for did not come, or its time has come.
func (w *Worker) onSettleDue(ctx *runtime.Context, m settleDue) {
	s := w.settling[m.volume]
	if s == nil || s.asked != m.asked {
		return
	}
	switch s.awaits {
	case awaitGrant:
		w.onForemanSilent(ctx, s)
	case awaitTurn:
		w.fetch(ctx, s)
	case awaitPiece:
		s.source++
		w.fetch(ctx, s)
	}
}

// onPiece writes what came. A source that has no more is passed over; what was
// granted is fetched from the next.
func (w *Worker) onPiece(ctx *runtime.Context, m *messages.ReadVolumeReply) {
	s := w.settling[m.Volume]
	if s == nil || s.awaits != awaitPiece || m.Header.GetRequest() != s.asked || m.Offset != s.at() {
		return
	}
	if m.Error != nil || len(m.Data) == 0 || s.at()+uint64(len(m.Data)) > s.ask.SealedEnd {
		s.source++
		w.fetch(ctx, s)
		return
	}
	w.fill(ctx, s, m.Data)
}

// fill writes a piece; the first of a copy that is made anew makes it.
func (w *Worker) fill(ctx *runtime.Context, s *settling, data []byte) {
	f := filling{volumes: w.cfg.Volumes, ask: s.ask, at: s.at(), data: data, why: s.why, beside: s.beside}
	making := s.making
	s.awaits, s.made, s.making, s.beside = awaitDisk, s.made || making, false, nil // it is at the disk
	ctx.Offload(func() any {
		if making {
			if err := f.begin(); err != nil {
				return &settled{ask: f.ask, err: err}
			}
		}
		return f.piece()
	})
}

// giveUp closes and removes what was fetched beside a copy.
func (w *Worker) giveUp(ctx *runtime.Context, beside *store.Replacement) {
	if beside != nil {
		ctx.Offload(func() any { return &givenUp{beside.Discard()} })
	}
}

type givenUp struct{ err error }

func (w *Worker) endSettle(ctx *runtime.Context, s *settling, m *settled) {
	delete(w.settling, s.ask.Volume)
	w.giveUp(ctx, s.beside)
	if o := w.open[s.ask.Volume]; o != nil && !o.writable && m.err == nil {
		ctx.Stop(o.pid)
		delete(w.open, s.ask.Volume)
	}
	w.settleReply(ctx, s.to, s.header, m)
}

func (w *Worker) settleReply(ctx *runtime.Context, to *actor.PID, header *messages.Header, m *settled) {
	state, here := w.cfg.Volumes.State(model.VolumeID(m.ask.Volume))
	intact := here && state.Fenced && !state.Broken && !state.Partial && state.Damage == "" &&
		state.Generation == m.ask.Generation && state.ReplicaGen == m.ask.ReplicaGen && m.end == state.Watermark && m.end > 0
	ctx.Send(to, &messages.SettleVolumeReply{
		Header: messages.ReplyHeader(header), Volume: m.ask.Volume, Generation: m.ask.Generation, ReplicaGen: m.ask.ReplicaGen,
		Node: string(ctx.Runtime().Node()), End: m.end, Digest: m.digest, Error: messages.FromError(m.err), Intact: intact,
	})
}
