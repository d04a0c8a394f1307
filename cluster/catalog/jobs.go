package catalog

import (
	"cmp"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/license"
	"tiercel/messages"
)

// Limits of jobs.
const (
	// MaxActiveJobs bounds the jobs that have not ended.
	MaxActiveJobs = 1_024
	// MaxEndedJobs are kept for people to look at, the newest.
	MaxEndedJobs = 64
	// MaxJobNotes bounds the blockers, and the quarantined items, of one job.
	MaxJobNotes = 64
)

// jobEnded reports whether a state is for good.
func jobEnded(s messages.JobState) bool {
	return s == messages.JobState_DONE || s == messages.JobState_CANCELLED
}

// Jobs returns all jobs by id. Rows are shared and never change.
func (c *Catalog) Jobs() []*messages.JobRow {
	return slices.SortedFunc(maps.Values(c.jobs), func(a, b *messages.JobRow) int { return cmp.Compare(a.Id, b.Id) })
}

func (c *Catalog) setJob(row *messages.JobRow) {
	c.jobs[row.Id] = row
	c.setRow(idKey(prefixJob, row.Id), row)
}

// createJob makes a job, or finds the one that does the same already. That one gets the
// limit that is asked for; one that is not asked for leaves it as it is.
func (c *Catalog) createJob(e entry, create *messages.CreateJob) *messages.CommandResult {
	if refused := c.checkJob(create); refused != nil {
		return refused
	}
	active := 0
	for _, j := range c.Jobs() {
		if jobEnded(j.State) {
			continue
		}
		if j.Kind == create.Kind && j.Subject == create.Subject && j.Tier == create.Tier {
			if create.BytesPerSecond > 0 && create.BytesPerSecond != j.BytesPerSecond {
				row := proto.CloneOf(j)
				row.BytesPerSecond, row.ChangedUnixMs = create.BytesPerSecond, e.cmd.ProposedUnixMs
				c.setJob(row)
			}
			return &messages.CommandResult{Id: j.Id}
		}
		active++
	}
	if active >= MaxActiveJobs {
		return refuse("jobs_full", "jobs", decimal(uint64(active)))
	}
	if create.Kind == messages.JobKind_DRAIN {
		c.drain(create.Subject, true)
	}
	c.setJob(&messages.JobRow{
		Id: e.index, Kind: create.Kind, State: messages.JobState_RUNNING, Subject: create.Subject, Tier: create.Tier, Cause: create.Cause,
		CreatedUnixMs: e.cmd.ProposedUnixMs, ChangedUnixMs: e.cmd.ProposedUnixMs,
		TotalBytes: create.TotalBytes, TotalItems: create.TotalItems, BytesPerSecond: create.BytesPerSecond,
	})
	return &messages.CommandResult{Id: e.index, Created: true}
}

func (c *Catalog) checkJob(create *messages.CreateJob) *messages.CommandResult {
	switch {
	case create.GetKind() < messages.JobKind_REPAIR || create.Kind > messages.JobKind_ADAPT:
		return refuse("bad_field", "field", "kind")
	case !validText(create.Subject, MaxNameBytes):
		return refuse("bad_field", "field", "subject")
	case !validText(create.Cause, MaxDecisionBytes):
		return refuse("bad_field", "field", "cause")
	case create.Tier != 0 && !validTier(create.Tier):
		return refuse("bad_field", "field", "tier")
	}
	if create.Kind == messages.JobKind_REBALANCE {
		if d := c.grant().Deny(license.AutoRebalance); d != nil {
			return c.unlicensed(d)
		}
	}
	if create.Kind == messages.JobKind_DRAIN {
		switch w := c.workers[create.Subject]; {
		case w == nil:
			return refuse("no_worker", "node", create.Subject)
		case w.State == messages.WorkerState_LEFT:
			return refuse("worker_left", "node", create.Subject)
		}
	}
	return nil
}

// updateJob takes a master's report of a job; one of an older epoch says nothing new.
func (c *Catalog) updateJob(e entry, update *messages.UpdateJob) *messages.CommandResult {
	old := c.jobs[update.GetId()]
	switch {
	case old == nil:
		return refuse("no_job", "job", decimal(update.GetId()))
	case jobEnded(old.State):
		return refuse("job_ended", "job", decimal(old.Id))
	case update.OwnerGeneration < old.OwnerGeneration || update.OwnerGeneration == old.OwnerGeneration && update.OwnerTerm < old.OwnerTerm:
		return refuse("stale_term", "term", decimal(old.OwnerTerm), "master", "a newer master")
	case len(update.Blockers) > MaxJobNotes || slices.ContainsFunc(update.Blockers, func(b string) bool { return !validText(b, MaxDecisionBytes) }):
		return refuse("bad_field", "field", "blockers")
	case len(update.Quarantined) > MaxJobNotes || slices.ContainsFunc(update.Quarantined, func(q *messages.JobQuarantine) bool { return !validText(q.Reason, MaxDecisionBytes) }):
		return refuse("bad_field", "field", "quarantined")
	}
	row := proto.CloneOf(old)
	row.OwnerGeneration, row.OwnerTerm, row.ChangedUnixMs = update.OwnerGeneration, update.OwnerTerm, e.cmd.ProposedUnixMs
	row.TotalBytes, row.DoneBytes, row.TotalItems, row.DoneItems = update.TotalBytes, update.DoneBytes, update.TotalItems, update.DoneItems
	row.Blockers, row.Quarantined = update.Blockers, update.Quarantined
	c.setJob(row)
	return &messages.CommandResult{Id: row.Id}
}

// changeJobState pauses, resumes or ends a job:
//
//	RUNNING ◀──▶ PAUSED
//	   └── DONE ──┘── CANCELLED
//
// What a cancelled job has brought and not finished is taken back by the master.
func (c *Catalog) changeJobState(e entry, change *messages.ChangeJobState) *messages.CommandResult {
	old := c.jobs[change.GetId()]
	switch {
	case old == nil:
		return refuse("no_job", "job", decimal(change.GetId()))
	case change.To < messages.JobState_RUNNING || change.To > messages.JobState_CANCELLED:
		return refuse("bad_field", "field", "to")
	case !validText(change.Cause, MaxDecisionBytes):
		return refuse("bad_field", "field", "cause")
	case old.State == change.To:
		return &messages.CommandResult{Id: old.Id}
	case jobEnded(old.State):
		return refuse("job_ended", "job", decimal(old.Id))
	}
	if old.Kind == messages.JobKind_DRAIN && change.To == messages.JobState_CANCELLED {
		c.drain(old.Subject, false)
	}
	c.endJob(e, old, change.To)
	return &messages.CommandResult{Id: old.Id}
}

// endJob gives a job another state; the oldest that have ended are forgotten.
func (c *Catalog) endJob(e entry, old *messages.JobRow, to messages.JobState) {
	row := proto.CloneOf(old)
	row.State, row.ChangedUnixMs = to, e.cmd.ProposedUnixMs
	if jobEnded(to) {
		row.EndedUnixMs = e.cmd.ProposedUnixMs
	}
	c.setJob(row)
	var ended []uint64
	for _, j := range c.Jobs() {
		if jobEnded(j.State) {
			ended = append(ended, j.Id)
		}
	}
	for _, id := range ended[:max(0, len(ended)-MaxEndedJobs)] {
		delete(c.jobs, id)
		c.remove(idKey(prefixJob, id))
	}
}

// setDraining begins or ends the draining of a worker.
func (c *Catalog) setDraining(e entry, set *messages.SetDraining) *messages.CommandResult {
	w := c.workers[set.GetNode()]
	switch {
	case w == nil:
		return refuse("no_worker", "node", set.GetNode())
	case w.State == messages.WorkerState_LEFT:
		return refuse("worker_left", "node", set.Node)
	}
	c.drain(set.Node, set.Draining)
	if !set.Draining {
		for _, j := range c.Jobs() {
			if j.Kind == messages.JobKind_DRAIN && j.Subject == set.Node && !jobEnded(j.State) {
				c.endJob(e, j, messages.JobState_CANCELLED)
			}
		}
	}
	return &messages.CommandResult{Version: e.index}
}

func (c *Catalog) drain(node string, draining bool) {
	if w := c.workers[node]; w != nil && w.Draining != draining {
		next := proto.CloneOf(w)
		next.Draining = draining
		c.setWorker(node, next)
	}
}
