package catalog

import (
	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// tellMembers tells the log which node has which Raft id, and everybody's address
// to the network: what the rows say is newer than what anybody remembers.
func (c *Catalog) tellMembers(ctx *runtime.Context) {
	c.membersChanged = false
	cluster := c.cat.Cluster()
	out := &messages.LogMembers{Generation: cluster.GetGeneration(), Fork: cluster.GetFork(), ClusterId: cluster.GetClusterId()}
	nodes, rows := c.cat.Workers()
	for i, row := range rows {
		out.Peers = append(out.Peers, &messages.Peer{Node: nodes[i], Address: row.Address, Incarnation: row.Incarnation, RaftId: row.RaftId})
		if row.Address != "" && row.State != messages.WorkerState_LEFT {
			ctx.Runtime().SetPeer(model.NodeID(nodes[i]), row.Address)
		}
	}
	ctx.Send(ctx.Runtime().Local(c.cfg.LogPath), out)
}

// changesMembers reports whether a command may change who is where.
func changesMembers(cmd *messages.Command) bool {
	switch cmd.Kind.(type) {
	case *messages.Command_RegisterWorker, *messages.Command_RemoveWorker, *messages.Command_RaiseGeneration, *messages.Command_Bootstrap:
		return true
	}
	return false
}
