package master

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/quota"
	"tiercel/messages"
)

// desk is where the coordinator keeps what it needs for quotas: which tenants have a
// limit, what is reserved, and the writes that wait for the catalog's word.
//
// Every command of this epoch goes through the coordinator, and the catalog of this
// node tells it outcomes and answers in one order. So when an answer is in hand, the
// writes it counts have had their outcome here and no longer count as reserved: nothing
// is counted twice, and nothing is forgotten.
type desk struct {
	limited map[string]bool // nil: the catalog has not said yet
	ledger  *quota.Ledger
	waiting []asking
	lookup  uint64 // number of the question under way; 0: none
	judged  []asking
	since   time.Time // of the question
}

// asking is a write that waits, and whoever began it.
type asking struct {
	to      *actor.PID
	header  *messages.Header
	session uint64
	item    *messages.BeginItem
}

// effect is what a command means for the desk once its outcome is known.
type effect struct {
	key      quota.Key // its hold ends
	upload   uint64    // of the log: it is over, if the command was not refused
	tenant   string    // whose limit was set or taken away; empty: none
	limited  bool
	settling bool // there is anything to do
}

const (
	// maxWaitingWrites bounds those that wait for the catalog.
	maxWaitingWrites = 1 << 15
	// maxQuotaQuestions bounds the writes of one question to the catalog.
	maxQuotaQuestions = 1024
	// standPatience bounds the wait for the catalog's answer: it, or the question, was
	// lost with a restarted actor.
	standPatience = 2 * time.Second
)

func newDesk() desk { return desk{ledger: quota.NewLedger()} }

// effectOf reads a command that passes by.
func effectOf(cmd *messages.Command) effect {
	e := effect{key: quota.Key{Session: cmd.Session, Write: cmd.Reserved}}
	switch k := cmd.Kind.(type) {
	case *messages.Command_SetQuota:
		e.tenant, e.limited = k.SetQuota.GetTenant(), true
	case *messages.Command_RemoveQuota:
		e.tenant = k.RemoveQuota.GetTenant()
	case *messages.Command_CommitUpload:
		e.upload = k.CommitUpload.GetUpload()
	case *messages.Command_AbortUpload:
		e.upload = k.AbortUpload.GetUpload()
	}
	e.settling = cmd.Reserved != 0 || e.upload != 0 || e.tenant != ""
	return e
}

// settle takes the outcome of a command into account. It comes before whoever asked
// hears of it, so that their next write finds its room.
func (c *Coordinator) settle(p *proposal, o *messages.CommitOutcome) {
	e := p.effect
	if !e.settling || o.Dropped {
		return
	}
	p.effect = effect{}
	if e.key.Write != 0 {
		c.desk.ledger.Release(e.key)
	}
	if o.Result.GetCode() != "" {
		return
	}
	if e.upload != 0 {
		c.desk.ledger.Settled(e.upload)
	}
	if e.tenant != "" && c.desk.limited != nil {
		if e.limited {
			c.desk.limited[e.tenant] = true
		} else {
			delete(c.desk.limited, e.tenant)
		}
	}
}

// onBegin grants each item a volume. Those of tenants with a limit wait for the
// catalog's word first.
func (c *Coordinator) onBegin(ctx *runtime.Context, m *messages.Begin) {
	reply := &messages.BeginReply{Header: messages.ReplyHeader(m.Header), Grants: make([]*messages.BeginGrant, 0, len(m.Items))}
	waits, given := false, together{}
	for _, item := range m.Items {
		switch {
		case m.Session == 0:
			reply.Grants = append(reply.Grants, c.room(ctx, m.Session, item, given))
		case c.desk.limited == nil:
			reply.Grants = append(reply.Grants, &messages.BeginGrant{Item: item.Item, Error: messages.FromError(
				model.Errorf(model.CodeUnavailable, "begin", "the master has just started and does not know the tenants' limits yet"))})
		case !c.desk.limited[item.Tenant]:
			reply.Grants = append(reply.Grants, c.room(ctx, m.Session, item, given))
		case len(c.desk.waiting) >= maxWaitingWrites:
			reply.Grants = append(reply.Grants, &messages.BeginGrant{Item: item.Item, Error: messages.FromError(
				model.Errorf(model.CodeOverloaded, "begin", "%d writes of tenants with limits wait; try again", maxWaitingWrites))})
		default:
			waits = true
			c.desk.waiting = append(c.desk.waiting, asking{to: ctx.Sender(), header: m.Header, session: m.Session, item: item})
		}
	}
	if len(reply.Grants) > 0 || !waits {
		ctx.Reply(reply)
	}
	c.askQuota(ctx)
}

// askQuota asks the catalog about the writes that wait: whatever has queued while one
// question is under way goes with the next.
func (c *Coordinator) askQuota(ctx *runtime.Context) {
	d := &c.desk
	if len(d.waiting) == 0 || d.lookup != 0 && ctx.Now().Sub(d.since) < standPatience {
		return
	}
	n := min(len(d.waiting), maxQuotaQuestions)
	d.judged, d.waiting = d.waiting[:n:n], slices.Clone(d.waiting[n:])
	stand := &messages.QuotaStand{Writes: make([]*messages.QuotaQuestion, 0, n)}
	for _, a := range d.judged {
		stand.Writes = append(stand.Writes, &messages.QuotaQuestion{
			Tenant: a.item.Tenant, Path: a.item.Path, Tier: a.item.Tier, Bytes: max(a.item.WriteBytes, a.item.Bytes),
		})
	}
	d.lookup, d.since = c.askStand(ctx, stand), ctx.Now()
}

func (c *Coordinator) askStand(ctx *runtime.Context, stand *messages.QuotaStand) (number uint64) {
	c.next++
	ctx.Request(ctx.Runtime().Local(c.cfg.CatalogPath), &messages.Lookup{
		Header: &messages.Header{Request: c.next}, Items: []*messages.LookupItem{{Kind: &messages.LookupItem_QuotaStand{QuotaStand: stand}}},
	})
	return c.next
}

// onQuotaStand takes the catalog's word.
func (c *Coordinator) onQuotaStand(ctx *runtime.Context, number uint64, r *messages.QuotaStandReply) {
	d := &c.desk
	if r.All && d.limited == nil {
		c.learn(r)
	}
	for _, session := range r.GoneSessions {
		if n := d.ledger.SessionGone(session); n > 0 {
			ctx.Log().Info("reservations of a gateway that is gone were released", "session", session, "writes", n)
		}
	}
	for _, upload := range r.GoneUploads {
		d.ledger.Settled(upload)
	}
	if number != d.lookup {
		return
	}
	judged := d.judged
	d.lookup, d.judged = 0, nil
	c.judgeWrites(ctx, judged, r)
	c.askQuota(ctx)
}

// learn takes over which tenants have a limit, and what their uploads have staged
// under earlier masters.
func (c *Coordinator) learn(r *messages.QuotaStandReply) {
	c.desk.limited = make(map[string]bool, len(r.Limited))
	for _, tenant := range r.Limited {
		c.desk.limited[tenant] = true
	}
	for _, u := range r.Staged {
		c.desk.ledger.Inherit(u.Id, u.Tenant, u.Bytes)
	}
}

// judgeWrites reserves for each write, and grants a volume to those that fit.
func (c *Coordinator) judgeWrites(ctx *runtime.Context, judged []asking, r *messages.QuotaStandReply) {
	var replies []*messages.BeginReply
	var last *messages.BeginReply
	var askers []*actor.PID
	given := together{}
	for i, a := range judged {
		if last == nil || last.Header.Request != a.header.GetRequest() || !askers[len(askers)-1].Equal(a.to) {
			last = &messages.BeginReply{Header: messages.ReplyHeader(a.header)}
			replies, askers = append(replies, last), append(askers, a.to)
		}
		if r.Error != nil || i >= len(r.Writes) {
			last.Grants = append(last.Grants, &messages.BeginGrant{Item: a.item.Item, Error: messages.FromError(
				model.Errorf(model.CodeUnavailable, "begin", "the catalog does not say how the tenant stands to its limit; try again"))})
			continue
		}
		w := r.Writes[i]
		held, err := c.desk.ledger.Reserve(
			quota.Account{Limited: w.Limited, LimitBytes: w.LimitBytes, UsedBytes: w.UsedBytes},
			quota.Ask{Key: quota.Key{Session: a.session, Write: a.item.Write}, Tenant: a.item.Tenant, MoreBytes: w.MoreBytes, Upload: a.item.Upload},
			ctx.Now())
		if err != nil {
			last.Grants = append(last.Grants, &messages.BeginGrant{Item: a.item.Item, Error: messages.FromError(err)})
			continue
		}
		g := c.room(ctx, a.session, a.item, given)
		if g.Reserved = held; held {
			g.Write = a.item.Write
		}
		last.Grants = append(last.Grants, g)
	}
	for i, reply := range replies {
		ctx.Send(askers[i], reply)
	}
}

// room grants a volume to an item that wants one now.
func (c *Coordinator) room(ctx *runtime.Context, session uint64, item *messages.BeginItem, given together) *messages.BeginGrant {
	if item.ReserveOnly {
		return &messages.BeginGrant{Item: item.Item}
	}
	return c.grant(ctx, session, item, given)
}

// onReleaseQuota ends the holds of writes that were given up.
func (c *Coordinator) onReleaseQuota(m *messages.ReleaseQuota) {
	for _, write := range m.Writes {
		c.desk.ledger.Release(quota.Key{Session: m.Session, Write: write})
	}
}

// learnLimits asks for the tenants' limits once the start of this master is in the log:
// before that the catalog may lack what earlier masters have logged.
func (c *Coordinator) learnLimits(ctx *runtime.Context) {
	if c.desk.limited == nil {
		c.askStand(ctx, &messages.QuotaStand{All: true})
	}
}

// tendQuotas looks after what may have been lost: holds of gateways that are gone,
// questions without an answer.
func (c *Coordinator) tendQuotas(ctx *runtime.Context) {
	d := &c.desk
	if n := d.ledger.Expire(ctx.Now()); n > 0 {
		ctx.Log().Warn("reservations were not heard of for their lease and have expired", "writes", n)
	}
	if d.lookup != 0 && ctx.Now().Sub(d.since) >= standPatience {
		d.lookup, d.judged = 0, nil // the gateways repeat what they began
	}
	c.askQuota(ctx)
	stand := &messages.QuotaStand{Sessions: d.ledger.Sessions(), Uploads: d.ledger.Uploads()}
	if len(stand.Sessions)+len(stand.Uploads) > 0 {
		c.askStand(ctx, stand)
	}
}

// onDescribeReserved tells the bursar what is reserved.
func (c *Coordinator) onDescribeReserved(ctx *runtime.Context, m *messages.DescribeReserved) {
	r := &messages.DescribeReservedReply{Header: messages.ReplyHeader(m.Header), ReservedBytes: make([]int64, 0, len(m.Tenants))}
	for _, tenant := range m.Tenants {
		r.ReservedBytes = append(r.ReservedBytes, c.desk.ledger.Reserved(tenant))
	}
	ctx.Reply(r)
}
