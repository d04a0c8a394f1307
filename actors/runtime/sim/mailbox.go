package sim

import (
	"fmt"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// mailbox runs one message per turn, system messages first, so that the world
// decides the order in which actors proceed.
type mailbox struct {
	proc      *process
	name      string
	invoker   actor.MessageInvoker
	system    fifo
	user      fifo
	suspended bool
	scheduled bool
}

// letter is a message in a mailbox, with its encoding for the trace.
type letter struct {
	msg   any
	bytes []byte
}

type fifo struct {
	letters []letter
	head    int
}

func (f *fifo) push(l letter) { f.letters = append(f.letters, l) }

func (f *fifo) len() int { return len(f.letters) - f.head }

func (f *fifo) pop() letter {
	l := f.letters[f.head]
	f.letters[f.head] = letter{}
	f.head++
	if f.head == len(f.letters) {
		f.letters, f.head = f.letters[:0], 0
	}
	return l
}

// PostUserMessage implements actor.Mailbox.
func (m *mailbox) PostUserMessage(message any) {
	m.user.push(m.seal(message))
	m.schedule()
}

// PostSystemMessage implements actor.Mailbox.
func (m *mailbox) PostSystemMessage(message any) {
	m.system.push(letter{msg: message})
	m.schedule()
}

// RegisterHandlers implements actor.Mailbox.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
	m.name = invoker.(actor.Context).Self().GetId()
}

// Start implements actor.Mailbox.
func (m *mailbox) Start() {}

// UserMessageCount implements actor.Mailbox.
func (m *mailbox) UserMessageCount() int { return m.user.len() }

func (m *mailbox) ready() bool { return m.system.len() > 0 || !m.suspended && m.user.len() > 0 }

func (m *mailbox) schedule() {
	if !m.scheduled && !m.proc.dead && m.ready() {
		m.scheduled = true
		m.proc.Schedule(m.run)
	}
}

// run handles one message.
func (m *mailbox) run() {
	m.scheduled = false
	if !m.ready() {
		return
	}
	if m.system.len() > 0 {
		m.invoke(m.system.pop(), true)
	} else {
		m.invoke(m.user.pop(), false)
	}
	m.schedule()
}

func (m *mailbox) invoke(l letter, system bool) {
	_, msg, _ := actor.UnwrapEnvelope(l.msg)
	name := runtime.MessageName(msg)
	m.proc.world.record(m.proc, m.name, "receive", name, l.bytes)
	defer m.recovered(l.msg)
	if around := m.proc.world.options.Around; around != nil {
		around(m.proc.node.id, m.name, name, func() { m.turn(l, msg, system) })
		return
	}
	m.turn(l, msg, system)
}

func (m *mailbox) turn(l letter, msg any, system bool) {
	switch {
	case isType[failNow](msg):
		panic("the story fails this actor here")
	case !system:
		m.invoker.InvokeUserMessage(l.msg)
	case isType[*actor.SuspendMailbox](l.msg):
		m.suspended = true
	case isType[*actor.ResumeMailbox](l.msg):
		m.suspended = false
	default:
		m.invoker.InvokeSystemMessage(l.msg)
	}
}

// recovered hands a panic to the supervisor, unless the process has ended in it.
func (m *mailbox) recovered(msg any) {
	r := recover()
	if r == nil || m.proc.dead {
		return
	}
	m.invoker.EscalateFailure(r, msg)
}

func isType[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

// seal encodes a message for the trace and gives the receiver its own copy. A
// message that cannot be encoded fails its sender, as it would on a network.
func (m *mailbox) seal(message any) letter {
	header, inner, sender := actor.UnwrapEnvelope(message)
	msg, ok := inner.(proto.Message)
	if !ok || strings.HasPrefix(string(msg.ProtoReflect().Descriptor().FullName()), "actor.") {
		return letter{msg: message}
	}
	if e, ok := inner.(*messages.Envelope); ok {
		return letter{msg: message, bytes: e.GetPayload()} // made for this delivery alone
	}
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(msg)
	if err != nil {
		panic(fmt.Sprintf("message %T to %s cannot be encoded: %v", msg, m.name, err))
	}
	if m.proc.world.options.ShareLocal {
		return letter{msg: message, bytes: bytes}
	}
	copied := msg.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(bytes, copied); err != nil {
		panic(fmt.Sprintf("message %T to %s cannot be decoded again: %v", msg, m.name, err))
	}
	if sender == nil && header == nil {
		return letter{msg: copied, bytes: bytes}
	}
	return letter{msg: &actor.MessageEnvelope{Message: copied, Sender: sender}, bytes: bytes}
}
