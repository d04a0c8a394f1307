package replication

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

const (
	// defaultSpread between the used shares of the fullest and the emptiest worker.
	defaultSpread = 0.10
	// maxMoves are looked ahead in one plan, so that it takes a moment only; maxDryMoves
	// when somebody asks for all of them.
	maxMoves, maxDryMoves = 500, 10_000
)

var rebalanceKey = JobKey{Kind: messages.JobKind_REBALANCE}

func threshold(s *messages.Settings) float64 {
	if s.GetRebalanceSpread() <= 0 {
		return defaultSpread
	}
	return s.RebalanceSpread
}

// WantsRebalance reports whether a rebalance should begin by itself, and why.
func WantsRebalance(in Input) (bool, string) {
	if !in.Settings.GetAutoRebalance() || in.Brake {
		return false, ""
	}
	p := newPlanner(in)
	if p.jobs.active[rebalanceKey] != nil || p.suppressed(rebalanceKey) {
		return false, ""
	}
	for _, v := range p.volumes {
		p.underWay(v)
	}
	full, empty := p.extremes()
	between := p.used(full) - p.used(empty)
	if full == "" || between < threshold(in.Settings) {
		return false, ""
	}
	p.in.PerWorker, p.in.Total = 0, 0 // that all are busy now says nothing
	if _, helps := p.nextMove(newHolders(p.volumes)); !helps {
		return false, ""
	}
	return true, fmt.Sprintf("worker %s is %.0f%% full, worker %s %.0f%%", full, 100*p.used(full), empty, 100*p.used(empty))
}

// balanced are the workers between which volumes are moved, the fullest first.
func (p *planner) balanced() (nodes []string) {
	for _, node := range p.nodes {
		w := p.workers[node]
		if w.State == messages.WorkerState_HEALTHY && !w.Draining && w.Reached && w.Known && w.Suspect == "" && w.Total > 0 {
			nodes = append(nodes, node)
		}
	}
	slices.SortFunc(nodes, func(a, b string) int { return cmp.Or(cmp.Compare(p.used(b), p.used(a)), strings.Compare(a, b)) })
	return nodes
}

func (p *planner) extremes() (full, empty string) {
	if nodes := p.balanced(); len(nodes) > 0 {
		return nodes[0], nodes[len(nodes)-1]
	}
	return "", ""
}

// rebalance plans moves for the job that asks for them: all are looked ahead, so that
// what is left is known, and those for which there is room now become steps.
func (p *planner) rebalance() {
	j := p.jobs.active[rebalanceKey]
	if j == nil {
		return
	}
	perWorker, total := p.in.PerWorker, p.in.Total
	p.in.PerWorker, p.in.Total = 0, 0
	moves := p.allMoves()
	p.in.PerWorker, p.in.Total = perWorker, total
	for _, m := range moves {
		p.left(rebalanceKey, j.Cause, m.v.row.Id, m.v.row.SealedEnd)
		if p.storm(rebalanceKey) || !p.runs(rebalanceKey) || !p.room(m.to) {
			continue
		}
		p.take(m.to)
		m.v.added = m.to
		s := m.v.step(AddMember, m.to, rebalanceKey, m.why)
		s.From = m.from
		p.emit(&p.adds, s)
	}
}

// move is one copy that would be better elsewhere.
type move struct {
	v             *volume
	from, to, why string
}

// allMoves looks ahead until nothing more would help; it is bounded because each move
// strictly lowers the sum of size × used share² over the workers.
func (p *planner) allMoves() (moves []move) {
	held := newHolders(p.volumes)
	for len(moves) < p.ahead {
		m, ok := p.nextMove(held)
		if !ok {
			break
		}
		bytes := float64(m.v.row.SealedEnd)
		p.free[m.from] += bytes
		p.free[m.to] -= bytes
		held.moved[m.v] = true
		moves = append(moves, m)
	}
	return moves
}

// holders are the volumes by node, the largest first, those already moved, and the
// copies found not to be movable: another plan asks again.
type holders struct {
	byNode map[string][]*volume
	moved  map[*volume]bool
	fixed  map[Copy]bool
}

func newHolders(volumes []*volume) *holders {
	h := &holders{byNode: make(map[string][]*volume), moved: make(map[*volume]bool), fixed: make(map[Copy]bool)}
	for _, v := range volumes {
		if !v.settled() {
			continue
		}
		for _, m := range v.good {
			h.byNode[m.Node] = append(h.byNode[m.Node], v)
		}
	}
	for _, list := range h.byNode { // each for itself: the order does not matter
		slices.SortFunc(list, func(a, b *volume) int {
			return cmp.Or(cmp.Compare(b.row.SealedEnd, a.row.SealedEnd), cmp.Compare(a.row.Id, b.row.Id))
		})
	}
	return h
}

// settled: nothing else is to be done with it.
func (v *volume) settled() bool {
	return v.row.State == messages.VolumeState_SEALED && v.added == "" && v.removed == "" && len(v.good) == v.wanted &&
		len(v.good) == len(v.row.Members)
}

// nextMove is the first that helps: from the fullest worker, the largest volume.
func (p *planner) nextMove(held *holders) (move, bool) {
	nodes := p.balanced()
	for _, from := range nodes {
		emptiest := nodes[len(nodes)-1]
		if p.used(from)-p.used(emptiest) < threshold(p.in.Settings)/2 {
			break
		}
		for _, v := range held.byNode[from] {
			if held.moved[v] || held.fixed[Copy{v.row.Id, from}] {
				continue
			}
			if to := p.betterFor(v, from, nodes); to != "" {
				return move{v: v, from: from, to: to, why: fmt.Sprintf("worker %s is %.0f%% full, worker %s %.0f%%",
					from, 100*p.used(from), to, 100*p.used(to))}, true
			}
			held.fixed[Copy{v.row.Id, from}] = true
		}
	}
	return move{}, false
}

// betterFor picks a worker for the copy of a volume on from; empty: it stays.
func (p *planner) betterFor(v *volume, from string, nodes []string) string {
	helpful := make(map[string]bool)
	for _, node := range nodes {
		if node != from && p.evens(v, from, node) {
			helpful[node] = true
		}
	}
	if len(helpful) == 0 {
		return ""
	}
	members := nodesOf(v.good)
	rest := without(members, from)
	to, _, _ := p.choose(v, rest, func(w *Worker) bool { return helpful[w.Node] })
	if to == "" || slices.Contains(members, to) || p.spread(append(rest, to)).compare(p.spread(members)) < 0 {
		return ""
	}
	if p.surplus(v, append(members, to), to) != from {
		return "" // another copy would go in the end, and nothing be gained
	}
	return to
}

// evens reports whether a move brings two workers closer together, neither ending where
// the other began, and the copy onto a disk that suits the tier as well.
func (p *planner) evens(v *volume, from, to string) bool {
	a, b, bytes := p.workers[from], p.workers[to], float64(v.row.SealedEnd)
	before := p.used(from) - p.used(to)
	if before < threshold(p.in.Settings)/2 {
		return false
	}
	down, up := bytes/float64(a.Total), bytes/float64(b.Total)
	if down >= before || up >= before || down+up >= 2*before {
		return false
	}
	if v.tier == model.TierRebuildable {
		return true
	}
	here, _ := placement.Score(v.tier, tier.Preference(p.in.Tiers, v.tier), &a.Worker, p.in.Weights)
	there, _ := placement.Score(v.tier, tier.Preference(p.in.Tiers, v.tier), &b.Worker, p.in.Weights)
	return there.Disk >= here.Disk
}
