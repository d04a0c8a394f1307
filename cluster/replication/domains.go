package replication

import "slices"

// spread is over how many hosts, datacenters and racks a set of nodes is spread.
type spread struct{ hosts, dcs, racks int }

// compare orders by hosts, then datacenters, then racks.
func (s spread) compare(other spread) int {
	for _, d := range [...]int{s.hosts - other.hosts, s.dcs - other.dcs, s.racks - other.racks} {
		if d != 0 {
			return d
		}
	}
	return 0
}

// spread compares pairs instead of filling sets: it is asked for every volume of every
// plan, and a volume has a few members.
func (p *planner) spread(nodes []string) (s spread) {
	for i, node := range nodes {
		w := p.workers[node]
		if w == nil {
			continue
		}
		host, dc, rack := true, true, true
		for _, earlier := range nodes[:i] {
			o := p.workers[earlier]
			if o == nil {
				continue
			}
			host = host && !sameHost(w, o)
			dc = dc && w.DC != o.DC
			rack = rack && (w.DC != o.DC || w.Rack != o.Rack)
		}
		s.hosts, s.dcs, s.racks = s.hosts+one(host), s.dcs+one(dc), s.racks+one(rack)
	}
	return s
}

func one(counts bool) int {
	if counts {
		return 1
	}
	return 0
}

// sameHost: one without a label stands alone.
func sameHost(a, b *Worker) bool {
	if a.Host == "" || b.Host == "" {
		return a.Node == b.Node
	}
	return a.Host == b.Host
}

// hostOf is the failure domain of a worker; one without a label stands alone.
func hostOf(w *Worker) string {
	if w.Host == "" {
		return "\x00" + w.Node
	}
	return w.Host
}

func without(nodes []string, node string) []string {
	return slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == node })
}

func usedShare(free float64, total uint64) float64 {
	if total == 0 {
		return 0
	}
	return min(1, max(0, 1-free/float64(total)))
}
