package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
)

// Workload is a kind of load.
type Workload string

// The workloads. Mixed is three reads for each write.
const (
	Put    Workload = "put"
	Get    Workload = "get"
	Mixed  Workload = "mixed"
	Delete Workload = "delete"
)

// Workloads are all of them, in an order in which they make sense.
func Workloads() []Workload { return []Workload{Put, Get, Mixed, Delete} }

// mixedReads of every mixedReads+1 requests of Mixed are reads.
const mixedReads = 3

// spread is over how many directories the files are spread.
const spread = 64

// Options of a run.
type Options struct {
	// Connect makes the client of one connection; onRetry is client.Options.OnRetry.
	Connect     func(onRetry func(error, time.Duration)) (*client.Client, error)
	Dir         string // where files are stored, with a slash at the end; nobody else's
	SizeBytes   int64
	Connections int
	Duration    time.Duration // of each workload; zero: until Requests
	Requests    int64         // of each workload; zero: until Duration
	Files       int64         // stored beforehand to be read; Delete needs Requests, if there are any
	Tier        model.Tier
	// Grace is how long requests under way may go on after an interruption.
	Grace time.Duration
	// Note hears what begins, for a person; nil: nobody does.
	Note func(string)
}

// bench is one run.
type bench struct {
	o           Options
	block       []byte
	connections []*connection
	next        atomic.Uint64 // number of the next file to be stored
	stored      []stored      // files to be read or deleted
}

// stored is a file that was acknowledged.
type stored struct {
	number   uint64
	checksum string // of the receipt, which the client has compared with what it sent
}

// Run runs workloads one after the other, until one shows that going on is
// pointless or ctx ends. The report holds what was measured until then.
func Run(ctx context.Context, workloads []Workload, o Options) Report {
	b := &bench{o: o, block: newBlock()}
	report := Report{Directory: o.Dir, SizeBytes: o.SizeBytes, Connections: o.Connections, Workloads: []Result{}}
	defer b.close()
	if err := b.connect(ctx); err != nil {
		report.stop(ctx, err)
		return report
	}
	for _, w := range workloads {
		if err := b.prepare(ctx, w); err != nil {
			report.stop(ctx, err)
			break
		}
		b.note("%s: %s", w, b.extent(w))
		result, err := b.measure(ctx, w)
		report.Workloads = append(report.Workloads, result)
		if err != nil || ctx.Err() != nil {
			if err != nil {
				err = fmt.Errorf("%s: every other request would fail the same way", w)
			}
			report.stop(ctx, err)
			break
		}
	}
	return report
}

func (b *bench) note(format string, args ...any) {
	if b.o.Note != nil {
		b.o.Note(fmt.Sprintf(format, args...))
	}
}

// extent is how long a workload is.
func (b *bench) extent(w Workload) string {
	switch {
	case b.o.Requests > 0:
		return fmt.Sprintf("%d requests", b.limit(w))
	case w == Delete:
		return fmt.Sprintf("%s, or until all %d files are gone", b.o.Duration, b.limit(w))
	}
	return b.o.Duration.String()
}

// connect makes the connections, so that none is made while latency is measured.
func (b *bench) connect(ctx context.Context) error {
	var group errgroup.Group
	for i := range b.o.Connections {
		c := &connection{bench: b, random: rand.New(rand.NewPCG(uint64(i), 1)), limits: ctx}
		made, err := b.o.Connect(c.retried)
		if err != nil {
			return err
		}
		c.client = made
		b.connections = append(b.connections, c)
		c.begin()
		group.Go(func() error {
			_, _, err := made.Find(ctx, b.o.Dir+"nothing")
			return err
		})
	}
	return group.Wait()
}

func (b *bench) close() {
	for _, c := range b.connections {
		c.client.Close()
	}
}

// need is how many stored files a workload begins with.
func (b *bench) need(w Workload) int64 {
	switch w {
	case Get, Mixed:
		return b.o.Files
	case Delete:
		if b.o.Requests > 0 {
			return b.o.Requests
		}
		return b.o.Files
	}
	return 0
}

// limit is how many requests a workload has at most; zero: no limit.
func (b *bench) limit(w Workload) int64 {
	if w == Delete {
		return b.need(w)
	}
	return b.o.Requests
}

// prepare stores, without measuring, what the workload needs and is not there.
func (b *bench) prepare(ctx context.Context, w Workload) error {
	missing := b.need(w) - int64(len(b.stored))
	if missing <= 0 {
		return nil
	}
	b.note("%s: storing %d files first, which is not measured", w, missing)
	p := phase{limit: missing, keep: true, pick: func(*connection, int64) kind { return storing }}
	outcome := b.run(ctx, p)
	b.stored = append(b.stored, outcome.kept...)
	if int64(len(outcome.kept)) == missing {
		return nil
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	why := outcome.fatal
	if why == nil {
		why = outcome.kinds[storing].example()
	}
	return fmt.Errorf("%s: only %d of %d files could be stored beforehand: %s", w, len(outcome.kept), missing, client.Message(why))
}

var errInterrupted = errors.New("interrupted")

// measure runs one workload. The error is why no other one need be tried.
func (b *bench) measure(ctx context.Context, w Workload) (Result, error) {
	p := phase{limit: b.limit(w), duration: b.o.Duration}
	switch w {
	case Put:
		p.pick = func(*connection, int64) kind { return storing }
	case Get:
		p.pick = func(*connection, int64) kind { return fetching }
	case Mixed:
		p.pick = func(c *connection, _ int64) kind {
			if c.random.IntN(mixedReads+1) < mixedReads {
				return fetching
			}
			return storing
		}
	case Delete:
		p.pick = func(*connection, int64) kind { return removing }
	}
	outcome := b.run(ctx, p)
	if w == Delete {
		// What could not be deleted is nobody's to read any more either.
		b.stored = b.stored[min(outcome.begun, int64(len(b.stored))):]
	}
	result := outcome.result(w)
	if w == Delete && b.o.Duration > 0 && outcome.begun >= p.limit {
		result.Note = fmt.Sprintf("ended when all %d files that were stored beforehand were deleted", p.limit)
	}
	return result, outcome.fatal
}

// path names file number.
func (b *bench) path(number uint64) string {
	return fmt.Sprintf("%sd%02d/f%d", b.o.Dir, number%spread, number)
}
