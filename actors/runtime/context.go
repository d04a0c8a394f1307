package runtime

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// Context is what an actor can do while it handles one message. It is valid
// until Receive returns and belongs to the actor: never keep it, never hand it
// to an Offload.
type Context struct {
	shell *Shell
	inner actor.Context
	log   *slog.Logger
}

// Self is the actor's own PID. Its Id is the actor's path.
func (c *Context) Self() *actor.PID { return c.inner.Self() }

// Sender is who asked, or nil when the message came by Send.
func (c *Context) Sender() *actor.PID { return c.inner.Sender() }

// Send delivers msg without a sender. The message must not be changed
// afterwards. Delivery is at most once, in order per pair of actors.
func (c *Context) Send(to *actor.PID, msg proto.Message) {
	if to != nil {
		c.inner.Send(to, msg)
	}
}

// Request is Send with this actor as the sender: the reply comes back as an
// ordinary message, or never, so a pending request needs a timer.
func (c *Context) Request(to *actor.PID, msg proto.Message) {
	if to != nil {
		c.inner.Request(to, msg)
	}
}

// Reply sends msg to the sender of the message in hand; nothing happens when
// it has none.
func (c *Context) Reply(msg proto.Message) { c.Send(c.inner.Sender(), msg) }

// SendBulk is Send on the bulk lane: its own connection per node, so that bodies
// never hold up control messages, for messages up to MaxBulkBytes. In order among
// the bulk messages of two actors; at most once. To an actor of this node it is Send.
func (c *Context) SendBulk(to *actor.PID, msg proto.Message) { c.bulk(to, nil, msg) }

// RequestBulk is Request on the bulk lane.
func (c *Context) RequestBulk(to *actor.PID, msg proto.Message) { c.bulk(to, c.Self(), msg) }

// ReplyBulk is Reply on the bulk lane.
func (c *Context) ReplyBulk(msg proto.Message) { c.SendBulk(c.inner.Sender(), msg) }

func (c *Context) bulk(to, sender *actor.PID, msg proto.Message) {
	switch {
	case to == nil:
	case to.Address == c.Self().Address && sender != nil:
		c.inner.Request(to, msg)
	case to.Address == c.Self().Address:
		c.inner.Send(to, msg)
	default:
		c.shell.host.SendBulk(to, sender, msg)
	}
}

// Spawn starts a child under the path of this actor plus "/" plus name. It is
// supervised as opts say. A name that is taken panics: a child that was stopped
// has its name until its *actor.Terminated arrives here.
func (c *Context) Spawn(name string, p Producer, opts ...SpawnOption) *actor.PID {
	policy := newPolicy(opts)
	pid, err := c.inner.SpawnNamed(props(c.shell.host, p), name)
	if err != nil {
		panic(fmt.Sprintf("spawn %s/%s: %v; wait for the earlier child's Terminated", c.Self().Id, name, err))
	}
	c.shell.children[pid.Id] = &supervised{pid: pid, policy: policy}
	return pid
}

// Stop ends an actor of this node and its children, whatever waits in their
// mailboxes. An actor of another node cannot be stopped; ask it instead.
func (c *Context) Stop(pid *actor.PID) {
	if pid == nil {
		return
	}
	if child := c.shell.children[pid.Id]; child != nil && pid.Address == child.pid.Address {
		child.stop()
	}
	c.inner.Stop(pid)
}

// Watch asks for *actor.Terminated when pid stops, when it does not exist, or
// when its node is lost. A watch ends with that message: watch again to hear of
// a later one. A parent hears of its children without watching.
func (c *Context) Watch(pid *actor.PID) {
	if pid == nil || c.shell.children[pid.Id] != nil && pid.Address == c.Self().Address {
		return
	}
	c.inner.Watch(pid)
}

// After delivers msg to this actor once d has passed on the node's clock, unless
// the timer is stopped or the actor restarts first.
func (c *Context) After(d time.Duration, msg any) Timer {
	t := &timer{shell: c.shell, msg: msg}
	host, self := c.shell.host, c.Self()
	t.cancel = host.StartTimer(d, func() { host.System().Root.Send(self, t) })
	return t
}

// Offload runs work, which may block on the disk, outside the mailbox. Its
// result arrives here as a message; a nil result too. Two works of one actor may
// run in any order. Work must not touch the actor's fields. A panic in work fails the
// actor; a restart of the actor does not stop work, but its result is dropped.
func (c *Context) Offload(work func() any) {
	host, self, shell := c.shell.host, c.Self(), c.shell
	host.Offload(work, func(result any, failure *WorkPanic) {
		host.System().Root.Send(self, &offloaded{shell: shell, result: result, failure: failure})
	})
}

// Now is the node's clock.
func (c *Context) Now() time.Time { return c.shell.host.Now() }

// Rand is a random number; seeded in simulation, so the only one to use.
func (c *Context) Rand() uint64 { return c.shell.host.Rand() }

// Runtime is the node this actor runs on.
func (c *Context) Runtime() Runtime { return c.shell.host }

// Log carries the keys node and actor.
func (c *Context) Log() *slog.Logger {
	if c.log == nil {
		c.log = c.shell.host.Log().With(slog.String("actor", c.Self().Id))
	}
	return c.log
}
