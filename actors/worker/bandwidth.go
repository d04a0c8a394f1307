package worker

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/pace"
	"tiercel/messages"
)

// busyPause is between two pieces without a limit while users keep the disk busy.
const busyPause = 250 * time.Millisecond

// turns says when the next piece of background work may use the disk.
type turns struct {
	bucket pace.Bucket
}

// take is how long to wait; users go first.
func (t *turns) take(now time.Time, rate, bytes uint64, load float64) time.Duration {
	t.bucket.SetRate(now, pace.Share(rate, load))
	wait := t.bucket.Take(now, bytes)
	if rate == 0 && load > pace.BusyLoad {
		wait = busyPause
	}
	return wait
}

// askForeman asks the master's node whether the job may fetch the piece now. The
// question keeps its number when it is asked again, so that it is granted once.
func (w *Worker) askForeman(ctx *runtime.Context, s *settling) {
	ctx.Request(actor.NewPID(s.to.GetAddress(), w.cfg.ForemanPath), &messages.AskBandwidth{
		Header: &messages.Header{Request: s.asked}, Job: s.ask.Job, Bytes: s.bytes, Volume: s.ask.Volume,
	})
	ctx.After(grantPatience, settleDue{s.ask.Volume, s.asked})
}

func (w *Worker) onForemanSilent(ctx *runtime.Context, s *settling) {
	if s.silent++; s.silent < maxSilent {
		w.askForeman(ctx, s)
		return
	}
	w.endSettle(ctx, s, &settled{ask: s.ask, end: s.end, err: model.Errorf(model.CodeUnavailable, "settle volume",
		"the foreman of job %d does not answer; order it again", s.ask.Job)})
}

// onGranted goes on with the piece, or ends what the job does not want any more.
func (w *Worker) onGranted(ctx *runtime.Context, m *messages.BandwidthGranted) {
	s := w.settling[m.Volume]
	if s == nil || s.awaits != awaitGrant || s.asked != m.Header.GetRequest() {
		return
	}
	if err := m.Error.Err("ask bandwidth"); err != nil {
		w.endSettle(ctx, s, &settled{ask: s.ask, end: s.end, err: err})
		return
	}
	if m.Bytes != 0 {
		s.bytes = min(s.bytes, m.Bytes)
	}
	w.takeTurn(ctx, s)
}

// takeTurn waits for the node's own limit.
func (w *Worker) takeTurn(ctx *runtime.Context, s *settling) {
	wait := w.incoming.take(ctx.Now(), w.settings.GetNodeBackgroundBytesPerSecond(), s.bytes, w.load.foreground)
	if wait == 0 {
		w.fetch(ctx, s)
		return
	}
	s.awaits, s.asked = awaitTurn, ctx.Rand()
	ctx.After(wait, settleDue{s.ask.Volume, s.asked})
}
