package live

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is protoactor's own, behind a gate that opens when its actor has started.
// protoactor makes an actor known by its name before its mailbox has a dispatcher. Who
// sends to it in between panics, and the mailbox, marked as running, is never run again:
// the new actor would be deaf for ever.
type mailbox struct {
	actor.Mailbox
	open atomic.Bool

	mu           sync.Mutex
	system, user []any // what came before it opened
}

func newMailbox() actor.Mailbox { return &mailbox{Mailbox: actor.Unbounded()()} }

// PostUserMessage implements actor.Mailbox.
func (m *mailbox) PostUserMessage(message any) {
	if m.open.Load() || !m.keep(&m.user, message) {
		m.Mailbox.PostUserMessage(message)
	}
}

// PostSystemMessage implements actor.Mailbox. Started comes from who spawns, when all
// is there, and before everything else.
func (m *mailbox) PostSystemMessage(message any) {
	if _, started := message.(*actor.Started); started || m.open.Load() || !m.keep(&m.system, message) {
		m.Mailbox.PostSystemMessage(message)
	}
}

// keep holds a message back unless the gate has opened meanwhile.
func (m *mailbox) keep(in *[]any, message any) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open.Load() {
		return false
	}
	*in = append(*in, message)
	return true
}

// Start implements actor.Mailbox: what was held back goes in, in its order.
func (m *mailbox) Start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Mailbox.Start()
	for _, message := range m.system {
		m.Mailbox.PostSystemMessage(message)
	}
	for _, message := range m.user {
		m.Mailbox.PostUserMessage(message)
	}
	m.system, m.user = nil, nil
	m.open.Store(true)
}
