package replication

import (
	"cmp"
	"slices"
	"strings"

	"tiercel/messages"
)

// maxBlockers is how many different reasons a job shows; the rest would be more of the same.
const maxBlockers = 16

// jobs are the rows of jobs, and what this plan finds left for each.
type jobs struct {
	byID      map[uint64]*messages.JobRow
	active    map[JobKey]*messages.JobRow
	cancelled map[JobKey]uint64 // the newest of that key
	found     map[JobKey]*work
}

// work is what is left for one key. A volume counts once.
type work struct {
	JobView
	counted map[uint64]uint64 // volume -> bytes
}

func keyOf(j *messages.JobRow) JobKey { return JobKey{Kind: j.Kind, Subject: j.Subject, Tier: j.Tier} }

// ours are the kinds that this package plans.
func ours(k messages.JobKind) bool {
	switch k {
	case messages.JobKind_REPAIR, messages.JobKind_EVACUATION, messages.JobKind_DRAIN, messages.JobKind_REBALANCE, messages.JobKind_ADAPT:
		return true
	}
	return false
}

func isActive(j *messages.JobRow) bool {
	return j.State == messages.JobState_RUNNING || j.State == messages.JobState_PAUSED
}

func newJobs(rows []*messages.JobRow) jobs {
	js := jobs{
		byID: make(map[uint64]*messages.JobRow, len(rows)), active: make(map[JobKey]*messages.JobRow),
		cancelled: make(map[JobKey]uint64), found: make(map[JobKey]*work),
	}
	for _, j := range rows {
		js.byID[j.Id] = j
		key := keyOf(j)
		switch {
		case !ours(j.Kind):
		case isActive(j):
			if old := js.active[key]; old == nil || j.Id < old.Id {
				js.active[key] = j
			}
		case j.State == messages.JobState_CANCELLED:
			js.cancelled[key] = max(js.cancelled[key], j.Id)
		}
	}
	return js
}

// suppressed: somebody cancelled just this, and nothing has changed since. A drain never
// is: to cancel it clears the worker's mark, so one that is marked was asked for anew.
func (p *planner) suppressed(key JobKey) bool {
	id := p.jobs.cancelled[key]
	if id == 0 || p.jobs.active[key] != nil || key.Kind == messages.JobKind_DRAIN {
		return false
	}
	if key.Kind == messages.JobKind_REPAIR || key.Kind == messages.JobKind_EVACUATION {
		w := p.workers[key.Subject]
		return w == nil || w.ChangedAt < id
	}
	return true
}

// left notes that a job has a volume left to do, so many bytes of it to copy; nil when
// nobody wants the job.
func (p *planner) left(key JobKey, cause string, volume, bytes uint64) *work {
	if key == (JobKey{}) || p.suppressed(key) {
		return nil
	}
	w := p.jobs.found[key]
	if w == nil {
		w = &work{JobView: JobView{Key: key, Cause: cause}, counted: make(map[uint64]uint64)}
		if j := p.jobs.active[key]; j != nil {
			w.ID, w.Cause = j.Id, cmp.Or(j.Cause, cause)
		}
		p.jobs.found[key] = w
	}
	before, again := w.counted[volume]
	if !again {
		w.RemainingItems++
	}
	if !again || bytes > before {
		w.RemainingBytes += bytes - before
		w.counted[volume] = bytes
	}
	return w
}

// block notes why a job cannot go on with something.
func (p *planner) block(key JobKey, why string) {
	w := p.jobs.found[key]
	if w != nil && why != "" && len(w.Blockers) < maxBlockers && !slices.Contains(w.Blockers, why) {
		w.Blockers = append(w.Blockers, why)
	}
}

// runs reports whether steps of a job may be taken now.
func (p *planner) runs(key JobKey) bool {
	if key == (JobKey{}) {
		return true
	}
	j := p.jobs.active[key]
	return j != nil && j.State == messages.JobState_RUNNING
}

// held reports whether the storm brake holds a job, and tells the job.
func (p *planner) held(key JobKey) bool {
	mass := key.Kind == messages.JobKind_REPAIR || key.Kind == messages.JobKind_EVACUATION
	return mass && p.storm(key)
}

// storm reports whether the brake is engaged, and tells the job that it waits for that.
func (p *planner) storm(key JobKey) bool {
	if !p.in.Brake {
		return false
	}
	p.block(key, "the storm brake is engaged: "+cmp.Or(p.in.BrakeReason, "too many workers are missing at once"))
	return true
}

// jobOf is the key of the job that brought a member; zero when it has none that lives.
func (p *planner) jobOf(m *messages.VolumeMember) JobKey {
	if j := p.jobs.byID[m.Job]; j != nil && ours(j.Kind) && isActive(j) {
		return keyOf(j)
	}
	return JobKey{}
}

func (p *planner) isRebalance(id uint64) bool {
	j := p.jobs.byID[id]
	return j != nil && j.Kind == messages.JobKind_REBALANCE && isActive(j)
}

func (p *planner) wasCancelled(m *messages.VolumeMember) bool {
	j := p.jobs.byID[m.Job]
	return m.Job != 0 && j != nil && j.State == messages.JobState_CANCELLED
}

// emit appends a step under its job.
func (p *planner) emit(to *[]Step, s Step) {
	if j := p.jobs.active[s.Job]; j != nil {
		s.JobID = j.Id
	}
	*to = append(*to, s)
}

// views returns what is left by job, and the active jobs that have nothing left.
func (p *planner) views() (views []JobView, done []uint64) {
	for _, w := range p.jobs.found { // sorted below
		views = append(views, w.JobView)
	}
	slices.SortFunc(views, func(a, b JobView) int { return compareKeys(a.Key, b.Key) })
	for _, j := range p.in.Jobs {
		if ours(j.Kind) && isActive(j) && p.jobs.found[keyOf(j)] == nil {
			done = append(done, j.Id)
		}
	}
	slices.Sort(done)
	return views, done
}

func compareKeys(a, b JobKey) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Subject, b.Subject), cmp.Compare(a.Tier, b.Tier))
}
