package master

import (
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/election"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// maxRanked bounds the candidates of one answer; those that can be master come first.
const maxRanked = 1000

func firstOf[T any](list []T, limit int) []T { return list[:min(len(list), limit)] }

// onDescribeMaster answers with the next look that knows this master's own start and who
// votes; before, it could only tell of the master before it.
func (c *Controller) onDescribeMaster(ctx *runtime.Context, m *messages.DescribeMaster) {
	if len(c.describes) >= maxQuestions {
		ctx.Reply(&messages.DescribeMasterReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(
			model.Errorf(model.CodeOverloaded, "describe the master", "%d such questions wait", len(c.describes)))})
		return
	}
	c.describes = append(c.describes, masterQuestion{to: ctx.Sender(), m: m})
	if len(c.describes) == 1 {
		c.look(ctx, len(c.full) > 0)
	}
}

func (c *Controller) answerDescribes(ctx *runtime.Context) {
	asked := c.describes
	c.describes = nil
	for _, d := range asked {
		ctx.Send(d.to, &messages.DescribeMasterReply{
			Header: messages.ReplyHeader(d.m.Header), Node: string(ctx.Runtime().Node()), Address: ctx.Runtime().Address(),
			EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term, SinceUnixMs: c.cluster.GetMasterSinceUnixMs(),
			Candidates: firstOf(election.Rank(c.workers), maxRanked), Promoted: c.promoted(ctx),
		})
	}
}

// promoted reports whether this master is one by an operator's word.
func (c *Controller) promoted(ctx *runtime.Context) bool {
	return c.cluster.GetKeptMaster() == string(ctx.Runtime().Node())
}

// started reports whether this master's own start is in the catalog. Before, it sees the
// rows of an earlier one; after a take-over they still name those that were left behind.
func (c *Controller) started() bool {
	return c.cluster.GetTerm() == c.cfg.Term && c.cluster.GetGeneration() == c.cfg.Generation
}

// onPromote hands the lead to a node, or says why not. The log hears first that it is to
// stay there: the next master knows it from its first look on.
func (c *Controller) onPromote(ctx *runtime.Context, m *messages.PromoteWorker) {
	if err := c.judgePromotion(ctx, m.Node); err != nil {
		ctx.Reply(&messages.PromoteWorkerReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(err)})
		return
	}
	h := &handOver{to: ctx.Sender(), m: m, node: m.Node, since: ctx.Now()}
	c.handing = h
	keep := m.Node
	if len(c.candidates) > 0 && c.candidates[0].Node == m.Node {
		keep = "" // it would be it by itself: from now on the best one leads again
	}
	c.commit(ctx, &messages.Command{Kind: &messages.Command_KeepMaster{KeepMaster: &messages.KeepMaster{Node: keep}}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) { c.onKept(ctx, h, outcomeError("promote", o)) })
}

// onKept goes on with a promotion of which the log knows.
func (c *Controller) onKept(ctx *runtime.Context, h *handOver, err error) {
	switch {
	case c.handing != h:
		return // given up since; whoever asked has a time limit of its own
	case err == nil && h.node != string(ctx.Runtime().Node()):
		c.transfer(ctx, h.node)
		return
	}
	c.handing = nil
	ctx.Send(h.to, &messages.PromoteWorkerReply{
		Header: messages.ReplyHeader(h.m.Header), Error: messages.FromError(err), Node: h.node,
		EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term, Already: err == nil,
	})
}

func (c *Controller) judgePromotion(ctx *runtime.Context, node string) error {
	const op = "promote"
	row := c.row(node)
	if row == nil {
		return model.Errorf(model.CodeNotFound, op, "there is no worker %s", node)
	}
	for _, cand := range c.candidates {
		if cand.Node == node && cand.Refusal != "" && node != string(ctx.Runtime().Node()) {
			return model.Errorf(model.CodeConflict, op, "%s cannot be master: %s", node, cand.Refusal)
		}
	}
	if err := c.denyPromotion(row); err != nil {
		return err
	}
	if !slices.Contains(c.conf.Voters, row.RaftId) {
		return model.Errorf(model.CodeConflict, op, "%s cannot be master: it does not vote", node)
	}
	if c.handing.underWay(ctx.Now()) {
		return model.Errorf(model.CodeConflict, op, "the lead is on its way to %s already", c.handing.node)
	}
	return nil
}

func (h *handOver) underWay(now time.Time) bool {
	return h != nil && now.Sub(h.since) < decisionPatience
}

func (c *Controller) transfer(ctx *runtime.Context, node string) {
	ctx.Request(ctx.Runtime().Local(c.cfg.LogPath), &messages.TransferLeadership{Header: &messages.Header{}, RaftId: c.row(node).GetRaftId()})
}

// onTransferred tells whoever asked for a promotion. The new master's term is not
// known here: whoever asked sees it in the new master's word.
func (c *Controller) onTransferred(ctx *runtime.Context, m *messages.TransferLeadershipReply) {
	h := c.handing
	if h == nil {
		return
	}
	if m.Error != nil {
		c.handing = nil
		ctx.Log().Warn("the lead was not handed over", "worker", h.node, "reason", m.Error.Message)
	}
	if h.to != nil {
		ctx.Send(h.to, &messages.PromoteWorkerReply{
			Header: messages.ReplyHeader(h.m.Header), Error: m.Error, Node: h.node, EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term + 1,
		})
		h.to = nil
	}
}

// judgeHandOver gives the lead to a candidate that is better by class for long
// enough; after that, or after a try that failed, it rests.
func (c *Controller) judgeHandOver(ctx *runtime.Context, now time.Time) {
	if len(c.candidates) == 0 || c.cfg.HandOverAfter <= 0 || c.handing.underWay(now) {
		return
	}
	var self, best *election.Candidate
	for _, cand := range c.workers {
		if cand.Node == string(ctx.Runtime().Node()) {
			self = &cand
		}
		if cand.Node == c.candidates[0].Node {
			best = &cand
		}
	}
	if self == nil || best == nil || !election.HandsOver(*self, *best, c.promoted(ctx)) {
		c.better = 0
		return
	}
	c.better++
	window := time.Duration(c.cfg.HandOverAfter) * c.cfg.HeartbeatInterval
	if time.Duration(c.better)*c.judgeEvery() < window || now.Before(c.restUntil) || c.cluster.GetTerm() != c.cfg.Term {
		return
	}
	c.better, c.restUntil = 0, now.Add(2*window)
	ctx.Log().Info("the lead goes to a better candidate", "worker", best.Node)
	c.handing = &handOver{node: best.Node, since: now}
	c.transfer(ctx, best.Node)
}
