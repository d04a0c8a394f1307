package master

import (
	"cmp"
	"strings"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/replication"
	"tiercel/messages"
)

const (
	// settlePause is the rest of a copy that could not be settled; it doubles.
	settlePause    = 10 * time.Second
	settlePauseMax = 5 * time.Minute
	// failureKept is how long a failure is remembered after its rest, to see whether
	// the next try fails, too.
	failureKept = time.Minute
)

// act takes one step of the plan.
func (f *Foreman) act(ctx *runtime.Context, s *replication.Step) {
	row := f.rows[s.Volume]
	if row == nil {
		return
	}
	switch s.Kind {
	case replication.AddMember:
		f.changeMembers(ctx, row, s, nil)
	case replication.RemoveMember:
		if m := memberOf(row, s.Node); m != nil {
			f.changeMembers(ctx, row, s, m)
		}
	case replication.Settle, replication.Check:
		f.settle(ctx, row, s)
	}
}

// changeMembers logs that a node is to hold a volume, or is not any more. The copy is
// made, or deleted, only when the log has it.
func (f *Foreman) changeMembers(ctx *runtime.Context, row *messages.VolumeRow, s *replication.Step, remove *messages.VolumeMember) {
	if _, busy := f.changing[row.Id]; busy {
		return
	}
	f.changing[row.Id] = ctx.Now()
	change := &messages.ChangeMembers{Volume: row.Id, Generation: row.Generation, Job: f.jobID(s.Job), Cause: s.Why}
	for _, m := range row.Members {
		change.Expect = append(change.Expect, &messages.MemberRef{Node: m.Node, ReplicaGen: m.ReplicaGen})
	}
	if remove == nil {
		change.Add = []string{s.Node}
	} else {
		change.Remove = []*messages.MemberRef{{Node: remove.Node, ReplicaGen: remove.ReplicaGen}}
	}
	volume := row.Id
	f.commit(ctx, &messages.Command{Kind: &messages.Command_ChangeMembers{ChangeMembers: change}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		delete(f.changing, volume)
		if !f.took(ctx, "change the members of a volume", o) {
			return
		}
		ctx.Log().Info("the members of a volume have changed", "volume", volume, "worker", s.Node, "step", s.Kind.String(), "job", change.Job, "cause", s.Why)
		if remove != nil {
			delete(f.copies, replication.Copy{Volume: volume, Node: remove.Node})
			f.drop(ctx, remove.Node, volume, remove.ReplicaGen, false, s.Why)
		}
		f.look(ctx)
	})
}

// took reports whether a command took effect. That another change came first is the
// ordinary way of a compare-and-set: the next plan sees it.
func (f *Foreman) took(ctx *runtime.Context, what string, o *messages.CommitOutcome) bool {
	if err := o.Result.Err(what); model.CodeOf(err) == model.CodeConflict {
		ctx.Log().Info("a step of the foreman was overtaken", "step", what, "reason", err.Error())
		return false
	}
	return logged(ctx, what, o)
}

// settle orders a copy to be made whole, or one that the row has as whole to be read.
func (f *Foreman) settle(ctx *runtime.Context, row *messages.VolumeRow, s *replication.Step) {
	key := replication.Copy{Volume: row.Id, Node: s.Node}
	m := memberOf(row, s.Node)
	if m == nil || f.copies[key] != nil {
		return
	}
	job := cmp.Or(s.JobID, m.Job) // who brought it once has ended, if another one wants it now
	f.copies[key] = &copying{job: job, bytes: s.Bytes, from: s.From, since: ctx.Now(), sent: ctx.Now(), check: s.Kind == replication.Check}
	f.order(ctx, row, m, f.copies[key])
}

func (f *Foreman) order(ctx *runtime.Context, row *messages.VolumeRow, m *messages.VolumeMember, c *copying) {
	to := ctx.Runtime().Peer(model.NodeID(m.Node), f.cfg.WorkerPath)
	if c.check {
		ctx.Request(to, &messages.VerifyCopy{
			Header: f.header(), Volume: row.Id, Generation: row.Generation, ReplicaGen: m.ReplicaGen, SealedEnd: row.SealedEnd,
		})
		return
	}
	order := &messages.SettleVolume{
		Header: f.header(), Volume: row.Id, Tier: row.Tier, Generation: row.Generation, ReplicaGen: m.ReplicaGen,
		SealedEnd: row.SealedEnd, GenerationStart: row.GenerationStart, Digest: row.Digest, Job: c.job, Replace: m.Damaged,
	}
	order.Sources = f.sources(row, m.Node)
	ctx.Request(to, order)
}

// sources are whom a copy may come from: whole copies first, never a damaged one. Of a
// volume that was sealed without a digest any member may hold a part.
func (f *Foreman) sources(row *messages.VolumeRow, node string) []string {
	var whole, others []string
	for _, m := range row.Members {
		switch {
		case m.Node == node || m.Damaged:
		case m.Verified:
			whole = append(whole, m.Node)
		default:
			others = append(others, m.Node)
		}
	}
	return append(whole, others...)
}

// repeatOrders tells workers again what they have not answered. A copy of which the
// worker is still at work is not begun anew by that.
func (f *Foreman) repeatOrders(ctx *runtime.Context) {
	now := ctx.Now()
	for _, row := range f.status.Volumes {
		for _, m := range row.Members {
			c := f.copies[replication.Copy{Volume: row.Id, Node: m.Node}]
			if c != nil && now.Sub(c.sent) >= orderAgain {
				c.sent = now
				f.order(ctx, row, m, c)
			}
		}
	}
}

func (f *Foreman) onSettled(ctx *runtime.Context, m *messages.SettleVolumeReply) {
	key := replication.Copy{Volume: m.Volume, Node: m.Node}
	c := f.copies[key]
	if c == nil || c.check {
		return
	}
	if err := m.Error.Err("settle volume"); err != nil {
		delete(f.copies, key)
		if !f.rests(c.job) {
			f.fail(ctx, key, err)
		}
		f.truncate(ctx, m)
		return
	}
	if c.job != 0 { // each byte has just come from another copy, or was read
		f.sound[key] = sound{m.ReplicaGen, ctx.Now()}
	}
	f.commit(ctx, &messages.Command{Kind: &messages.Command_VerifyMember{VerifyMember: &messages.VerifyMember{
		Volume: m.Volume, Generation: m.Generation, Node: m.Node, ReplicaGen: m.ReplicaGen, Digest: m.Digest,
	}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		switch err := o.Result.Err("verify a copy"); {
		case err != nil:
			delete(f.copies, key)
			f.fail(ctx, key, err)
		case o.Dropped:
			delete(f.copies, key)
		default:
			delete(f.failed, key)
			f.count(key, c)
			f.look(ctx)
		}
	})
}

// rests reports whether a job was paused or cancelled: its copies stop where they are,
// which is no failure of theirs.
func (f *Foreman) rests(job uint64) bool {
	s := f.job(job).GetState()
	return s == messages.JobState_PAUSED || s == messages.JobState_CANCELLED
}

// onVerified hears that a copy was read to its end.
func (f *Foreman) onVerified(ctx *runtime.Context, m *messages.VerifyCopyReply) {
	key := replication.Copy{Volume: m.Volume, Node: m.Node}
	row := f.rows[m.Volume]
	member, c := memberOf(row, m.Node), f.copies[key]
	if c == nil || !c.check || member.GetReplicaGen() != m.ReplicaGen {
		return
	}
	delete(f.copies, key)
	switch err := m.Error.Err("verify a copy"); model.CodeOf(err) {
	case "":
		delete(f.failed, key)
		f.sound[key] = sound{m.ReplicaGen, ctx.Now()}
		f.look(ctx)
	case model.CodeCorrupt, model.CodeConflict:
		f.markDamaged(ctx, row, member, err.Error())
	default:
		f.fail(ctx, key, err)
		if x := f.failed[key]; x != nil {
			x.check = true
		}
	}
}

// truncate logs a loss: the only holder of a volume is back, and its disk kept less than
// was committed (a tier without fsync, and a power loss). Nobody else can have the rest.
func (f *Foreman) truncate(ctx *runtime.Context, m *messages.SettleVolumeReply) {
	row := f.rows[m.Volume]
	if !m.Intact || len(row.GetMembers()) != 1 || row.Members[0].Verified || row.Members[0].Damaged || m.End >= row.SealedEnd {
		return
	}
	if _, busy := f.changing[row.Id]; busy {
		return
	}
	f.changing[row.Id] = ctx.Now()
	ctx.Log().Error("a part of a volume is lost with the only disk that held it", "volume", row.Id, "worker", m.Node, "from", m.End, "to", row.CommittedEnd)
	f.commit(ctx, &messages.Command{Kind: &messages.Command_TruncateVolume{TruncateVolume: &messages.TruncateVolume{
		Volume: row.Id, Generation: row.Generation, Node: m.Node, ReplicaGen: m.ReplicaGen, End: m.End,
	}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		delete(f.changing, row.Id)
		if f.took(ctx, "truncate a volume", o) {
			delete(f.failed, replication.Copy{Volume: row.Id, Node: m.Node})
			f.look(ctx)
		}
	})
}

// fail lets a copy rest. What is only a matter of time is tried again soon and is no
// failure to show.
func (f *Foreman) fail(ctx *runtime.Context, key replication.Copy, err error) {
	pause := settlePause
	switch model.CodeOf(err) {
	case model.CodeOverloaded:
		return
	case model.CodeStaleEpoch:
		ctx.Log().Warn("a worker obeys a newer master", "worker", key.Node, "error", err)
		return
	}
	x := f.failed[key]
	if x == nil {
		x = &failure{}
		f.failed[key] = x
	}
	x.times++
	for range min(x.times-1, 5) {
		pause = min(2*pause, settlePauseMax)
	}
	x.reason, x.until = err.Error(), ctx.Now().Add(pause)
	ctx.Log().Warn("a copy is not whole yet", "volume", key.Volume, "worker", key.Node, "error", err, "again_in", pause)
}

// onDamaged notes that a copy is not what was sealed; a plan replaces it.
func (f *Foreman) onDamaged(ctx *runtime.Context, m *messages.CopyDamaged) {
	row := f.rows[m.Volume]
	member := memberOf(row, m.Node)
	if member == nil || member.ReplicaGen != m.ReplicaGen || member.Damaged || row.State == messages.VolumeState_OPEN {
		return
	}
	f.markDamaged(ctx, row, member, m.Cause)
}

func (f *Foreman) markDamaged(ctx *runtime.Context, row *messages.VolumeRow, m *messages.VolumeMember, cause string) {
	if _, busy := f.changing[row.Id]; busy {
		return // the worker, or the next sweep, says it again
	}
	f.changing[row.Id] = ctx.Now()
	volume := row.Id
	ctx.Log().Error("a copy is damaged", "volume", volume, "worker", m.Node, "cause", cause)
	f.commit(ctx, &messages.Command{Kind: &messages.Command_MarkDamaged{MarkDamaged: &messages.MarkDamaged{
		Volume: volume, Generation: row.Generation, Node: m.Node, ReplicaGen: m.ReplicaGen, Cause: clipText(cause),
	}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		delete(f.changing, volume)
		if f.took(ctx, "mark a copy as damaged", o) {
			f.look(ctx)
		}
	})
}

// clipText keeps a text within what a row takes.
func clipText(s string) string { return strings.ToValidUTF8(s[:min(len(s), 500)], "") }

// drop tells a worker to delete a copy that no row names.
func (f *Foreman) drop(ctx *runtime.Context, node string, volume, replicaGen uint64, setAside bool, cause string) {
	ctx.Request(ctx.Runtime().Peer(model.NodeID(node), f.cfg.WorkerPath), &messages.DropCopy{
		Header: f.header(), Volume: volume, ReplicaGen: replicaGen, SetAside: setAside, Cause: clipText(cause),
	})
}

func (f *Foreman) onDropped(ctx *runtime.Context, m *messages.DropCopyReply) {
	if m.Error != nil {
		ctx.Log().Warn("a copy that is not needed could not be deleted", "volume", m.Volume, "worker", m.Node, "error", m.Error.Message)
	}
}
