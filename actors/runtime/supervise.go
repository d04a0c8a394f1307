package runtime

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Defaults of the restart policy: a bug that one message triggers is survived,
// a bug that every start triggers is escalated within about six seconds.
const (
	DefaultRestarts       = 10
	DefaultRestartsWithin = 60 * time.Second
	firstBackoff          = 10 * time.Millisecond
	longestBackoff        = time.Second
)

// SpawnOption changes how a child is supervised.
type SpawnOption func(*policy)

// WithRestarts allows max restarts within a window of the runtime's clock; one
// failure more escalates to the parent. With max 0 the first failure escalates.
func WithRestarts(max int, within time.Duration) SpawnOption {
	return func(p *policy) { p.max, p.within = max, within }
}

type policy struct {
	max    int
	within time.Duration
}

func newPolicy(opts []SpawnOption) policy {
	p := policy{max: DefaultRestarts, within: DefaultRestartsWithin}
	for _, opt := range opts {
		opt(&p)
	}
	return p
}

// supervised is what a supervisor remembers of a child: when it failed lately,
// and the restart that is due.
type supervised struct {
	pid      *actor.PID
	policy   policy
	failures []time.Time // within the window, oldest first
	cancel   func()      // of the pending restart
	stopped  bool
}

// fail counts a failure at now. It returns the back-off before the restart, or
// false when there were too many.
func (c *supervised) fail(now time.Time) (time.Duration, bool) {
	kept := c.failures[:0]
	for _, at := range c.failures {
		if now.Sub(at) < c.policy.within {
			kept = append(kept, at)
		}
	}
	c.failures = append(kept, now)
	n := len(c.failures)
	if n > c.policy.max {
		return 0, false
	}
	backoff := firstBackoff << min(n-1, 16)
	return min(backoff, longestBackoff), true
}

// stop forgets the pending restart: a child that is being stopped must not be
// restarted, or protoactor would revive it and lose its end.
func (c *supervised) stop() {
	c.stopped = true
	if c.cancel != nil {
		c.cancel()
	}
}

// HandleFailure implements protoactor's SupervisorStrategy for the children of
// this actor. It runs in this actor's mailbox.
func (s *Shell) HandleFailure(system *actor.ActorSystem, supervisor actor.Supervisor, who *actor.PID, _ *actor.RestartStatistics, reason, message any) {
	child := s.children[who.Id]
	if child == nil || child.stopped {
		supervisor.StopChildren(who)
		return
	}
	backoff, ok := child.fail(s.host.Now())
	if !ok {
		s.host.Counters().Escalations.Add(1)
		s.ctx.Log().Error("restarts exhausted, the failure escalates", slog.String("child", who.Id), slog.Int("failures", len(child.failures)))
		supervisor.EscalateFailure(reason, message)
		return
	}
	self := s.ctx.Self()
	due := &restartChild{shell: s, child: child}
	child.cancel = s.host.StartTimer(backoff, func() { system.Root.Send(self, due) })
}

func (s *Shell) onRestartChild(m *restartChild) {
	if m.shell != s || m.child.stopped || s.children[m.child.pid.Id] != m.child {
		return
	}
	restart(s.host.System(), m.child.pid)
}

// restartMessage makes a failed actor begin again; its mailbox stays.
var restartMessage = &actor.Restart{}

func restart(system *actor.ActorSystem, pid *actor.PID) {
	if process, ok := system.ProcessRegistry.Get(pid); ok {
		process.SendSystemMessage(pid, restartMessage)
	}
}

// Reason is the value an actor panicked with.
func Reason(r any) any {
	if f, ok := r.(*failed); ok {
		return f.reason
	}
	return r
}
