package master

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/compaction"
	"tiercel/cluster/replication"
	"tiercel/messages"
)

// tally is what this master has seen of one job, on top of what its row says.
type tally struct {
	doneBytes, doneItems   uint64 // by this master and those before
	totalBytes, totalItems uint64
	reported               time.Time // its row was updated
	moved                  []moved   // lately, for the rate
}

// moved is one grant of bandwidth.
type moved struct {
	at    time.Time
	bytes uint64
}

const (
	// reportJobEvery bounds what progress costs the log.
	reportJobEvery = 2 * time.Second
	// unevenEvery looks the disks are compared for a rebalance by itself.
	unevenEvery = 10
	// rateOver is the span over which a job's rate is measured.
	rateOver = 10 * time.Second
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// jobID is that of a job that has not ended; 0: there is none yet.
func (f *Foreman) jobID(key replication.JobKey) uint64 {
	for _, j := range f.status.GetJobs() {
		if keyOf(j) == key && active(j) {
			return j.Id
		}
	}
	return 0
}

func (f *Foreman) job(id uint64) *messages.JobRow {
	for _, j := range f.status.GetJobs() {
		if j.Id == id {
			return j
		}
	}
	return nil
}

func active(j *messages.JobRow) bool {
	return j.GetState() == messages.JobState_RUNNING || j.GetState() == messages.JobState_PAUSED
}

// driveJobs makes the jobs that the plan wants, reports their progress, and ends
// those that have nothing left to do.
func (f *Foreman) driveJobs(ctx *runtime.Context) {
	for i := range f.output.Jobs {
		v := &f.output.Jobs[i]
		if v.ID == 0 {
			f.createJob(ctx, v.Key, v.Cause, v.RemainingBytes, v.RemainingItems)
			continue
		}
		if j := f.job(v.ID); active(j) {
			f.tallyOf(j).leaves(v.RemainingBytes, v.RemainingItems)
			f.reportJob(ctx, j, v.Blockers, v.Quarantined)
		}
	}
	for _, id := range f.output.Done {
		if j := f.job(id); active(j) {
			t := f.tallyOf(j)
			t.leaves(0, 0)
			f.endJob(ctx, j, nil)
		}
	}
	f.startRebalance(ctx)
	f.driveCompaction(ctx)
	for id := range f.tallies {
		if !active(f.job(id)) {
			delete(f.tallies, id)
			delete(f.budgets, id)
		}
	}
}

// startRebalance begins one by itself when the disks are uneven.
func (f *Foreman) startRebalance(ctx *runtime.Context) {
	key := replication.JobKey{Kind: messages.JobKind_REBALANCE}
	if f.jobID(key) != 0 || ctx.Now().Before(f.uneven) || f.denyRebalance() != nil {
		return
	}
	f.uneven = ctx.Now().Add(unevenEvery * f.cfg.ReconcileTick)
	if wanted, cause := replication.WantsRebalance(f.input(ctx)); wanted {
		f.createJob(ctx, key, cause, 0, 0)
	}
}

func keyOf(j *messages.JobRow) replication.JobKey {
	return replication.JobKey{Kind: j.GetKind(), Subject: j.GetSubject(), Tier: j.GetTier()}
}

func (f *Foreman) createJob(ctx *runtime.Context, key replication.JobKey, cause string, bytes, items uint64) {
	if _, busy := f.creating[key]; busy {
		return
	}
	f.creating[key] = ctx.Now()
	f.commit(ctx, &messages.Command{Kind: &messages.Command_CreateJob{CreateJob: &messages.CreateJob{
		Kind: key.Kind, Subject: key.Subject, Tier: key.Tier, Cause: clipText(cause), TotalBytes: bytes, TotalItems: items,
	}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		delete(f.creating, key)
		if logged(ctx, "create a job", o) {
			ctx.Log().Info("a job begins", "job", o.Result.Id, "kind", key.Kind.String(), "subject", key.Subject, "cause", cause)
			if o.Result.Created {
				f.look(ctx) // its steps need not wait for the next tick
			}
		}
	})
}

// tallyOf continues what the row says.
func (f *Foreman) tallyOf(j *messages.JobRow) *tally {
	t := f.tallies[j.Id]
	if t == nil {
		t = &tally{doneBytes: j.DoneBytes, doneItems: j.DoneItems, totalBytes: j.TotalBytes, totalItems: j.TotalItems}
		f.tallies[j.Id] = t
	}
	return t
}

// leaves notes what a job still has to do. What it no longer has to do and has not done
// itself (a worker came back before its copies were made anew) is no progress: it
// counts neither as done nor in the total.
func (t *tally) leaves(bytes, items uint64) {
	t.totalBytes, t.totalItems = t.doneBytes+bytes, t.doneItems+items
}

// nears notes what is left of a job whose work goes away only by being done.
func (t *tally) nears(bytes, items uint64) {
	t.totalBytes, t.totalItems = max(t.totalBytes, bytes), max(t.totalItems, items)
	t.doneBytes, t.doneItems = t.totalBytes-bytes, t.totalItems-items
}

// count notes that a copy of a job is done: by its outcome, or by a row that has it
// before the outcome is heard, so that a job does not end with a copy too few.
func (f *Foreman) count(key replication.Copy, c *copying) {
	if f.copies[key] != c {
		return
	}
	delete(f.copies, key)
	if j := f.job(c.job); active(j) {
		t := f.tallyOf(j)
		t.doneBytes += c.bytes
		t.doneItems++
	}
}

// reportJob writes a job's progress into its row, now and then.
func (f *Foreman) reportJob(ctx *runtime.Context, j *messages.JobRow, blockers []string, quarantined []*messages.JobQuarantine) {
	t := f.tallyOf(j)
	update := &messages.UpdateJob{
		Id: j.Id, OwnerGeneration: f.cfg.Generation, OwnerTerm: f.cfg.Term,
		TotalBytes: t.totalBytes, DoneBytes: t.doneBytes, TotalItems: t.totalItems, DoneItems: t.doneItems,
		Blockers: firstOf(blockers, 16), Quarantined: firstOf(quarantined, 16),
	}
	same := j.TotalBytes == update.TotalBytes && j.DoneBytes == update.DoneBytes && j.TotalItems == update.TotalItems && j.DoneItems == update.DoneItems &&
		slices.Equal(j.Blockers, update.Blockers) && len(j.Quarantined) == len(update.Quarantined) && j.OwnerTerm == f.cfg.Term
	if same || ctx.Now().Sub(t.reported) < reportJobEvery {
		return
	}
	t.reported = ctx.Now()
	f.commit(ctx, &messages.Command{Kind: &messages.Command_UpdateJob{UpdateJob: update}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		f.took(ctx, "report a job", o)
	})
}

// endJob logs that a job has nothing left to do, with its last figures and what it found.
func (f *Foreman) endJob(ctx *runtime.Context, j *messages.JobRow, found []string) {
	key := keyOf(j)
	if _, busy := f.creating[key]; busy {
		return
	}
	f.creating[key] = ctx.Now()
	t := f.tallyOf(j)
	f.commit(ctx, &messages.Command{Kind: &messages.Command_UpdateJob{UpdateJob: &messages.UpdateJob{
		Id: j.Id, OwnerGeneration: f.cfg.Generation, OwnerTerm: f.cfg.Term,
		TotalBytes: t.totalBytes, DoneBytes: t.doneBytes, TotalItems: t.totalItems, DoneItems: t.doneItems, Blockers: firstOf(found, 16),
	}}}, func(*runtime.Context, *messages.CommitOutcome) {})
	f.commit(ctx, &messages.Command{Kind: &messages.Command_ChangeJobState{ChangeJobState: &messages.ChangeJobState{Id: j.Id, To: messages.JobState_DONE}}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) {
			delete(f.creating, key)
			if f.took(ctx, "end a job", o) {
				ctx.Log().Info("a job has ended", "job", j.Id, "kind", j.Kind.String(), "subject", j.Subject, "bytes", t.doneBytes)
			}
		})
}

// driveCompaction keeps a job for what the compactor does: it works while volumes are
// retiring, under this job's bandwidth, and waits while it is paused.
func (f *Foreman) driveCompaction(ctx *runtime.Context) {
	key := replication.JobKey{Kind: messages.JobKind_COMPACTION}
	var left, volumes uint64
	var blockers []string
	for _, row := range f.status.Volumes {
		if row.State == messages.VolumeState_RETIRING {
			left += uint64(max(0, row.LiveBytes))
			volumes++
			if compaction.Damaged(row) {
				blockers = append(blockers, fmt.Sprintf(
					"each copy of volume %d is damaged; %d bytes in it are to be moved, and what nobody can read of them stays: delete the files that cannot be read, or store them again", row.Id, row.LiveBytes))
				blockers = append(blockers, f.unreadIn(row.Id)...)
			}
		}
	}
	switch j := f.job(f.jobID(key)); {
	case j == nil && left > 0: // what is empty is dropped without one
		f.createJob(ctx, key, "volumes hold much that nothing names any more, or little at all, or are damaged", left, volumes)
	case j != nil && volumes > 0:
		f.tallyOf(j).nears(left, volumes)
		f.reportJob(ctx, j, blockers, nil)
	case j != nil:
		f.tallyOf(j).nears(0, 0)
		f.endJob(ctx, j, nil)
	}
}

// rate is what a job has moved lately, in bytes per second.
func (t *tally) rate(now time.Time) float64 {
	t.moved = slices.DeleteFunc(t.moved, func(m moved) bool { return now.Sub(m.at) > rateOver })
	var bytes uint64
	for _, m := range t.moved {
		bytes += m.bytes
	}
	return float64(bytes) / rateOver.Seconds()
}

// info is a job with what only this master knows of it.
func (f *Foreman) info(now time.Time, j *messages.JobRow) *messages.JobInfo {
	out := &messages.JobInfo{Row: j}
	t := f.tallies[j.Id]
	if t == nil || !active(j) {
		return out
	}
	out.Moves = firstOf(f.underWay(j.Id), maxPlanShown)
	if j.State == messages.JobState_PAUSED {
		return out
	}
	out.BytesPerSecond = t.rate(now)
	if left := j.TotalBytes - min(j.TotalBytes, j.DoneBytes); left > 0 && out.BytesPerSecond > 0 {
		out.EtaSeconds = float64(left) / out.BytesPerSecond
	}
	return out
}
