package master

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/quota"
	"tiercel/messages"
)

// Bursar answers for the tenants' limits: lists them with what is used and reserved,
// sets and takes them away, has usage verified, and keeps the history of usage from
// which it forecasts when a tenant is full. What is reserved the coordinator knows.
type Bursar struct {
	committer
	cfg       Config
	lookups   map[uint64]pendingLookup
	described map[uint64]describing
	histories map[string]*quota.History // of tenants with a limit
	verifying []verifying
	surveyed  time.Time // when the survey under way last went on
}

type bursarDue struct{}

// pendingLookup is a question to the catalog and what to do with its answer.
type pendingLookup struct {
	since time.Time
	then  func(*runtime.Context, *messages.LookupAnswer)
}

// describing is a list that waits for what is reserved.
type describing struct {
	since time.Time
	then  func(*runtime.Context, []int64)
}

const (
	// sampleEvery is the shortest time between two samples of usage.
	sampleEvery = 5 * time.Second
	// samplePage bounds the tenants of one look at their usage.
	samplePage = 5000
	// defaultQuotasPage bounds a list that names no limit.
	defaultQuotasPage = 1000
)

func newBursar(cfg Config) *Bursar {
	return &Bursar{
		committer: newCommitter(cfg.CoordinatorPath), cfg: cfg, lookups: make(map[uint64]pendingLookup),
		described: make(map[uint64]describing), histories: make(map[string]*quota.History),
	}
}

// Receive handles one message; each case is one line.
func (b *Bursar) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		b.onStarted(ctx)
	case bursarDue:
		b.onDue(ctx)
	case *messages.LookupReply:
		b.onLookup(ctx, m)
	case *messages.CommitReply:
		b.onOutcomes(ctx, m)
	case *messages.DescribeReservedReply:
		b.onReserved(ctx, m)
	case *messages.ListQuotas:
		b.onList(ctx, m)
	case *messages.ChangeQuota:
		b.onChange(ctx, m)
	case *messages.VerifyQuotas:
		b.onVerify(ctx, m)
	}
}

func (b *Bursar) onStarted(ctx *runtime.Context) {
	b.begin(ctx)
	b.onDue(ctx)
}

// onDue takes samples, and forgets questions that were never answered.
func (b *Bursar) onDue(ctx *runtime.Context) {
	ctx.After(sampleEvery, bursarDue{})
	now := ctx.Now()
	b.committer.sweep(now)
	for id, p := range b.lookups {
		if now.Sub(p.since) > proposalPatience {
			delete(b.lookups, id)
		}
	}
	for id, d := range b.described {
		if now.Sub(d.since) > proposalPatience {
			delete(b.described, id)
		}
	}
	b.sample(ctx, "", make(map[string]bool))
}

// sample notes the usage of a page of tenants with a limit, then of the next; met are
// those of this round.
func (b *Bursar) sample(ctx *runtime.Context, after string, met map[string]bool) {
	b.ask(ctx, &messages.LookupItem{Kind: &messages.LookupItem_ListTenants{
		ListTenants: &messages.ListTenants{After: after, Limit: samplePage, LimitedOnly: true},
	}}, func(ctx *runtime.Context, a *messages.LookupAnswer) {
		page := a.GetListTenants()
		if page.GetError() != nil {
			return
		}
		for _, t := range page.GetTenants() {
			met[t.Name] = true
			if b.histories[t.Name] == nil {
				b.histories[t.Name] = &quota.History{}
			}
			b.histories[t.Name].Note(quota.Sample{At: ctx.Now(), UsedBytes: t.Row.UsedBytes}, sampleEvery)
		}
		if page.GetNext() != "" {
			b.sample(ctx, page.Next, met)
			return
		}
		for name := range b.histories {
			if !met[name] {
				delete(b.histories, name) // it has no limit any more
			}
		}
	})
}

// ask puts one question to the catalog.
func (b *Bursar) ask(ctx *runtime.Context, item *messages.LookupItem, then func(*runtime.Context, *messages.LookupAnswer)) {
	b.next++
	b.lookups[b.next] = pendingLookup{since: ctx.Now(), then: then}
	ctx.Request(ctx.Runtime().Local(b.cfg.CatalogPath), &messages.Lookup{Header: &messages.Header{Request: b.next}, Items: []*messages.LookupItem{item}})
}

func (b *Bursar) onLookup(ctx *runtime.Context, m *messages.LookupReply) {
	p, ok := b.lookups[m.Header.GetRequest()]
	if !ok || len(m.Answers) != 1 {
		return
	}
	delete(b.lookups, m.Header.GetRequest())
	p.then(ctx, m.Answers[0])
}

// onList answers with a page of tenants.
func (b *Bursar) onList(ctx *runtime.Context, m *messages.ListQuotas) {
	to, header := ctx.Sender(), messages.ReplyHeader(m.Header)
	limit := m.Limit
	if limit == 0 {
		limit = defaultQuotasPage
	}
	if m.Tenant != "" {
		if err := model.CheckTenant(m.Tenant); err != nil {
			ctx.Reply(&messages.ListQuotasReply{Header: header, Error: messages.FromError(err)})
			return
		}
	}
	b.list(ctx, &messages.ListTenants{Tenant: m.Tenant, After: m.After, Limit: limit}, func(ctx *runtime.Context, quotas []*messages.QuotaInfo, next string, err error) {
		ctx.SendBulk(to, &messages.ListQuotasReply{Header: header, Error: messages.FromError(err), Quotas: quotas, Next: next})
	})
}

// list gathers rows, reservations and forecasts of tenants.
func (b *Bursar) list(ctx *runtime.Context, m *messages.ListTenants, then func(ctx *runtime.Context, quotas []*messages.QuotaInfo, next string, err error)) {
	b.ask(ctx, &messages.LookupItem{Kind: &messages.LookupItem_ListTenants{ListTenants: m}}, func(ctx *runtime.Context, a *messages.LookupAnswer) {
		page := a.GetListTenants()
		if err := page.GetError().Err("list quotas"); err != nil {
			then(ctx, nil, "", err)
			return
		}
		names := make([]string, 0, len(page.GetTenants()))
		for _, t := range page.GetTenants() {
			names = append(names, t.Name)
		}
		b.askReserved(ctx, names, func(ctx *runtime.Context, reserved []int64) {
			quotas := make([]*messages.QuotaInfo, 0, len(names))
			for i, t := range page.GetTenants() {
				quotas = append(quotas, b.info(ctx.Now(), t, reserved[i]))
			}
			then(ctx, quotas, page.GetNext(), nil)
		})
	})
}

// askReserved asks the coordinator what is reserved for these tenants.
func (b *Bursar) askReserved(ctx *runtime.Context, tenants []string, then func(*runtime.Context, []int64)) {
	b.next++
	b.described[b.next] = describing{since: ctx.Now(), then: then}
	ctx.Request(ctx.Runtime().Local(b.cfg.CoordinatorPath), &messages.DescribeReserved{Header: &messages.Header{Request: b.next}, Tenants: tenants})
}

func (b *Bursar) onReserved(ctx *runtime.Context, m *messages.DescribeReservedReply) {
	d, ok := b.described[m.Header.GetRequest()]
	if !ok {
		return
	}
	delete(b.described, m.Header.GetRequest())
	d.then(ctx, m.ReservedBytes)
}

// info is what is known of a tenant.
func (b *Bursar) info(now time.Time, t *messages.NamedTenant, reserved int64) *messages.QuotaInfo {
	q := &messages.QuotaInfo{
		Tenant: t.Name, Limited: t.Row.Limited, LimitBytes: t.Row.LimitBytes, UsedBytes: t.Row.UsedBytes, Files: t.Row.Files, ReservedBytes: reserved,
	}
	if h := b.histories[t.Name]; h != nil && t.Row.Limited {
		if at, ok := h.FullAt(t.Row.LimitBytes, t.Row.UsedBytes, now); ok {
			q.FullUnixMs = at.UnixMilli()
		}
	}
	return q
}

// onChange sets a limit or takes it away, and answers with how the tenant stands then.
func (b *Bursar) onChange(ctx *runtime.Context, m *messages.ChangeQuota) {
	to, header := ctx.Sender(), messages.ReplyHeader(m.Header)
	cmd := &messages.Command{Kind: &messages.Command_SetQuota{SetQuota: &messages.SetQuota{Tenant: m.Tenant, LimitBytes: m.LimitBytes}}}
	if m.Remove {
		cmd.Kind = &messages.Command_RemoveQuota{RemoveQuota: &messages.RemoveQuota{Tenant: m.Tenant}}
	}
	b.commit(ctx, cmd, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		if err := outcomeError("change a quota", o); err != nil {
			ctx.Send(to, &messages.ChangeQuotaReply{Header: header, Error: messages.FromError(err)})
			return
		}
		b.list(ctx, &messages.ListTenants{Tenant: m.Tenant}, func(ctx *runtime.Context, quotas []*messages.QuotaInfo, _ string, err error) {
			r := &messages.ChangeQuotaReply{Header: header, Error: messages.FromError(err)}
			if len(quotas) == 1 {
				r.Quota = quotas[0]
			}
			ctx.Send(to, r)
		})
	})
}
