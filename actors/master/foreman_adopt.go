package master

import (
	"tiercel/actors/runtime"
	"tiercel/cluster/replication"
	"tiercel/messages"
)

// adopt makes a copy from before a recovery a member, if its volume needs it: the
// state that was recovered is older than the move, the repair or the reopening that
// made it what it is. It reports whether that is so.
func (f *Foreman) adopt(ctx *runtime.Context, node string, row *messages.VolumeRow, m *messages.VolumeMember, r *messages.VolumeReport) bool {
	if !replication.Adoptable(f.cluster(), row, m, r) {
		return false
	}
	if _, busy := f.changing[row.Id]; busy {
		return true // the next sweep finds it again
	}
	f.changing[row.Id] = ctx.Now()
	volume := row.Id
	ctx.Log().Info("a copy from before the recovery is adopted", "volume", volume, "worker", node)
	f.commit(ctx, &messages.Command{Kind: &messages.Command_AdoptCopy{AdoptCopy: &messages.AdoptCopy{
		Volume: volume, Generation: row.Generation, Node: node, ReplicaGen: r.ReplicaGen, CopyGeneration: r.Generation,
	}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		delete(f.changing, volume)
		if f.took(ctx, "adopt a copy", o) {
			f.look(ctx)
		}
	})
	return true
}
