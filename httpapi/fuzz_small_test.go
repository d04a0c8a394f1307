package httpapi

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// FuzzQuota reads any body as a limit: what is taken names a tenant, and says of the
// limit exactly what the JSON says, so none is taken away by mistake.
func FuzzQuota(f *testing.F) {
	for _, s := range []string{
		`{"tenant":"acme","limit_bytes":5}`, `{"tenant":"acme","limit_bytes":null}`, `{"tenant":"acme"}`, `{"limit_bytes":-1}`, `{"tenant":7,"limit_bytes":1.5}`,
		`{"tenant":"_tiercel","limit_bytes":9223372036854775808}`, `{"tenant":"a","limit_bytes":"5"}`, `{"tenant":"a","limit_bytes":1e3}`, `{"tenant":"a","limit_bytes":-0}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		obj, err := decodeObject(body, "tenant", "limit_bytes")
		if refused(t, err) {
			return
		}
		tenant, limit, err := decodeQuota(obj)
		if refused(t, err) {
			return
		}
		require.NoError(t, model.CheckTenant(tenant))
		var said struct {
			Limit *json.Number `json:"limit_bytes"`
		}
		require.NoError(t, json.Unmarshal(body, &said))
		require.Equal(t, said.Limit == nil, limit == nil)
		if limit != nil {
			require.GreaterOrEqual(t, *limit, int64(0))
			n, err := said.Limit.Int64()
			require.NoError(t, err)
			require.Equal(t, n, *limit)
		}
	})
}

// FuzzExplainQuery reads any query and tenant of an explanation.
func FuzzExplainQuery(f *testing.F) {
	for _, s := range []string{"path=/a", "tier=2&size=5", "path=/models/x&size=5497558138880&from=n-1", "path=%2f..&tier=0", "tier=", "size=-1&tier=1", "path=/%00"} {
		f.Add([]byte(s), "acme")
	}
	f.Fuzz(func(t *testing.T, query []byte, tenant string) {
		c := &call{query: query}
		if tenant != "" {
			c.h.tenant = []byte(tenant)
		}
		r, err := c.readExplain()
		if refused(t, err) {
			return
		}
		require.NoError(t, model.CheckTenant(r.tenant))
		require.True(t, r.path != "" || r.tier.Valid(), "about nothing")
		require.True(t, r.tier == model.TierUnset || r.tier.Valid())
		if r.path != "" {
			require.NoError(t, model.CheckPath(r.path))
		}
		require.LessOrEqual(t, r.size, uint64(model.MaxContentBytes))
		require.LessOrEqual(t, len(r.from), 128)
	})
}

// FuzzListQuery reads any query of a listing.
func FuzzListQuery(f *testing.F) {
	for _, s := range []string{"prefix=/a&delimiter=/&limit=1000", "limit=0", "prefix=a", "cursor=" + encodeCursor("default", "/a", "", "/a/b") + "&prefix=/a", "delimiter=%00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		c := &call{query: query}
		req, err := c.readList()
		if refused(t, err) {
			return
		}
		require.NoError(t, model.CheckPrefix(req.Prefix))
		require.True(t, req.Delimiter == "" || req.Delimiter == "/")
		require.True(t, 1 <= req.Limit && req.Limit <= model.MaxListLimit)
	})
}

// FuzzConditions reads any conditional headers, of a write and of a read, and judges a
// file by them: what cannot be understood is refused rather than left out.
func FuzzConditions(f *testing.F) {
	f.Add(`"7-0000002a"`, ``, ``, ``, ``, true)
	f.Add(``, `*`, `Wed, 04 Mar 2026 05:06:07 GMT`, ``, `"7-0000002a"`, true)
	f.Add(`W/"7-0000002a", "x"`, `"7-0000002a"`, ``, `Wednesday, 04-Mar-26 05:06:07 GMT`, `Wed Mar  4 05:06:07 2026`, false)
	f.Add(`*`, `*`, `yesterday`, `0`, `W/`, false)
	f.Fuzz(func(t *testing.T, match, noneMatch, modified, unmodified, ifRange string, mayCreate bool) {
		var h headers
		for to, text := range map[*[]byte]string{&h.ifMatch: match, &h.ifNoneMatch: noneMatch, &h.ifModifiedSince: modified, &h.ifUnmodifiedSince: unmodified, &h.ifRange: ifRange} {
			if text != "" {
				*to = []byte(text)
			}
		}
		row := &messages.FileRow{Version: 7, Crc32C: 42, ModifiedUnixMs: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixMilli()}
		if c, err := parseReadConditions(&h); !refused(t, err) {
			_ = c.rangeHolds(row)
			require.False(t, match == "" && unmodified == "" && c.judge(row) == failed, "failed by nothing")
			require.False(t, noneMatch == "" && modified == "" && c.judge(row) == notModified, "not modified since nothing")
		}
		w, err := readWriteConditions(&h, mayCreate)
		if refused(t, err) {
			return
		}
		require.True(t, modified == "" && unmodified == "", "a date was left out")
		require.False(t, w.mustNotExist && (w.mustExist || len(w.versions) > 0))
		require.False(t, w.mustNotExist && !mayCreate)
		require.Equal(t, match != "", w.mustExist || len(w.versions) > 0, "If-Match was left out: %q", match)
	})
}

// FuzzAttributes reads any value as each of the headers that say what a file is.
func FuzzAttributes(f *testing.F) {
	for _, s := range []string{"acme", "default", "_tiercel", "1", "4", "text/plain; charset=utf-8", "key-1", "", " ", "\x7f", "\xff", "ä"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if tenant, err := readTenant(value); !refused(t, err) {
			require.NoError(t, model.CheckTenant(tenant))
		}
		if tier, err := readTier(value); !refused(t, err) {
			require.True(t, tier.Valid() || value == nil)
		}
		if text, err := readContentType(value); !refused(t, err) {
			require.True(t, isVisibleASCII([]byte(text), true) && len(text) <= model.MaxContentTypeBytes)
		}
		if key, err := readIdempotencyKey(value); !refused(t, err) {
			require.True(t, isVisibleASCII([]byte(key), false) && len(key) <= model.MaxIdempotencyKeyBytes)
		}
		if saneRequestID(value) { // goes into logs and answers as it is
			require.True(t, isVisibleASCII(value, false) && len(value) <= maxRequestIDBytes)
		}
		if set, err := hasFlag(value, "receipt"); !refused(t, err) {
			require.False(t, set && len(value) == 0)
		}
	})
}
