package replication

import "tiercel/messages"

// Adoptable reports whether what a worker holds of a sealed volume should become a
// member, or the member that it is: it is from before a recovery, the row knows it
// otherwise or not at all, and the volume has no verified copy that would make it
// superfluous. row and member may be nil.
func Adoptable(cluster *messages.ClusterRow, row *messages.VolumeRow, member *messages.VolumeMember, r *messages.VolumeReport) bool {
	if row == nil || row.State == messages.VolumeState_OPEN || r.ReplicaGen == 0 || r.ReplicaGen >= cluster.GetAdoptBelow() || r.Damage != "" {
		return false
	}
	for _, m := range row.Members {
		if m.Verified && !m.Damaged {
			return false
		}
	}
	switch {
	case member == nil:
		return r.End > 0
	case member.ReplicaGen >= cluster.GetAdoptBelow():
		return false // it is being made anew here
	case member.ReplicaGen != r.ReplicaGen:
		return true
	}
	return r.Generation > row.Generation && len(row.Members) == 1
}
