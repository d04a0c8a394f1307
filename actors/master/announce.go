package master

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// judgeReady says whether this master can serve: its own term is in the catalog
// and every tier has a usable volume, or cannot have one for a reason that is told
// to whoever writes there.
func (c *Coordinator) judgeReady(ctx *runtime.Context) {
	ready, reason := true, ""
	if c.cluster.GetTerm() != c.cfg.Term || c.cluster.GetMaster() != string(ctx.Runtime().Node()) {
		ready, reason = false, "the master's start is not in the log yet"
	}
	full := c.allFull()
	for _, tier := range model.Tiers {
		if ready && !full && len(c.usable[tier]) == 0 && c.short[tier] == "" {
			ready, reason = c.ready, "no volume of the "+tier.Name()+" tier is open yet"
		}
	}
	for _, tier := range model.Tiers {
		if ready && reason == "" && len(c.usable[tier]) == 0 && c.short[tier] != "" {
			reason = c.short[tier]
		}
	}
	if full {
		reason = "the disk is full up to its reserve; deletes and reads go on"
	}
	if ready == c.ready && reason == c.reason {
		return
	}
	c.ready, c.reason = ready, reason
	c.announce(ctx)
}

// word is what this master says of itself.
func (c *Coordinator) word(ctx *runtime.Context) *messages.MasterReady {
	m := &messages.MasterReady{
		Node: string(ctx.Runtime().Node()), EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term,
		Ready: c.ready, Reason: c.reason, Cluster: c.cluster, Address: ctx.Runtime().Address(),
	}
	for i, node := range c.nodes {
		row := c.rows[i]
		if row.State == messages.WorkerState_LEFT {
			continue
		}
		m.Peers = append(m.Peers, &messages.Peer{Node: node, Address: row.Address, Incarnation: row.Incarnation, RaftId: row.RaftId})
		if s := c.space[node]; s != nil {
			m.Capacity = append(m.Capacity, s.report)
		}
	}
	return m
}

// announce tells the member of every node, this one first.
func (c *Coordinator) announce(ctx *runtime.Context) {
	m := c.word(ctx)
	ctx.Request(ctx.Runtime().Local(c.cfg.MemberPath), m)
	for _, p := range m.Peers {
		if p.Node != m.Node {
			ctx.Request(ctx.Runtime().Peer(model.NodeID(p.Node), c.cfg.MemberPath), m)
		}
	}
}

func (c *Coordinator) onAnnounceDue(ctx *runtime.Context) {
	ctx.After(c.cfg.MasterInterval, announceDue{})
	c.announce(ctx)
}

// onAsked answers a member that looks for the master.
func (c *Coordinator) onAsked(ctx *runtime.Context) {
	from := ctx.Sender()
	if from == nil {
		return
	}
	ctx.Request(actor.NewPID(from.Address, c.cfg.MemberPath), c.word(ctx))
}

// known reports whether a node is a worker that has not left.
func (c *Coordinator) known(node string) bool {
	i := slices.Index(c.nodes, node)
	return i >= 0 && c.rows[i].State != messages.WorkerState_LEFT
}
