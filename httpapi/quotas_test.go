package httpapi

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestQuotas_AreListedAPageAtATime(t *testing.T) {
	w := inMemory(t, Config{})
	doc, _ := readDocument(t)
	w.gw.quotas = map[string]*messages.QuotaInfo{
		"a": {Tenant: "a", Limited: true, LimitBytes: 100, UsedBytes: 120, ReservedBytes: 7, Files: 3, FullUnixMs: 1772600767000},
		"b": {Tenant: "b", UsedBytes: 5, Files: 1},
		"c": {Tenant: "c", Limited: true, LimitBytes: 0},
	}
	r := w.do("GET", storageURL+"/quotas?limit=2", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	var page struct {
		Quotas     []json.RawMessage `json:"quotas"`
		NextCursor string            `json:"next_cursor"`
	}
	require.NoError(t, json.Unmarshal(r.body, &page))
	require.Len(t, page.Quotas, 2)
	assert.JSONEq(t, `{"tenant":"a","limit_bytes":100,"used_bytes":120,"reserved_bytes":7,"over_quota":true,"files":3,"forecast_full_at":"2026-03-04T05:06:07.000Z"}`, string(page.Quotas[0]))
	assert.JSONEq(t, `{"tenant":"b","limit_bytes":null,"used_bytes":5,"reserved_bytes":0,"over_quota":false,"files":1,"forecast_full_at":null}`, string(page.Quotas[1]))
	assertDescribed(t, doc, "QuotaList", r.body)
	assertDescribed(t, doc, "Quota", page.Quotas[0])

	r = w.do("GET", storageURL+"/quotas?limit=2&cursor="+page.NextCursor, nil)
	assert.JSONEq(t, `{"quotas":[{"tenant":"c","limit_bytes":0,"used_bytes":0,"reserved_bytes":0,"over_quota":false,"files":0,"forecast_full_at":null}],"next_cursor":""}`, string(r.body))
	r = w.do("GET", storageURL+"/quotas?tenant=b", nil)
	assert.Contains(t, string(r.body), `"tenant":"b"`)
	assert.NotContains(t, string(r.body), `"tenant":"a"`)

	for query, want := range map[string]string{
		"tenant=B!": "tenant", "limit=0": "1 to 1000", "limit=1001": "1 to 1000", "cursor=zzz": "cursor", "tenants=a": `did you mean \"tenant\"`,
	} {
		assert.Contains(t, string(w.do("GET", storageURL+"/quotas?"+query, nil).body), want, query)
	}
}

func TestQuotas_AreSetAndTakenAway(t *testing.T) {
	w := inMemory(t, Config{})
	post := func(body string) reply { return w.do("POST", storageURL+"/quotas", strings.NewReader(body)) }
	r := post(`{"tenant":"a","limit_bytes":9007199254740993}`)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.Contains(t, string(r.body), `"limit_bytes":9007199254740993`, "no digit is lost")
	assert.Contains(t, string(post(`{"tenant":"a","limit_bytes":0}`).body), `"limit_bytes":0`)
	assert.Contains(t, string(post(`{"tenant":"a","limit_bytes":null}`).body), `"limit_bytes":null`)

	w.gw.asked = nil
	for _, c := range []struct{ body, want string }{
		{`{}`, "2 problems, nothing was changed: tenant: must be given, as a string; limit_bytes: must be given"},
		{`{"tenant":"a"}`, "limit_bytes: must be given: bytes, or null"},
		{`{"tenant":"A","limit_bytes":1}`, "tenant: "},
		{`{"tenant":"","limit_bytes":1}`, "tenant: "},
		{`{"tenant":7,"limit_bytes":"1"}`, "2 problems"},
		{`{"tenant":"a","limit_bytes":-1}`, "0 or more, not -1"},
		{`{"tenant":"a","limit_bytes":1.5}`, "not 1.5"},
		{`{"tenant":"a","limit_bytes":9223372036854775808}`, "whole number"},
		{`{"tenant":"a","limit_bytes":true}`, "or null"},
		{`{"tenant":"a","limit":1}`, "unknown field"},
		{``, "one JSON object"},
	} {
		e := wantError(t, post(c.body), 400, "invalid_argument")
		assert.Contains(t, e.Error.Message, c.want, c.body)
	}
	assert.Empty(t, w.gw.asked, "nothing was changed")
}

func TestQuotas_VerifyReportsDifferences(t *testing.T) {
	w := inMemory(t, Config{})
	doc, _ := readDocument(t)
	w.gw.quotas = map[string]*messages.QuotaInfo{"a": {Tenant: "a"}}
	r := w.do("POST", storageURL+"/quotas/verify", nil)
	assert.JSONEq(t, `{"ok":true,"tenants":1,"files":7,"applied":99,"differences":[]}`, string(r.body))
	assertDescribed(t, doc, "QuotaVerification", r.body)
	w.gw.quotas["a"].UsedBytes = -1
	r = w.do("POST", storageURL+"/quotas/verify", nil)
	assert.JSONEq(t, `{"ok":false,"tenants":1,"files":7,"applied":99,"differences":[{"tenant":"a","counted_bytes":-1,"found_bytes":5,"counted_files":1,"found_files":2}]}`, string(r.body))
	w.gw.notReady = "no master"
	wantError(t, w.do("POST", storageURL+"/quotas/verify", nil), 503, "no_master")
}

func TestPut_OverTheLimitIs507WithEveryFigure(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.onPut = func(_ context.Context, _ *model.PutRequest) (*messages.PutReply, error) {
		return nil, model.Errorf(model.CodeQuotaExceeded, "reserve", "full").With("tenant", "a").With("limit_bytes", "10").
			With("used_bytes", "4").With("reserved_bytes", "3").With("asked_bytes", "5")
	}
	e := wantError(t, w.do("PUT", fileURL+"/a", strings.NewReader("12345")), 507, "quota_exceeded")
	assert.Equal(t, map[string]string{"tenant": "a", "limit_bytes": "10", "used_bytes": "4", "reserved_bytes": "3", "asked_bytes": "5"}, e.Error.Details)
}
