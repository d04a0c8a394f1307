package master

import (
	"tiercel/actors/runtime"
	"tiercel/messages"
)

// askBandwidth waits for the turn of a read: the foreman's word for the job. While
// there is no job yet, the next look at the rows tries again.
func (c *Compactor) askBandwidth(ctx *runtime.Context, m *move) {
	if c.job == nil {
		c.end(ctx, m)
		return
	}
	ctx.Request(ctx.Runtime().Local(c.cfg.ForemanPath), &messages.AskBandwidth{
		Header: &messages.Header{Request: m.id}, Job: c.job.Id, Bytes: m.named.Extent.RecordBytes, Volume: m.named.Extent.Volume,
	})
}

// onBandwidth: a refusal says that the job is paused or has ended; the next look at
// the rows says what to do.
func (c *Compactor) onBandwidth(ctx *runtime.Context, b *messages.BandwidthGranted) {
	m := c.moveOf(b.Header.GetRequest(), moveWaiting)
	switch {
	case m == nil:
	case b.Error != nil:
		c.end(ctx, m)
	default:
		c.admitted(ctx, m)
	}
}

func (c *Compactor) admitted(ctx *runtime.Context, m *move) {
	m.began = ctx.Now()
	c.readNext(ctx, m)
	c.goOn(ctx)
}
