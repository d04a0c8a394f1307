package live

import (
	"context"
	"sync"

	"tiercel/actors/runtime"
)

// offloads runs blocking work on goroutines, so many at once, and knows when
// none is left.
type offloads struct {
	slots chan struct{} // one per running work

	mu      sync.Mutex
	count   int           // asked for and not ended
	drained chan struct{} // closed when count falls to zero; nil while nobody waits
}

func newOffloads() *offloads { return &offloads{slots: make(chan struct{}, maxOffloads)} }

// Offload implements runtime.Host with a goroutine.
func (n *Node) Offload(work func() any, done func(any, *runtime.WorkPanic)) {
	o := n.offloads
	o.begin()
	go func() {
		defer o.end() // also when work ends its goroutine by a Halt
		o.slots <- struct{}{}
		defer func() { <-o.slots }()
		done(runtime.RunWork(work))
	}()
}

func (o *offloads) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count++
}

func (o *offloads) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count--; o.count == 0 && o.drained != nil {
		close(o.drained)
		o.drained = nil
	}
}

// wait returns when no work is under way, or with ctx's error.
func (o *offloads) wait(ctx context.Context) error {
	o.mu.Lock()
	if o.count == 0 {
		o.mu.Unlock()
		return nil
	}
	if o.drained == nil {
		o.drained = make(chan struct{})
	}
	drained := o.drained
	o.mu.Unlock()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
