package runtime

import (
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/messages"
)

// Shell is the protoactor actor around one incarnation of an Actor: protoactor
// makes a new one at every restart, so its address is the incarnation's
// identity, by which stale timers and results are known.
type Shell struct {
	host     Host
	producer Producer
	actor    Actor
	ctx      Context
	children map[string]*supervised // by path; looked up, never ranged over
	ending   bool                   // Stopping or Restarting has been delivered
	stopping bool                   // Stopping has
}

// props are protoactor's instructions to make and restart an actor.
func props(host Host, p Producer, more ...actor.PropsOption) *actor.Props {
	made := actor.PropsFromProducer(func() actor.Actor {
		return &Shell{host: host, producer: p, children: make(map[string]*supervised)}
	}, host.PropsOptions()...)
	return made.Configure(more...)
}

// Receive implements protoactor's Actor.
func (s *Shell) Receive(inner actor.Context) {
	s.ctx.shell, s.ctx.inner = s, inner
	msg := inner.Message()
	defer s.guard(msg)
	if s.stopping && !lastWords(msg) {
		return // protoactor goes on delivering; a child spawned now would never be stopped
	}
	switch m := msg.(type) {
	case *timer:
		s.onTimer(m)
	case *offloaded:
		s.onOffloaded(m)
	case *restartChild:
		s.onRestartChild(m)
	case *messages.Envelope:
		if opened := Open(s.host, m); opened != nil {
			s.deliver(opened)
		}
	case *actor.Started:
		s.actor = s.producer()
		s.actor.Receive(&s.ctx, m)
	case *actor.Restarting:
		s.onRestarting(m)
	case *actor.Stopping, *actor.Stopped:
		s.ending, s.stopping = true, true
		s.deliver(m)
	case *actor.Terminated:
		s.onTerminated(m)
	case *actor.DeadLetterResponse, *actor.ReceiveTimeout, *actor.Touch:
		// Protoactor's own; our actors rely on timers instead.
	default:
		s.deliver(m)
	}
}

// lastWords reports whether an actor that is being stopped still hears msg.
func lastWords(msg any) bool {
	switch msg.(type) {
	case *actor.Stopping, *actor.Stopped, *actor.Terminated, *actor.Restarting:
		return true
	}
	return false
}

// deliver hands msg to the actor. There is none when the producer panicked.
func (s *Shell) deliver(msg any) {
	if s.actor != nil {
		s.actor.Receive(&s.ctx, msg)
	}
}

func (s *Shell) onTimer(t *timer) {
	if t.shell != s || t.stopped {
		s.host.Counters().StaleTimers.Add(1)
		return
	}
	s.deliver(t.msg)
}

func (s *Shell) onOffloaded(o *offloaded) {
	if o.failure != nil {
		s.ctx.Log().Error("offloaded work panicked", slog.Any("reason", o.failure.Value), slog.String("stack", string(o.failure.Stack)))
	}
	switch {
	case o.shell != s:
		s.host.Counters().StaleResults.Add(1)
	case o.failure != nil:
		panic(&failed{reason: o.failure})
	default:
		s.deliver(o.result)
	}
}

// onRestarting ends this incarnation. When it was already stopping, the restart
// came too late: protoactor would revive the actor, so it is stopped again.
func (s *Shell) onRestarting(m *actor.Restarting) {
	if s.ending {
		s.ctx.inner.Stop(s.ctx.Self())
		return
	}
	s.ending = true
	s.host.Counters().Restarts.Add(1)
	s.deliver(m)
}

func (s *Shell) onTerminated(m *actor.Terminated) {
	if who := m.GetWho(); who != nil && who.Address == s.ctx.Self().Address {
		delete(s.children, who.Id)
	}
	s.deliver(m)
}

// failed is the panic value a Shell hands on after it logged the panic, so
// that no supervisor logs it again.
type failed struct{ reason any }

// guard logs a panic once, with its stack, and hands it to the supervisor. A
// panic while ending is only logged: there is nothing left to save, and
// protoactor's stop or restart must go on.
func (s *Shell) guard(msg any) {
	r := recover()
	if r == nil {
		return
	}
	if unwinding, ok := r.(Unwind); ok {
		panic(unwinding)
	}
	f, logged := r.(*failed)
	if !logged {
		f = &failed{reason: r}
		s.ctx.Log().Error("actor panicked", slog.Any("reason", r), slog.String("message", MessageName(msg)), slog.String("stack", string(debug.Stack())))
	}
	s.host.Counters().Panics.Add(1)
	if s.ending {
		return
	}
	panic(f)
}

// MessageName is the type of the message that an actor will see, for logs and
// traces: what a timer, an Offload result or an Envelope carries.
func MessageName(msg any) string {
	switch m := msg.(type) {
	case *timer:
		return MessageName(m.msg)
	case *offloaded:
		return MessageName(m.result)
	case *messages.Envelope:
		return m.GetType()
	case proto.Message:
		return string(m.ProtoReflect().Descriptor().FullName())
	}
	return goTypeName(msg)
}
