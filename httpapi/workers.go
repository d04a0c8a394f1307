package httpapi

import (
	"encoding/json"
	"net/url"
	"time"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// workerAnswer is one worker as /cluster/workers shows it. What the master has not
// heard is null.
type workerAnswer struct {
	WorkerID        string             `json:"worker_id"`
	Address         string             `json:"address"`
	State           string             `json:"state"`
	Missed          uint32             `json:"missed_heartbeats"`
	LastHeartbeatAt *string            `json:"last_heartbeat_at"`
	DiskType        string             `json:"disk_type"`
	DiskError       *string            `json:"disk_error"` // why the disk takes nothing new
	DC              string             `json:"dc"`
	Rack            string             `json:"rack"`
	Host            string             `json:"host"`
	TotalBytes      *uint64            `json:"total_bytes"`
	UsedBytes       *uint64            `json:"used_bytes"`
	FreeBytes       *uint64            `json:"free_bytes"`
	IOLoad          *float64           `json:"io_load"`
	LatencyMs       *float64           `json:"latency_ms"`
	LagBytes        *uint64            `json:"lag_bytes"` // of its follower copies of open volumes
	LagMs           *int64             `json:"lag_ms"`
	Volumes         uint64             `json:"volumes"`
	Role            string             `json:"role"`
	CandidateRank   *int32             `json:"candidate_rank"`
	Draining        bool               `json:"draining"`
	Version         string             `json:"version"`
	VolumeList      []volumeAnswer     `json:"volume_list,omitempty"`
	Transitions     []transitionAnswer `json:"transitions,omitempty"`
}

type volumeAnswer struct {
	ID         uint64 `json:"volume_id"`
	Tier       uint32 `json:"tier"`
	State      string `json:"state"`
	Primary    bool   `json:"primary"`
	Verified   bool   `json:"verified"`
	LiveBytes  int64  `json:"live_bytes"`
	TotalBytes uint64 `json:"total_bytes"`
}

type transitionAnswer struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Missed uint32 `json:"missed_heartbeats"`
	Cause  string `json:"cause"`
	At     string `json:"at"`
}

var volumeStates = map[messages.VolumeState]string{
	messages.VolumeState_OPEN: "open", messages.VolumeState_SEALED: "sealed", messages.VolumeState_RETIRING: "retiring",
}

func newWorkerAnswer(w *messages.WorkerInfo, whole bool) workerAnswer {
	row := w.GetRow()
	a := workerAnswer{
		WorkerID: w.Node, Address: row.GetAddress(), State: messages.StateName(row.GetState()), Missed: w.Missed, DiskType: row.GetDiskType(),
		DC: row.GetDc(), Rack: row.GetRack(), Host: row.GetHost(), Volumes: w.VolumeCount, Role: w.Role, Draining: w.Draining || row.GetDraining(), Version: row.GetVersion(),
	}
	if w.LastHeartbeatUnixMs != 0 {
		at := timestamp(w.LastHeartbeatUnixMs)
		a.LastHeartbeatAt = &at
	}
	if c := w.Capacity; c != nil {
		a.TotalBytes, a.UsedBytes, a.FreeBytes = &c.TotalBytes, &c.UsedBytes, &c.FreeBytes
		if c.IoLoadKnown {
			a.IOLoad = &c.IoLoad
		}
		if c.Failing != "" {
			a.DiskError = &c.Failing
		}
	}
	if w.Role != roleUnknown {
		a.LagBytes, a.LagMs = &w.LagBytes, &w.LagMs
	}
	if w.LatencyMs > 0 {
		a.LatencyMs = &w.LatencyMs
	}
	if w.CandidateRank >= 0 {
		a.CandidateRank = &w.CandidateRank
	}
	if !whole {
		return a
	}
	a.VolumeList, a.Transitions = []volumeAnswer{}, []transitionAnswer{}
	for _, v := range w.Volumes {
		out := volumeAnswer{ID: v.Id, Tier: v.Tier, State: volumeStates[v.State], LiveBytes: v.LiveBytes, TotalBytes: max(v.CommittedEnd, v.SealedEnd)}
		for i, m := range v.Members {
			if m.Node == w.Node {
				out.Primary, out.Verified = i == 0, m.Verified
			}
		}
		a.VolumeList = append(a.VolumeList, out)
	}
	for _, t := range row.GetTransitions() {
		a.Transitions = append(a.Transitions, transitionAnswer{
			From: messages.StateName(t.From), To: messages.StateName(t.To), Missed: t.Missed, Cause: t.Cause, At: timestamp(t.AtUnixMs),
		})
	}
	return a
}

func timestamp(unixMs int64) string {
	return time.UnixMilli(unixMs).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// answerValue writes a value as the JSON answer.
func (c *call) answerValue(v any) error { return c.answerValueAs(fasthttp.StatusOK, v) }

func (c *call) answerValueAs(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return model.Errorf(model.CodeInternal, "answer", "the answer cannot be written: %w", err)
	}
	c.scratch = append(append(c.scratch[:0], body...), '\n')
	c.answerJSON(status)
	return nil
}

// listWorkers answers GET /cluster/workers.
func (c *call) listWorkers() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.workers(ctx, "")
	if err != nil {
		return err
	}
	out := struct {
		Workers   []workerAnswer `json:"workers"`
		Unchecked bool           `json:"unchecked,omitempty"`
	}{Workers: []workerAnswer{}, Unchecked: reply.Unchecked}
	for _, w := range reply.Workers {
		out.Workers = append(out.Workers, newWorkerAnswer(w, false))
	}
	return c.answerValue(out)
}

// workerID is the segment of the path that names a worker.
func (c *call) workerID() (string, error) {
	text, _ := c.ctx.UserValue("id").(string)
	id, err := url.PathUnescape(text)
	if err != nil || id == "" || len(id) > 128 {
		return "", badTarget("the worker id %q is not valid; /cluster/workers lists them", clip(text))
	}
	return id, nil
}

// showWorker answers GET /cluster/workers/{id}.
func (c *call) showWorker() error {
	id, err := c.workerID()
	if err != nil {
		return err
	}
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.workers(ctx, id)
	if err != nil {
		return err
	}
	if len(reply.Workers) != 1 {
		return model.Errorf(model.CodeNotFound, "show worker", "there is no worker %q", clip(id))
	}
	return c.answerValue(newWorkerAnswer(reply.Workers[0], true))
}

// removeWorker answers DELETE /cluster/workers/{id}?force=true: 204.
func (c *call) removeWorker() error {
	id, err := c.workerID()
	if err != nil {
		return err
	}
	query, err := strictQuery(c.query, "force")
	if err != nil {
		return err
	}
	force := query["force"]
	if force != "" && force != "true" && force != "false" {
		return model.Errorf(model.CodeInvalidArgument, "remove worker", "force must be true or false, not %q", clip(force))
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	if err := c.s.gw.RemoveNode(ctx, id, force == "true"); err != nil {
		return err
	}
	c.ctx.Response.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

type candidateAnswer struct {
	WorkerID string             `json:"worker_id"`
	Rank     uint32             `json:"rank"`
	Score    float64            `json:"score"`
	Terms    map[string]float64 `json:"terms"`
	Refusal  string             `json:"refusal,omitempty"`
}

// showMaster answers GET /cluster/master.
func (c *call) showMaster() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	m, err := c.s.gw.Master(ctx)
	if err != nil {
		return err
	}
	out := struct {
		WorkerID   string            `json:"worker_id"`
		Address    string            `json:"address"`
		Epoch      string            `json:"epoch"`
		Since      *string           `json:"since"`
		Promoted   bool              `json:"promoted"` // by an operator: it stays master though others are better
		Candidates []candidateAnswer `json:"candidates"`
	}{WorkerID: m.Node, Address: m.Address, Epoch: epochOf(m.EpochGeneration, m.EpochTerm), Promoted: m.Promoted, Candidates: []candidateAnswer{}}
	if m.SinceUnixMs != 0 {
		since := timestamp(m.SinceUnixMs)
		out.Since = &since
	}
	for _, k := range m.Candidates {
		out.Candidates = append(out.Candidates, candidateAnswer{WorkerID: k.Node, Rank: k.Rank, Score: k.Score, Terms: k.Terms, Refusal: k.Refusal})
	}
	return c.answerValue(out)
}

func epochOf(generation, term uint64) string {
	return model.Epoch{Generation: generation, Term: term}.String()
}

// promote answers POST /cluster/master/promote {"worker_id"}.
func (c *call) promote() error {
	obj, err := c.readObject("worker_id")
	if err != nil {
		return err
	}
	id, err := obj.text("worker_id")
	if err != nil {
		return err
	}
	if id == "" || len(id) > 128 {
		return badJSON("the field \"worker_id\" must name a worker; /cluster/workers lists them")
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	m, err := c.s.gw.Promote(ctx, id)
	if err != nil {
		return err
	}
	return c.answerValue(struct {
		WorkerID string `json:"worker_id"`
		Epoch    string `json:"epoch"`
		Already  bool   `json:"already"` // it was master before, and stays it
	}{m.Node, epochOf(m.EpochGeneration, m.EpochTerm), m.Already})
}

// releaseBrake answers POST /cluster/storm-brake/release: 204.
func (c *call) releaseBrake() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	if err := c.s.gw.ReleaseBrake(ctx); err != nil {
		return err
	}
	c.ctx.Response.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// sayConsistency marks an answer that no quorum was asked for.
func (c *call) sayConsistency(unchecked bool) {
	if unchecked {
		c.ctx.Response.Header.Set("X-Storage-Consistency", "unchecked")
	}
}
