package live

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// AskMessage is a request with a header, which names the reply.
type AskMessage interface {
	proto.Message
	GetHeader() *messages.Header
}

// Edge lets code outside actors, an HTTP handler for instance, ask an actor and
// wait for the reply. It is itself the sender that actors reply to; one serves
// any number of goroutines.
type Edge struct {
	node   *Node
	pid    *actor.PID
	last   atomic.Uint64 // request id
	shards [edgeShards]edgeShard
	idle   sync.Pool // of *question
	late   atomic.Uint64
}

const (
	edgePath   = "edge"
	edgeShards = 64 // a power of two
)

type edgeShard struct {
	mu      sync.Mutex
	pending map[uint64]*question
	_       [40]byte // a cache line each
}

// question is one Ask under way. Whoever removes it from its shard, and nobody
// else, may send to answer.
type question struct{ answer chan answer }

type answer struct {
	reply proto.Message
	err   error
}

func newEdge(n *Node) *Edge {
	e := &Edge{node: n, idle: sync.Pool{New: func() any { return &question{answer: make(chan answer, 1)} }}}
	for i := range e.shards {
		e.shards[i].pending = make(map[uint64]*question)
	}
	// A late reply to an earlier incarnation must not answer a question of this one.
	e.last.Store(n.config.Incarnation << 40)
	return e
}

func (e *Edge) register() error {
	pid, ok := e.node.system.ProcessRegistry.Add(e, edgePath)
	if !ok {
		return model.Errorf(model.CodeInternal, "start node", "the name %q is taken", edgePath)
	}
	e.pid = pid
	return nil
}

// NoActor is the detail "reason" of an error of Ask whose question was not heard
// by anybody, and so may be asked again.
const NoActor = "no_actor"

// Ask sends msg to an actor and waits for the message whose header carries the
// same request id, which Ask draws and writes into msg's header; msg belongs to
// the receiver from then on. Errors: invalid_argument when msg has no header,
// unavailable when there is no such actor on this node or the node is stopping,
// deadline_exceeded when ctx ends first; the request may still have taken effect.
func (e *Edge) Ask(ctx context.Context, to *actor.PID, msg AskMessage) (proto.Message, error) {
	const op = "ask an actor"
	header := msg.GetHeader()
	if header == nil {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "the %s has no header to carry the request id", runtime.MessageName(msg))
	}
	if e.node.closing.Load() {
		return nil, model.Errorf(model.CodeUnavailable, op, "the node %s is stopping; ask another node", e.node.config.Node)
	}
	id := e.last.Add(1)
	header.Request = id
	q := e.idle.Get().(*question)
	shard := &e.shards[id%edgeShards]
	shard.mu.Lock()
	shard.pending[id] = q
	shard.mu.Unlock()
	e.node.system.Root.Send(to, &actor.MessageEnvelope{Message: msg, Sender: e.pid})
	select {
	case a := <-q.answer:
		e.idle.Put(q)
		return a.reply, a.err
	case <-ctx.Done():
	}
	if e.take(id) == nil { // an answer is being given at this moment
		a := <-q.answer
		e.idle.Put(q)
		return a.reply, a.err
	}
	e.idle.Put(q)
	return nil, model.Errorf(model.CodeDeadlineExceeded, op, "no answer from %s in time: %w", to.GetId(), ctx.Err())
}

// take removes a question; nil when it was answered or given up.
func (e *Edge) take(id uint64) *question {
	shard := &e.shards[id%edgeShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	q := shard.pending[id]
	if q != nil {
		delete(shard.pending, id)
	}
	return q
}

// SendUserMessage implements actor.Process: a reply arrives.
func (e *Edge) SendUserMessage(_ *actor.PID, message any) {
	_, msg, _ := actor.UnwrapEnvelope(message)
	if envelope, ok := msg.(*messages.Envelope); ok {
		if msg = runtime.Open(e.node, envelope); msg == nil {
			return
		}
	}
	reply, ok := msg.(AskMessage)
	if !ok {
		e.late.Add(1)
		return
	}
	e.complete(reply.GetHeader().GetRequest(), answer{reply: reply})
}

func (e *Edge) complete(id uint64, a answer) {
	if q := e.take(id); q != nil {
		q.answer <- a // never blocks: one answer per question
		return
	}
	e.late.Add(1)
}

// SendSystemMessage implements actor.Process. Nothing watches or stops the edge.
func (e *Edge) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process. The edge lives as long as the node.
func (e *Edge) Stop(*actor.PID) {}

// onDeadLetter answers at once a question to an actor that does not exist here.
func (e *Edge) onDeadLetter(dead *actor.DeadLetterEvent) {
	msg, ok := dead.Message.(AskMessage)
	if !ok || e.pid == nil || !dead.Sender.Equal(e.pid) {
		return
	}
	e.complete(msg.GetHeader().GetRequest(), answer{err: model.Errorf(model.CodeUnavailable, "ask an actor",
		"there is no actor %s on %s now; try again", dead.PID.GetId(), e.node.config.Node).With("reason", NoActor)})
}

// pending counts the questions under way.
func (e *Edge) pending() (n int) {
	for i := range e.shards {
		e.shards[i].mu.Lock()
		n += len(e.shards[i].pending)
		e.shards[i].mu.Unlock()
	}
	return n
}
