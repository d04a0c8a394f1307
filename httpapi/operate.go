package httpapi

import (
	"github.com/valyala/fasthttp"

	"tiercel/messages"
)

const limitField = "bandwidth_limit_bytes_per_second"

// startRebalance answers POST /cluster/rebalance
// {"dry_run"?, "bandwidth_limit_bytes_per_second"?}: 202 with the job, and a dry run
// 200 with the plan.
func (c *call) startRebalance() error {
	obj, err := c.readOptionalObject("dry_run", limitField)
	if err != nil {
		return err
	}
	dryRun, err := obj.flag("dry_run")
	if err != nil {
		return err
	}
	limit, err := obj.count(limitField)
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.StartRebalance(ctx, limit, dryRun)
	if err != nil {
		return err
	}
	return c.answerStarted(fasthttp.StatusAccepted, dryRun, reply)
}

// listRebalances answers GET /cluster/rebalance: the one under way, and all that are
// remembered, the newest first.
func (c *call) listRebalances() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.Jobs(ctx, 0, messages.JobKind_REBALANCE)
	if err != nil {
		return err
	}
	out := struct {
		Current *jobAnswer  `json:"current"`
		Jobs    []jobAnswer `json:"jobs"`
	}{Jobs: jobAnswers(reply.Jobs, func(row *messages.JobRow) bool { return row.GetKind() == messages.JobKind_REBALANCE })}
	for i := range out.Jobs {
		if j := &out.Jobs[i]; out.Current == nil && j.EndedAt == nil {
			out.Current = j
		}
	}
	return c.answerValue(out)
}

// startDrain answers POST /cluster/workers/{id}/drain?dry_run=: 202 with the job, and
// a dry run 200 with the plan.
func (c *call) startDrain() error {
	id, err := c.workerID()
	if err != nil {
		return err
	}
	if _, err := strictQuery(c.query, "dry_run"); err != nil {
		return err
	}
	dryRun, err := hasFlag(c.query, "dry_run")
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.Drain(ctx, id, dryRun)
	if err != nil {
		return err
	}
	return c.answerStarted(fasthttp.StatusAccepted, dryRun, reply)
}

// cancelDrain answers DELETE /cluster/workers/{id}/drain: 200 with the job as it is
// then, or 204 when nothing remembers one.
func (c *call) cancelDrain() error {
	id, err := c.workerID()
	if err != nil {
		return err
	}
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.CancelDrain(ctx, id)
	if err != nil {
		return err
	}
	if reply.Job == nil {
		c.ctx.Response.SetStatusCode(fasthttp.StatusNoContent)
		return nil
	}
	return c.answerStarted(fasthttp.StatusOK, false, reply)
}

// startScrub answers POST /cluster/scrub {"bandwidth_limit_bytes_per_second"?}: 202
// with the job.
func (c *call) startScrub() error {
	obj, err := c.readOptionalObject(limitField)
	if err != nil {
		return err
	}
	limit, err := obj.count(limitField)
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.StartScrub(ctx, limit)
	if err != nil {
		return err
	}
	return c.answerStarted(fasthttp.StatusAccepted, false, reply)
}
