package replication

import (
	"fmt"
	"slices"

	"tiercel/messages"
)

// settleAll brings members to their row whose copies are not known to be whole: those a
// job has brought, damaged ones, and those that were away when their volume was sealed.
func (p *planner) settleAll(v *volume) {
	for _, m := range v.pending {
		p.settle(v, m)
	}
	if len(v.leaving) == 0 || len(v.sources("")) > 0 {
		return
	}
	for _, m := range v.leaving { // it may be the only one there is
		p.settle(v, m)
	}
}

func (p *planner) settle(v *volume, m *messages.VolumeMember) {
	if m.Node == v.removed {
		return
	}
	key, why := p.jobOf(m), "its copy is not known to be whole"
	damaged := m.Damaged
	if damaged {
		key, why = JobKey{Kind: messages.JobKind_REPAIR, Subject: m.Node}, "its copy is damaged"
		if m.DamagedAt > p.jobs.cancelled[key] {
			delete(p.jobs.cancelled, key) // who cancelled that did not know of this
		}
	}
	var quarantine *work
	if key != (JobKey{}) {
		quarantine = p.left(key, fmt.Sprintf("worker %s has damaged copies", m.Node), v.row.Id, v.row.SealedEnd)
		if quarantine == nil {
			return
		}
	}
	at := Copy{v.row.Id, m.Node}
	if reason, failed := p.in.Failed[at]; failed {
		if quarantine != nil {
			quarantine.Quarantined = append(quarantine.Quarantined, &messages.JobQuarantine{Volume: v.row.Id, Reason: m.Node + ": " + reason})
		}
		return
	}
	sources := v.sources(m.Node)
	switch {
	case p.in.Settling[at]:
		return
	case !p.runs(key), !damaged && p.held(key):
		return
	case len(sources) == 0 && (damaged && anyVerified(v.row) || !damaged && m.Job != 0 && len(v.row.Digest) > 0):
		// A member that was away may turn out to have all of it, and one that was found
		// damaged to be sound when it is read again; one that was brought has nothing.
		p.block(key, fmt.Sprintf("volume %d has no intact copy that can be reached", v.row.Id))
		return
	case !p.workers[m.Node].Reached:
		p.block(key, fmt.Sprintf("worker %s has not reported to this master", m.Node))
		return
	}
	room := p.room(m.Node)
	p.take(m.Node) // one that waits for its turn comes before new ones all the same
	if !room {
		return
	}
	s := v.step(Settle, m.Node, key, why)
	s.Replace = damaged
	if len(sources) > 0 {
		s.From = sources[0]
	}
	p.emit(&p.settles, s)
}

// anyVerified reports whether a whole copy is known, on whatever worker.
func anyVerified(row *messages.VolumeRow) bool {
	return slices.ContainsFunc(row.Members, func(m *messages.VolumeMember) bool { return m.Verified })
}
