package master

import (
	"slices"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/catalog"
	"tiercel/cluster/health"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// onHeartbeat notes that a worker lives, and answers how this master ranks the
// candidates. A start that the catalog does not know yet is registered first.
func (c *Controller) onHeartbeat(ctx *runtime.Context, m *messages.Heartbeat) {
	row := c.row(m.Node)
	if row.GetState() == messages.WorkerState_LEFT {
		c.refuseBeat(ctx, ctx.Sender(), m, model.Errorf(model.CodeConflict, "heartbeat",
			"the worker %s has left this cluster for good; start it with an empty data directory, as a new worker", m.Node))
		return
	}
	if id := c.cluster.GetClusterId(); id != "" && m.ClusterId != id {
		c.refuseBeat(ctx, ctx.Sender(), m, foreign(m.Node, m.ClusterId, id))
		return
	}
	claim := health.Claim{Address: m.Address, Incarnation: m.Incarnation, Boot: m.Boot}
	switch known := c.knownAs(m.Node); health.JudgeClaim(known, claim) {
	case health.Refuse:
		c.refuseBeat(ctx, ctx.Sender(), m, model.Errorf(model.CodeConflict, "heartbeat",
			"another process uses the identity %s (incarnation %d): the data directory was copied, or this is an old process; it ends", m.Node, known.Incarnation))
	case health.Ask:
		c.askFirst(ctx, m.Node, known.Address, &claimant{claim: claim, beat: m})
	default:
		c.takeBeat(ctx, ctx.Sender(), m)
	}
}

// takeBeat notes a heartbeat of a process that has the right to its identity.
func (c *Controller) takeBeat(ctx *runtime.Context, to *actor.PID, m *messages.Heartbeat) {
	row, now := c.row(m.Node), ctx.Now()
	c.beats[m.Node], c.heardAt[m.Node] = m, now
	c.tracker.Heard(m.Node, now)
	if row == nil || row.Incarnation != m.Incarnation || row.Address != m.Address || row.DiskType != m.Worker.GetDiskType() || row.RaftId != m.Worker.GetRaftId() {
		c.register(ctx, m.Node, m.Worker)
	}
	if micros := median(m.Latency); micros > 0 {
		ctx.Send(ctx.Runtime().Local(c.cfg.CoordinatorPath), &messages.WorkerLatency{Node: m.Node, Micros: micros, Ways: m.Latency})
	}
	if m.Capacity.GetFailing() != "" {
		// Its worker may be unable to tell: it cannot even make this master's epoch durable.
		ctx.Send(ctx.Runtime().Local(c.cfg.CoordinatorPath), m.Capacity)
	}
	ack := c.ack(ctx, m)
	if c.holdsLog(row) {
		ack.Candidates = c.candidates // nobody else campaigns
	}
	ctx.Send(to, ack)
}

func (c *Controller) ack(ctx *runtime.Context, m *messages.Heartbeat) *messages.HeartbeatAck {
	return &messages.HeartbeatAck{
		Header: messages.ReplyHeader(m.Header), Node: string(ctx.Runtime().Node()), EpochGeneration: c.cluster.GetGeneration(),
		EpochTerm: c.cfg.Term, Sequence: m.Sequence, IntervalMs: c.cfg.HeartbeatInterval.Milliseconds(),
	}
}

func (c *Controller) refuseBeat(ctx *runtime.Context, to *actor.PID, m *messages.Heartbeat, err error) {
	ack := c.ack(ctx, m)
	ack.Error = messages.FromError(err)
	ctx.Send(to, ack)
}

// onGreet takes a node in: its row goes into the log, then it hears that it is
// accepted. What the catalog refuses, the node is told.
func (c *Controller) onGreet(ctx *runtime.Context, m *messages.Greet) {
	if c.cluster == nil {
		return // asked again soon
	}
	id := c.cluster.ClusterId
	if m.ClusterId != "" && m.ClusterId != id {
		ctx.Reply(c.greetReply(ctx, m, foreign(m.Node, m.ClusterId, id)))
		return
	}
	claim := health.Claim{Address: m.Address, Incarnation: m.Incarnation, Boot: m.Boot}
	switch known := c.knownAs(m.Node); health.JudgeClaim(known, claim) {
	case health.Refuse:
		err := inUse(m.Node, known.Address)
		if claim.Incarnation < known.Incarnation {
			err = err.With(health.StartedTimes, strconv.FormatUint(known.Incarnation, 10))
		}
		ctx.Reply(c.greetReply(ctx, m, err))
	case health.Ask:
		c.askFirst(ctx, m.Node, known.Address, &claimant{claim: claim, greet: m})
	default:
		c.takeIn(ctx, ctx.Sender(), m)
	}
}

// foreign refuses a node of another cluster. One that lost its directory and was started
// without being told to join founds one of its own, at an address that is known here.
func foreign(node, theirs, ours string) error {
	return model.Errorf(model.CodeConflict, "join", "%s belongs to cluster %s and this is cluster %s; start it with an empty data directory", node, theirs, ours)
}

// takeIn registers a node that has the right to its identity, unless that is done.
func (c *Controller) takeIn(ctx *runtime.Context, to *actor.PID, m *messages.Greet) {
	row := c.row(m.Node)
	if row != nil && row.State != messages.WorkerState_LEFT && row.Incarnation == m.Incarnation && row.Address == m.Address && row.RaftId == m.RaftId {
		ctx.Send(to, c.greetReply(ctx, m, nil))
		return
	}
	if c.greets[m.Node] == nil && len(c.greets) >= maxGreets {
		return // asked again soon
	}
	c.greets[m.Node] = &greeting{to: to, m: m}
	c.register(ctx, m.Node, m.Worker)
}

func (c *Controller) greetReply(ctx *runtime.Context, m *messages.Greet, err error) *messages.GreetReply {
	r := &messages.GreetReply{
		Header: messages.ReplyHeader(m.Header), Error: messages.FromError(err), ClusterId: c.cluster.GetClusterId(),
		Generation: c.cluster.GetGeneration(), Fork: c.cluster.GetFork(), Node: string(ctx.Runtime().Node()), Address: ctx.Runtime().Address(),
		Incarnation: ctx.Runtime().Incarnation(), Master: string(ctx.Runtime().Node()), EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term,
		Accepted: err == nil,
	}
	// Enough to begin with. The rest is told by the master's word and by other members,
	// so a few of them that are not always the same.
	r.Peers = slices.Clone(c.logMembers)
	from := int(ctx.Rand() >> 1)
	for i := range min(maxHints, len(c.nodes)) {
		at := (from%len(c.nodes) + i) % len(c.nodes)
		if row := c.rows[at]; row.State != messages.WorkerState_LEFT {
			r.Peers = append(r.Peers, peerOf(c.nodes[at], row))
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
		if dc, stays := o.Result.GetDetails()[catalog.DetailKeptDC]; stays && err == nil {
			ctx.Log().Warn("a worker came back with the label of another datacenter, which the licence does not allow; it stays where it was until all workers come with that label",
				"worker", node, "dc", dc, "asked", row.Dc)
		}
		if g := c.greets[node]; g != nil {
			delete(c.greets, node)
			ctx.Send(g.to, c.greetReply(ctx, g.m, err))
		}
		// The coordinator learns at its next look, the others by the next word.
	})
}

// median way from a worker to those of its peers that it has measured; 0: none.
func median(ways []*messages.PeerLatency) int64 {
	if len(ways) == 0 {
		return 0
	}
	micros := make([]int64, 0, len(ways))
	for _, w := range ways {
		micros = append(micros, w.Micros)
	}
	slices.Sort(micros)
	return micros[len(micros)/2]
}
