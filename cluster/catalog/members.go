package catalog

import (
	"slices"
	"strconv"

	"tiercel/cluster/tier"
	"tiercel/messages"
)

// changeMembers changes who holds a volume that takes no more appends. It is a
// compare-and-set on the whole list, so that of two jobs that each drop "the extra"
// copy one is refused, and it never leaves fewer verified copies than there should be.
func (c *Catalog) changeMembers(change *messages.ChangeMembers) *messages.CommandResult {
	v, refused := c.volumeAt(change.GetVolume(), change.GetGeneration())
	if refused != nil {
		return refused
	}
	if refused := c.checkChange(v.row, change); refused != nil {
		return refused
	}
	row := v.row
	stay, removed := splitMembers(row.Members, change.Remove)
	if len(removed) > 0 && !c.enoughCopies(row, stay, removed) {
		return refuse("last_copies", "volume", decimal(row.Id), "verified", strconv.Itoa(len(c.presentVerified(stay))))
	}
	if len(removed) > 0 && change.Job != 0 {
		for _, m := range stay {
			if m.Verified && m.Job == change.Job {
				m.Job = 0 // it has taken the place of what goes: that move is done
			}
		}
	}
	cluster := c.nextCluster()
	first := cluster.NextReplicaGen
	for _, node := range change.Add {
		stay = append(stay, &messages.VolumeMember{Node: node, ReplicaGen: cluster.NextReplicaGen, Job: change.Job, Cause: change.Cause})
		cluster.NextReplicaGen++
	}
	if len(change.Add) > 0 {
		c.setCluster(cluster)
	}
	row.Members = stay
	c.changed(v)
	res := volumeResult(row)
	if len(change.Add) > 0 {
		res.Id = first
	}
	return res
}

// checkChange judges a change of members before anything is changed.
func (c *Catalog) checkChange(row *messages.VolumeRow, change *messages.ChangeMembers) *messages.CommandResult {
	switch {
	case row.State == messages.VolumeState_OPEN:
		return refuseState(row)
	case len(change.Add)+len(change.Remove) == 0:
		return refuse("bad_field", "field", "add and remove")
	case len(change.Add) > 0 && !validNames(change.Add, MaxMembers), len(row.Members)+len(change.Add) > 2*MaxMembers:
		return refuse("bad_field", "field", "add")
	case !validText(change.Cause, MaxDecisionBytes):
		return refuse("bad_field", "field", "cause")
	case !sameMembers(row.Members, change.Expect):
		return refuse("members_changed", "volume", decimal(row.Id))
	}
	for _, node := range change.Add {
		switch w := c.workers[node]; {
		case w == nil:
			return refuse("no_worker", "node", node)
		case w.State == messages.WorkerState_LEFT:
			return refuse("worker_left", "node", node)
		case slices.ContainsFunc(row.Members, func(m *messages.VolumeMember) bool { return m.Node == node }):
			return refuse("member_already", "volume", decimal(row.Id), "node", node)
		}
	}
	for _, ref := range change.Remove {
		if !slices.ContainsFunc(row.Members, func(m *messages.VolumeMember) bool { return isMember(m, ref) }) {
			return refuse("no_member", "volume", decimal(row.Id), "node", ref.GetNode())
		}
	}
	return nil
}

func isMember(m *messages.VolumeMember, ref *messages.MemberRef) bool {
	return m.Node == ref.GetNode() && m.ReplicaGen == ref.GetReplicaGen()
}

// sameMembers compares without regard to order.
func sameMembers(members []*messages.VolumeMember, refs []*messages.MemberRef) bool {
	if len(members) != len(refs) {
		return false
	}
	for _, m := range members {
		if !slices.ContainsFunc(refs, func(ref *messages.MemberRef) bool { return isMember(m, ref) }) {
			return false
		}
	}
	return true
}

func splitMembers(members []*messages.VolumeMember, remove []*messages.MemberRef) (stay, removed []*messages.VolumeMember) {
	for _, m := range members {
		if slices.ContainsFunc(remove, func(ref *messages.MemberRef) bool { return isMember(m, ref) }) {
			removed = append(removed, m)
		} else {
			stay = append(stay, m)
		}
	}
	return stay, removed
}

// presentVerified are the verified copies on workers that are not known to be away.
func (c *Catalog) presentVerified(members []*messages.VolumeMember) (out []*messages.VolumeMember) {
	for _, m := range members {
		if s := c.workers[m.Node].GetState(); m.Verified && (s == messages.WorkerState_HEALTHY || s == messages.WorkerState_DEGRADED) {
			out = append(out, m)
		}
	}
	return out
}

// enoughCopies judges what remains when copies are given up (invariant 7). Giving up
// a copy that is not known to be whole needs one verified copy elsewhere. Giving up a
// verified one needs as many as the tier wants, or as there are workers to hold them.
func (c *Catalog) enoughCopies(row *messages.VolumeRow, stay, removed []*messages.VolumeMember) bool {
	if row.LiveBytes == 0 && row.State == messages.VolumeState_RETIRING {
		return true // nothing names it any more
	}
	have := len(c.presentVerified(stay))
	if !slices.ContainsFunc(removed, func(m *messages.VolumeMember) bool { return m.Verified }) {
		return have >= 1
	}
	wanted := tier.WantedOf(row, c.cluster.Tiers, int(c.cluster.ReplicationFactor))
	return have >= max(1, min(wanted, c.ableToHold(removed)))
}

// ableToHold counts the workers that can hold a copy, those whose copies are given up not included.
func (c *Catalog) ableToHold(without []*messages.VolumeMember) (n int) {
	for node, w := range c.workers { // a sum: the order does not matter
		able := w.State == messages.WorkerState_HEALTHY || w.State == messages.WorkerState_DEGRADED
		if able && !w.Draining && !slices.ContainsFunc(without, func(m *messages.VolumeMember) bool { return m.Node == node }) {
			n++
		}
	}
	return n
}

// markDamaged notes that a member's copy is not what was sealed.
func (c *Catalog) markDamaged(e entry, mark *messages.MarkDamaged) *messages.CommandResult {
	v, refused := c.volumeAt(mark.GetVolume(), mark.GetGeneration())
	if refused != nil {
		return refused
	}
	row := v.row
	i := slices.IndexFunc(row.Members, func(m *messages.VolumeMember) bool {
		return m.Node == mark.Node && m.ReplicaGen == mark.ReplicaGen
	})
	switch {
	case row.State == messages.VolumeState_OPEN:
		return refuseState(row)
	case i < 0:
		return refuse("no_member", "volume", decimal(row.Id), "node", mark.Node)
	case !validText(mark.Cause, MaxDecisionBytes):
		return refuse("bad_field", "field", "cause")
	}
	if m := row.Members[i]; m.Verified || !m.Damaged {
		m.Verified, m.Damaged, m.DamagedAt = false, true, e.index
		c.changed(v)
	}
	return volumeResult(row)
}
