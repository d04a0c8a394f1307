package worker

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Limits of one volume.
const (
	maxBatchBytes   = 16 << 20  // of one group commit
	maxPendingBytes = 512 << 20 // waiting for the disk, all requesters together
)

// lazySync is how long an append of an unsynced tier may stay in memory only.
const lazySync = time.Second

// Volume is the actor of one writable volume: it orders appends and makes
// everything that waits durable with one fsync. A batch never waits for a timer
// when the disk is idle.
type Volume struct {
	worker     *actor.PID
	writer     *store.VolumeWriter
	id         uint64
	generation uint64
	synced     bool // the tier promises fsync before the answer
	maxBytes   uint64

	pending      []pendingAppend
	pendingBytes int
	flight       []pendingAppend // the batch at the disk
	busy         bool
	stopped      string // why no more appends are taken
	full         bool
	dirty        bool // written but not synced (unsynced tiers)
	syncTimer    bool
}

// pendingAppend is one item of one request, waiting for the disk.
type pendingAppend struct {
	from    *actor.PID
	request uint64
	item    uint64
	record  store.Record
}

// appended is the result of one group commit.
type appended struct {
	batch  []pendingAppend
	placed []store.Placed
	end    uint64
	err    error
}

type lazySyncDue struct{}
type lazySynced struct{ err error }

// Receive handles one message; each case is one line.
func (v *Volume) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Restarting:
		v.onRestarting(ctx)
	case *messages.AppendRecords:
		v.onAppend(ctx, m)
	case *appended:
		v.onAppended(ctx, m)
	case lazySyncDue:
		v.onLazySyncDue(ctx)
	case *lazySynced:
		v.onLazySynced(ctx, m)
	}
}

// onRestarting gives the generation up: what was under way when the actor failed
// is unknown, so the master seals the volume and opens another.
func (v *Volume) onRestarting(ctx *runtime.Context) {
	v.pending = append(v.flight, v.pending...)
	v.stop(ctx, "the volume actor failed")
}

func (v *Volume) onAppend(ctx *runtime.Context, m *messages.AppendRecords) {
	if refusal := v.refuse(m); refusal != nil {
		reply := &messages.AppendRecordsReply{Header: messages.ReplyHeader(m.Header), Volume: v.id}
		for _, it := range m.Items {
			reply.Items = append(reply.Items, &messages.AppendedItem{Item: it.Item, Error: messages.FromError(refusal)})
		}
		ctx.Reply(reply)
		return
	}
	from, request := ctx.Sender(), m.Header.GetRequest()
	for _, it := range m.Items {
		v.pendingBytes += len(it.Body)
		v.pending = append(v.pending, pendingAppend{from: from, request: request, item: it.Item, record: store.Record{
			Tenant: it.Tenant, Path: it.Path, Session: it.Session, Sequence: it.Sequence,
			Part: it.Part, Parts: it.Parts, Body: it.Body,
		}})
	}
	v.flush(ctx)
}

func (v *Volume) refuse(m *messages.AppendRecords) error {
	switch {
	case m.Generation != v.generation:
		return model.Errorf(model.CodeVolumeSealed, "append", "volume %d is at generation %d, not %d", v.id, v.generation, m.Generation)
	case v.stopped != "":
		return model.Errorf(model.CodeVolumeSealed, "append", "volume %d takes no more appends: %s", v.id, v.stopped)
	case v.pendingBytes > maxPendingBytes:
		return model.Errorf(model.CodeOverloaded, "append", "volume %d has %d bytes waiting for the disk", v.id, v.pendingBytes)
	}
	return nil
}

// flush starts the next group commit with everything that waits, up to a bound.
func (v *Volume) flush(ctx *runtime.Context) {
	if v.busy || len(v.pending) == 0 {
		return
	}
	n, bytes := 0, 0
	for n < len(v.pending) && (n == 0 || bytes+len(v.pending[n].record.Body) <= maxBatchBytes) {
		bytes += len(v.pending[n].record.Body)
		n++
	}
	batch := v.pending[:n:n]
	v.pending = append([]pendingAppend(nil), v.pending[n:]...)
	v.pendingBytes -= bytes
	v.busy, v.flight = true, batch
	writer, sync := v.writer, v.synced
	ctx.Offload(func() any {
		records := make([]store.Record, len(batch))
		for i := range batch {
			records[i] = batch[i].record
		}
		placed, err := writer.AppendBatch(records, sync)
		return &appended{batch: batch, placed: placed, end: writer.End(), err: err}
	})
}

func (v *Volume) onAppended(ctx *runtime.Context, m *appended) {
	v.busy, v.flight = false, nil
	v.answer(ctx, m)
	switch {
	case m.err != nil && v.writer.Poisoned() != nil:
		v.stop(ctx, "its disk failed: "+m.err.Error())
		return
	case m.err == nil && !v.synced:
		v.scheduleLazySync(ctx)
	}
	if m.end >= v.maxBytes && v.stopped == "" {
		v.full = true
		v.stop(ctx, "it is full")
		return
	}
	v.flush(ctx)
}

// answer replies to each requester once for its items of the batch.
func (v *Volume) answer(ctx *runtime.Context, m *appended) {
	refusal := messages.FromError(m.err)
	for i := 0; i < len(m.batch); {
		first := &m.batch[i]
		reply := &messages.AppendRecordsReply{Header: &messages.Header{Request: first.request}, Volume: v.id}
		for ; i < len(m.batch) && m.batch[i].from.Equal(first.from) && m.batch[i].request == first.request; i++ {
			item := &messages.AppendedItem{Item: m.batch[i].item, Error: refusal, Durable: v.synced}
			if m.err == nil {
				p := &m.placed[i]
				item.Extent = &messages.Extent{
					Volume: v.id, Generation: v.generation, Offset: p.Offset,
					RecordBytes: p.RecordBytes, BodyBytes: p.BodyBytes, HeaderCrc32C: p.HeaderCRC,
				}
			}
			reply.Items = append(reply.Items, item)
		}
		ctx.Send(first.from, reply)
	}
}

// stop takes no more appends and refuses those that wait; the master hears of it
// through the worker.
func (v *Volume) stop(ctx *runtime.Context, why string) {
	v.stopped = why
	refused := &appended{batch: v.pending, err: model.Errorf(model.CodeVolumeSealed, "append", "volume %d takes no more appends: %s", v.id, why)}
	v.pending, v.pendingBytes = nil, 0
	v.answer(ctx, refused)
	ctx.Send(v.worker, &messages.VolumeStopped{
		Volume: v.id, Generation: v.generation, Watermark: v.writer.Watermark(), Cause: why, Full: v.full,
	})
}

// scheduleLazySync bounds what a power loss can take from an unsynced tier.
func (v *Volume) scheduleLazySync(ctx *runtime.Context) {
	v.dirty = true
	if !v.syncTimer {
		v.syncTimer = true
		ctx.After(lazySync, lazySyncDue{})
	}
}

func (v *Volume) onLazySyncDue(ctx *runtime.Context) {
	v.syncTimer = false
	if !v.dirty || v.stopped != "" {
		return
	}
	if v.busy {
		v.scheduleLazySync(ctx)
		return
	}
	v.busy, v.dirty = true, false
	writer := v.writer
	ctx.Offload(func() any { return &lazySynced{err: writer.Sync()} })
}

func (v *Volume) onLazySynced(ctx *runtime.Context, m *lazySynced) {
	v.busy = false
	if m.err != nil {
		v.stop(ctx, "its disk failed: "+m.err.Error())
		return
	}
	v.flush(ctx)
}
