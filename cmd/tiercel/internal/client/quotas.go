package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// Quotas returns a page of /quotas, or only one tenant; cursor is empty at first.
func (c *Client) Quotas(ctx context.Context, tenant, cursor string) (json.RawMessage, error) {
	return c.do(ctx, order{op: "quota list", method: http.MethodGet, path: "/quotas", query: given("tenant", tenant, "cursor", cursor)})
}

// SetQuota sets the limit of a tenant, or with nil takes it away, and returns how the
// tenant stands then.
func (c *Client) SetQuota(ctx context.Context, tenant string, limitBytes *int64) (json.RawMessage, error) {
	return c.do(ctx, order{op: "quota " + tenant, method: http.MethodPost, path: "/quotas", body: map[string]any{"tenant": tenant, "limit_bytes": limitBytes}})
}

// VerifyQuotas has every file added up, and returns where usage is counted wrongly.
func (c *Client) VerifyQuotas(ctx context.Context) (json.RawMessage, error) {
	return c.do(ctx, order{op: "quota verify", method: http.MethodPost, path: "/quotas/verify"})
}
