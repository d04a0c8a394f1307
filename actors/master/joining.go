package master

import (
	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// onHeartbeat notes that a worker lives, and answers how this master ranks the
// candidates. A start that the catalog does not know yet is registered first.
func (c *Controller) onHeartbeat(ctx *runtime.Context, m *messages.Heartbeat) {
	ack := &messages.HeartbeatAck{
		Header: messages.ReplyHeader(m.Header), Node: string(ctx.Runtime().Node()), EpochGeneration: c.cluster.GetGeneration(),
		EpochTerm: c.cfg.Term, Sequence: m.Sequence, Candidates: c.candidates, IntervalMs: c.cfg.HeartbeatInterval.Milliseconds(),
	}
	row, old := c.row(m.Node), c.beats[m.Node]
	switch {
	case row.GetState() == messages.WorkerState_LEFT:
		ack.Error = messages.FromError(model.Errorf(model.CodeConflict, "heartbeat",
			"the worker %s has left this cluster for good; start it with an empty data directory, as a new worker", m.Node))
	case row.GetIncarnation() > m.Incarnation || old.GetIncarnation() > m.Incarnation || old.GetIncarnation() == m.Incarnation && old.Boot != m.Boot:
		ack.Error = messages.FromError(model.Errorf(model.CodeConflict, "heartbeat",
			"another process uses the identity %s (incarnation %d): the data directory was copied, or this is an old process; it ends", m.Node, max(row.GetIncarnation(), old.GetIncarnation())))
	}
	if ack.Error != nil {
		ctx.Reply(ack)
		return
	}
	now := ctx.Now()
	c.beats[m.Node], c.heardAt[m.Node] = m, now
	c.tracker.Heard(m.Node, now)
	if row == nil || row.Incarnation != m.Incarnation || row.Address != m.Address || row.DiskType != m.Worker.GetDiskType() || row.RaftId == 0 {
		c.register(ctx, m.Node, m.Worker)
	}
	ctx.Reply(ack)
}

// onGreet takes a node in: its row goes into the log, then it hears that it is
// accepted. What the catalog refuses, the node is told.
func (c *Controller) onGreet(ctx *runtime.Context, m *messages.Greet) {
	if c.cluster == nil || len(c.greets) >= maxGreets {
		return // asked again soon
	}
	id := c.cluster.ClusterId
	if m.ClusterId != "" && m.ClusterId != id {
		ctx.Reply(c.greetReply(ctx, m, model.Errorf(model.CodeConflict, "join",
			"%s belongs to cluster %s and this is cluster %s; start it with an empty data directory", m.Node, m.ClusterId, id)))
		return
	}
	if beat := c.beats[m.Node]; beat != nil && beat.Incarnation == m.Incarnation && beat.Boot != m.Boot {
		ctx.Reply(c.greetReply(ctx, m, model.Errorf(model.CodeConflict, "join",
			"the node id %s is in use at %s: the data directory was copied; start with an empty one", m.Node, beat.Address)))
		return
	}
	c.greets[m.Node] = &greeting{to: ctx.Sender(), m: m}
	c.register(ctx, m.Node, m.Worker)
}

func (c *Controller) greetReply(ctx *runtime.Context, m *messages.Greet, err error) *messages.GreetReply {
	r := &messages.GreetReply{
		Header: messages.ReplyHeader(m.Header), Error: messages.FromError(err), ClusterId: c.cluster.GetClusterId(),
		Generation: c.cluster.GetGeneration(), Fork: c.cluster.GetFork(), Node: string(ctx.Runtime().Node()), Address: ctx.Runtime().Address(),
		Incarnation: ctx.Runtime().Incarnation(), Master: string(ctx.Runtime().Node()), EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term,
		Accepted: err == nil,
	}
	for i, node := range c.nodes {
		if row := c.rows[i]; row.State != messages.WorkerState_LEFT {
			r.Peers = append(r.Peers, &messages.Peer{Node: node, Address: row.Address, Incarnation: row.Incarnation, RaftId: row.RaftId})
		}
	}
	return r
}

// register logs a worker's row.
func (c *Controller) register(ctx *runtime.Context, node string, row *messages.WorkerRow) {
	key := "register " + node
	if row == nil || c.underDecision(key, ctx.Now()) {
		return
	}
	c.deciding[key] = ctx.Now()
	c.commit(ctx, &messages.Command{Kind: &messages.Command_RegisterWorker{
		RegisterWorker: &messages.RegisterWorker{Node: node, Worker: row},
	}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		delete(c.deciding, key)
		if o.Dropped {
			return // it asks again
		}
		err := o.Result.Err("join")
		if err != nil {
			ctx.Log().Warn("a node was not taken in", "worker", node, "error", err)
		}
		if g := c.greets[node]; g != nil {
			delete(c.greets, node)
			ctx.Send(g.to, c.greetReply(ctx, g.m, err))
		}
		// The coordinator learns at its next look, the others by the next word.
	})
}
