package live

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
)

// outbound is the local end of every actor of another node.
type outbound struct{ node *Node }

var _ actor.Process = (*outbound)(nil)

// resolve implements actor.AddressResolver: every address but our own is over
// the network.
func (n *Node) resolve(*actor.PID) (actor.Process, bool) { return &outbound{n}, true }

// SendUserMessage implements actor.Process. It never blocks.
func (o *outbound) SendUserMessage(pid *actor.PID, message any) {
	n := o.node
	_, msg, sender := actor.UnwrapEnvelope(message)
	lost := n.link(pid.Address).lost.Load()
	l := n.reach(pid)
	if l == nil {
		return
	}
	envelope, err := runtime.Seal(n, msg)
	if err != nil {
		runtime.Refuse(n, pid, err)
		return
	}
	size := proto.Size(envelope)
	if !l.reserve(size, n.queueLimit) {
		n.countDrop(&n.counters.LinkOverflows, pid.Address, "it does not keep up")
		return
	}
	n.remote.SendMessage(pid, nil, envelope, sender, protobufSerializer)
	if l.lost.Load() != lost {
		l.written(size) // it went down with the connection, after the queue was emptied
	}
}

// protobufSerializer is what remote uses whatever it is given.
const protobufSerializer = -1

// SendSystemMessage implements actor.Process. Only death-watch crosses a network.
func (o *outbound) SendSystemMessage(pid *actor.PID, message any) {
	n := o.node
	switch m := message.(type) {
	case *actor.Watch:
		n.watch(pid, m.Watcher)
	case *actor.Terminated:
		if n.reach(pid) != nil {
			n.remote.SendMessage(pid, nil, &actor.Terminated{Who: m.Who, Why: m.Why}, nil, protobufSerializer)
		}
	default:
		o.Stop(pid)
	}
}

// Stop implements actor.Process: an actor of another node cannot be stopped.
func (o *outbound) Stop(pid *actor.PID) {
	o.node.countDrop(&o.node.counters.RefusedFrames, pid.GetAddress(), "only the node itself stops its actors")
}

// reach is the link to the node of pid, or nil when a send is lost anyway.
func (n *Node) reach(pid *actor.PID) *link {
	if n.remote == nil || pid.Address == "" {
		n.countDrop(&n.counters.UnreachablePeers, pid.Address, "no network or no address")
		return nil
	}
	if n.silent.Load() {
		return nil
	}
	l := n.link(pid.Address)
	if !l.usable() {
		n.countDrop(&n.counters.UnreachablePeers, pid.Address, "no connection")
		return nil
	}
	return l
}
