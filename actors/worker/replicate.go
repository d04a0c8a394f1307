package worker

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// windowBytes may be on their way to one follower without an acknowledgement.
const windowBytes = 32 << 20

// checkEvery is how often a volume looks whether its followers and its disk keep up.
const checkEvery = 250 * time.Millisecond

// loneWaits is how many times longer a copy without others waits for its disk: giving
// it up helps only if the next volume lies elsewhere.
const loneWaits = 4

// follower is what the primary knows of one other member.
type follower struct {
	node      string
	pid       *actor.PID
	sent      uint64 // end of the newest batch on its way
	watermark uint64 // what it has fsynced
	window    []sentBatch
	bytes     int // in the window
}

// sentBatch is a batch that a follower has not acknowledged.
type sentBatch struct {
	end   uint64
	bytes int
	at    time.Time
}

type checkDue struct{}

// onStarted watches the followers: a process that was killed is known at once.
func (v *Volume) onStarted(ctx *runtime.Context) {
	for _, f := range v.followers {
		ctx.Watch(f.pid)
	}
}

// credit reports whether every follower may be sent another batch.
func (v *Volume) credit() bool {
	for _, f := range v.followers {
		if f.bytes > windowBytes {
			return false
		}
	}
	return true
}

// replicate sends a batch to every follower while the own disk writes it.
func (v *Volume) replicate(ctx *runtime.Context, b *batch, bytes int) {
	if len(v.followers) == 0 {
		return
	}
	m := &messages.ReplicateRecords{
		Header: &messages.Header{}, Volume: v.id, Generation: v.generation, Offset: v.writer.End(),
		Items: make([]*messages.AppendItem, len(b.items)),
	}
	for i := range b.items {
		r := &b.items[i].record
		m.Items[i] = &messages.AppendItem{
			Tenant: r.Tenant, Path: r.Path, Session: r.Session, Sequence: r.Sequence, Part: r.Part, Parts: r.Parts, Body: r.Body,
		}
	}
	m.End = m.Offset + store.RecordsBytes(recordsOf(b.items))
	b.end = m.End
	for _, f := range v.followers {
		f.sent = m.End
		f.bytes += bytes
		f.window = append(f.window, sentBatch{end: m.End, bytes: bytes, at: ctx.Now()})
		ctx.RequestBulk(f.pid, m)
	}
	v.showLag()
}

func recordsOf(items []pendingAppend) []store.Record {
	out := make([]store.Record, len(items))
	for i := range items {
		out[i] = items[i].record
	}
	return out
}

func (v *Volume) checkSoon(ctx *runtime.Context) {
	if !v.checking {
		v.checking = true
		ctx.After(checkEvery, checkDue{})
	}
}

// onCheck gives up on a disk, or a follower, that has not answered for too long.
func (v *Volume) onCheck(ctx *runtime.Context) {
	v.checking = false
	if v.stopped != "" && !v.full {
		return
	}
	if v.busy && ctx.Now().Sub(v.busySince) > v.diskPatience() {
		v.full = false
		v.shared.diskHangs.Store(true)
		v.stop(ctx, "the disk of "+v.self+" does not answer", v.self)
		return
	}
	waiting := v.busy
	for _, f := range v.followers {
		if len(f.window) == 0 {
			continue
		}
		waiting = true
		if ctx.Now().Sub(f.window[0].at) > v.patience {
			v.full = false // what is under way is not answered any more
			v.stop(ctx, f.node+" did not acknowledge in time", f.node)
			return
		}
	}
	if waiting {
		v.checkSoon(ctx)
	}
}

func (v *Volume) diskPatience() time.Duration {
	if v.lone {
		return loneWaits * v.patience
	}
	return v.patience
}

// onAcknowledged takes a follower's word: it has fsynced up to its watermark.
func (v *Volume) onAcknowledged(ctx *runtime.Context, m *messages.ReplicateRecordsReply) {
	if m.Generation != v.generation {
		return
	}
	for _, f := range v.followers {
		if f.node != m.Node {
			continue
		}
		if err := m.Error.Err("replicate"); err != nil {
			v.full = false
			v.stop(ctx, f.node+" refused a batch: "+err.Error(), f.node)
			return
		}
		f.watermark = max(f.watermark, m.Watermark)
		for len(f.window) > 0 && f.window[0].end <= f.watermark {
			f.bytes -= f.window[0].bytes
			f.window = f.window[1:]
		}
	}
	v.showLag()
	v.settleBatches(ctx)
	v.flush(ctx)
}

// onFollowerGone: its actor stopped, or its node was lost.
func (v *Volume) onFollowerGone(ctx *runtime.Context, m *actor.Terminated) {
	for _, f := range v.followers {
		if f.pid.Equal(m.Who) {
			v.full = false
			v.stop(ctx, "the copy on "+f.node+" is gone", f.node)
		}
	}
}

// allHave reports whether every follower has fsynced up to end.
func (v *Volume) allHave(end uint64) bool {
	for _, f := range v.followers {
		if f.watermark < end {
			return false
		}
	}
	return true
}

// holders are the members that have fsynced up to end, and those that hold it.
func (v *Volume) holders(end uint64) (durable, inSync []string) {
	inSync = []string{v.self}
	if v.tier.Synced() {
		durable = []string{v.self}
	}
	for _, f := range v.followers {
		if f.watermark >= end {
			durable, inSync = append(durable, f.node), append(inSync, f.node)
		}
	}
	return durable, inSync
}

// replica is a batch of the primary that waits for a follower's disk.
type replica struct {
	to    *actor.PID
	batch *messages.ReplicateRecords
}

// replicated is the result of writing what waited.
type replicated struct {
	taken []replica
	end   uint64
	err   error
	began time.Time
}

// onReplicate queues a batch of the primary. One that does not begin where the
// last ended means that something was lost on the way: this copy goes no further.
func (v *Volume) onReplicate(ctx *runtime.Context, m *messages.ReplicateRecords) {
	switch {
	case m.Generation != v.generation || v.primary == v.self:
		v.acknowledge(ctx, ctx.Sender(), model.Errorf(model.CodeVolumeSealed, "replicate", "volume %d is at generation %d, not %d", v.id, v.generation, m.Generation))
		return
	case v.stopped == "" && m.Offset != v.next:
		v.stop(ctx, "a batch of the primary was lost on the way", "")
		fallthrough
	case v.stopped != "":
		v.acknowledge(ctx, ctx.Sender(), v.stoppedError())
		return
	}
	v.next = m.End
	v.replicas = append(v.replicas, replica{to: ctx.Sender(), batch: m})
	v.write(ctx)
}

// write makes everything that waits durable with one fsync.
func (v *Volume) write(ctx *runtime.Context) {
	if v.busy || len(v.replicas) == 0 || v.stopped != "" {
		return
	}
	taken := v.replicas
	v.replicas = nil
	v.toDisk(ctx)
	writer, began := v.writer, ctx.Now()
	ctx.Offload(func() any {
		var records []store.Record
		for _, r := range taken {
			for _, it := range r.batch.Items {
				records = append(records, recordOf(it))
			}
		}
		done := &replicated{taken: taken, began: began}
		if writer.End() != taken[0].batch.Offset {
			done.err = model.Errorf(model.CodeInternal, "replicate", "the copy ends at %d, the batch begins at %d", writer.End(), taken[0].batch.Offset)
			return done
		}
		_, done.err = writer.AppendBatch(records, true)
		if done.end = writer.End(); done.err == nil && done.end != taken[len(taken)-1].batch.End {
			done.err = model.Errorf(model.CodeInternal, "replicate", "the batch ends at %d here and at %d on the primary", done.end, taken[len(taken)-1].batch.End)
		}
		return done
	})
}

func (v *Volume) onReplicated(ctx *runtime.Context, m *replicated) {
	v.busy = false
	v.meter(ctx, m.began)
	to := m.taken[len(m.taken)-1].to
	if m.err != nil {
		v.stopForDisk(ctx, m.err)
		v.acknowledge(ctx, to, v.stoppedError())
		return
	}
	v.acknowledge(ctx, to, nil)
	if m.end >= v.maxBytes {
		return // the primary says when it is full
	}
	v.write(ctx)
}

func (v *Volume) acknowledge(ctx *runtime.Context, to *actor.PID, err error) {
	ctx.Send(to, &messages.ReplicateRecordsReply{
		Header: &messages.Header{}, Volume: v.id, Generation: v.generation, Node: v.self,
		End: v.writer.End(), Watermark: v.writer.Watermark(), Error: messages.FromError(err),
	})
}

func (v *Volume) refuseReplicas(ctx *runtime.Context) {
	for _, r := range v.replicas {
		v.acknowledge(ctx, r.to, v.stoppedError())
	}
	v.replicas = nil
}

// shared is what a Volume lets its Worker see between two messages.
type shared struct {
	busyNs     *atomic.Int64 // of the disk, all volumes together
	lags       lags
	diskFailed atomic.Bool // it was the disk that stopped the volume, and it is not full
	diskHangs  atomic.Bool // it was the disk, which has not answered yet
}

// meter counts the time in which the disk had work of this volume.
func (v *Volume) meter(ctx *runtime.Context, began time.Time) {
	v.shared.busyNs.Add(int64(ctx.Now().Sub(began)))
}
