package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// wary is a gateway that believes nothing: what reaches it must satisfy what everything
// behind it relies on, and be of a tenant that the token reaches.
type wary struct {
	*fakeGateway
	who   *model.Principal
	wrong []string
}

func (g *wary) check(what string, errs ...error) {
	for _, err := range errs {
		if err != nil {
			g.wrong = append(g.wrong, fmt.Sprintf("%s: %v", what, err))
		}
	}
}

func (g *wary) own(tenant string) error {
	if err := model.CheckTenant(tenant); err != nil {
		return err
	}
	_, err := g.who.TenantFor(tenant)
	return err
}

func tierOrNone(t model.Tier) error {
	if t != model.TierUnset && !t.Valid() {
		return fmt.Errorf("the tier %d", t)
	}
	return nil
}

func (g *wary) Put(ctx context.Context, req *model.PutRequest) (*messages.PutReply, error) {
	g.check("put", g.own(req.Tenant), model.CheckPath(req.Path), tierOrNone(req.Tier), attributesOf(req))
	return g.fakeGateway.Put(ctx, req)
}

func attributesOf(req *model.PutRequest) error {
	if len(req.Meta) > model.MaxMetaEntries || len(req.ContentType) > model.MaxContentTypeBytes || len(req.IdempotencyKey) > model.MaxIdempotencyKeyBytes {
		return fmt.Errorf("beyond a limit: %+v", req)
	}
	for k, v := range req.Meta {
		if k == "" || k != strings.ToLower(k) || !isCleanText([]byte(v)) {
			return fmt.Errorf("metadata %q: %q", k, v)
		}
	}
	return nil
}

func (g *wary) PutBatch(ctx context.Context, req *model.BatchRequest, answer func(int, string, *messages.PutReply, error)) error {
	g.check("batch", g.own(req.Tenant))
	return g.fakeGateway.PutBatch(ctx, req, answer)
}

func (g *wary) Stat(ctx context.Context, tenant, path string, withVolumes bool) (*messages.StatReply, error) {
	g.check("stat", g.own(tenant), model.CheckPath(path))
	return g.fakeGateway.Stat(ctx, tenant, path, withVolumes)
}

func (g *wary) Delete(ctx context.Context, tenant, path string, cond *messages.Conditions) (*messages.CommandResult, error) {
	g.check("delete", g.own(tenant), model.CheckPath(path))
	return g.fakeGateway.Delete(ctx, tenant, path, cond)
}

func (g *wary) List(ctx context.Context, req *messages.List) (*messages.ListReply, error) {
	g.check("list", g.own(req.Tenant), model.CheckPrefix(req.Prefix))
	if req.Limit < 1 || req.Limit > model.MaxListLimit || req.Delimiter != "" && req.Delimiter != "/" {
		g.check("list", fmt.Errorf("%v", req))
	}
	return g.fakeGateway.List(ctx, req)
}

func (g *wary) Move(ctx context.Context, tenant, from, to string, overwrite bool) (*messages.CommandResult, error) {
	g.check("move", g.own(tenant), model.CheckPath(from), model.CheckPath(to))
	return g.fakeGateway.Move(ctx, tenant, from, to, overwrite)
}

func (g *wary) Copy(ctx context.Context, tenant, from, to string, overwrite bool) (*messages.PutReply, error) {
	g.check("copy", g.own(tenant), model.CheckPath(from), model.CheckPath(to))
	return g.fakeGateway.Copy(ctx, tenant, from, to, overwrite)
}

func (g *wary) Retier(ctx context.Context, req *model.RetierRequest) (*model.RetierResult, error) {
	g.check("retier", g.own(req.Tenant), model.CheckPrefix(req.Prefix))
	if (req.Path == "") == (req.Prefix == "") || !req.Tier.Valid() || !strings.HasPrefix(req.After, req.Prefix) && req.After != "" {
		g.check("retier", fmt.Errorf("%+v", req))
	}
	return g.fakeGateway.Retier(ctx, req)
}

func (g *wary) Quotas(ctx context.Context, tenant, after string, limit uint32) (*messages.ListQuotasReply, error) {
	if !g.who.Cluster() || tenant != "" {
		g.check("quotas", model.CheckTenant(tenant))
	}
	if !g.who.Cluster() && tenant != g.who.Tenant || limit < 1 || limit > maxQuotasLimit {
		g.check("quotas", fmt.Errorf("%q, %d", tenant, limit))
	}
	return g.fakeGateway.Quotas(ctx, tenant, after, limit)
}

func (g *wary) ChangeQuota(ctx context.Context, tenant string, limitBytes *int64) (*messages.ChangeQuotaReply, error) {
	g.check("change quota", model.CheckTenant(tenant))
	if limitBytes != nil && *limitBytes < 0 {
		g.check("change quota", fmt.Errorf("%d", *limitBytes))
	}
	return g.fakeGateway.ChangeQuota(ctx, tenant, limitBytes)
}

func (g *wary) ExplainPlacement(ctx context.Context, tier model.Tier, bytes uint64, from string) (*messages.ExplainPlacementReply, error) {
	if !tier.Valid() || bytes > model.MaxContentBytes {
		g.check("explain", fmt.Errorf("%d, %d", tier, bytes))
	}
	return g.fakeGateway.ExplainPlacement(ctx, tier, bytes, from)
}

// fuzzHeaders are what a fuzzed request may say; it says one of them.
var fuzzHeaders = []string{
	"X-Tenant-ID", "X-Storage-Tier", "X-Checksum-Crc32c", "Idempotency-Key", "X-Request-Id", "If-Match", "If-None-Match", "If-Range", "If-Modified-Since",
	"If-Unmodified-Since", "Range", "X-Meta-a", "Content-Type", "Content-Encoding", "Content-Range", "Expect", "Accept", "Origin",
}

// FuzzRequest sends well-framed requests to every route, as every role: each has one
// answer, never an internal error, and nothing unsound goes behind the API.
func FuzzRequest(f *testing.F) {
	routes := New(Config{}, newFake()).routes
	secrets := []string{"", "nobody", "acme-ro", "acme-rw", "acme-admin", "all-ro", "all-rw", "all-admin"}
	bodies := []string{
		"", `{"from":"/a","to":"/b","overwrite":true}`, `{"path":"/a","tier":2}`, `{"prefix":"/a","after":"/a/b","tier":3}`, `{"tenant":"acme","limit_bytes":null}`,
		`{"worker_id":"n-1"}`, `{"bandwidth_limit_bytes_per_second":5,"dry_run":true}`, `{"copies":2}`, `{"disk":{"warn_used_share":0.5}}`, "TIERCEL LICENCE",
		`{"paths":["/a"]}`, `{"path":"/a","data_base64":"eA=="}`,
	}
	for i := range routes {
		for k, body := range bodies {
			f.Add(uint8(i), uint8(i+k), "a/b", "path=/a&tier=1&size=9&from=n-1", uint8(k), "acme", []byte(body))
			f.Add(uint8(i), uint8(7), "7", "", uint8(i), "*", []byte(body))
		}
	}
	f.Add(uint8(0), uint8(7), "%61", "prefix=/a&delimiter=/&limit=5&cursor=", uint8(10), "bytes=0-1,-1", []byte{})
	f.Fuzz(func(t *testing.T, route, caller uint8, tail, query string, header uint8, value string, body []byte) {
		if strings.ContainsAny(tail+query, " \t\r\n") || strings.ContainsAny(value, "\r\n") || len(tail)+len(query)+len(value)+len(body) > 16<<10 {
			return // FuzzConnection's
		}
		rt, secret := routes[int(route)%len(routes)], secrets[int(caller)%len(secrets)]
		target := strings.NewReplacer("{path:*}", tail, "{id}", tail).Replace(rt.pattern)
		if query != "" {
			target += "?" + query
		}
		var raw bytes.Buffer
		fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s: %s\r\nContent-Length: %d\r\n", rt.method, target, fuzzHeaders[int(header)%len(fuzzHeaders)], value, len(body))
		if secret != "" {
			fmt.Fprintf(&raw, "Authorization: Bearer %s\r\n", secret)
		}
		raw.WriteString("\r\n")
		raw.Write(body)

		gw := &wary{fakeGateway: willing(), who: testBearers[secret]}
		answer, broken := speakWith(t, Config{Tokens: testBearers}, gw, raw.Bytes())
		require.Empty(t, broken)
		require.Empty(t, gw.wrong)
		statuses := finalAnswers(t, rt.method, answer)
		require.Len(t, statuses, 1, "%.300q", answer)
		require.True(t, knownStatus(statuses[0]) && statuses[0] != http.StatusInternalServerError, "%.300q", answer)
		if gw.who == nil {
			require.Empty(t, gw.puts)
		}
	})
}

// finalAnswers are the statuses of the answers but 100 Continue.
func finalAnswers(t *testing.T, method string, answer []byte) (out []int) {
	t.Helper()
	br := bufio.NewReader(bytes.NewReader(answer))
	for {
		if _, err := br.Peek(1); err == io.EOF {
			return out
		}
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		require.NoError(t, err, "%.300q", answer)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err, "%.300q", answer)
		if resp.StatusCode != http.StatusContinue {
			out = append(out, resp.StatusCode)
		}
		if rest, _ := br.Peek(9); method == "HEAD" && resp.Close && string(rest) == `{"error":` {
			return out // to what was never understood as a HEAD; the connection ends with it
		}
	}
}
