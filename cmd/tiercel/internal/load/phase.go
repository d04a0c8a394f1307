package load

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
)

// kind is what one request does.
type kind int

const (
	storing kind = iota
	fetching
	removing
	kinds
)

// phase is a stretch of load.
type phase struct {
	limit    int64         // requests; zero: until duration
	duration time.Duration // zero: until limit
	keep     bool          // remember what was stored
	pick     func(c *connection, number int64) kind
}

// outcome is what a phase came to.
type outcome struct {
	elapsed time.Duration // until the last answer
	begun   int64
	kinds   [kinds]tally
	kept    []stored
	fatal   error // why going on is pointless
}

// connection is one client with one request under way. All but retried is called by
// one goroutine, and retried by that one from within the client.
type connection struct {
	bench  *bench
	client *client.Client
	random *rand.Rand

	limits  context.Context // no request, first or repeated, begins after its end
	cancel  context.CancelFunc
	gaveUp  error // why the present request was not repeated
	present kind
	kinds   [kinds]tally
	kept    []stored
}

// begin forgets what was counted.
func (c *connection) begin() {
	c.kept = nil
	for k := range c.kinds {
		c.kinds[k] = newTally()
	}
}

// retried hears that the client will repeat the request after a wait. A repetition
// that would begin after the end of the phase is not waited for.
func (c *connection) retried(err error, wait time.Duration) {
	deadline, has := c.limits.Deadline()
	if c.cancel != nil && (c.limits.Err() != nil || has && time.Now().Add(wait).After(deadline)) {
		c.gaveUp = err
		c.cancel()
		return
	}
	c.kinds[c.present].retry(err, wait)
}

// run runs a phase to its end: of its time, its requests, or ctx.
func (b *bench) run(ctx context.Context, p phase) outcome {
	limits, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if p.duration > 0 {
		var release context.CancelFunc
		limits, release = context.WithTimeout(limits, p.duration)
		defer release()
	}
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	// After an interruption short requests end by themselves, which leaves no doubt
	// about what they did; long ones are cut off.
	defer context.AfterFunc(ctx, func() {
		timer := time.NewTimer(b.o.Grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cut()
		case <-requests.Done():
		}
	})()
	var begun atomic.Int64
	var fatal error
	var once sync.Once
	var group sync.WaitGroup
	start := time.Now()
	for _, c := range b.connections {
		c.begin()
		c.limits = limits
		group.Go(func() {
			for limits.Err() == nil {
				n := begun.Add(1) - 1
				if p.limit > 0 && n >= p.limit {
					return
				}
				err := c.request(ctx, requests, p, n)
				if c.gaveUp != nil {
					return // or another request would come before the server wants one
				}
				if err != nil && pointless(err) {
					once.Do(func() { fatal = err })
					stop(err)
				}
			}
		})
	}
	group.Wait()
	o := outcome{elapsed: time.Since(start), begun: begun.Load(), fatal: fatal}
	for k := range o.kinds {
		o.kinds[k] = newTally()
	}
	for _, c := range b.connections {
		o.kept = append(o.kept, c.kept...)
		for k := range c.kinds {
			o.kinds[k].add(&c.kinds[k])
		}
	}
	return o
}

// request makes one request, with its repetitions, and counts what came of it. user is
// the context of whoever may interrupt, requests that of all requests. The error is one
// that had all the time it wanted.
func (c *connection) request(user, requests context.Context, p phase, n int64) error {
	ctx, cancel := context.WithCancel(requests)
	defer cancel()
	c.present, c.cancel, c.gaveUp = p.pick(c, n), cancel, nil
	t := &c.kinds[c.present]
	begin := time.Now()
	moved, err := c.do(ctx, p, n)
	took := time.Since(begin)
	switch {
	case err == nil:
		t.done(took, moved)
		if c.present == fetching {
			t.verified++
		}
	case user.Err() != nil && ctx.Err() != nil:
		t.unfinished++
	case c.gaveUp != nil:
		t.fail(c.gaveUp)
	default:
		t.fail(err)
		return err
	}
	return nil
}

// do makes the present request and returns the bytes of content that moved.
func (c *connection) do(ctx context.Context, p phase, n int64) (int64, error) {
	b := c.bench
	switch c.present {
	case storing:
		number := b.next.Add(1) - 1
		receipt, err := c.client.Put(ctx, b.path(number), source(b.block, number, b.o.SizeBytes), client.PutOptions{Tier: b.o.Tier})
		if err != nil {
			return 0, err
		}
		c.kinds[storing].durability[durabilityOf(receipt.Tier)]++
		if p.keep {
			c.kept = append(c.kept, stored{number, receipt.ChecksumCRC32C})
		}
		return b.o.SizeBytes, nil
	case fetching:
		return b.o.SizeBytes, c.fetch(ctx, b.stored[c.random.IntN(len(b.stored))])
	default:
		return 0, c.client.Delete(ctx, b.path(b.stored[n].number))
	}
}

// fetch reads a file. The client has compared what came with the checksum that the
// server sent; here that is compared with the one of what was stored.
func (c *connection) fetch(ctx context.Context, f stored) error {
	b := c.bench
	path := b.path(f.number)
	info, err := c.client.Get(ctx, path, sink{}, client.Resume{}, nil)
	switch {
	case err != nil:
		return err
	case info.SizeBytes != b.o.SizeBytes:
		return model.Errorf(model.CodeCorrupt, "get "+path, "%d bytes came, %d were stored", info.SizeBytes, b.o.SizeBytes)
	case info.ChecksumCRC32C != f.checksum:
		return model.Errorf(model.CodeCorrupt, "get "+path, "what came has the checksum %q, what was stored %q", info.ChecksumCRC32C, f.checksum)
	}
	return nil
}

// pointless reports whether every other request would fail the same way.
func pointless(err error) bool {
	switch model.CodeOf(err) {
	case model.CodeUnauthenticated, model.CodePermissionDenied, model.CodeLicenseDenied, model.CodeInvalidArgument, model.CodeTooLarge:
		return true
	}
	return client.Unreachable(err)
}
