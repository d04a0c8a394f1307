package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"tiercel/cluster/model"
)

const maxBackOff = 5 * time.Second

var errStalled = errors.New("no byte moved in time")

// An attempt is told its number, from 1. It returns whether it made progress
// that a next attempt need not repeat.
type attempt func(number int) (progress bool, err error)

// repeat makes attempts until one succeeds, one fails for good, or nothing has
// been gained for Options.Timeout, the first failed attempt included. A failure that may
// have taken effect is final unless repeatable says that doing it twice is the
// same as doing it once.
func (c *Client) repeat(ctx context.Context, op string, repeatable bool, try attempt) error {
	var failingSince time.Time
	var last *failure // of an attempt that was answered
	pause := c.backOff
	for number := 1; ; number++ {
		began := time.Now()
		progress, err := try(number)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return outOfTime(ctx, op, last, number)
		}
		var f *failure
		if !errors.As(err, &f) || !f.again {
			return err
		}
		if f.ambiguous && !repeatable {
			return notRepeated(op, f)
		}
		last = f
		now := time.Now()
		switch {
		case progress: // some time before now
			failingSince, pause = now, c.backOff
		case failingSince.IsZero():
			failingSince = began
		}
		wait := max(jitter(pause), f.err.RetryAfter)
		pause = min(2*pause, maxBackOff)
		if now.Add(wait).After(failingSince.Add(c.timeout)) {
			return gaveUp(op, f, number)
		}
		c.onRetry(err, wait)
		if !sleep(ctx, wait) {
			return outOfTime(ctx, op, last, number+1)
		}
	}
}

// jitter spreads clients that failed together: between half and the whole.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func notRepeated(op string, f *failure) error {
	g := *f
	e := *f.err
	e.Op, e.Code = op, model.CodeOutcomeUnknown
	e.Message += "; it may or may not have been done, so it was not repeated: look with tiercel ls"
	g.err = &e
	return &g
}

// outOfTime ends attempt number: why the one before failed says more than that the
// time has run out.
func outOfTime(ctx context.Context, op string, last *failure, number int) error {
	cause := context.Cause(ctx)
	if last == nil || !errors.Is(cause, context.DeadlineExceeded) || last.ambiguous {
		return contextFailure(op, cause)
	}
	return gaveUp(op, last, number-1)
}

func gaveUp(op string, f *failure, attempts int) error {
	if attempts == 1 {
		return f
	}
	g := *f
	g.err = model.Errorf(f.err.Code, op, "gave up after %d attempts; the last: %s", attempts, f.err.Message)
	g.err.Details, g.err.Err = f.err.Details, f.err.Err
	return &g
}

// A watch cancels an attempt during which no byte has moved for limit.
type watch struct {
	timer  *time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

// newWatch returns a context for one attempt. stop must be called at its end.
func newWatch(ctx context.Context, limit time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{limit: limit, cancel: cancel}
	w.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	return ctx, w
}

// moved notes that bytes have moved.
func (w *watch) moved() { w.timer.Reset(w.limit) }

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
