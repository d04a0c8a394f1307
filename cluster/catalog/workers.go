package catalog

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// MaxWorkerTransitions are kept of each worker, the newest last.
const MaxWorkerTransitions = 16

// MaxSuperseded bounds RaiseGeneration.superseded: members of one log.
const MaxSuperseded = 256

// setWorker replaces a worker's row, which readers may hold.
func (c *Catalog) setWorker(node string, row *messages.WorkerRow) {
	c.indexWorker(node, row)
	c.setRow(workerKey(node), row)
}

// indexWorker keeps a worker's row, and what finds it.
func (c *Catalog) indexWorker(node string, row *messages.WorkerRow) {
	old, known := c.workers[node]
	if !known {
		c.nodes, c.ordered = append(c.nodes, node), false
	}
	if known && old.State != messages.WorkerState_LEFT {
		if c.labels[old.Dc]--; c.labels[old.Dc] == 0 {
			delete(c.labels, old.Dc)
		}
	}
	if row.State != messages.WorkerState_LEFT {
		c.labels[row.Dc]++
	}
	if known && old.RaftId != row.RaftId {
		delete(c.raftIDs, old.RaftId)
	}
	if row.RaftId != 0 {
		c.raftIDs[row.RaftId] = node
	}
	c.workers[node] = row
}

// registerWorker enters a worker or its newest start. What is known of its health
// stays: coming back is judged by the controller.
func (c *Catalog) registerWorker(e entry, register *messages.RegisterWorker) *messages.CommandResult {
	node, row := register.GetNode(), register.GetWorker()
	if !validName(node) {
		return refuse("bad_field", "field", "node")
	}
	if row == nil || !validLabels(row) {
		return refuse("bad_field", "field", "worker")
	}
	old := c.workers[node]
	switch {
	case old.GetState() == messages.WorkerState_LEFT:
		return refuse("worker_left", "node", node)
	case old.GetIncarnation() > row.Incarnation:
		return refuse("stale_incarnation", "incarnation", decimal(old.Incarnation))
	case row.MaxClusterVersion != 0 && row.MaxClusterVersion < uint64(c.cluster.ClusterVersion):
		return refuse("version_too_old", "has", decimal(row.MaxClusterVersion), "needs", decimal(uint64(c.cluster.ClusterVersion)))
	case old.GetRaftId() != 0 && row.RaftId != 0 && old.RaftId != row.RaftId && row.Incarnation == old.Incarnation:
		// A later start may come with another one: that node has lost its log, and holds
		// only volumes. Under its old id it would vote again, and differently.
		return refuse("raft_id_changed", "node", node)
	}
	if other, taken := c.raftIDs[row.RaftId]; taken && other != node {
		return refuse("raft_id_taken", "node", other)
	}
	if old == nil {
		if refused := c.checkNewWorker(row); refused != nil {
			return refused
		}
	}
	next := proto.CloneOf(row)
	next.DcAsked = ""
	if old != nil && row.Dc != old.Dc && c.checkDC(node, row.Dc) != nil {
		// It is taken in, where it was: who is there already is never shut out.
		next.Dc, next.DcAsked = old.Dc, row.Dc
	}
	next.State, next.Transitions, next.RegisteredAt, next.ChangedAt, next.Draining = messages.WorkerState_HEALTHY, nil, e.index, e.index, false
	if old != nil {
		next.State, next.Transitions, next.RegisteredAt, next.Draining = old.State, old.Transitions, old.RegisteredAt, old.Draining
		if next.State == messages.WorkerState_WORKER_STATE_UNSPECIFIED {
			next.State = messages.WorkerState_HEALTHY
		}
		if next.RaftId == 0 {
			next.RaftId = old.RaftId
		}
		if next.Address == old.Address && next.Incarnation == old.Incarnation && next.RaftId == old.RaftId {
			next.ChangedAt = old.ChangedAt
		}
	}
	c.setWorker(node, next)
	if next.DcAsked != "" || old != nil && old.Dc != next.Dc {
		c.relabel()
	}
	res := &messages.CommandResult{Created: old == nil}
	if now := c.workers[node]; now.DcAsked != "" {
		res.Details = map[string]string{DetailKeptDC: now.Dc}
	}
	return res
}

// relabel gives workers the label of the datacenter that they came with, once the licence
// or the other workers no longer speak against it.
func (c *Catalog) relabel() {
	nodes, rows := c.Workers()
	for _, i := range c.grant().Relabel(rows) {
		next := proto.CloneOf(rows[i])
		next.Dc, next.DcAsked = next.DcAsked, ""
		c.setWorker(nodes[i], next)
	}
}

// DetailKeptDC is the datacenter that a registered worker stays in, in the result: the
// licence does not have the one that it came with.
const DetailKeptDC = "kept_dc"

func validLabels(row *messages.WorkerRow) bool {
	for _, label := range [...]string{row.Address, row.DiskType, row.Dc, row.Rack, row.Host, row.Version} {
		if !validText(label, MaxNameBytes) {
			return false
		}
	}
	return true
}

// changeWorkerState logs one transition of a worker's health.
func (c *Catalog) changeWorkerState(e entry, change *messages.ChangeWorkerState) *messages.CommandResult {
	old := c.workers[change.GetNode()]
	switch {
	case old == nil:
		return refuse("no_worker", "node", change.GetNode())
	case old.State == messages.WorkerState_LEFT:
		return refuse("worker_left", "node", change.Node)
	case change.To < messages.WorkerState_HEALTHY || change.To > messages.WorkerState_DECOMMISSIONED:
		return refuse("bad_field", "field", "to")
	case !validText(change.Cause, MaxDecisionBytes):
		return refuse("bad_field", "field", "cause")
	case old.State != change.From || change.From == change.To:
		return refuse("worker_state", "node", change.Node, "state", old.State.String())
	}
	c.transit(e, change.Node, change.To, change.Missed, change.Cause)
	return &messages.CommandResult{Version: e.index}
}

func (c *Catalog) transit(e entry, node string, to messages.WorkerState, missed uint32, cause string) {
	next := proto.CloneOf(c.workers[node])
	next.Transitions = append(next.Transitions, &messages.WorkerTransition{
		From: next.State, To: to, Missed: missed, Cause: cause, AtUnixMs: e.cmd.ProposedUnixMs, Index: e.index,
	})
	if n := len(next.Transitions); n > MaxWorkerTransitions {
		next.Transitions = slices.Clone(next.Transitions[n-MaxWorkerTransitions:])
	}
	next.State = to
	c.setWorker(node, next)
	// Uploads that its gateway will hardly finish hold bytes and reservations. Its sessions
	// stay: should it only have stood still, what it had committed is known by them.
	if to == messages.WorkerState_DECOMMISSIONED || to == messages.WorkerState_LEFT {
		for _, id := range c.sessionsOf(node) {
			for _, u := range c.uploadsOf(id) {
				c.dropUpload(u)
			}
		}
	}
}

// removeWorker takes a worker out for good. While it is the only verified holder
// of anything that is named, that needs force, and then it is logged as lost.
func (c *Catalog) removeWorker(e entry, remove *messages.RemoveWorker) *messages.CommandResult {
	node := remove.GetNode()
	old := c.workers[node]
	switch {
	case old == nil:
		return refuse("no_worker", "node", node)
	case old.State == messages.WorkerState_LEFT:
		return &messages.CommandResult{Version: e.index}
	case !validText(remove.Cause, MaxDecisionBytes):
		return refuse("bad_field", "field", "cause")
	}
	alone, live, ahead := 0, int64(0), 0
	for _, id := range c.order {
		row := c.volumes[id].row
		if soleHolder(row, node) {
			alone++
			live += row.LiveBytes
		}
		if row.State == messages.VolumeState_OPEN && row.Tier != uint32(model.TierCritical) && row.LiveBytes > 0 && len(row.Members) > 1 && row.Members[0].Node == node {
			ahead++
		}
	}
	if alone > 0 && !remove.Forced {
		return refuse("sole_holder", "node", node, "volumes", decimal(uint64(alone)), "live_bytes", decimal(uint64(live)))
	}
	if ahead > 0 && !remove.Forced {
		return refuse("followers_behind", "node", node, "volumes", decimal(uint64(ahead)))
	}
	c.leave(e, node, remove.Cause)
	return &messages.CommandResult{Version: e.index}
}

// leave notes that a worker is gone for good, and takes it off its volumes.
func (c *Catalog) leave(e entry, node, cause string) {
	c.transit(e, node, messages.WorkerState_LEFT, 0, cause)
	for _, id := range c.order {
		if slices.ContainsFunc(c.volumes[id].row.Members, func(m *messages.VolumeMember) bool { return m.Node == node }) {
			c.dropLeft(e, c.volumes[id])
		}
	}
	c.relabel() // it may have been the last one that spoke against another label
}

// soleHolder reports whether nobody but node is known to hold what a volume's
// files name.
func soleHolder(row *messages.VolumeRow, node string) bool {
	if row.LiveBytes == 0 {
		return false
	}
	holds := false
	for _, m := range row.Members {
		if m.Node == node {
			holds = true
		} else if m.Verified {
			return false
		}
	}
	return holds
}

// dropLeft takes members that have left off a volume. An open one keeps them until
// it is sealed: only the fence tells what those that stay hold. What nobody who stays
// can hold is logged as lost, and no more than that.
func (c *Catalog) dropLeft(e entry, v *volume) {
	row := v.row
	var stay []*messages.VolumeMember
	verified, known, end := false, true, uint64(0)
	for _, m := range row.Members {
		if c.workers[m.Node].GetState() == messages.WorkerState_LEFT {
			continue
		}
		stay = append(stay, m)
		verified, known, end = verified || m.Verified, known && m.Fenced, max(end, m.FencedEnd)
	}
	switch {
	case len(stay) == len(row.Members) || row.State == messages.VolumeState_OPEN && len(stay) > 0:
		return
	case len(stay) == 0:
		if row.State == messages.VolumeState_OPEN {
			row.State, row.SealedEnd = messages.VolumeState_SEALED, row.CommittedEnd
		}
		if row.LiveBytes > 0 {
			c.lose(e, row, 0)
		}
	case !verified && known && end < row.CommittedEnd:
		// From now on the volume is what the longest of them holds.
		c.lose(e, row, end)
		row.SealedEnd, row.Digest = end, nil
	}
	row.Members = stay
	c.changed(v)
}

// lose logs that what was committed from an offset on is held by nobody.
func (c *Catalog) lose(e entry, row *messages.VolumeRow, from uint64) {
	row.Lost = append(row.Lost, &messages.LostRange{From: from, To: row.CommittedEnd, LoggedAt: e.index})
	c.lostAt = e.index
}

// verifyMember notes that a member's copy of a sealed volume is whole.
func (c *Catalog) verifyMember(verify *messages.VerifyMember) *messages.CommandResult {
	v, refused := c.volumeAt(verify.GetVolume(), verify.GetGeneration())
	if refused != nil {
		return refused
	}
	row := v.row
	i := slices.IndexFunc(row.Members, func(m *messages.VolumeMember) bool {
		return m.Node == verify.Node && m.ReplicaGen == verify.ReplicaGen
	})
	switch {
	case row.State == messages.VolumeState_OPEN:
		return refuseState(row)
	case i < 0:
		return refuse("no_member", "volume", decimal(row.Id), "node", verify.Node)
	case len(verify.Digest) == 0 || len(verify.Digest) > MaxNameBytes:
		return refuse("bad_field", "field", "digest")
	case len(row.Digest) > 0 && string(row.Digest) != string(verify.Digest):
		return refuse("digest_mismatch", "volume", decimal(row.Id), "node", verify.Node)
	}
	row.Digest = slices.Clone(verify.Digest)
	m := row.Members[i]
	m.Verified, m.Damaged = true, false
	c.changed(v)
	return volumeResult(row)
}

// setStormBrake engages or releases the brake on mass repair.
func (c *Catalog) setStormBrake(e entry, set *messages.SetStormBrake) *messages.CommandResult {
	if set.GetBrake() == nil || !validText(set.Brake.Reason, MaxDecisionBytes) {
		return refuse("bad_field", "field", "brake")
	}
	row := c.nextCluster()
	row.Brake = proto.CloneOf(set.Brake)
	row.Brake.SinceUnixMs = e.cmd.ProposedUnixMs
	c.setCluster(row)
	return &messages.CommandResult{Version: e.index}
}

// raiseGeneration is the first entry after a manual take-over.
func (c *Catalog) raiseGeneration(e entry, raise *messages.RaiseGeneration) *messages.CommandResult {
	switch {
	case !validName(raise.GetFork()):
		return refuse("bad_field", "field", "fork")
	case raise.Generation == c.cluster.Generation && raise.Fork == c.cluster.Fork:
		return &messages.CommandResult{Version: e.index}
	case raise.Generation <= c.cluster.Generation:
		return refuse("stale_generation_of_cluster", "generation", decimal(c.cluster.Generation))
	case len(raise.Superseded) > MaxSuperseded:
		return refuse("bad_field", "field", "superseded")
	}
	row := c.nextCluster()
	row.Generation, row.Fork = raise.Generation, raise.Fork
	c.setCluster(row)
	nodes, rows := c.Workers()
	for i, node := range nodes {
		w := rows[i]
		if node == raise.Node || w.RaftId == 0 || w.State == messages.WorkerState_LEFT || !slices.Contains(raise.Superseded, w.RaftId) {
			continue
		}
		c.leave(e, node, "left behind by the take-over of generation "+decimal(raise.Generation))
	}
	return &messages.CommandResult{Version: e.index}
}
