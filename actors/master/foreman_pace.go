package master

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// grantDue is a question for bandwidth whose time has come.
type grantDue struct {
	to  *actor.PID
	m   *messages.AskBandwidth
	key askKey
}

// askKey names a question: whoever waits long asks again under the same number.
type askKey struct {
	address, actor string
	request        uint64
}

// maxGrantWait bounds how far ahead bytes are promised; whoever would wait longer asks
// again, and meets the limits of then.
const maxGrantWait = 30 * time.Second

// onAskBandwidth lets bytes of a job flow when the cluster's limit and the job's own
// allow it. A job that is paused or was cancelled is refused: the copy rests where it
// is. One that is done may have left a copy that its worker was away for: it goes on.
func (f *Foreman) onAskBandwidth(ctx *runtime.Context, m *messages.AskBandwidth) {
	j := f.job(m.Job)
	switch {
	case f.status == nil:
		f.refuseBandwidth(ctx, m, model.Errorf(model.CodeUnavailable, "ask for bandwidth", "the master has just started; ask again"))
		return
	case f.rests(m.Job):
		f.refuseBandwidth(ctx, m, model.Errorf(model.CodeUnavailable, "ask for bandwidth", "the job %d is paused or was cancelled", m.Job))
		return
	}
	key := askKey{ctx.Sender().GetAddress(), ctx.Sender().GetId(), m.Header.GetRequest()}
	if f.waiting[key] {
		return // it is on its way already
	}
	now := ctx.Now()
	f.budget.SetRate(now, f.cluster().GetSettings().GetBackgroundBytesPerSecond())
	own := f.budgets[m.Job]
	own.SetRate(now, j.GetBytesPerSecond())
	wait := max(f.budget.Take(now, m.Bytes), own.Take(now, m.Bytes))
	if wait > maxGrantWait {
		f.budget.Return(now, m.Bytes) // own is a copy that is not kept
		f.refuseBandwidth(ctx, m, model.Errorf(model.CodeOverloaded, "ask for bandwidth", "the limit is used up for %v", wait.Round(time.Second)))
		return
	}
	if active(j) {
		f.budgets[m.Job] = own
	}
	due := grantDue{to: ctx.Sender(), m: m, key: key}
	if wait > 0 {
		f.waiting[key] = true
		ctx.After(wait, due)
		return
	}
	f.onGrantDue(ctx, due)
}

func (f *Foreman) refuseBandwidth(ctx *runtime.Context, m *messages.AskBandwidth, err error) {
	ctx.Reply(&messages.BandwidthGranted{Header: messages.ReplyHeader(m.Header), Job: m.Job, Volume: m.Volume, Error: messages.FromError(err)})
}

func (f *Foreman) onGrantDue(ctx *runtime.Context, d grantDue) {
	delete(f.waiting, d.key)
	if j := f.job(d.m.Job); active(j) {
		t := f.tallyOf(j)
		t.moved = append(t.moved, moved{at: ctx.Now(), bytes: d.m.Bytes})
	}
	ctx.Send(d.to, &messages.BandwidthGranted{Header: messages.ReplyHeader(d.m.Header), Job: d.m.Job, Volume: d.m.Volume, Bytes: d.m.Bytes})
}
