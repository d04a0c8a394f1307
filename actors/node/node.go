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
	// Member decides whether this node may take part. It runs alone at first.
	Member   Child
	Children []Child // started in this order once the node is admitted
	// Master makes the tree of one epoch.
	Master     func(term uint64) runtime.Producer
	MemberPath string
}

// Node is the actor.
type Node struct {
	cfg      Config
	admitted bool
	master   *actor.PID
	term     uint64 // of the running tree
	ending   bool   // the running tree was told to stop
	wanted   uint64 // term of the tree that should run, 0: none
	// stopping: the end of the master tree is part of the node's own end.
	stopping bool
}

// New makes the actor.
func New(cfg Config) *Node { return &Node{cfg: cfg} }

// Receive handles one message; each case is one line.
func (n *Node) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		ctx.Spawn(n.cfg.Member.Name, n.cfg.Member.Producer)
	case *messages.Admitted:
		n.onAdmitted(ctx)
	case *messages.LeadershipChanged:
		n.onLeadership(ctx, m)
	case *messages.MasterReady: // of the log: why there is none
		ctx.Send(ctx.Runtime().Local(n.cfg.MemberPath), m)
	case *actor.Terminated:
		n.onTerminated(ctx, m)
	case *actor.Stopping:
		n.stopping = true
	}
}

// onAdmitted starts the rest, once: a member that was restarted says it again.
func (n *Node) onAdmitted(ctx *runtime.Context) {
	if n.admitted || n.stopping {
		return
	}
	n.admitted = true
	for _, c := range n.cfg.Children {
		ctx.Spawn(c.Name, c.Producer)
	}
}

// onLeadership starts the master tree when an entry of the own term is applied,
// and stops all of it as soon as the lead is lost or out of contact.
func (n *Node) onLeadership(ctx *runtime.Context, m *messages.LeadershipChanged) {
	n.wanted = 0
	if m.Leading && m.OwnTermApplied {
		n.wanted = m.Term
	}
	if m.Leader == "" || m.Leader == string(ctx.Runtime().Node()) && !m.Leading {
		ctx.Send(ctx.Runtime().Local(n.cfg.MemberPath), &messages.MasterReady{
			EpochTerm: m.Term, Reason: "a master is being elected",
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
