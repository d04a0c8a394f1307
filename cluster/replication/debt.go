package replication

import (
	"slices"

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
		if len(row.Lost) > 0 {
			d.Lost++
		}
	}
	for _, v := range p.volumes {
		d := &tiers[tierIndex(v.row)]
		d.owe(v, len(v.good), v.row.SealedEnd)
		p.stranded(v, d)
	}
	return tiers
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

// stranded tells a volume that nobody can read now from one that nobody ever will.
func (p *planner) stranded(v *volume, d *TierDebt) {
	if len(v.good) > 0 || len(v.sources("")) > 0 {
		return
	}
	hope := slices.ContainsFunc(v.row.Members, func(m *messages.VolumeMember) bool { return !m.Damaged })
	switch {
	case hope:
		d.Stranded++
	case len(v.row.Lost) == 0: // else it is counted
		d.Lost++
	}
}
