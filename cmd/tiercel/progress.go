package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/transfer"
)

// isTerminal reports whether a person watches w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// watchProgress draws a bar on standard error if that is a terminal. stop ends
// and removes it.
func (a *app) watchProgress(quiet bool, verb string) (p transfer.Progress, stop func()) {
	if quiet || !isTerminal(a.stderr) {
		return transfer.Silent{}, func() {}
	}
	b := newBar(a.stderr, verb)
	return b, b.finish
}

// bar draws the state of a transfer a few times a second. Workers only count.
type bar struct {
	verb                      string
	shown                     *progressbar.ProgressBar
	files, done, bytes, moved atomic.Int64
	end                       chan struct{}
	drawn                     sync.WaitGroup
}

func newBar(w io.Writer, verb string) *bar {
	b := &bar{verb: verb, end: make(chan struct{})}
	b.shown = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		// Drawn here only: the spinner's own goroutine races with Clear.
		progressbar.OptionSetSpinnerChangeInterval(0))
	b.drawn.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				b.draw()
			case <-b.end:
				return
			}
		}
	})
	return b
}

// newJobBar is a bar for what somebody else does; it is drawn only when it is told to.
func newJobBar(w io.Writer) *progressbar.ProgressBar {
	return progressbar.NewOptions64(1, progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetSpinnerChangeInterval(0))
}

// Found implements transfer.Progress.
func (b *bar) Found(files, bytes int64) { b.files.Add(files); b.bytes.Add(bytes) }

// Moved implements transfer.Progress.
func (b *bar) Moved(bytes int64) { b.moved.Add(bytes) }

// Done implements transfer.Progress.
func (b *bar) Done() { b.done.Add(1) }

// draw cannot do more about a terminal that refuses than to leave it.
func (b *bar) draw() {
	b.shown.Describe(fmt.Sprintf("%s %d/%d files", b.verb, b.done.Load(), b.files.Load()))
	moved := max(0, b.moved.Load())
	if total := b.bytes.Load(); total > 0 && moved <= total {
		b.shown.ChangeMax64(total + 1) // never full before finish: a full bar ends itself
	}
	_ = b.shown.Set64(moved)
}

func (b *bar) finish() {
	close(b.end)
	b.drawn.Wait()
	_ = b.shown.Clear()
}

// retryNote says that something is being repeated, and not too often.
type retryNote struct {
	a    *app
	mu   sync.Mutex
	last time.Time
}

const retryNoteEvery = 5 * time.Second

func (n *retryNote) note(err error, wait time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); now.Sub(n.last) >= retryNoteEvery {
		n.last = now
		clear := ""
		if isTerminal(n.a.stderr) {
			clear = "\r\x1b[K" // the bar is drawn again below
		}
		fmt.Fprintf(n.a.stderr, "%stiercel: %s; trying again in %s\n", clear, client.Message(err), wait.Round(10*time.Millisecond))
	}
}
