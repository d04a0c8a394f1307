package replication

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tiercel/messages"
)

// remove plans at most one member to give up, and notes for evacuations and drains what
// they still hold.
func (p *planner) remove(v *volume) {
	for _, m := range v.gone {
		r := p.gone(m.Node)
		p.left(r.key, r.cause, v.row.Id, 0)
	}
	for _, m := range v.leaving {
		r := draining(m.Node)
		p.left(r.key, r.cause, v.row.Id, 0)
	}
	for _, m := range v.away {
		if w := p.workers[m.Node]; w != nil && w.Draining {
			r := draining(m.Node)
			p.left(r.key, r.cause, v.row.Id, 0)
			p.block(r.key, fmt.Sprintf("worker %s cannot be reached", m.Node))
		}
	}
	if p.removeCancelled(v) || p.spread(nodesOf(v.good)).hosts < v.wanted {
		return
	}
	if !p.removeGiven(v) && !p.removeExtra(v) {
		p.removeSurplus(v)
	}
}

// removeCancelled takes back what a cancelled job has brought and not finished.
func (p *planner) removeCancelled(v *volume) bool {
	for _, m := range append(v.pending[:len(v.pending):len(v.pending)], v.leaving...) {
		if !m.Verified && p.wasCancelled(m) && p.mayGo(v, m) {
			return p.give(v, m, JobKey{}, "its job was cancelled")
		}
	}
	return false
}

// removeGiven gives up copies on workers that were given up or are being drained.
func (p *planner) removeGiven(v *volume) bool {
	for _, m := range append(v.gone[:len(v.gone):len(v.gone)], v.leaving...) {
		r := draining(m.Node)
		if slices.Contains(v.gone, m) {
			r = p.gone(m.Node)
		}
		if p.suppressed(r.key) || p.held(r.key) || !p.runs(r.key) {
			continue
		}
		if p.mayGo(v, m) {
			return p.give(v, m, r.key, r.cause)
		}
		p.block(r.key, fmt.Sprintf("volume %d has %d intact copies elsewhere, %d are needed before this one is given up",
			v.row.Id, len(v.sources(m.Node)), p.needed(v, m)))
	}
	return false
}

// removeExtra gives up a copy that is not finished and that nobody needs any more.
func (p *planner) removeExtra(v *volume) bool {
	for _, m := range v.pending {
		if p.isRebalance(m.Job) && !m.Damaged {
			continue // it takes the place of one that goes later
		}
		key := p.jobOf(m)
		p.left(key, "", v.row.Id, 0)
		if p.runs(key) && !p.held(key) && p.mayGo(v, m) {
			return p.give(v, m, key, "it is not needed any more")
		}
	}
	return false
}

// removeSurplus gives up an intact copy when there are more than wanted; not in a storm,
// when it may be wanted in a moment.
func (p *planner) removeSurplus(v *volume) {
	if len(v.good) <= v.wanted {
		return
	}
	nodes, brought, newest := nodesOf(v.good), "", uint64(0)
	r := reason{
		JobKey{Kind: messages.JobKind_ADAPT, Tier: uint32(v.tier)},
		fmt.Sprintf("the %s tier wants %d copies, volumes have more", v.tier.Name(), v.target),
	}
	for _, m := range v.good {
		if j := p.jobs.byID[m.Job]; p.isRebalance(m.Job) && m.ReplicaGen > newest { // it may have been moved before
			r, brought, newest = reason{keyOf(j), cmp.Or(j.Cause, "it was moved")}, m.Node, m.ReplicaGen
		}
	}
	node := p.surplus(v, nodes, brought)
	if node == "" {
		return
	}
	m := v.good[slices.Index(nodes, node)]
	if !p.mayGo(v, m) {
		return
	}
	p.left(r.key, r.cause, v.row.Id, 0)
	if !p.suppressed(r.key) && !p.storm(r.key) && p.runs(r.key) {
		p.give(v, m, r.key, r.cause)
	}
}

// surplus names the one of nodes that a volume can best do without: of those whose loss
// leaves the widest spread, the one on the fullest worker. Empty: none. keep was brought
// by a rebalance and stays, or the move would have been for nothing.
func (p *planner) surplus(v *volume, nodes []string, keep string) (best string) {
	var widest spread
	for _, node := range slices.Sorted(slices.Values(nodes)) {
		rest := p.spread(without(nodes, node))
		if node == keep || rest.hosts < v.wanted {
			continue
		}
		order := rest.compare(widest)
		if best == "" || order > 0 || order == 0 && p.used(node) > p.used(best) {
			best, widest = node, rest
		}
	}
	return best
}

// used is the used share of a worker after everything that is planned.
func (p *planner) used(node string) float64 {
	if w := p.workers[node]; w != nil {
		return usedShare(p.free[node], w.Total)
	}
	return 0
}

// mayGo is the rule of the log (cluster/catalog): it would refuse anything else.
func (p *planner) mayGo(v *volume, m *messages.VolumeMember) bool {
	return len(v.sources(m.Node)) >= p.needed(v, m)
}

// needed is how many intact copies must be left when a member goes.
func (p *planner) needed(v *volume, m *messages.VolumeMember) int {
	if !m.Verified {
		return 1
	}
	holders := 0
	for _, node := range p.nodes {
		if node != m.Node && able(p.workers[node]) {
			holders++
		}
	}
	return max(1, min(v.byTier, holders))
}

// give gives a copy up, or has another one read first. It is true: of a volume one copy
// goes at a time.
func (p *planner) give(v *volume, m *messages.VolumeMember, key JobKey, why string) bool {
	v.removed = m.Node
	if !p.sound(v, m) {
		p.doubts = append(p.doubts, doubt{v, m, key})
		return true
	}
	if w := p.workers[m.Node]; w != nil && present(w.State) && (m.Verified || m.Job != 0) {
		p.free[m.Node] += float64(v.row.SealedEnd)
	}
	p.emit(&p.removes, v.step(RemoveMember, m.Node, key, strings.TrimSpace(why)))
	return true
}
