package httpapi

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type listedFile struct {
	Path       string `json:"path"`
	SizeBytes  int64  `json:"size_bytes"`
	Tier       int    `json:"tier"`
	Version    uint64 `json:"version"`
	ETag       string `json:"etag"`
	ModifiedAt string `json:"modified_at"`
}

type listing struct {
	Files      []listedFile `json:"files"`
	Prefixes   []string     `json:"prefixes"`
	NextCursor string       `json:"next_cursor"`
}

func decodeListing(t *testing.T, r reply) (l listing) {
	t.Helper()
	require.Equal(t, 200, r.status, "%s", r.body)
	dec := json.NewDecoder(strings.NewReader(string(r.body)))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&l))
	return l
}

// listAll follows the cursors of a listing to its end.
func (w *world) listAll(t *testing.T, tenant, query string) (all []string) {
	t.Helper()
	cursor := ""
	for range 100 {
		url := fileURL + "?" + query
		if cursor != "" {
			url += "&cursor=" + cursor
		}
		var headers []string
		if tenant != "" {
			headers = []string{"X-Tenant-ID: " + tenant}
		}
		page := decodeListing(t, w.do("GET", url, nil, headers...))
		for _, f := range page.Files {
			all = append(all, f.Path)
		}
		all = append(all, page.Prefixes...)
		if cursor = page.NextCursor; cursor == "" {
			return all
		}
	}
	t.Fatal("the listing does not end")
	return nil
}

func TestJSONBody_IsReadStrictly(t *testing.T) {
	w := inMemory(t, Config{})
	post := func(body string) reply {
		return w.do("POST", "http://tiercel/api/v1/storage/move", strings.NewReader(body))
	}
	w.put("/a", []byte("x"))
	for body, want := range map[string]string{
		``:                                      "one JSON object",
		`[]`:                                    "one JSON object",
		`null`:                                  "one JSON object",
		`"a"`:                                   "one JSON object",
		`{`:                                     "not valid JSON",
		`{"from":"/a"`:                          "not valid JSON",
		`{"from":"/a",}`:                        "not valid JSON",
		`{"from" "/a"}`:                         "not valid JSON",
		`{"from":"/a" "to":"/b"}`:               "not valid JSON",
		`{"from":nope}`:                         "not valid JSON",
		`{"from":"/a","to":"/b"}{}`:             "goes on after",
		`{"from":"/a","to":"/b"} x`:             "goes on after",
		`{"from":"/a","from":"/a","to":"/b"}`:   `"from" is given twice`,
		`{"form":"/a","to":"/b"}`:               `did you mean "from"?`,
		`{"From":"/a","to":"/b"}`:               `did you mean "from"?`,
		`{"from":"/a","to":"/b","over":true}`:   "did you mean \"overwrite\"?",
		`{"from":["/a"],"to":"/b"}`:             "plain value",
		`{"from":{},"to":"/b"}`:                 "plain value",
		`{"from":1,"to":"/b"}`:                  "must be a string",
		`{"from":"/a"}`:                         `"to"`,
		`{"from":"a","to":"/b"}`:                "must start with",
		`{"from":"/../a","to":"/b"}`:            "segment",
		`{"from":"/a\u0000","to":"/b"}`:         "control character",
		`{"from":"/\ud800","to":"/b"}`:          "UTF-8",
		`{"from":"/\ud800\u0041","to":"/b"}`:    "UTF-8",
		`{"from":"/\udc00","to":"/b"}`:          "UTF-8",
		"{\"from\":\"/\xff\",\"to\":\"/b\"}":    "UTF-8",
		`{"from":"/a","to":"/b","overwrite":1}`: "true or false",
	} {
		e := wantError(t, post(body), 400, "invalid_argument")
		assert.Contains(t, e.Error.Message, want, body)
	}
	wantError(t, post(`{"from":"/`+strings.Repeat("a", maxJSONBytes)+`"}`), 413, "too_large")
	wantError(t, w.do("POST", "http://tiercel/api/v1/storage/move", struct{ *strings.Reader }{strings.NewReader(strings.Repeat(" ", maxJSONBytes+1))}), 413, "too_large")
	assert.Equal(t, 200, post(` {"from":"\/a","to":"/\ud83d\ude00","overwrite":null} `+"\n").status)
	assert.Equal(t, []string{"/😀"}, w.listAll(t, "", ""))
}

func TestQuery_UnknownParametersNameTheNearestOne(t *testing.T) {
	w := inMemory(t, Config{})
	for query, want := range map[string]string{
		"prefx=/a":                            `did you mean "prefix"?`,
		"Limit=3":                             `did you mean "limit"?`,
		"curser=x":                            `did you mean "cursor"?`,
		"q=1":                                 "known are prefix, delimiter, limit, cursor",
		"limit=1&limit=1":                     "given twice",
		"prefix=%zz":                          "percent-encoded",
		"prefix=%ff":                          "percent-encoded",
		"limit=0":                             "from 1 to 1000",
		"limit=1001":                          "from 1 to 1000",
		"limit=-1":                            "from 1 to 1000",
		"limit=":                              "from 1 to 1000",
		"delimiter=ab":                        "2 characters",
		"delimiter=-":                         "not supported",
		"prefix=a":                            "must start with",
		"prefix=/../a":                        "segment",
		"prefix=/a//b":                        "empty segment",
		"cursor=!!":                           "cursor",
		"cursor=AAAAAAAAAAA":                  "cursor",
		"cursor=" + strings.Repeat("A", 2000): "cursor",
	} {
		e := wantError(t, w.do("GET", fileURL+"?"+query, nil), 400, "invalid_argument")
		assert.Contains(t, e.Error.Message, want, query)
	}
	e := wantError(t, w.do("GET", "http://tiercel/api/v1/storage/cluster/status?verbose=1", nil), 400, "invalid_argument")
	assert.Contains(t, e.Error.Message, "none are taken here")
}

func TestList_PagesThroughEverythingInOrder(t *testing.T) {
	w := inMemory(t, Config{})
	var want []string
	for _, p := range []string{"/a/1", "/a/2", "/a/b/3", "/a/b/4", "/c", `/d "q" ä`} {
		w.put((&url.URL{Path: p}).EscapedPath(), []byte(p))
		want = append(want, p)
	}
	assert.Equal(t, want, w.listAll(t, "", "limit=1"))
	assert.Equal(t, want, w.listAll(t, "", "limit=4"))
	assert.Equal(t, want, w.listAll(t, "", "prefix=/"))
	assert.Equal(t, []string{"/a/1", "/a/2", "/a/b/"}, w.listAll(t, "", "prefix=/a/&delimiter=/&limit=1"))
	assert.Empty(t, w.listAll(t, "other", "limit=1000"))

	r := w.do("GET", fileURL+"?prefix=%2Fa%2F&limit=1", nil)
	page := decodeListing(t, r)
	require.Len(t, page.Files, 1)
	f := page.Files[0]
	assert.Equal(t, listedFile{Path: "/a/1", SizeBytes: 4, Tier: 1, Version: 1, ETag: w.get("/a/1").header.Get("ETag"), ModifiedAt: "2026-03-04T05:06:07.089Z"}, f)
	assert.Contains(t, string(r.body), `"prefixes":[]`)

	// A cursor belongs to its listing.
	for _, other := range []string{"?cursor=", "?prefix=/a/b&cursor=", "?prefix=/a/&delimiter=/&cursor="} {
		wantError(t, w.do("GET", fileURL+other+page.NextCursor, nil), 400, "invalid_argument")
	}
	wantError(t, w.do("GET", fileURL+"?prefix=/a/&cursor="+page.NextCursor, nil, "X-Tenant-ID: other"), 400, "invalid_argument")
	assert.Equal(t, 200, w.do("GET", fileURL+"?prefix=/a/&cursor="+page.NextCursor, nil).status)
}
