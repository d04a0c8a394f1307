package live

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/cluster/model"
)

// Stop ends the node: no more questions at the edge, the top-level actors one by
// one, the newest first, then what they had offloaded, then the network. It
// takes at most Config.StopTimeout, and returns deadline_exceeded when something
// had not ended by then. It is idempotent.
func (n *Node) Stop() error {
	n.stopOnce.Do(func() { n.stopErr = n.stop() })
	return n.stopErr
}

func (n *Node) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), n.config.StopTimeout)
	defer cancel()
	n.closing.Store(true)
	var failed error
	started := n.root.Started()
	if n.halted.Load() {
		started = nil // one of them is where Halt left it, and will not end
	}
	for i, pid := range slices.Backward(started) {
		if err := n.stopActor(ctx, i, pid); err != nil && failed == nil {
			failed = err
		}
	}
	if err := n.offloads.wait(ctx); err != nil && failed == nil {
		failed = model.Errorf(model.CodeDeadlineExceeded, "stop node", "offloaded work has not ended within %v: %w", n.config.StopTimeout, err)
	}
	n.stopBulk()
	n.stopRemote()
	n.system.Shutdown()
	return failed
}

// stopActor stops a top-level actor and waits for its end.
func (n *Node) stopActor(ctx context.Context, number int, pid *actor.PID) error {
	process, ok := n.system.ProcessRegistry.GetLocal(pid.Id)
	if !ok {
		return nil
	}
	waiter := &endWaiter{ended: make(chan struct{}, 1)}
	self, ok := n.system.ProcessRegistry.Add(waiter, "$stop/"+strconv.Itoa(number))
	if !ok {
		return model.Errorf(model.CodeInternal, "stop node", "the actor %s is being stopped already", pid.Id)
	}
	defer n.system.ProcessRegistry.Remove(self)
	process.SendSystemMessage(pid, &actor.Watch{Watcher: self})
	process.Stop(pid)
	select {
	case <-waiter.ended:
		return nil
	case <-ctx.Done():
		return model.Errorf(model.CodeDeadlineExceeded, "stop node", "the actor %s has not ended within %v: %w", pid.Id, n.config.StopTimeout, ctx.Err())
	}
}

// stopRemote ends every connection and the listener.
func (n *Node) stopRemote() {
	n.silent.Store(true)
	if n.remote == nil {
		return
	}
	n.links.Range(func(_, v any) bool {
		v.(*link).sever()
		return true
	})
	done := make(chan struct{})
	go func() {
		n.remote.Shutdown(false)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(keepaliveTimeout): // gRPC waits for nothing here, as far as is known
	}
}

// endWaiter is a process that waits for the end of an actor.
type endWaiter struct{ ended chan struct{} }

// SendUserMessage implements actor.Process.
func (w *endWaiter) SendUserMessage(*actor.PID, any) {}

// SendSystemMessage implements actor.Process.
func (w *endWaiter) SendSystemMessage(_ *actor.PID, message any) {
	if _, ok := message.(*actor.Terminated); ok {
		select {
		case w.ended <- struct{}{}:
		default:
		}
	}
}

// Stop implements actor.Process.
func (w *endWaiter) Stop(*actor.PID) {}
