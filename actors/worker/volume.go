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

// Volume is the actor of one writable copy. The primary orders appends, makes
// everything that waits durable with one fsync and sends it to the followers at
// the same time; a batch never waits for a timer when the disk is idle.
type Volume struct {
	worker     *actor.PID
	writer     *store.VolumeWriter
	id         uint64
	generation uint64
	tier       model.Tier
	maxBytes   uint64
	self       string // node
	primary    string
	lone       bool          // the only member
	followers  []*follower   // of the primary
	patience   time.Duration // for a follower's acknowledgement

	pending      []pendingAppend
	pendingBytes int
	busy         bool      // a batch, or a sync, is at the disk
	busySince    time.Time // of that
	flight       []*batch  // written or being written, oldest first, not yet answered
	checking     bool      // a look at the followers and the own disk is due

	replicas []replica // of a follower: what waits for its disk
	next     uint64    // of a follower: where the next batch must begin

	stopped   string // why no more appends are taken
	suspect   string // the member that was the reason
	full      bool
	dirty     bool // written but not synced (unsynced tiers)
	syncTimer bool
	shared    *shared
}

// pendingAppend is one item of one request, waiting for the disk.
type pendingAppend struct {
	from    *actor.PID
	request uint64
	item    uint64
	record  store.Record
}

// batch is one group commit on its way to every member that must have it.
type batch struct {
	items  []pendingAppend
	placed []store.Placed
	end    uint64
	since  time.Time
	done   bool // by the own disk
	err    error
}

// appended is the result of one group commit on the own disk.
type appended struct {
	batch  *batch
	placed []store.Placed
	end    uint64
	err    error
	began  time.Time
}

type lazySyncDue struct{}
type lazySynced struct{ err error }

// Receive handles one message; each case is one line.
func (v *Volume) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		v.onStarted(ctx)
	case *actor.Restarting:
		v.onRestarting(ctx)
	case *messages.AppendRecords:
		v.onAppend(ctx, m)
	case *appended:
		v.onAppended(ctx, m)
	case *messages.ReplicateRecords:
		v.onReplicate(ctx, m)
	case *replicated:
		v.onReplicated(ctx, m)
	case *messages.ReplicateRecordsReply:
		v.onAcknowledged(ctx, m)
	case checkDue:
		v.onCheck(ctx)
	case *actor.Terminated:
		v.onFollowerGone(ctx, m)
	case lazySyncDue:
		v.onLazySyncDue(ctx)
	case *lazySynced:
		v.onLazySynced(ctx, m)
	case *messages.FenceVolume:
		v.onFenced(ctx)
	}
}

// onRestarting gives the generation up: what was under way when the actor failed
// is unknown, so the master seals the volume and opens another.
func (v *Volume) onRestarting(ctx *runtime.Context) { v.stop(ctx, "the volume actor failed", "") }

// onFenced ends appends: what is not answered yet goes elsewhere.
func (v *Volume) onFenced(ctx *runtime.Context) {
	v.full = false
	v.stop(ctx, "it was fenced by the master", "")
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
		v.pending = append(v.pending, pendingAppend{from: from, request: request, item: it.Item, record: recordOf(it)})
	}
	v.flush(ctx)
}

func recordOf(it *messages.AppendItem) store.Record {
	return store.Record{
		Tenant: it.Tenant, Path: it.Path, Session: it.Session, Sequence: it.Sequence,
		Part: it.Part, Parts: it.Parts, Body: it.Body,
	}
}

func (v *Volume) refuse(m *messages.AppendRecords) error {
	switch {
	case m.Generation != v.generation:
		return model.Errorf(model.CodeVolumeSealed, "append", "volume %d is at generation %d, not %d", v.id, v.generation, m.Generation)
	case v.primary != v.self:
		return model.Errorf(model.CodeVolumeSealed, "append", "volume %d takes appends on its primary %s", v.id, v.primary)
	case v.stopped != "":
		return v.stoppedError()
	case v.pendingBytes > maxPendingBytes:
		return model.Errorf(model.CodeOverloaded, "append", "volume %d has %d bytes waiting for the disk", v.id, v.pendingBytes)
	}
	return nil
}

func (v *Volume) stoppedError() error {
	err := model.Errorf(model.CodeVolumeSealed, "append", "volume %d takes no more appends: %s", v.id, v.stopped)
	if v.suspect != "" {
		return err.With("suspect", v.suspect)
	}
	return err
}

// flush starts the next group commit with everything that waits, up to a bound,
// if every follower has credit for it.
func (v *Volume) flush(ctx *runtime.Context) {
	if v.busy || len(v.pending) == 0 || v.stopped != "" || !v.credit() {
		return
	}
	n, bytes := 0, 0
	for n < len(v.pending) && (n == 0 || bytes+len(v.pending[n].record.Body) <= maxBatchBytes) {
		bytes += len(v.pending[n].record.Body)
		n++
	}
	b := &batch{items: v.pending[:n:n], since: ctx.Now()}
	v.pending = append([]pendingAppend(nil), v.pending[n:]...)
	v.pendingBytes -= bytes
	v.toDisk(ctx)
	v.flight = append(v.flight, b)
	v.replicate(ctx, b, bytes)
	writer, sync, began := v.writer, v.tier.Synced(), ctx.Now()
	records := make([]store.Record, len(b.items))
	for i := range b.items {
		records[i] = b.items[i].record
	}
	ctx.Offload(func() any {
		placed, err := writer.AppendBatch(records, sync)
		return &appended{batch: b, placed: placed, end: writer.End(), err: err, began: began}
	})
}

func (v *Volume) onAppended(ctx *runtime.Context, m *appended) {
	v.busy = false
	v.meter(ctx, m.began)
	b := m.batch
	b.done, b.placed, b.end, b.err = true, m.placed, m.end, m.err
	if m.err != nil && (len(v.followers) > 0 || v.writer.Poisoned() != nil) {
		// The followers have what this disk does not; the copies differ from here on.
		v.stopForDisk(ctx, m.err)
		return
	}
	v.settleBatches(ctx)
	if m.err == nil && !v.tier.Synced() {
		v.scheduleLazySync(ctx)
	}
	if m.end >= v.maxBytes && v.stopped == "" {
		v.full = true
		v.stop(ctx, "it is full", "")
		return
	}
	v.flush(ctx)
}

// settleBatches answers the batches that every member has as its tier says.
func (v *Volume) settleBatches(ctx *runtime.Context) {
	for len(v.flight) > 0 {
		b := v.flight[0]
		if !b.done || b.err == nil && v.tier == model.TierCritical && !v.allHave(b.end) {
			return
		}
		v.flight = v.flight[1:]
		v.answer(ctx, b)
	}
}

// answer replies to each requester once for its items of the batch.
func (v *Volume) answer(ctx *runtime.Context, b *batch) {
	refusal := messages.FromError(b.err)
	durable, inSync := v.holders(b.end)
	for i := 0; i < len(b.items); {
		first := &b.items[i]
		reply := &messages.AppendRecordsReply{Header: &messages.Header{Request: first.request}, Volume: v.id}
		for ; i < len(b.items) && b.items[i].from.Equal(first.from) && b.items[i].request == first.request; i++ {
			item := &messages.AppendedItem{Item: b.items[i].item, Error: refusal}
			if b.err == nil {
				p := &b.placed[i]
				item.Durable, item.DurableOn, item.InSync = v.tier.Synced(), durable, inSync
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

// stop takes no more appends and refuses those that wait or are not everywhere
// they must be; the master hears of it through the worker. An append that is only
// being synced when the volume turns full is still answered.
func (v *Volume) stop(ctx *runtime.Context, why, suspect string) {
	if v.stopped == "" {
		v.stopped, v.suspect = why, suspect
		ctx.Send(v.worker, &messages.VolumeStopped{
			Volume: v.id, Generation: v.generation, Watermark: v.writer.Watermark(), Cause: why, Full: v.full,
			Node: v.self, Suspect: suspect,
		})
	}
	refused := &batch{items: v.pending, err: v.stoppedError()}
	v.pending, v.pendingBytes = nil, 0
	if !v.full {
		flight := v.flight
		v.flight = nil
		for _, b := range flight {
			b.err = v.stoppedError()
			v.answer(ctx, b)
		}
		v.refuseReplicas(ctx)
	}
	v.answer(ctx, refused)
}

// toDisk notes that the disk has work of this volume from now on.
func (v *Volume) toDisk(ctx *runtime.Context) {
	v.busy, v.busySince = true, ctx.Now()
	v.checkSoon(ctx)
}

// stopForDisk: the worker hears whether the disk has failed or is full.
func (v *Volume) stopForDisk(ctx *runtime.Context, err error) {
	if store.IsDiskFailure(err) {
		v.shared.diskFailed.Store(true)
	}
	v.stop(ctx, "the disk of "+v.self+" failed: "+err.Error(), v.self)
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
	v.dirty = false
	v.toDisk(ctx)
	writer := v.writer
	ctx.Offload(func() any { return &lazySynced{err: writer.Sync()} })
}

func (v *Volume) onLazySynced(ctx *runtime.Context, m *lazySynced) {
	v.busy = false
	if m.err != nil {
		v.stopForDisk(ctx, m.err)
		return
	}
	v.flush(ctx)
}
