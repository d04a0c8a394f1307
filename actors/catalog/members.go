package catalog

import (
	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// registered tells of the workers that a batch of entries has registered; when more
// than that may have changed, tellMembers tells of all.
func (c *Catalog) registered(ctx *runtime.Context) {
	if c.membersChanged {
		c.tellMembers(ctx)
		return
	}
	out := &messages.LogMembers{}
	for _, node := range c.registrations {
		if row, ok := c.cat.Worker(node); ok {
			tell(ctx, out, node, row)
		}
	}
	c.registrations = c.registrations[:0]
	if len(out.Peers) > 0 {
		c.sendMembers(ctx, out)
	}
}

// tellMembers tells the log which node has which Raft id, and everybody's address
// to the network: what the rows say is newer than what anybody remembers.
func (c *Catalog) tellMembers(ctx *runtime.Context) {
	c.membersChanged, c.registrations = false, c.registrations[:0]
	out := &messages.LogMembers{}
	nodes, rows := c.cat.Workers()
	for i, row := range rows {
		tell(ctx, out, nodes[i], row)
	}
	c.sendMembers(ctx, out)
}

func tell(ctx *runtime.Context, out *messages.LogMembers, node string, row *messages.WorkerRow) {
	out.Peers = append(out.Peers, &messages.Peer{Node: node, Address: row.Address, Incarnation: row.Incarnation, RaftId: row.RaftId})
	if row.Address != "" && row.State != messages.WorkerState_LEFT {
		ctx.Runtime().SetPeer(model.NodeID(node), row.Address)
	}
}

func (c *Catalog) sendMembers(ctx *runtime.Context, out *messages.LogMembers) {
	cluster := c.cat.Cluster()
	out.Generation, out.Fork, out.ClusterId = cluster.GetGeneration(), cluster.GetFork(), cluster.GetClusterId()
	ctx.Send(ctx.Runtime().Local(c.cfg.LogPath), out)
}

// changesMembers reports whether a command may change who is where, beside one that
// registers a worker.
func changesMembers(cmd *messages.Command) bool {
	switch cmd.Kind.(type) {
	case *messages.Command_RemoveWorker, *messages.Command_RaiseGeneration, *messages.Command_Bootstrap:
		return true
	}
	return false
}
