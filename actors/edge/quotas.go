package edge

import (
	"context"

	"tiercel/messages"
)

// Quotas returns a page of tenants behind a name, or with tenant only that one: limit,
// usage, what is reserved, and when it will be full.
func (c *Client) Quotas(ctx context.Context, tenant, after string, limit uint32) (*messages.ListQuotasReply, error) {
	return consult[*messages.ListQuotasReply](ctx, c, "list quotas",
		&messages.ListQuotas{Header: &messages.Header{}, Tenant: tenant, After: after, Limit: limit})
}

// ChangeQuota sets the limit of a tenant, or with nil takes it away.
func (c *Client) ChangeQuota(ctx context.Context, tenant string, limitBytes *int64) (*messages.ChangeQuotaReply, error) {
	change := &messages.ChangeQuota{Header: &messages.Header{}, Tenant: tenant, Remove: limitBytes == nil}
	if limitBytes != nil {
		change.LimitBytes = *limitBytes
	}
	return consult[*messages.ChangeQuotaReply](ctx, c, "change a quota", change)
}

// VerifyQuotas adds up every file and returns where usage is counted wrongly.
func (c *Client) VerifyQuotas(ctx context.Context) (*messages.VerifyQuotasReply, error) {
	return consult[*messages.VerifyQuotasReply](ctx, c, "verify quotas", &messages.VerifyQuotas{Header: &messages.Header{}})
}
