package replication

import "slices"

// Plan returns what to do now, and what is left for which job.
func Plan(in Input) Output { return plan(in, maxMoves) }

func plan(in Input, ahead int) Output {
	p := newPlanner(in)
	p.ahead = ahead
	for _, v := range p.volumes {
		p.underWay(v)
	}
	for _, v := range p.volumes {
		p.remove(v)
	}
	for _, v := range p.volumes {
		p.settleAll(v)
	}
	for _, v := range p.volumes {
		p.add(v)
	}
	p.rebalance()
	p.openOnDraining()
	for _, d := range p.doubts {
		p.check(d)
	}
	out := Output{Moves: p.moves, Tiers: p.debt()}
	out.Steps = slices.Concat(p.settles, p.removes, p.adds, p.checks)
	out.Jobs, out.Done = p.views()
	return out
}

type planner struct {
	in      Input
	workers map[string]*Worker
	nodes   []string // of workers, sorted
	volumes []*volume
	hosts   int                // distinct ones of workers that can hold copies
	free    map[string]float64 // bytes, after everything under way and planned
	jobs    jobs
	// coming counts the copies that each worker takes in; total all of them. Both
	// include those that wait for their turn.
	coming                 map[string]int
	total                  int
	ahead                  int // moves of a rebalance that are looked for
	settles, removes, adds []Step
	checks                 []Step
	doubts                 []doubt
	moves                  []Move
}

func newPlanner(in Input) *planner {
	p := &planner{in: in, workers: make(map[string]*Worker, len(in.Workers)), free: make(map[string]float64), coming: make(map[string]int)}
	p.jobs = newJobs(in.Jobs)
	hosts := make(map[string]bool)
	for i := range in.Workers {
		w := &in.Workers[i]
		p.workers[w.Node], p.free[w.Node] = w, float64(w.Free)
		p.nodes = append(p.nodes, w.Node)
		if able(w) {
			hosts[hostOf(w)] = true
		}
	}
	slices.Sort(p.nodes)
	p.hosts = len(hosts)
	for c, on := range in.Settling { // sums: the order does not matter
		if w := p.workers[c.Node]; on && w != nil && present(w.State) { // one that is away takes nothing in
			p.coming[c.Node]++
			p.total++
		}
	}
	for _, row := range in.Rows {
		if copied(row) {
			p.volumes = append(p.volumes, p.sort(row))
		}
	}
	slices.SortFunc(p.volumes, urgency)
	return p
}

// able: it can hold copies in the long run, whether or not it takes one now.
func able(w *Worker) bool { return present(w.State) && !w.Draining }

// room reports whether a worker may take in one copy more.
func (p *planner) room(node string) bool {
	return (p.in.PerWorker <= 0 || p.coming[node] < p.in.PerWorker) && (p.in.Total <= 0 || p.total < p.in.Total)
}

func (p *planner) take(node string) {
	p.coming[node]++
	p.total++
}

// underWay counts the copies that jobs have brought and that are not there yet: the
// space they will take is taken already.
func (p *planner) underWay(v *volume) {
	for _, m := range v.pending {
		if m.Job == 0 {
			continue
		}
		p.free[m.Node] -= float64(v.row.SealedEnd)
		j := p.jobs.byID[m.Job]
		if j == nil {
			continue
		}
		from := ""
		if sources := v.sources(m.Node); len(sources) > 0 {
			from = sources[0]
		}
		if p.isRebalance(m.Job) {
			if from = p.surplus(v, append(nodesOf(v.good), m.Node), m.Node); from != "" {
				p.free[from] += float64(v.row.SealedEnd)
			}
		}
		p.moves = append(p.moves, Move{
			Volume: v.row.Id, Tier: v.tier, Bytes: v.row.SealedEnd, From: from, To: m.Node, Job: keyOf(j),
			Copying: p.in.Settling[Copy{v.row.Id, m.Node}], Why: j.Cause,
		})
	}
}

// step begins a step for a member of a volume.
func (v *volume) step(kind Kind, node string, key JobKey, why string) Step {
	return Step{
		Kind: kind, Volume: v.row.Id, Generation: v.row.Generation, Node: node, Tier: v.tier, Job: key,
		Bytes: v.row.SealedEnd, Why: why,
	}
}
