package httpapi

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// jobAnswer is one job as /cluster/jobs shows it.
type jobAnswer struct {
	JobID          string            `json:"job_id"`
	Kind           string            `json:"kind"`
	State          string            `json:"state"`
	Subject        string            `json:"subject"`        // worker it is about; empty: the cluster
	Tier           uint32            `json:"tier,omitempty"` // whose copies are adapted
	Cause          string            `json:"cause"`
	Progress       progressAnswer    `json:"progress"`
	EtaSeconds     *float64          `json:"eta_seconds"`
	BytesPerSecond float64           `json:"bytes_per_second"`                 // lately
	Limit          *uint64           `json:"bandwidth_limit_bytes_per_second"` // of its own; null: the cluster's
	Blockers       []string          `json:"blockers"`
	Quarantined    []quarantineEntry `json:"quarantined"`
	Moves          []moveAnswer      `json:"moves"`
	CreatedAt      *string           `json:"created_at"`
	ChangedAt      *string           `json:"changed_at"`
	EndedAt        *string           `json:"ended_at"`
	Warnings       []string          `json:"warnings,omitempty"` // of the answer that started it: what the cluster cannot give then
}

type progressAnswer struct {
	DoneBytes  uint64  `json:"done_bytes"`
	TotalBytes uint64  `json:"total_bytes"`
	DoneItems  uint64  `json:"done_items"`
	TotalItems uint64  `json:"total_items"`
	Percent    float64 `json:"percent"`
}

// quarantineEntry is an item that could not be done; the job goes on without it.
type quarantineEntry struct {
	VolumeID uint64  `json:"volume_id"`
	Reason   string  `json:"reason"`
	Since    *string `json:"since"`
}

type moveAnswer struct {
	VolumeID uint64 `json:"volume_id"`
	From     string `json:"from"`
	To       string `json:"to"`
	Bytes    uint64 `json:"bytes"`
	Why      string `json:"why"`
}

// planAnswer is what a dry run says.
type planAnswer struct {
	DryRun          bool         `json:"dry_run"`
	Plan            []moveAnswer `json:"plan"` // the first 1000
	PlanBytes       uint64       `json:"plan_bytes"`
	PlanItems       uint64       `json:"plan_items"` // of all
	EstimateSeconds *float64     `json:"estimate_seconds"`
	Blockers        []string     `json:"blockers"`
	Warnings        []string     `json:"warnings"` // what the cluster cannot give then
}

func newJobAnswer(j *messages.JobInfo) jobAnswer {
	row := j.GetRow()
	a := jobAnswer{
		JobID: strconv.FormatUint(row.GetId(), 10), Kind: strings.ToLower(row.GetKind().String()), State: strings.ToLower(row.GetState().String()),
		Subject: row.GetSubject(), Tier: row.GetTier(), Cause: row.GetCause(), EtaSeconds: known(j.EtaSeconds), BytesPerSecond: j.BytesPerSecond,
		Progress: progressAnswer{DoneBytes: row.GetDoneBytes(), TotalBytes: row.GetTotalBytes(), DoneItems: row.GetDoneItems(), TotalItems: row.GetTotalItems()},
		Blockers: append([]string{}, row.GetBlockers()...), Quarantined: []quarantineEntry{}, Moves: moveAnswers(j.Moves),
		CreatedAt: moment(row.GetCreatedUnixMs()), ChangedAt: moment(row.GetChangedUnixMs()), EndedAt: moment(row.GetEndedUnixMs()),
	}
	a.Progress.Percent = percent(row)
	if row.GetBytesPerSecond() > 0 {
		a.Limit = &row.BytesPerSecond
	}
	for _, q := range row.GetQuarantined() {
		a.Quarantined = append(a.Quarantined, quarantineEntry{VolumeID: q.Volume, Reason: q.Reason, Since: moment(q.SinceUnixMs)})
	}
	return a
}

// percent counts bytes where there are any, else items. What is not done yet is never 100.
func percent(row *messages.JobRow) float64 {
	done, total := row.GetDoneBytes(), row.GetTotalBytes()
	if total == 0 {
		done, total = row.GetDoneItems(), row.GetTotalItems()
	}
	switch {
	case row.GetState() == messages.JobState_DONE:
		return 100
	case total == 0:
		return 0
	}
	return min(99.9, math.Floor(float64(done)/float64(total)*1000)/10)
}

func moveAnswers(moves []*messages.PlannedMove) []moveAnswer {
	out := make([]moveAnswer, 0, len(moves))
	for _, m := range moves {
		out = append(out, moveAnswer{VolumeID: m.Volume, From: m.From, To: m.To, Bytes: m.Bytes, Why: m.Why})
	}
	return out
}

// known is nil for a duration that nobody knows.
func known(seconds float64) *float64 {
	if seconds <= 0 {
		return nil
	}
	return &seconds
}

// moment is nil for a time that has not come.
func moment(unixMs int64) *string {
	if unixMs == 0 {
		return nil
	}
	at := timestamp(unixMs)
	return &at
}

// jobAnswers are jobs, the newest first.
func jobAnswers(jobs []*messages.JobInfo, wanted func(*messages.JobRow) bool) []jobAnswer {
	out := []jobAnswer{}
	jobs = slices.Clone(jobs)
	slices.SortFunc(jobs, func(a, b *messages.JobInfo) int { return cmp.Compare(b.GetRow().GetId(), a.GetRow().GetId()) })
	for _, j := range jobs {
		if wanted(j.GetRow()) {
			out = append(out, newJobAnswer(j))
		}
	}
	return out
}

type jobList struct {
	Jobs []jobAnswer `json:"jobs"`
}

// listJobs answers GET /cluster/jobs?kind=&state=.
func (c *call) listJobs() error {
	query, err := strictQuery(c.query, "kind", "state")
	if err != nil {
		return err
	}
	kind, err := enumOf("kind", query["kind"], messages.JobKind_value, messages.JobKind_name)
	if err != nil {
		return err
	}
	state, err := enumOf("state", query["state"], messages.JobState_value, messages.JobState_name)
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.Jobs(ctx, 0, messages.JobKind(kind))
	if err != nil {
		return err
	}
	return c.answerValue(jobList{Jobs: jobAnswers(reply.Jobs, func(row *messages.JobRow) bool {
		return (kind == 0 || int32(row.GetKind()) == kind) && (state == 0 || int32(row.GetState()) == state)
	})})
}

// enumOf reads a lower-case name of an enumeration; 0 for none.
func enumOf(name, text string, values map[string]int32, names map[int32]string) (int32, error) {
	if text == "" {
		return 0, nil
	}
	if v := values[strings.ToUpper(text)]; v != 0 && text == strings.ToLower(text) {
		return v, nil
	}
	var all []string
	for i := int32(1); names[i] != ""; i++ {
		all = append(all, strings.ToLower(names[i]))
	}
	return 0, badQuery("%s=%q is not known%s", name, clip(text), suggest(text, all))
}

// jobID is the segment of the path that names a job.
func (c *call) jobID() (uint64, error) {
	text, _ := c.ctx.UserValue("id").(string)
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(id, 10) != text || id == 0 {
		return 0, badTarget("the job id %q is not a number from 1; /cluster/jobs lists them", clip(text))
	}
	return id, nil
}

// answerOneJob answers with the only job of a reply.
func (c *call) answerOneJob(id uint64, reply *messages.ListJobsReply, err error) error {
	if err != nil {
		return err
	}
	if len(reply.Jobs) != 1 {
		return model.Errorf(model.CodeNotFound, "show job", "there is no job %d; /cluster/jobs lists them", id)
	}
	return c.answerValue(newJobAnswer(reply.Jobs[0]))
}

// showJob answers GET /cluster/jobs/{id}.
func (c *call) showJob() error {
	id, err := c.jobID()
	if err != nil {
		return err
	}
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.Jobs(ctx, id, 0)
	return c.answerOneJob(id, reply, err)
}

// pauseJob answers POST /cluster/jobs/{id}/pause.
func (c *call) pauseJob() error { return c.changeJob(messages.JobState_PAUSED) }

// resumeJob answers POST /cluster/jobs/{id}/resume.
func (c *call) resumeJob() error { return c.changeJob(messages.JobState_RUNNING) }

// cancelJob answers POST /cluster/jobs/{id}/cancel.
func (c *call) cancelJob() error { return c.changeJob(messages.JobState_CANCELLED) }

func (c *call) changeJob(to messages.JobState) error {
	id, err := c.jobID()
	if err != nil {
		return err
	}
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.ChangeJob(ctx, id, to)
	return c.answerOneJob(id, reply, err)
}

// answerStarted answers 202 with the job, or 200 with the plan when there is none: a
// dry run, or nothing to do.
func (c *call) answerStarted(status int, dryRun bool, reply *messages.StartJobReply) error {
	if reply.Job != nil && !dryRun {
		a := newJobAnswer(reply.Job)
		a.Warnings = reply.Warnings
		return c.answerValueAs(status, a)
	}
	return c.answerValueAs(fasthttp.StatusOK, planAnswer{
		DryRun: dryRun, Plan: moveAnswers(reply.Plan), PlanBytes: reply.PlanBytes, PlanItems: reply.PlanItems,
		EstimateSeconds: known(reply.EstimateSeconds), Blockers: append([]string{}, reply.Blockers...), Warnings: append([]string{}, reply.Warnings...),
	})
}
