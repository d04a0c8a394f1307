package replication

import (
	"fmt"

	"tiercel/messages"
)

// doubt is a copy that could go if one of those that stay were known to be sound.
type doubt struct {
	volume *volume
	leaves *messages.VolumeMember
	job    JobKey
}

// sound reports whether a copy may go: one of those that stay was read or made a moment
// ago. What the row says of them may be old, and a disk does not tell when it goes bad: the
// copy that goes may be the last good one. A copy that a job has begun and not finished
// holds nothing that it was not given.
func (p *planner) sound(v *volume, m *messages.VolumeMember) bool {
	if m.Job != 0 && !m.Verified && !m.Damaged {
		return true
	}
	for _, node := range v.sources(m.Node) {
		if p.in.Sound[Copy{v.row.Id, node}] {
			return true
		}
	}
	return false
}

// check has one of the copies that stay read. Copies of one worker are read by turns, and
// after all that is to be settled: a copy too many does no harm meanwhile.
func (p *planner) check(d doubt) {
	v, stay := d.volume, d.volume.sources(d.leaves.Node)
	why := ""
	for i := range stay {
		node := stay[(i+int(v.row.Id%uint64(len(stay))))%len(stay)]
		at := Copy{v.row.Id, node}
		reason, failed := p.in.Failed[at]
		switch {
		case p.in.Settling[at]:
			return
		case failed:
			why = node + ": " + reason
			continue
		case !p.workers[node].Reached:
			why = fmt.Sprintf("worker %s has not reported to this master", node)
			continue
		case p.room(node):
			p.take(node)
			p.emit(&p.checks, v.step(Check, node, d.job, "the copy on "+d.leaves.Node+" is to go"))
		}
		return
	}
	p.block(d.job, fmt.Sprintf("no other copy of volume %d could be read, so the one on %s stays: %s", v.row.Id, d.leaves.Node, why))
}
