package replication

import (
	"fmt"

	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// openOnDraining counts the open volumes on workers that are being drained as work that
// is left: cluster/volumes seals them when others take the writes, and then they are moved.
func (p *planner) openOnDraining() {
	present := 0
	for _, w := range p.workers { // a sum: the order does not matter
		if w.State < messages.WorkerState_DECOMMISSIONED {
			present++
		}
	}
	type waiting struct{ volumes, least int }
	open := make(map[string]map[model.Tier]waiting)
	for _, row := range p.in.Rows {
		if row.State != messages.VolumeState_OPEN {
			continue
		}
		least := tier.MinCopies(p.in.Tiers, model.Tier(row.Tier), present)
		if row.LicensedCopies > 0 {
			least = min(least, int(row.LicensedCopies))
		}
		for _, m := range row.Members {
			if w := p.workers[m.Node]; w != nil && w.Draining && w.State < messages.WorkerState_DECOMMISSIONED {
				r := draining(m.Node)
				p.left(r.key, r.cause, row.Id, 0)
				if open[m.Node] == nil {
					open[m.Node] = make(map[model.Tier]waiting)
				}
				open[m.Node][model.Tier(row.Tier)] = waiting{open[m.Node][model.Tier(row.Tier)].volumes + 1, least}
			}
		}
	}
	for _, node := range p.nodes {
		for _, t := range model.Tiers {
			o := open[node][t]
			if o.volumes == 0 {
				continue
			}
			why := fmt.Sprintf("%d open volumes of the %s tier are to be sealed first", o.volumes, t.Name())
			if p.hosts < o.least {
				why = fmt.Sprintf("%d open volumes of the %s tier go on here: its writes need %d workers on hosts of their own and %d could take them; add a worker, or lower min_copies of tier %d",
					o.volumes, t.Name(), o.least, p.hosts, t)
			}
			p.block(draining(node).key, why)
		}
	}
}
