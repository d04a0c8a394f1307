package master

import (
	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// tellLag lets the foreman and the controller know how far followers are behind, by
// tier and node.
func (c *Coordinator) tellLag(ctx *runtime.Context, l *look) {
	m := &messages.DescribeReplicationReply{Header: &messages.Header{}}
	for _, t := range model.Tiers {
		m.Tiers = append(m.Tiers, &messages.TierReplication{Tier: uint32(t), Followers: lagOf(l, uint32(t))})
	}
	ctx.Send(ctx.Runtime().Local(c.cfg.ForemanPath), m)
	ctx.Send(ctx.Runtime().Local(c.cfg.ControllerPath), m)
}

// lagOf sums what primaries said of their followers.
func lagOf(l *look, tier uint32) []*messages.FollowerLag {
	sums := make(map[string]*messages.FollowerLag)
	for _, row := range l.rows {
		if row.Tier != tier || len(row.Members) == 0 {
			continue
		}
		for _, f := range l.reports[row.Members[0].Node][row.Id].GetFollowers() {
			if sums[f.Node] == nil {
				sums[f.Node] = &messages.FollowerLag{Node: f.Node}
			}
			sums[f.Node].LagBytes += f.LagBytes
			sums[f.Node].LagMs = max(sums[f.Node].LagMs, f.LagMs)
		}
	}
	var out []*messages.FollowerLag
	for _, node := range sortedKeys(sums) {
		out = append(out, sums[node])
	}
	return out
}
