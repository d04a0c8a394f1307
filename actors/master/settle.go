package master

import (
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// memberKey names one copy.
type memberKey struct {
	volume uint64
	node   string
}

type settleKey = memberKey

// Limits of settling: copies at once per worker, and the pause after one that
// could not be settled.
const (
	settlesPerWorker = 2
	settleTakes      = 2 * time.Minute
	settlePause      = 10 * time.Second
)

// settleAll brings members of sealed volumes to their rows: those that were away
// or behind when their volume was sealed and are here again.
func (c *Coordinator) settleAll(ctx *runtime.Context, l *look) {
	s, now := &c.steward, ctx.Now()
	busy := make(map[string]int)
	for key, until := range s.settles {
		if now.After(until) {
			delete(s.settles, key)
		} else {
			busy[key.node]++
		}
	}
	for _, row := range l.rows {
		if row.State != messages.VolumeState_SEALED || row.SealedEnd == 0 {
			continue
		}
		for _, m := range row.Members {
			key := settleKey{row.Id, m.Node}
			if _, already := s.settles[key]; already || m.Verified || l.reports[m.Node] == nil || busy[m.Node] >= settlesPerWorker {
				continue
			}
			busy[m.Node]++
			s.settles[key] = now.Add(settleTakes)
			ctx.Request(ctx.Runtime().Peer(model.NodeID(m.Node), c.cfg.WorkerPath), c.settleOrder(row, m))
		}
	}
}

// settleOrder names the other members as sources, verified ones first.
func (c *Coordinator) settleOrder(row *messages.VolumeRow, m *messages.VolumeMember) *messages.SettleVolume {
	order := &messages.SettleVolume{
		Header: c.header(), Volume: row.Id, Tier: row.Tier, Generation: row.Generation, ReplicaGen: m.ReplicaGen,
		SealedEnd: row.SealedEnd, Digest: row.Digest,
	}
	var others []string
	for _, o := range row.Members {
		switch {
		case o.Node == m.Node:
		case o.Verified:
			order.Sources = append(order.Sources, o.Node)
		default:
			others = append(others, o.Node)
		}
	}
	order.Sources = slices.Concat(order.Sources, others)
	return order
}

func (c *Coordinator) onSettled(ctx *runtime.Context, m *messages.SettleVolumeReply) {
	key := settleKey{m.Volume, m.Node}
	if m.Error != nil {
		c.steward.settles[key] = ctx.Now().Add(settlePause)
		ctx.Log().Warn("a copy is not whole yet", "volume", m.Volume, "worker", m.Node, "error", m.Error.Message)
		return
	}
	c.propose(ctx, &messages.Command{Kind: &messages.Command_VerifyMember{VerifyMember: &messages.VerifyMember{
		Volume: m.Volume, Generation: m.Generation, Node: m.Node, ReplicaGen: m.ReplicaGen, Digest: m.Digest,
	}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		delete(c.steward.settles, key)
		if !logged(ctx, "verify a copy", o) {
			c.steward.settles[key] = ctx.Now().Add(settlePause)
		}
	})
}
