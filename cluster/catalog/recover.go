package catalog

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// RecoveryGap is how far a recovery moves every counter on, log indexes included. The
// life of the cluster that is lost has given numbers above those that the recovered
// state knows; so many it cannot have given.
const RecoveryGap = 1 << 40

// MaxRecoveries bounds how often the catalog of one cluster is recovered.
const MaxRecoveries = 256

// recovery runs the rule of a command that only recoveries need.
func (c *Catalog) recovery(e entry) *messages.CommandResult {
	switch k := e.cmd.Kind.(type) {
	case *messages.Command_RecoverCatalog:
		return c.recoverCatalog(e, k.RecoverCatalog)
	case *messages.Command_AdoptCopy:
		return c.adoptCopy(k.AdoptCopy)
	case *messages.Command_AdoptVolume:
		return c.adoptVolume(e, k.AdoptVolume)
	}
	return nil
}

// recoverCatalog begins a new life of a catalog that was restored or recovered (DESIGN
// "Voters": recovery raises the generation, or every worker would refuse the cluster).
// The Raft ids of the log before mean nothing to the new one: whoever comes is
// registered with the id it has then. Where the workers were is forgotten: the old
// cluster may be alive there, and a word from a higher generation would end it. Whoever
// belongs to the new life comes to it, by an operator's act.
func (c *Catalog) recoverCatalog(e entry, rec *messages.RecoverCatalog) *messages.CommandResult {
	old := c.cluster
	switch {
	case !validName(rec.GetFork()):
		return refuse("bad_field", "field", "fork")
	case !validText(rec.Cause, MaxDecisionBytes):
		return refuse("bad_field", "field", "cause")
	case rec.Founder != "" && !validName(rec.Founder):
		return refuse("bad_field", "field", "founder")
	case len(old.SetAside) >= MaxRecoveries:
		return refuse("bad_field", "field", "set_aside")
	case rec.Generation <= old.Generation:
		return refuse("stale_generation_of_cluster", "generation", decimal(old.Generation))
	}
	row := c.nextCluster()
	row.Generation, row.Fork = rec.Generation, rec.Fork
	row.SetAside = append(row.SetAside, &messages.VolumeRange{From: row.NextVolume, Below: row.NextVolume + RecoveryGap})
	row.NextVolume += RecoveryGap
	row.NextReplicaGen += RecoveryGap
	row.AdoptBelow = row.NextReplicaGen
	row.Brake = nil // it was engaged for workers of the life before
	c.setCluster(row)
	for _, id := range c.order {
		c.doubt(c.volumes[id])
	}
	clear(c.raftIDs)
	nodes, rows := c.Workers()
	for i, node := range nodes {
		next := proto.CloneOf(rows[i])
		next.RaftId, next.Address, next.ChangedAt = 0, "", e.index
		c.setWorker(node, next)
	}
	// The founder stands in for a worker that was there: the licence is not asked for it.
	if rec.Founder != "" && c.workers[rec.Founder] == nil {
		c.setWorker(rec.Founder, &messages.WorkerRow{State: messages.WorkerState_HEALTHY, RegisteredAt: e.index, ChangedAt: e.index})
	}
	return &messages.CommandResult{Version: e.index}
}

// doubt forgets that copies of a sealed volume are verified: since the recovered state
// they may have moved, and what counts is what a worker shows now.
func (c *Catalog) doubt(v *volume) {
	if v.row.State == messages.VolumeState_OPEN {
		return // it is fenced and sealed by what its members hold
	}
	for _, m := range v.row.Members {
		m.Verified, m.Job = false, 0
	}
	c.changed(v)
}

// MayBeData reports whether a volume that no row names may hold what a recovered state
// does not know of.
func MayBeData(cluster *messages.ClusterRow, volume uint64) bool {
	return volume >= cluster.GetNextVolume() || slices.ContainsFunc(cluster.GetSetAside(), func(r *messages.VolumeRange) bool {
		return r.From <= volume && volume < r.Below
	})
}

// adoptCopy makes a copy from before a recovery a member: the state that was recovered
// is older than the move that brought it there.
func (c *Catalog) adoptCopy(adopt *messages.AdoptCopy) *messages.CommandResult {
	v, refused := c.volumeAt(adopt.GetVolume(), adopt.GetGeneration())
	if refused != nil {
		return refused
	}
	row := v.row
	switch w := c.workers[adopt.Node]; {
	case row.State == messages.VolumeState_OPEN:
		return refuseState(row)
	case adopt.ReplicaGen == 0 || adopt.ReplicaGen >= c.cluster.AdoptBelow:
		return refuse("copy_too_new", "node", adopt.Node, "volume", decimal(row.Id), "replica_gen", decimal(adopt.ReplicaGen))
	case w == nil:
		return refuse("no_worker", "node", adopt.Node)
	case w.State == messages.WorkerState_LEFT:
		return refuse("worker_left", "node", adopt.Node)
	}
	i := slices.IndexFunc(row.Members, func(m *messages.VolumeMember) bool { return m.Node == adopt.Node })
	switch {
	case i >= 0 && row.Members[i].ReplicaGen == adopt.ReplicaGen && (adopt.CopyGeneration <= row.Generation || len(row.Members) > 1):
		return volumeResult(row)
	case i >= 0 && row.Members[i].ReplicaGen >= c.cluster.AdoptBelow:
		return refuse("members_changed", "volume", decimal(row.Id)) // what is known of it is newer
	case i >= 0:
		row.Members[i] = &messages.VolumeMember{Node: adopt.Node, ReplicaGen: adopt.ReplicaGen}
	case len(row.Members) >= 2*MaxMembers:
		return refuse("bad_field", "field", "node")
	default:
		row.Members = append(row.Members, &messages.VolumeMember{Node: adopt.Node, ReplicaGen: adopt.ReplicaGen})
	}
	if adopt.CopyGeneration > row.Generation && len(row.Members) == 1 {
		row.Generation = adopt.CopyGeneration
	}
	c.changed(v)
	return volumeResult(row)
}

// adoptVolume enters a volume that the life before made after the recovered state. Its
// bytes are what its longest copy holds; nothing is named in it yet.
func (c *Catalog) adoptVolume(e entry, adopt *messages.AdoptVolume) *messages.CommandResult {
	if v := c.volumes[adopt.GetVolume()]; v != nil {
		return c.followVolume(v, adopt)
	}
	field := ""
	switch {
	case adopt.GetVolume() >= c.cluster.NextVolume || !MayBeData(c.cluster, adopt.Volume) || len(c.order) > 0 && adopt.Volume < c.order[len(c.order)-1]:
		field = "volume"
	case !validTier(adopt.Tier):
		field = "tier"
	case adopt.Generation == 0:
		field = "generation"
	case adopt.End > MaxVolumeBytes:
		field = "end"
	case len(adopt.Copies) == 0 || len(adopt.Copies) > MaxMembers || !c.validCopies(adopt.Copies):
		field = "copies"
	case !validText(adopt.Cause, MaxDecisionBytes):
		field = "cause"
	}
	if field != "" {
		return refuse("bad_field", "field", field)
	}
	row := &messages.VolumeRow{
		Id: adopt.Volume, Tier: adopt.Tier, State: messages.VolumeState_SEALED, Generation: adopt.Generation,
		GenerationStart: adopt.GenerationStart, SealedEnd: adopt.End, Decision: adopt.Cause, CreatedAt: e.index, SealedUnixMs: e.cmd.ProposedUnixMs,
	}
	for _, ref := range adopt.Copies {
		row.Members = append(row.Members, &messages.VolumeMember{Node: ref.Node, ReplicaGen: ref.ReplicaGen})
	}
	v := &volume{row: row}
	c.addVolume(v)
	c.touch(v)
	return volumeResult(row)
}

// followVolume lets an open volume with one member have the generation that its file
// has: it was reopened after the recovered state.
func (c *Catalog) followVolume(v *volume, adopt *messages.AdoptVolume) *messages.CommandResult {
	row := v.row
	switch {
	case row.State != messages.VolumeState_OPEN:
		return refuseState(row)
	case len(row.Members) != 1:
		return refuse("many_members", "volume", decimal(row.Id), "members", decimal(uint64(len(row.Members))))
	case adopt.Generation <= row.Generation || adopt.GenerationStart < row.CommittedEnd:
		return refuse("stale_generation", "volume", decimal(row.Id), "generation", decimal(row.Generation), "state", stateName(row.State))
	}
	row.Generation, row.GenerationStart = adopt.Generation, adopt.GenerationStart
	c.changed(v)
	return volumeResult(row)
}

// validCopies accepts distinct nodes that the catalog knows, with replica generations
// of the life before.
func (c *Catalog) validCopies(refs []*messages.MemberRef) bool {
	for i, ref := range refs {
		twice := slices.ContainsFunc(refs[:i], func(other *messages.MemberRef) bool { return other.GetNode() == ref.GetNode() })
		if twice || !validName(ref.GetNode()) || ref.ReplicaGen == 0 || ref.ReplicaGen >= c.cluster.AdoptBelow {
			return false
		}
		if w := c.workers[ref.Node]; w.GetState() == messages.WorkerState_LEFT {
			return false
		}
	}
	return true
}

// checkOwner refuses a tenant that may have no files. The system's own is none that a
// client can name (model.CheckTenant).
func checkOwner(tenant string) error {
	if tenant == model.SystemTenant {
		return nil
	}
	return model.CheckTenant(tenant)
}

// OpenUpload is an upload that is under way.
type OpenUpload struct {
	ID, Session   uint64
	Tenant        string
	Extents, Size uint64
	Tier          uint32
}

// Uploads lists the uploads under way, oldest first.
func (c *Catalog) Uploads() (out []OpenUpload) {
	for _, id := range slices.Sorted(maps.Keys(c.uploads)) {
		u := c.uploads[id]
		out = append(out, OpenUpload{ID: id, Session: u.row.Session, Tenant: u.row.Tenant, Extents: u.row.Extents, Size: u.row.SizeBytes, Tier: u.tier})
	}
	return out
}
