package replication

import (
	"tiercel/cluster/model"
	"tiercel/messages"
)

// debt counts volumes and missing copies by tier.
func (p *planner) debt() (tiers [3]TierDebt) {
	for _, row := range p.in.Rows {
		d := &tiers[tierIndex(row)]
		switch row.State {
		case messages.VolumeState_OPEN:
			d.Open++
			if row.CommittedEnd > 0 {
				v := p.sort(row) // nobody has checked a copy that grows
				d.owe(v, len(v.good)+len(v.pending), row.CommittedEnd)
			}
		case messages.VolumeState_RETIRING:
			d.Retiring++
		default:
			d.Sealed++
		}
		stands := StandingOf(row, p.stateOf)
		if stands.Lost {
			d.Lost++
		}
		if stands.Stranded {
			d.Stranded++
		}
	}
	for _, v := range p.volumes {
		tiers[tierIndex(v.row)].owe(v, len(v.good), v.row.SealedEnd)
	}
	return tiers
}

// stateOf is what the log says of a worker.
func (p *planner) stateOf(node string) messages.WorkerState {
	if w := p.workers[node]; w != nil {
		return w.State
	}
	return messages.WorkerState_WORKER_STATE_UNSPECIFIED
}

// tierIndex: what has no tier is critical.
func tierIndex(row *messages.VolumeRow) int {
	if t := model.Tier(row.Tier); t.Valid() {
		return int(t) - 1
	}
	return int(model.TierCritical) - 1
}

func (d *TierDebt) owe(v *volume, have int, length uint64) {
	if have < v.target {
		d.Degraded++
		d.DebtBytes += uint64(v.target-have) * length
	}
}
