package worker

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/store"
)

// A disk may answer nothing at all, neither yes nor no: a bus that resets, a network
// block device without its network, a frozen file system. Its process goes on and
// sends heartbeats, so nobody else can know. Nothing new is put there, as with a
// failing disk, until a probe that was begun then has come back.

// workWaits is how many times longer than a follower's acknowledgement a piece of the
// worker's own work may take: it may be more than one sync.
const workWaits = 2

// waiting is what the disk has to do, in the order in which it was given.
type waiting struct {
	next    uint64
	pending map[uint64]struct{}
	order   []begun // what has ended is dropped from its front
}

type begun struct {
	number uint64
	at     time.Time
}

func (q *waiting) begin(now time.Time) (number uint64) {
	if q.pending == nil {
		q.pending = make(map[uint64]struct{})
	}
	q.next++
	q.pending[q.next] = struct{}{}
	q.order = append(q.order, begun{q.next, now})
	return q.next
}

func (q *waiting) end(number uint64) { delete(q.pending, number) }

// oldest is when the first of those that have not ended began; otherwise: there is none.
func (q *waiting) oldest(otherwise time.Time) time.Time {
	for len(q.order) > 0 {
		if _, waits := q.pending[q.order[0].number]; waits {
			return q.order[0].at
		}
		q.order = q.order[1:]
	}
	return otherwise
}

// fromDisk is the result of a piece of work.
type fromDisk struct {
	number uint64
	result any
}

type diskDue struct{}

// probed is the result of the probe of a disk that had hung.
type probed struct{ err error }

// atDisk does work outside the mailbox, and watches how long it takes.
func (w *Worker) atDisk(ctx *runtime.Context, work func() any) {
	number := w.atWork.begin(ctx.Now())
	if !w.looking {
		w.looking = true
		ctx.After(checkEvery, diskDue{})
	}
	ctx.Offload(func() any { return &fromDisk{number, work()} })
}

func (w *Worker) onFromDisk(ctx *runtime.Context, m *fromDisk) {
	w.atWork.end(m.number)
	if p, ok := m.result.(*probed); ok {
		w.onProbed(ctx, p.err)
		return
	}
	w.Receive(ctx, m.result)
}

// onDiskDue looks whether the disk has had something for too long.
func (w *Worker) onDiskDue(ctx *runtime.Context) {
	w.looking = len(w.atWork.pending) > 0
	if !w.looking {
		return
	}
	ctx.After(checkEvery, diskDue{})
	if ctx.Now().Sub(w.atWork.oldest(ctx.Now())) > workWaits*w.cfg.AppendPatience {
		w.diskHangs(ctx)
	}
}

// diskHangs takes nothing new until a probe comes back, and tells at once.
func (w *Worker) diskHangs(ctx *runtime.Context) {
	d := &w.disk
	if d.probing {
		return
	}
	if d.failing == "" {
		d.failing = fmt.Sprintf("it has not answered since %s", ctx.Now().UTC().Format(time.RFC3339))
		ctx.Log().Error("the disk does not answer; it takes nothing new until it does")
	}
	d.probing = true
	fs := ctx.Runtime().FS()
	w.atDisk(ctx, func() any { return &probed{store.ProbeDisk(fs)} })
	if w.capacity == nil {
		return
	}
	w.capacity = proto.CloneOf(w.capacity)
	w.capacity.Failing, w.capacity.AcceptsWrites, w.capacity.WritableBytes = d.failing, false, 0
	w.tellCapacity(ctx)
}

func (w *Worker) tellCapacity(ctx *runtime.Context) {
	ctx.Send(w.master, w.capacity)
	ctx.Send(ctx.Runtime().Local(w.cfg.MemberPath), w.capacity)
}
