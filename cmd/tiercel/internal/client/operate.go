package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"tiercel/cluster/model"
)

// order is a request for something to be done; its answer is a small document.
type order struct {
	op, method, path string
	query            url.Values
	header           http.Header
	body             any    // nil: none
	text             []byte // instead of body
}

// do gives an order once: a repetition could do it twice. The answer is nil when
// there is none.
func (c *Client) do(ctx context.Context, o order) (json.RawMessage, error) {
	k := &call{op: o.op, method: o.method, path: o.path, query: o.query, header: o.header}
	if o.body != nil {
		body, err := json.Marshal(o.body)
		if err != nil {
			return nil, model.Errorf(model.CodeInternal, o.op, "cannot encode the request: %w", err)
		}
		if k.header == nil {
			k.header = http.Header{}
		}
		k.header.Set("Content-Type", "application/json")
		k.length = int64(len(body))
		k.body = func() (io.Reader, error) { return bytes.NewReader(body), nil }
	}
	if o.text != nil {
		k.header = http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
		k.length = int64(len(o.text))
		k.body = func() (io.Reader, error) { return bytes.NewReader(o.text), nil }
	}
	var answer json.RawMessage
	err := c.simple(ctx, k, o.method == http.MethodGet, func(resp *http.Response) error {
		if resp.StatusCode == http.StatusNoContent {
			return nil
		}
		return decodeJSON(k.op, resp, &answer)
	})
	return answer, err
}

// limited is the body of an order to start a job; limit 0: the cluster's alone.
func limited(body map[string]any, limit int64) map[string]any {
	if limit > 0 {
		body["bandwidth_limit_bytes_per_second"] = limit
	}
	return body
}

// Rebalance starts to even out the workers, or says what would move.
func (c *Client) Rebalance(ctx context.Context, dryRun bool, limit int64) (json.RawMessage, error) {
	return c.do(ctx, order{op: "rebalance", method: http.MethodPost, path: "/cluster/rebalance", body: limited(map[string]any{"dry_run": dryRun}, limit)})
}

// Scrub starts to check every copy against its digest.
func (c *Client) Scrub(ctx context.Context, limit int64) (json.RawMessage, error) {
	return c.do(ctx, order{op: "scrub", method: http.MethodPost, path: "/cluster/scrub", body: limited(map[string]any{}, limit)})
}

// Drain starts to empty a worker, or says what would move.
func (c *Client) Drain(ctx context.Context, worker string, dryRun bool) (json.RawMessage, error) {
	o := order{op: "drain " + worker, method: http.MethodPost, path: "/cluster/workers/" + url.PathEscape(worker) + "/drain"}
	if dryRun {
		o.query = url.Values{"dry_run": {"true"}}
	}
	return c.do(ctx, o)
}

// CancelDrain lets a worker take new content again; the answer may be nil.
func (c *Client) CancelDrain(ctx context.Context, worker string) (json.RawMessage, error) {
	return c.do(ctx, order{op: "drain " + worker, method: http.MethodDelete, path: "/cluster/workers/" + url.PathEscape(worker) + "/drain"})
}

// Jobs returns the jobs of a kind and state, empty for all.
func (c *Client) Jobs(ctx context.Context, kind, state string) (json.RawMessage, error) {
	return c.do(ctx, order{op: "jobs", method: http.MethodGet, path: "/cluster/jobs", query: given("kind", kind, "state", state)})
}

// Job returns one job.
func (c *Client) Job(ctx context.Context, id string) (json.RawMessage, error) {
	return c.do(ctx, order{op: "job " + id, method: http.MethodGet, path: "/cluster/jobs/" + url.PathEscape(id)})
}

// ChangeJob tells a job to pause, resume or cancel.
func (c *Client) ChangeJob(ctx context.Context, id, verb string) (json.RawMessage, error) {
	return c.do(ctx, order{op: verb + " job " + id, method: http.MethodPost, path: "/cluster/jobs/" + url.PathEscape(id) + "/" + verb})
}

// Replication returns /cluster/replication.
func (c *Client) Replication(ctx context.Context) (json.RawMessage, error) {
	return c.do(ctx, order{op: "replication", method: http.MethodGet, path: "/cluster/replication"})
}

// Affected returns a page of /cluster/replication/files: of one tenant unless that is
// empty, in one state unless that is; cursor is empty at first.
func (c *Client) Affected(ctx context.Context, tenant, state, cursor string) (json.RawMessage, error) {
	return c.do(ctx, order{op: "replication files", method: http.MethodGet, path: "/cluster/replication/files", query: given("tenant", tenant, "state", state, "cursor", cursor)})
}

// Explain says where a path would go and why; tier and from may be empty.
func (c *Client) Explain(ctx context.Context, path string, size int64, tier, from string) (json.RawMessage, error) {
	query := given("path", path, "tier", tier, "from", from)
	if size > 0 {
		query.Set("size", strconv.FormatInt(size, 10))
	}
	return c.do(ctx, order{op: "explain " + path, method: http.MethodGet, path: "/cluster/placement/explain", query: query})
}

// Tiers returns /tiers.
func (c *Client) Tiers(ctx context.Context) (json.RawMessage, error) {
	return c.do(ctx, order{op: "tiers", method: http.MethodGet, path: "/tiers"})
}

// SetTier changes the given fields of a tier.
func (c *Client) SetTier(ctx context.Context, id string, fields map[string]any) (json.RawMessage, error) {
	return c.do(ctx, order{op: "tier " + id, method: http.MethodPut, path: "/tiers/" + url.PathEscape(id) + "/config", body: fields})
}

// Config returns /cluster/config.
func (c *Client) Config(ctx context.Context) (json.RawMessage, error) {
	return c.do(ctx, order{op: "config", method: http.MethodGet, path: "/cluster/config"})
}

// SetConfig lays a merge patch over the configuration of a version; precondition_failed
// when it is another one by now.
func (c *Client) SetConfig(ctx context.Context, version uint64, patch map[string]any) (json.RawMessage, error) {
	return c.do(ctx, order{
		op: "config", method: http.MethodPut, path: "/cluster/config", body: patch,
		header: http.Header{"If-Match": {strconv.FormatUint(version, 10)}},
	})
}

// given is a query of the pairs whose value is not empty.
func given(pairs ...string) url.Values {
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	return query
}

// License returns /license.
func (c *Client) License(ctx context.Context) (json.RawMessage, error) {
	return c.do(ctx, order{op: "license", method: http.MethodGet, path: "/license"})
}

// InstallLicense installs a signed licence and returns what is in force then.
func (c *Client) InstallLicense(ctx context.Context, text []byte) (json.RawMessage, error) {
	return c.do(ctx, order{op: "license install", method: http.MethodPut, path: "/license", text: text})
}
