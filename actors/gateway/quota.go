package gateway

import (
	"tiercel/actors/runtime"
	"tiercel/messages"
)

// inLog is the upload's id in the log; 0: it has none yet, or there is no upload.
func (u *upload) inLog() uint64 {
	if u == nil {
		return 0
	}
	return u.logID
}

// noteReserved remembers that the master has set something aside for a write: it is
// told when the write ends. A newer word replaces an older one.
func (g *Gateway) noteReserved(o *op, reserved bool) {
	if o.upload != nil {
		o.upload.reserved = reserved
		return
	}
	o.reserved = reserved
}

// strayGrant is for something that was asked twice: the write goes on already, or has
// ended, and then nobody else would release what was reserved for it.
func (g *Gateway) strayGrant(ctx *runtime.Context, grant *messages.BeginGrant, o *op) {
	reserved := grant.Reserved
	switch u := g.uploads[grant.Write]; {
	case !reserved:
	case o != nil:
		g.noteReserved(o, true)
	case u != nil:
		u.reserved = true
	default:
		g.releaseQuota(ctx, grant.Write, &reserved)
	}
}

// settles is the write whose reservation ends with an op's command: a put, or the end
// of an upload. Parts keep it.
func (g *Gateway) settles(o *op) uint64 {
	switch {
	case o.upload == nil && o.reserved, o.upload != nil && !o.content && o.upload.reserved:
		return o.write
	}
	return 0
}

// unreserve releases what a put has reserved, when it ends without the outcome of its
// command: with that the master has settled it.
func (g *Gateway) unreserve(ctx *runtime.Context, o *op, outcome *messages.CommandResult) {
	if o.upload == nil && outcome == nil {
		g.releaseQuota(ctx, o.write, &o.reserved)
	}
}

// releaseQuota tells the master that a write with a reservation has ended. Should that
// be lost, its lease or the end of the session does it.
func (g *Gateway) releaseQuota(ctx *runtime.Context, write uint64, reserved *bool) {
	if !*reserved || g.master == nil || g.session == 0 {
		return
	}
	*reserved = false
	ctx.Send(g.onMasterNode(ctx, g.cfg.CoordinatorPath), &messages.ReleaseQuota{Session: g.session, Writes: []uint64{write}})
}
