package replication

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tiercel/cluster/placement"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// reason is a job that has something to do with a volume.
type reason struct {
	key   JobKey
	cause string
}

// reasons are those for which a volume needs further copies, one for each copy that is
// missing: what is away or gone first, then what is being drained.
func (p *planner) reasons(v *volume, missing int) (out []reason) {
	for _, m := range v.away {
		out = append(out, reason{JobKey{Kind: messages.JobKind_REPAIR, Subject: m.Node}, p.awayCause(m.Node)})
	}
	for _, m := range v.gone {
		out = append(out, p.gone(m.Node))
	}
	for _, m := range v.leaving {
		out = append(out, draining(m.Node))
	}
	for len(out) < missing {
		out = append(out, reason{
			JobKey{Kind: messages.JobKind_ADAPT, Tier: uint32(v.tier)},
			fmt.Sprintf("the %s tier wants %d copies, volumes have fewer", v.tier.Name(), v.target),
		})
	}
	return out
}

func (p *planner) awayCause(node string) string {
	if w := p.workers[node]; w == nil || w.State != messages.WorkerState_UNREACHABLE {
		return fmt.Sprintf("worker %s is not known", node)
	}
	return fmt.Sprintf("worker %s missed 5 heartbeats", node)
}

func (p *planner) gone(node string) reason {
	return reason{
		JobKey{Kind: messages.JobKind_EVACUATION, Subject: node},
		fmt.Sprintf("worker %s is %s", node, strings.Replace(messages.StateName(p.workers[node].State), "left", "gone for good", 1)),
	}
}

func draining(node string) reason {
	return reason{JobKey{Kind: messages.JobKind_DRAIN, Subject: node}, fmt.Sprintf("worker %s is being drained", node)}
}

// missing is how many copies on hosts of their own a volume lacks, those under way counted.
func (p *planner) missing(v *volume) int {
	return v.wanted - p.spread(nodesOf(v.good, v.pending)).hosts
}

// add plans at most one further copy of a volume.
func (p *planner) add(v *volume) {
	missing := p.missing(v)
	if missing <= 0 {
		return
	}
	reasons := p.reasons(v, missing)
	for _, r := range reasons[:min(len(reasons), missing)] {
		p.left(r.key, r.cause, v.row.Id, v.row.SealedEnd)
	}
	if v.removed != "" {
		return // one change of a volume at a time
	}
	sources := v.sources("")
	for _, r := range reasons {
		if len(sources) == 0 {
			p.block(r.key, fmt.Sprintf("volume %d has no intact copy that can be reached", v.row.Id))
			continue
		}
		if p.suppressed(r.key) || p.held(r.key) || !p.runs(r.key) {
			continue
		}
		p.left(r.key, r.cause, v.row.Id, v.row.SealedEnd)
		if p.in.Total > 0 && p.total >= p.in.Total {
			return // whoever it would be, it has to wait
		}
		node, decision, blocked := p.choose(v, nodesOf(v.good, v.pending), nil)
		p.block(r.key, blocked)
		if node == "" {
			return
		}
		v.added = node
		p.take(node)
		p.free[node] -= float64(v.row.SealedEnd)
		s := v.step(AddMember, node, r.key, r.cause+": "+decision)
		s.From = sources[0]
		p.emit(&p.adds, s)
		return
	}
}

// choose picks a worker for a copy beside others, and says by which scores. Empty without
// a reason why it is blocked: the right one is busy, and waiting is better than a worse
// place. only, if not nil, says who may.
func (p *planner) choose(v *volume, beside []string, only func(*Worker) bool) (node, decision, blocked string) {
	all := p.candidates(only)
	req := placement.Request{Tier: v.tier, Bytes: v.row.SealedEnd, Copies: 1, Beside: beside, Preference: tier.Preference(p.in.Tiers, v.tier)}
	best, judged := placement.Pick(req, all, p.in.Weights)
	if len(best) == 0 {
		return "", "", "no worker can take a further copy" + refusals(judged)
	}
	if p.room(best[0]) {
		return best[0], placement.Decision(judged, 1), ""
	}
	// Another that is as far from the other copies and as well suited will do. The nodes
	// of beside are kept: Pick must see them to know where the others are.
	free := slices.DeleteFunc(slices.Clone(all), func(w placement.Worker) bool {
		return !p.room(w.Node) && !slices.Contains(beside, w.Node)
	})
	next, others := placement.Pick(req, free, p.in.Weights)
	if len(next) == 0 || others[0].Terms.Disk < judged[0].Terms.Disk ||
		p.spread(append(slices.Clone(beside), next[0])).compare(p.spread(append(slices.Clone(beside), best[0]))) < 0 {
		return "", "", ""
	}
	return next[0], placement.Decision(others, 1), ""
}

// candidates are the workers as they will be when everything planned is done.
func (p *planner) candidates(only func(*Worker) bool) []placement.Worker {
	out := make([]placement.Worker, 0, len(p.nodes))
	for _, node := range p.nodes {
		w := p.workers[node]
		c := w.Worker
		taken := float64(w.Free) - p.free[node]
		c.Writable = uint64(max(0, float64(w.Writable)-max(0, taken)))
		c.Free = uint64(max(0, p.free[node]))
		c.Open += p.coming[node] // what it is given now shows in no report yet
		if only != nil && !only(w) {
			c.Suspect = "it would not help"
		}
		out = append(out, c)
	}
	return out
}

// refusals counts the filters that kept workers out, in words.
func refusals(judged []placement.Judgement) string {
	counts := make(map[string]int)
	for _, j := range judged {
		if j.Refusal != "" {
			counts[string(j.Refusal)]++
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], strings.ReplaceAll(name, "_", " ")))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
