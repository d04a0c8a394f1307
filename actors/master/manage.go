package master

import (
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/election"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// onListWorkers answers from what this master has heard, with every volume row for
// one worker; the rows come with the next look.
func (c *Controller) onListWorkers(ctx *runtime.Context, m *messages.ListWorkers) {
	if len(c.full) >= maxQuestions {
		ctx.Reply(&messages.ListWorkersReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(
			model.Errorf(model.CodeOverloaded, "list workers", "%d such questions wait", len(c.full)))})
		return
	}
	c.full = append(c.full, waiting{to: ctx.Sender(), m: m})
	if len(c.full) == 1 {
		c.look(ctx, true)
	}
}

func (c *Controller) answerLists(ctx *runtime.Context) {
	asked := c.full
	c.full = nil
	if len(asked) == 0 {
		return
	}
	ranks := make(map[string]int32, len(c.candidates))
	for _, cand := range c.candidates {
		if cand.Refusal == "" {
			ranks[cand.Node] = int32(cand.Rank)
		}
	}
	for _, w := range asked {
		r := &messages.ListWorkersReply{Header: messages.ReplyHeader(w.m.Header)}
		for i, node := range c.nodes {
			if w.m.Node == "" || w.m.Node == node {
				info := c.info(ctx, i, w.m.Node != "")
				if rank, ok := ranks[node]; ok {
					info.CandidateRank = rank
				}
				r.Workers = append(r.Workers, info)
			}
		}
		if w.m.Node != "" && len(r.Workers) == 0 {
			r.Error = messages.FromError(model.Errorf(model.CodeNotFound, "list workers", "there is no worker %s", w.m.Node))
		}
		ctx.SendBulk(w.to, r)
	}
}

func (c *Controller) info(ctx *runtime.Context, i int, withVolumes bool) *messages.WorkerInfo {
	node, row, beat := c.nodes[i], c.rows[i], c.beats[c.nodes[i]]
	out := &messages.WorkerInfo{
		Node: node, Row: row, Capacity: beat.GetCapacity(), Missed: uint32(c.tracker.Missed(node, ctx.Now())), Role: c.role(ctx, node, row),
		CandidateRank: -1, VolumeCount: beat.GetCapacity().GetVolumes(),
	}
	if lag := c.lag[node]; lag != nil {
		out.LagBytes, out.LagMs = lag.LagBytes, lag.LagMs
	}
	if heard := c.tracker.LastHeard(node); !heard.IsZero() {
		out.LastHeartbeatUnixMs = heard.UnixMilli()
	}
	for _, l := range beat.GetLatency() {
		if l.Node == string(ctx.Runtime().Node()) {
			out.LatencyMs = float64(l.Micros) / 1000
		}
	}
	for _, v := range c.volumes {
		if withVolumes && slices.ContainsFunc(v.Members, func(m *messages.VolumeMember) bool { return m.Node == node }) {
			out.Volumes = append(out.Volumes, v)
		}
	}
	return out
}

// lagByNode sums what the coordinator tells by tier.
func lagByNode(m *messages.DescribeReplicationReply) map[string]*messages.FollowerLag {
	out := make(map[string]*messages.FollowerLag)
	for _, t := range m.Tiers {
		for _, f := range t.Followers {
			if out[f.Node] == nil {
				out[f.Node] = &messages.FollowerLag{Node: f.Node}
			}
			out[f.Node].LagBytes += f.LagBytes
			out[f.Node].LagMs = max(out[f.Node].LagMs, f.LagMs)
		}
	}
	return out
}

func (c *Controller) role(ctx *runtime.Context, node string, row *messages.WorkerRow) string {
	switch {
	case node == string(ctx.Runtime().Node()):
		return "master"
	case slices.Contains(c.conf.Voters, row.RaftId):
		return "voter"
	case slices.Contains(c.conf.Learners, row.RaftId):
		return "learner"
	}
	return "none"
}

// maxRanked bounds the candidates of one answer; those that can be master come first.
const maxRanked = 1000

func firstOf[T any](list []T, limit int) []T { return list[:min(len(list), limit)] }

func (c *Controller) onDescribeMaster(ctx *runtime.Context, m *messages.DescribeMaster) {
	ctx.Reply(&messages.DescribeMasterReply{
		Header: messages.ReplyHeader(m.Header), Node: string(ctx.Runtime().Node()), Address: ctx.Runtime().Address(),
		EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term, SinceUnixMs: c.cluster.GetMasterSinceUnixMs(), Candidates: firstOf(election.Rank(c.workers), maxRanked),
	})
}

// onPromote hands the lead to a node, or says why not.
func (c *Controller) onPromote(ctx *runtime.Context, m *messages.PromoteWorker) {
	if err := c.judgePromotion(ctx, m.Node); err != nil {
		ctx.Reply(&messages.PromoteWorkerReply{Header: messages.ReplyHeader(m.Header), Error: messages.FromError(err)})
		return
	}
	if m.Node == string(ctx.Runtime().Node()) {
		ctx.Reply(&messages.PromoteWorkerReply{
			Header: messages.ReplyHeader(m.Header), Node: m.Node, EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term,
		})
		return
	}
	c.handing = &handOver{to: ctx.Sender(), m: m, node: m.Node, since: ctx.Now()}
	c.transfer(ctx, m.Node)
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
	if c.handing != nil && ctx.Now().Sub(c.handing.since) < decisionPatience {
		return model.Errorf(model.CodeConflict, op, "the lead is on its way to %s already", c.handing.node)
	}
	return nil
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
	if len(c.candidates) == 0 || c.cfg.HandOverAfter <= 0 {
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
	if self == nil || best == nil || best.Node == self.Node || best.Refusal() != "" || election.Compare(*best, *self) >= 0 {
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

// onRemove takes a node out of the cluster for good.
func (c *Controller) onRemove(ctx *runtime.Context, m *messages.RemoveNode) {
	to, header := ctx.Sender(), m.Header
	if m.Node == string(ctx.Runtime().Node()) {
		ctx.Reply(&messages.RemoveNodeReply{Header: messages.ReplyHeader(header), Error: messages.FromError(
			model.Errorf(model.CodeConflict, "remove worker", "%s is the master; promote another worker first", m.Node))})
		return
	}
	c.commit(ctx, &messages.Command{Kind: &messages.Command_RemoveWorker{
		RemoveWorker: &messages.RemoveWorker{Node: m.Node, Forced: m.Forced, Cause: "removed by an operator"},
	}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		err := o.Result.Err("remove worker")
		if o.Dropped {
			err = model.Errorf(model.CodeUnavailable, "remove worker", "the log takes nothing at the moment; try again")
		}
		ctx.Send(to, &messages.RemoveNodeReply{Header: messages.ReplyHeader(header), Error: messages.FromError(err)})
	})
}

// onReleaseBrake is an operator's word that the missing will not be back.
func (c *Controller) onReleaseBrake(ctx *runtime.Context, m *messages.ReleaseBrake) {
	to, header := ctx.Sender(), m.Header
	if !c.cluster.GetBrake().GetEngaged() {
		ctx.Reply(&messages.ReleaseBrakeReply{Header: messages.ReplyHeader(header)})
		return
	}
	c.brake.Release(ctx.Now())
	c.setBrake(ctx, &messages.StormBrake{Reason: "released by an operator"}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		err := o.Result.Err("release the storm brake")
		if o.Dropped {
			err = model.Errorf(model.CodeUnavailable, "release the storm brake", "the log takes nothing at the moment; try again")
		}
		ctx.Send(to, &messages.ReleaseBrakeReply{Header: messages.ReplyHeader(header), Error: messages.FromError(err)})
	})
}
