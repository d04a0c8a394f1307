package replication

import (
	"fmt"

	"tiercel/messages"
)

// openOnDraining counts the open volumes on workers that are being drained as work that
// is left: cluster/volumes seals them, and then they are moved.
func (p *planner) openOnDraining() {
	open := make(map[string]int)
	for _, row := range p.in.Rows {
		if row.State != messages.VolumeState_OPEN {
			continue
		}
		for _, m := range row.Members {
			if w := p.workers[m.Node]; w != nil && w.Draining && w.State < messages.WorkerState_DECOMMISSIONED {
				r := draining(m.Node)
				p.left(r.key, r.cause, row.Id, 0)
				open[m.Node]++
			}
		}
	}
	for _, node := range p.nodes {
		if n := open[node]; n > 0 {
			p.block(draining(node).key, fmt.Sprintf("%d open volumes are being sealed", n))
		}
	}
}
