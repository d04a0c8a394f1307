package master

import (
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// explainable says why a placement cannot be explained, if it cannot.
func (c *Coordinator) explainable(t model.Tier, from string) error {
	const op = "explain placement"
	switch {
	case !t.Valid():
		return model.Errorf(model.CodeInvalidArgument, op, "tier %d does not exist; there are 1, 2 and 3", t)
	case c.steward.last == nil:
		return model.Errorf(model.CodeUnavailable, op, "the master has not looked at its workers yet; try again")
	case from != "" && !c.known(from):
		return model.Errorf(model.CodeNotFound, op, "there is no worker %q to look from; /cluster/workers lists them", from)
	}
	return nil
}

// way is how long a message takes from one worker to another, as the first measured it.
func (c *Coordinator) way(from, to string) (time.Duration, bool) {
	if from == to {
		return 0, true
	}
	for _, l := range c.ways[from] {
		if l.Node == to {
			return time.Duration(l.Micros) * time.Microsecond, true
		}
	}
	return 0, false
}

// onExplainPlacement answers where a new volume of a tier would go at this moment, by
// the same function that chooses, and which volumes a write goes to now.
func (c *Coordinator) onExplainPlacement(ctx *runtime.Context, m *messages.ExplainPlacement) {
	r := &messages.ExplainPlacementReply{Header: messages.ReplyHeader(m.Header), Tier: m.Tier}
	t := model.Tier(m.Tier)
	if err := c.explainable(t, m.From); err != nil {
		r.Error = messages.FromError(err)
		ctx.Reply(r)
		return
	}
	weights := weightsOf(c.cluster.GetSettings())
	r.WeightFree, r.WeightDisk, r.WeightLoad, r.WeightLatency = weights.Free, weights.Disk, weights.Load, weights.Latency
	r.Copies = uint32(license.Of(c.cluster.GetLicense()).Copies(t, tier.Wanted(c.cluster.GetTiers(), t, int(c.cluster.GetReplicationFactor()))))
	open := make(map[string]int)
	for _, row := range c.steward.last.rows {
		for _, member := range row.Members {
			open[member.Node]++
		}
		if _, granted := c.grants[row.Id]; granted && row.Tier == m.Tier {
			r.Volumes, r.OpenVolumes = append(r.Volumes, row), append(r.OpenVolumes, row.Id)
		}
	}
	var workers []placement.Worker
	for _, w := range c.workers(c.steward.last) {
		w.Open = open[w.Node]
		if m.From != "" {
			w.Latency, w.HasLatency = c.way(m.From, w.Node)
		}
		workers = append(workers, w.Worker)
	}
	members, judged := placement.Pick(placement.Request{Tier: t, Bytes: m.Bytes, Copies: int(r.Copies), Preference: tier.Preference(c.cluster.GetTiers(), t)}, workers, weights)
	r.Chosen = members
	for _, j := range judged {
		r.Workers = append(r.Workers, &messages.JudgedWorker{
			Node: j.Node, Free: j.Terms.Free, Disk: j.Terms.Disk, Load: j.Terms.Load, Latency: j.Terms.Latency, Score: j.Score,
			Refusal: string(j.Refusal), Detail: j.Detail, Chosen: uint32(j.Chosen), Open: uint32(j.Open),
		})
	}
	slices.Sort(r.OpenVolumes)
	ctx.ReplyBulk(r)
}
