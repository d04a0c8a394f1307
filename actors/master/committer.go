package master

import (
	"time"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// committer proposes commands of an actor beside the coordinator, through it, and
// remembers what comes then.
type committer struct {
	coordinator string // path
	next        uint64
	asked       map[uint64]asked
}

type asked struct {
	since time.Time
	then  func(*runtime.Context, *messages.CommitOutcome)
}

func newCommitter(coordinator string) committer {
	return committer{coordinator: coordinator, asked: make(map[uint64]asked)}
}

// begin is for a new life: it must not take an old outcome for its own.
func (c *committer) begin(ctx *runtime.Context) { c.next = ctx.Rand() >> 16 << 16 }

// commit proposes one command; then hears of its outcome, unless it is lost.
func (c *committer) commit(ctx *runtime.Context, cmd *messages.Command, then func(*runtime.Context, *messages.CommitOutcome)) {
	c.next++
	c.asked[c.next] = asked{since: ctx.Now(), then: then}
	cmd.Proposal, cmd.ProposedUnixMs = c.next, ctx.Now().UnixMilli()
	ctx.Request(ctx.Runtime().Local(c.coordinator), &messages.Commit{Header: &messages.Header{}, Commands: []*messages.Command{cmd}})
}

func (c *committer) onOutcomes(ctx *runtime.Context, m *messages.CommitReply) {
	for _, o := range m.Outcomes {
		if a, ok := c.asked[o.Proposal]; ok {
			delete(c.asked, o.Proposal)
			a.then(ctx, o)
		}
	}
}

// sweep forgets outcomes that never came.
func (c *committer) sweep(now time.Time) {
	for id, a := range c.asked {
		if now.Sub(a.since) > proposalPatience {
			delete(c.asked, id)
		}
	}
}
