package transfer

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
)

// maxFailures bounds how many failures are kept with their reasons; all are counted.
const maxFailures = 1000

// Failure is one file that could not be dealt with, and why.
type Failure struct {
	Path  string     `json:"path"`
	Code  model.Code `json:"code,omitempty"`
	Error string     `json:"error"`
}

// Summary is what a transfer came to.
type Summary struct {
	Files           int64           `json:"files"`
	Bytes           int64           `json:"bytes"`
	Seconds         float64         `json:"seconds"`
	SkippedSymlinks int64           `json:"skipped_symlinks,omitempty"`
	SkippedSpecial  int64           `json:"skipped_special,omitempty"`
	FailedFiles     int64           `json:"failed_files"`
	Failed          []Failure       `json:"failed"`            // the first maxFailures
	Stopped         string          `json:"stopped,omitempty"` // why not everything was tried
	Receipt         *client.Receipt `json:"receipt,omitempty"` // of a single file that was put
}

// Progress hears of a transfer while it goes on, from several goroutines.
type Progress interface {
	// Found: so many more files and bytes are to be moved.
	Found(files, bytes int64)
	// Moved: so many bytes have moved; negative when some have to move again.
	Moved(bytes int64)
	// Done: one file is finished, well or not.
	Done()
}

// Silent is a Progress that nobody watches.
type Silent struct{}

// Found implements Progress.
func (Silent) Found(int64, int64) {}

// Moved implements Progress.
func (Silent) Moved(int64) {}

// Done implements Progress.
func (Silent) Done() {}

// tally collects results from several workers.
type tally struct {
	mu      sync.Mutex
	sum     Summary
	begun   time.Time
	run     context.Context // of the workers
	stop    context.CancelCauseFunc
	stopped error
}

// newTally returns a context that ends when going on would be pointless.
func newTally(ctx context.Context) (context.Context, *tally) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &tally{begun: time.Now(), run: ctx, stop: cancel, sum: Summary{Failed: []Failure{}}}
}

func (t *tally) done(bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Files++
	t.sum.Bytes += bytes
}

func (t *tally) skip(symlinks, special int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.SkippedSymlinks += symlinks
	t.sum.SkippedSpecial += special
}

// fail notes that name could not be dealt with. A server that cannot be
// reached ends the whole: every other file would wait and fail the same way.
// What is broken off by an end is counted, and its reason reported once.
func (t *tally) fail(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.FailedFiles++
	if t.run.Err() != nil {
		return
	}
	if client.Unreachable(err) {
		t.stopped = err
		t.stop(err)
	}
	if len(t.sum.Failed) < maxFailures {
		f := Failure{Path: shown(name), Error: client.Message(err)}
		var coded *model.Error
		if errors.As(err, &coded) {
			bare := *coded
			bare.Op = "" // the name stands before it
			f.Code, f.Error = coded.Code, client.Message(&bare)
		}
		t.sum.Failed = append(t.sum.Failed, f)
	}
}

// summary ends the tally. ctx is the one that newTally was given.
func (t *tally) summary(ctx context.Context) Summary {
	t.stop(nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Seconds = time.Since(t.begun).Seconds()
	switch {
	case t.stopped != nil:
		t.sum.Stopped = "the server cannot be reached; not everything was tried, and what was under way may be done or not"
	case ctx.Err() != nil:
		t.sum.Stopped = "interrupted; not everything was tried"
	}
	return t.sum
}

// OK reports whether everything was done.
func (s Summary) OK() bool { return s.FailedFiles == 0 && s.Stopped == "" }

// forEach hands items to jobs workers and returns when all are through, or the
// source ended with an error, which it returns, or ctx was cancelled.
func forEach[T any](ctx context.Context, jobs int, items iter.Seq2[T, error], do func(T)) error {
	// Enough ahead that the progress bar knows what is coming, and bounded.
	queue := make(chan T, 64*jobs)
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for item := range queue {
				if ctx.Err() == nil {
					do(item)
				}
			}
		})
	}
	defer workers.Wait()
	defer close(queue)
	for item, err := range items {
		if err != nil {
			return err
		}
		select {
		case queue <- item:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}
