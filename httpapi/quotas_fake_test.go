package httpapi

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"tiercel/messages"
)

func (g *fakeGateway) quotaOf(tenant string) *messages.QuotaInfo {
	if g.quotas == nil {
		g.quotas = map[string]*messages.QuotaInfo{}
	}
	if g.quotas[tenant] == nil {
		g.quotas[tenant] = &messages.QuotaInfo{Tenant: tenant}
	}
	return g.quotas[tenant]
}

func (g *fakeGateway) Quotas(_ context.Context, tenant, after string, limit uint32) (*messages.ListQuotasReply, error) {
	if err := g.note("quotas"); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if tenant != "" {
		return &messages.ListQuotasReply{Quotas: []*messages.QuotaInfo{proto.CloneOf(g.quotaOf(tenant))}}, nil
	}
	r := &messages.ListQuotasReply{}
	for _, name := range slices.Sorted(maps.Keys(g.quotas)) {
		switch {
		case name <= after:
		case len(r.Quotas) == int(limit):
			r.Next = r.Quotas[limit-1].Tenant
			return r, nil
		default:
			r.Quotas = append(r.Quotas, proto.CloneOf(g.quotas[name]))
		}
	}
	return r, nil
}

func (g *fakeGateway) ChangeQuota(_ context.Context, tenant string, limitBytes *int64) (*messages.ChangeQuotaReply, error) {
	if err := g.note("change quota"); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.quotaOf(tenant)
	if q.Limited = limitBytes != nil; q.Limited {
		q.LimitBytes = *limitBytes
	}
	return &messages.ChangeQuotaReply{Quota: proto.CloneOf(q)}, nil
}

func (g *fakeGateway) VerifyQuotas(context.Context) (*messages.VerifyQuotasReply, error) {
	if err := g.note("verify quotas"); err != nil {
		return nil, err
	}
	r := &messages.VerifyQuotasReply{Tenants: uint64(len(g.quotas)), Files: 7, Applied: 99}
	for _, q := range g.quotas {
		if q.UsedBytes < 0 {
			r.Differences = append(r.Differences, &messages.UsageDifference{Tenant: q.Tenant, CountedBytes: q.UsedBytes, FoundBytes: 5, CountedFiles: 1, FoundFiles: 2})
		}
	}
	return r, nil
}
