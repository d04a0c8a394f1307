package master

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/health"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// claimant is a process that waits for its identity, because another one was known
// under it elsewhere: it is let in when nobody answers there any more.
type claimant struct {
	number uint64
	claim  health.Claim
	to     *actor.PID
	beat   *messages.Heartbeat // one of the two
	greet  *messages.Greet
}

type claimDue struct {
	node   string
	number uint64
}

const (
	// claimPatience bounds the wait for the process that was known; two intervals of
	// heartbeats do so, too, because the claimant's do not count meanwhile.
	claimPatience = time.Second
	maxClaimants  = 1000
)

// knownAs is the process that is known under a node id: by its newest heartbeat here, or
// by its row when that is newer.
func (c *Controller) knownAs(node string) health.Claim {
	row, beat := c.row(node), c.beats[node]
	if beat == nil || row.GetIncarnation() > beat.Incarnation {
		return health.Claim{Address: row.GetAddress(), Incarnation: row.GetIncarnation()}
	}
	return health.Claim{Address: beat.Address, Incarnation: beat.Incarnation, Boot: beat.Boot}
}

// askFirst asks where a node is known to be whether it is still there. One claim at a
// time for an identity; the others ask again.
func (c *Controller) askFirst(ctx *runtime.Context, node, address string, who *claimant) {
	if c.claims[node] != nil || len(c.claims) >= maxClaimants {
		return
	}
	who.number, who.to = ctx.Rand(), ctx.Sender()
	c.claims[node] = who
	ctx.Log().Warn("a node id is claimed from another address; the known one is asked", "worker", node, "known", address, "claimed", who.claim.Address)
	ctx.Request(ctx.Runtime().PeerAt(address, c.cfg.MemberPath), &messages.AreYouThere{Header: &messages.Header{Request: who.number}})
	ctx.After(min(claimPatience, 2*c.cfg.HeartbeatInterval), claimDue{node, who.number})
}

// onIAmHere ends a claim: whoever is there keeps its identity. When it is the claimant
// itself, it is heard at both addresses.
func (c *Controller) onIAmHere(ctx *runtime.Context, m *messages.IAmHere) {
	who := c.claims[m.Node]
	if who == nil || who.number != m.Header.GetRequest() {
		return
	}
	if m.Boot == who.claim.Boot {
		c.admit(ctx, m.Node)
		return
	}
	known := c.knownAs(m.Node)
	delete(c.claims, m.Node)
	ctx.Log().Error("a data directory was copied; its process is refused", "worker", m.Node, "known", known.Address, "claimed", who.claim.Address)
	if err := inUse(m.Node, known.Address); who.beat != nil {
		c.refuseBeat(ctx, who.to, who.beat, err)
	} else {
		ctx.Send(who.to, c.greetReply(ctx, who.greet, err))
	}
}

func inUse(node, address string) *model.Error {
	return model.Errorf(model.CodeConflict, "join", "the node id %s is in use at %s: the data directory was copied; start with an empty one", node, address)
}

// onClaimDue lets a claimant in to whose identity nobody answered.
func (c *Controller) onClaimDue(ctx *runtime.Context, d claimDue) {
	if who := c.claims[d.node]; who != nil && who.number == d.number {
		c.admit(ctx, d.node)
	}
}

func (c *Controller) admit(ctx *runtime.Context, node string) {
	who := c.claims[node]
	delete(c.claims, node)
	if known := c.knownAs(node); who.claim.Incarnation < known.Incarnation {
		return // another was faster; it is judged anew when it asks again
	}
	if who.beat != nil {
		c.takeBeat(ctx, who.to, who.beat)
	} else {
		c.takeIn(ctx, who.to, who.greet)
	}
}
