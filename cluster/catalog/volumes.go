package catalog

import (
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// volume is a cached volume row. The row is the arbiter of what a commit may
// name (DESIGN "Volumes"):
//
//	         ReopenVolume (generation+1)
//	            ┌──┐
//	CreateVolume▼  │    SealVolume, or ReopenVolume that finds bytes missing
//	──────────▶ OPEN ──────────────────────────────────────▶ SEALED
//	                                                            │ RetireVolume
//	              no row ◀───────────────────────────────── RETIRING
//	                        DropVolume, when nothing names it
//
// Commits are taken into OPEN from generation_start on, and into SEALED up to
// sealed_end, always of the row's generation only; into RETIRING none.
type volume struct {
	marks
	row    *messages.VolumeRow
	shared *messages.VolumeRow // a copy given to readers; nil when it is out of date
}

func (v *volume) key() string               { return idKey(prefixVolume, v.row.Id) }
func (v *volume) encoded(c *Catalog) string { return c.encode(v.row) }

// view is the row for readers, which nobody changes any more.
func (v *volume) view() *messages.VolumeRow {
	if v.shared == nil {
		v.shared = proto.CloneOf(v.row)
	}
	return v.shared
}

// changed notes that the row differs from what readers and the index have.
func (c *Catalog) changed(v *volume) {
	v.shared = nil
	c.touch(v)
}

// addVolume enters a volume into the cache; ids come in ascending order.
func (c *Catalog) addVolume(v *volume) {
	c.volumes[v.row.Id] = v
	c.order = append(c.order, v.row.Id)
	for _, lost := range v.row.Lost {
		c.lostAt = max(c.lostAt, lost.LoggedAt)
	}
}

// createVolume makes an open volume. Ids and replica generations come from
// counters in the cluster row and are never used again.
func (c *Catalog) createVolume(e entry, create *messages.CreateVolume) *messages.CommandResult {
	if !validTier(create.GetTier()) {
		return refuse("bad_field", "field", "tier")
	}
	if !validNames(create.GetMembers(), MaxMembers) {
		return refuse("bad_field", "field", "members")
	}
	if !validText(create.GetDecision(), MaxDecisionBytes) {
		return refuse("bad_field", "field", "decision")
	}
	single := !c.grant().Replicates(model.Tier(create.Tier))
	if single && len(create.Members) > 1 {
		return c.unlicensed(c.grant().DenyCopies(model.Tier(create.Tier)))
	}
	cluster := c.nextCluster()
	row := &messages.VolumeRow{
		Id:         cluster.NextVolume,
		Tier:       create.Tier,
		State:      messages.VolumeState_OPEN,
		Generation: 1,
		Decision:   create.Decision,
		CreatedAt:  e.index,
	}
	if single {
		row.LicensedCopies = 1
	}
	cluster.NextVolume++
	for _, node := range create.Members {
		row.Members = append(row.Members, &messages.VolumeMember{
			Node: node, ReplicaGen: cluster.NextReplicaGen, Verified: true,
		})
		cluster.NextReplicaGen++
	}
	c.setCluster(cluster)
	v := &volume{row: row}
	c.addVolume(v)
	c.touch(v)
	return volumeResult(row)
}

// sealVolume ends appends: what every fenced survivor has, and at least what
// was committed, is the volume from now on. Sealing again is no change.
func (c *Catalog) sealVolume(e entry, seal *messages.SealVolume) *messages.CommandResult {
	v, refused := c.volumeAt(seal.GetVolume(), seal.GetGeneration())
	if refused != nil {
		return refused
	}
	if seal.SurvivorEnd > MaxVolumeBytes {
		return refuse("bad_field", "field", "survivor_end")
	}
	if len(seal.Digest) > MaxNameBytes {
		return refuse("bad_field", "field", "digest")
	}
	if len(seal.Fenced) > MaxMembers {
		return refuse("bad_field", "field", "fenced")
	}
	switch v.row.State {
	case messages.VolumeState_OPEN:
		v.row.State, v.row.SealedUnixMs = messages.VolumeState_SEALED, e.cmd.ProposedUnixMs
		v.row.SealedEnd = max(v.row.CommittedEnd, seal.SurvivorEnd)
		// A survivor that is shorter than what was committed is damaged, never a voice:
		// its digest says nothing of the volume.
		whole := seal.SurvivorEnd == v.row.SealedEnd && len(seal.Digest) > 0
		if whole {
			v.row.Digest = append([]byte(nil), seal.Digest...)
		}
		for _, m := range v.row.Members {
			m.Verified = whole && slices.Contains(seal.Intact, m.Node)
			if i := slices.IndexFunc(seal.Fenced, func(f *messages.FencedCopy) bool { return f.Node == m.Node }); i >= 0 {
				m.Fenced, m.FencedEnd = true, seal.Fenced[i].End
			}
		}
		c.changed(v)
		c.dropLeft(e, v)
	case messages.VolumeState_SEALED:
	default:
		return refuseState(v.row)
	}
	return volumeResult(v.row)
}

// reopenVolume lets the only member of a volume append again after its restart,
// under a new generation, so that no commit still under way can name the
// offsets that are used again. If less was recovered than was committed, the
// missing range is lost: that is logged, and the volume is sealed at what is
// left, because appends at the old end would leave a hole and appends below it
// would put other bytes where a file says that its own are.
func (c *Catalog) reopenVolume(e entry, reopen *messages.ReopenVolume) *messages.CommandResult {
	v, refused := c.volumeAt(reopen.GetVolume(), reopen.GetGeneration())
	if refused != nil {
		return refused
	}
	row, recovered := v.row, reopen.RecoveredEnd
	switch {
	case recovered > MaxVolumeBytes:
		return refuse("bad_field", "field", "recovered_end")
	case row.State != messages.VolumeState_OPEN:
		return refuseState(row)
	case len(row.Members) != 1:
		return refuse("many_members", "volume", decimal(row.Id), "members", strconv.Itoa(len(row.Members)))
	case recovered >= row.CommittedEnd:
		row.Generation++
		row.GenerationStart = recovered
	default:
		row.State = messages.VolumeState_SEALED
		row.SealedEnd, row.SealedUnixMs = recovered, e.cmd.ProposedUnixMs
		// What is left was found, not fenced: it is a whole copy when it was made durable
		// and compared (VerifyMember), like every other.
		row.Members[0].Verified = false
		c.lose(e, row, recovered)
	}
	c.changed(v)
	return volumeResult(row)
}

// truncateVolume logs what the only holder of a sealed volume turned out to have lost.
func (c *Catalog) truncateVolume(e entry, cut *messages.TruncateVolume) *messages.CommandResult {
	v, refused := c.volumeAt(cut.GetVolume(), cut.GetGeneration())
	if refused != nil {
		return refused
	}
	row := v.row
	switch {
	case row.State == messages.VolumeState_OPEN:
		return refuseState(row)
	case len(row.Members) != 1:
		return refuse("many_members", "volume", decimal(row.Id), "members", strconv.Itoa(len(row.Members)))
	case row.Members[0].Node != cut.Node || row.Members[0].ReplicaGen != cut.ReplicaGen || row.Members[0].Verified:
		return refuse("no_member", "volume", decimal(row.Id), "node", cut.Node)
	case cut.End >= row.SealedEnd:
		return volumeResult(row) // it has all there is
	}
	if cut.End < row.CommittedEnd {
		c.lose(e, row, cut.End)
	}
	row.SealedEnd, row.Digest = cut.End, nil
	c.changed(v)
	return volumeResult(row)
}

// volumeAt finds a volume for a command that names its generation.
func (c *Catalog) volumeAt(id, generation uint64) (*volume, *messages.CommandResult) {
	v := c.volumes[id]
	if v == nil {
		return nil, refuse("no_volume", "volume", decimal(id))
	}
	if v.row.Generation != generation {
		return nil, refuse("stale_generation", "volume", decimal(id), "generation", decimal(v.row.Generation),
			"state", stateName(v.row.State))
	}
	return v, nil
}

// volumeResult answers a volume command: id, generation, where it began to
// append, tier, and the state with its facts in the details.
func volumeResult(row *messages.VolumeRow) *messages.CommandResult {
	res := &messages.CommandResult{
		Id: row.Id, Generation: row.Generation, Offset: row.GenerationStart, Tier: row.Tier,
		Details: map[string]string{"state": stateName(row.State)},
	}
	if row.State != messages.VolumeState_OPEN {
		res.Details["sealed_end"] = decimal(row.SealedEnd)
	}
	if n := len(row.Lost); n > 0 {
		res.Details["lost_from"] = decimal(row.Lost[n-1].From)
		res.Details["lost_to"] = decimal(row.Lost[n-1].To)
	}
	return res
}

func refuseState(row *messages.VolumeRow) *messages.CommandResult {
	return refuse("volume_state", "volume", decimal(row.Id), "state", stateName(row.State))
}

// stateName is the state as it stands in details.
func stateName(s messages.VolumeState) string {
	switch s {
	case messages.VolumeState_OPEN:
		return "open"
	case messages.VolumeState_SEALED:
		return "sealed"
	case messages.VolumeState_RETIRING:
		return "retiring"
	}
	return "unknown"
}

func validTier(tier uint32) bool {
	return tier >= uint32(model.TierCritical) && tier <= uint32(model.TierRebuildable)
}

func decimal(v uint64) string { return strconv.FormatUint(v, 10) }
