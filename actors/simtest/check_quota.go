package simtest

import (
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/quota"
	"tiercel/messages"
)

// lookAtQuota checks invariant 5 in a catalog: usage is above a limit only as far as it
// was when the limit was set, and is what the files come to.
func (s *story) lookAtQuota(h *host) {
	place := placeOf(h.catalog)
	if h.quotaAt == place {
		return
	}
	h.quotaAt = place
	for _, name := range h.catalog.Limited() {
		row, _ := h.catalog.Tenant(name)
		s.count("state looked at with a limit")
		if row.UsedBytes > max(row.LimitBytes, row.UsedWhenLimitedBytes) {
			s.violate("tenant %s uses %d bytes of %d at index %d (%d when that was set)", name, row.UsedBytes, row.LimitBytes, place.index, row.UsedWhenLimitedBytes)
		}
	}
	for _, d := range h.catalog.Miscounted() {
		s.violate("tenant %s counts %d bytes in %d files at index %d, and its files come to %d in %d",
			d.Tenant, d.CountedBytes, d.CountedFiles, place.index, d.FoundBytes, d.FoundFiles)
	}
}

// scheduleQuotas has an operator limit the clients' tenant in every third run with
// faults, change the limit, and take it away.
func (s *story) scheduleQuotas(horizon time.Duration) {
	if s.params.Seed%3 != 1 || len(s.params.Faults) == 0 {
		return
	}
	s.quotas = true
	random := rand.New(rand.NewPCG(s.params.Seed, 0x71756f74))
	for range 3 + random.IntN(5) {
		at, limit, draw := time.Duration(random.Int64N(int64(horizon))), 500+random.Int64N(9000), random.IntN(8)
		s.world.At(at, func() {
			switch {
			case s.calm:
			case draw == 0:
				s.tell(&messages.ChangeQuota{Header: s.header(), Tenant: clientTenant, Remove: true})
			case draw == 1:
				s.tell(&messages.VerifyQuotas{Header: s.header()})
			default:
				s.tell(&messages.ChangeQuota{Header: s.header(), Tenant: clientTenant, LimitBytes: limit})
			}
		})
	}
}

// checkReserved waits until nothing is reserved any more, for nobody writes any more,
// and has the master verify what is counted.
func (s *story) checkReserved() {
	if !s.quotas {
		return
	}
	a := &auditor{story: s}
	rt := s.world.Client("auditor").Runtime()
	if _, err := rt.SpawnRoot("auditor", func() runtime.Actor { return a }); err != nil {
		s.violate("the auditor did not start: %v", err)
		return
	}
	if !s.world.RunUntil(func() bool { return a.released && a.verified }, quota.Lease+time.Minute) {
		s.violate("%d bytes are still reserved although nobody writes, or usage was not verified (%v)", a.reserved, a.verified)
	}
}

// auditor asks again and again how the tenants stand.
type auditor struct {
	story    *story
	reserved int64
	released bool
	verified bool
}

type auditDue struct{}

// Receive asks, and looks at what is answered.
func (a *auditor) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		a.ask(ctx)
	case auditDue:
		a.ask(ctx)
	case *messages.ListQuotasReply:
		if m.Error != nil {
			return
		}
		a.reserved = 0
		for _, q := range m.Quotas {
			a.reserved += q.ReservedBytes
		}
		a.released = a.reserved == 0
	case *messages.VerifyQuotasReply:
		a.verified = a.verified || m.Error == nil
		for _, d := range m.Differences {
			a.story.violate("quota verify found %v", d)
		}
	}
}

func (a *auditor) ask(ctx *runtime.Context) {
	if a.released && a.verified {
		return
	}
	to := ctx.Runtime().Peer(a.story.anyHost().name, gatewayPath)
	ctx.Request(to, &messages.ListQuotas{Header: a.story.header()})
	ctx.Request(to, &messages.VerifyQuotas{Header: a.story.header()})
	ctx.After(2*time.Second, auditDue{})
}
