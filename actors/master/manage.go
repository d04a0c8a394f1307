package master

import (
	"slices"

	"tiercel/actors/runtime"
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
