package node

import (
	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// Child is a part of the node that lives as long as the node.
type Child struct {
	Name     string
	Producer runtime.Producer
}

// Config is what the node is told by the tree.
type Config struct {
	Children []Child // started in this order
	// Master makes the tree of one epoch.
	Master      func(term uint64) runtime.Producer
	GatewayPath string
}

// Node is the actor.
type Node struct {
	cfg    Config
	master *actor.PID
	term   uint64 // of the running tree
	ending bool   // the running tree was told to stop
	wanted uint64 // term of the tree that should run, 0: none
	// stopping: the end of the master tree is part of the node's own end.
	stopping bool
}

// New makes the actor.
func New(cfg Config) *Node { return &Node{cfg: cfg} }

// Receive handles one message; each case is one line.
func (n *Node) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		n.onStarted(ctx)
	case *messages.LeadershipChanged:
		n.onLeadership(ctx, m)
	case *actor.Terminated:
		n.onTerminated(ctx, m)
	case *actor.Stopping:
		n.stopping = true
	}
}

func (n *Node) onStarted(ctx *runtime.Context) {
	for _, c := range n.cfg.Children {
		ctx.Spawn(c.Name, c.Producer)
	}
}

// onLeadership starts the master tree when an entry of the own term is applied,
// and stops all of it as soon as the lead is lost.
func (n *Node) onLeadership(ctx *runtime.Context, m *messages.LeadershipChanged) {
	n.wanted = 0
	if m.Leading && m.OwnTermApplied {
		n.wanted = m.Term
	}
	if n.wanted == 0 {
		ctx.Send(ctx.Runtime().Local(n.cfg.GatewayPath), &messages.MasterReady{
			Node: string(ctx.Runtime().Node()), EpochTerm: m.Term, Reason: "a master is being elected",
		})
	}
	n.settle(ctx)
}

func (n *Node) onTerminated(ctx *runtime.Context, m *actor.Terminated) {
	if n.master != nil && m.Who.Equal(n.master) {
		n.master, n.ending = nil, false
		n.settle(ctx)
	}
}

// settle moves towards the wanted tree: stop the wrong one, start the right one.
func (n *Node) settle(ctx *runtime.Context) {
	switch {
	case n.stopping:
	case n.master == nil && n.wanted != 0:
		n.term = n.wanted
		n.master = ctx.Spawn("master", n.cfg.Master(n.term))
	case n.master != nil && n.term != n.wanted && !n.ending:
		n.ending = true
		ctx.Stop(n.master)
	}
}
