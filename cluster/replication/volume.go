package replication

import (
	"cmp"
	"slices"
	"strings"

	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// volume is a row that takes no more appends, its members sorted by what they are good for.
type volume struct {
	row  *messages.VolumeRow
	tier model.Tier
	// byTier is what the tier wants, target what this volume shall have, wanted how much
	// of that there are hosts for.
	byTier, target, wanted int
	good                   []*messages.VolumeMember // verified, on a present worker that stays
	leaving                []*messages.VolumeMember // on a present worker that is being drained
	pending                []*messages.VolumeMember // not verified, on a present worker that stays
	away                   []*messages.VolumeMember // on a worker that may come back
	gone                   []*messages.VolumeMember // on a worker that was given up
	added                  string                   // the node that this plan adds
	removed                string                   // and the one it takes away, or will once another was read
}

// present: it answers, or did a moment ago.
func present(s messages.WorkerState) bool {
	return s == messages.WorkerState_HEALTHY || s == messages.WorkerState_DEGRADED
}

func (p *planner) sort(row *messages.VolumeRow) *volume {
	v := &volume{row: row, tier: model.Tier(row.Tier)}
	v.byTier = tier.WantedOf(row, p.in.Tiers, p.in.ReplicationFactor)
	v.target = v.byTier
	if row.State == messages.VolumeState_RETIRING {
		// Its content is on the way elsewhere: it keeps what it has and gets no more.
		v.target = min(v.target, max(1, len(row.Members)))
	}
	v.good = make([]*messages.VolumeMember, 0, len(row.Members))
	v.wanted = max(1, min(v.target, p.hosts))
	for _, m := range byNode(row.Members) {
		w := p.workers[m.Node]
		switch {
		case w == nil:
			v.away = append(v.away, m)
		case w.State == messages.WorkerState_DECOMMISSIONED || w.State == messages.WorkerState_LEFT:
			v.gone = append(v.gone, m)
		case !present(w.State):
			v.away = append(v.away, m)
		case w.Draining:
			v.leaving = append(v.leaving, m)
		case m.Verified && !m.Damaged:
			v.good = append(v.good, m)
		default:
			v.pending = append(v.pending, m)
		}
	}
	return v
}

func byNode(members []*messages.VolumeMember) []*messages.VolumeMember {
	order := func(a, b *messages.VolumeMember) int { return strings.Compare(a.Node, b.Node) }
	if slices.IsSortedFunc(members, order) {
		return members
	}
	return slices.SortedFunc(slices.Values(members), order)
}

// sources are the nodes other than one whose copy is intact and can be read now; those
// that stay come first.
func (v *volume) sources(except string) (nodes []string) {
	for _, m := range slices.Concat(v.good, v.leaving) {
		if m.Verified && !m.Damaged && m.Node != except {
			nodes = append(nodes, m.Node)
		}
	}
	return nodes
}

// copied reports whether it is a volume whose copies this package cares for.
func copied(row *messages.VolumeRow) bool {
	return row.State != messages.VolumeState_OPEN && row.SealedEnd > 0 && !emptied(row)
}

// emptied: it is about to be dropped.
func emptied(row *messages.VolumeRow) bool {
	return row.State == messages.VolumeState_RETIRING && row.LiveBytes == 0
}

// urgency: the more valuable tier first, in it the volumes with the fewest good copies.
func urgency(a, b *volume) int {
	return cmp.Or(cmp.Compare(a.tier, b.tier), cmp.Compare(len(a.good), len(b.good)), cmp.Compare(a.row.Id, b.row.Id))
}

func nodesOf(lists ...[]*messages.VolumeMember) []string {
	nodes := make([]string, 0, 8)
	for _, list := range lists {
		for _, m := range list {
			nodes = append(nodes, m.Node)
		}
	}
	return nodes
}
