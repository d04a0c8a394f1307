package httpapi

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func TestErrors_EachCodeHasItsStatusAndForm(t *testing.T) {
	w := inMemory(t, Config{})
	want := map[model.Code]int{
		"invalid_argument": 400, "unauthenticated": 401, "permission_denied": 403, "license_denied": 403, "not_found": 404,
		"method_not_allowed": 405, "conflict": 409, "precondition_failed": 412, "too_large": 413, "range_not_satisfiable": 416,
		"overloaded": 429, "internal": 500, "corrupt": 500, "no_master": 503, "stale_epoch": 503, "insufficient_replicas": 503,
		"unavailable": 503, "outcome_unknown": 503, "deadline_exceeded": 504, "quota_exceeded": 507, "cluster_full": 507,
	}
	require.Len(t, want, len(model.Codes))
	require.Len(t, statuses, len(model.Codes))
	for _, code := range model.Codes {
		t.Run(string(code), func(t *testing.T) {
			w.gw.onStat = func(string) error {
				return model.Errorf(code, "op", "what happened: %w", io.ErrClosedPipe).With("tenant", "a").With("limit", "7")
			}
			r := w.get("/a")
			e := wantError(t, r, want[code], string(code))
			assert.Equal(t, map[string]string{"tenant": "a", "limit": "7"}, e.Error.Details)
			wait := want[code] == 503 || want[code] == 429
			assert.Equal(t, wait, r.header.Get("Retry-After") != "")
		})
	}
}

func TestErrors_RetryAfterIsWholeSecondsRoundedUp(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.onStat = func(string) error {
		return &model.Error{Code: model.CodeNoMaster, Message: "m", RetryAfter: 2100 * time.Millisecond}
	}
	assert.Equal(t, "3", w.get("/a").header.Get("Retry-After"))
}

func TestErrors_WithoutACodeTellNothingOfTheirCause(t *testing.T) {
	w := inMemory(t, Config{})
	for _, err := range []error{io.ErrClosedPipe, model.Errorf(model.CodeVolumeSealed, "secret", "secret"), model.Errorf("made_up", "secret", "secret")} {
		w.gw.onStat = func(string) error { return err }
		e := wantError(t, w.get("/a"), 500, "internal")
		assert.NotContains(t, e.Error.Message, "secret")
		assert.NotContains(t, e.Error.Message, "closed pipe")
	}
}

func TestErrors_APanicIsAnsweredAndTheServerGoesOn(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.onStat = func(string) error { panic("secret") }
	e := wantError(t, w.get("/a"), 500, "internal")
	assert.NotContains(t, e.Error.Message, "secret")
	assert.Zero(t, w.server.inFlight.Load())
	assert.Equal(t, 200, w.do("GET", "http://tiercel/healthz", nil).status)
}

func TestRequestID_IsTheClientsWhenSaneAndOursOtherwise(t *testing.T) {
	w := inMemory(t, Config{})
	seen := map[string]bool{}
	for _, c := range []struct {
		sent string
		kept bool
	}{
		{"abc-123", true}, {"urn:uuid:1/2=@", true}, {strings.Repeat("x", 128), true},
		{strings.Repeat("x", 129), false}, {"", false}, {"a b", false}, {`a"b`, false}, {"ä", false},
	} {
		got := w.get("/a", "X-Request-Id: "+c.sent).header.Get("X-Request-Id")
		assert.Equal(t, c.kept, got == c.sent, "%q became %q", c.sent, got)
		assert.NotEmpty(t, got)
		assert.False(t, seen[got], "%q came twice", got)
		seen[got] = true
	}
}

func TestRoutes_UnknownOnesAre404AndWrongMethods405(t *testing.T) {
	w := inMemory(t, Config{})
	const base = "http://tiercel/api/v1/storage"
	for _, url := range []string{"http://tiercel/nothing", base, base + "/", base + "/batch", base + "/files2", base + "/Files/a",
		base + "/cluster/status/", "http://tiercel/healthz/", "http://tiercel/api/v1/%73torage/files/a"} {
		wantError(t, w.do("GET", url, nil), 404, "not_found")
	}
	for _, c := range []struct{ method, url, allow string }{
		{"POST", base + "/files/a", "DELETE, GET, HEAD, PUT"},
		{"PATCH", base + "/files/a", "DELETE, GET, HEAD, PUT"},
		{"OPTIONS", base + "/files/a", "DELETE, GET, HEAD, PUT"},
		{"BREW", base + "/files/a", "DELETE, GET, HEAD, PUT"},
		{"DELETE", base + "/files", "GET"},
		{"GET", base + "/move", "POST"},
		{"POST", base + "/cluster/status", "GET"},
		{"PUT", "http://tiercel/", "GET"},
	} {
		r := w.do(c.method, c.url, nil)
		wantError(t, r, 405, "method_not_allowed")
		allowed := strings.Split(r.header.Get("Allow"), ", ")
		for _, m := range strings.Split(c.allow, ", ") {
			assert.Contains(t, allowed, m, "%s %s", c.method, c.url)
		}
		assert.NotContains(t, allowed, c.method)
	}
}

func TestPath_IsDecodedOnceAndOnlyWhenItIsCanonical(t *testing.T) {
	w := overTCP(t, Config{})
	w.gw.onStat = func(path string) error { return model.Errorf(model.CodeNotFound, "stat", "path=%s", path) }
	long := strings.Repeat("x", model.MaxPathBytes-1)
	for _, c := range []struct{ name, raw, want string }{ // want "": refused
		{"plain", "a/b.txt", "/a/b.txt"},
		{"escaped letters", "%61%2Eb", "/a.b"},
		{"an escape within an escape is decoded once", "%252e%252e", "/%2e%2e"},
		{"a plus is a plus", "a+b", "/a+b"},
		{"a space", "a%20b", "/a b"},
		{"a backslash is a character", `a\..\b`, `/a\..\b`},
		{"an encoded backslash too", `a%5C..%5Cb`, `/a\..\b`},
		{"three dots", ".../a", "/.../a"},
		{"a hidden file", ".git/..a", "/.git/..a"},
		{"UTF-8, encoded", "%C3%A4", "/ä"},
		{"UTF-8, raw", "ä", "/ä"},
		{"an encoded question mark", "a%3Fb", "/a?b"},
		{"a semicolon", "a;b=1", "/a;b=1"},
		{"a URL in a path", "a:/b", "/a:/b"},
		{"as long as allowed", long, "/" + long},
		{"too long", long + "x", ""},
		{"much too long", strings.Repeat("%61", 4000), ""},
		{"nothing", "", ""},
		{"dots", "../a", ""},
		{"dots within", "a/../b", ""},
		{"dots at the end", "a/..", ""},
		{"one dot", "a/./b", ""},
		{"encoded dots", "%2e%2e/a", ""},
		{"half encoded dots", ".%2E/a", ""},
		{"an encoded slash", "a%2Fb", ""},
		{"an encoded slash, lower case", "..%2fa", ""},
		{"two slashes", "a//b", ""},
		{"two slashes before a scheme", "a://b", ""},
		{"a slash at the start", "/a", ""},
		{"a slash at the end", "a/", ""},
		{"a NUL", "a%00b", ""},
		{"a newline", "a%0Ab", ""},
		{"a DEL", "a%7fb", ""},
		{"a control character of Unicode", "a%C2%85b", ""},
		{"not UTF-8", "a%ffb", ""},
		{"overlong UTF-8", "%c0%ae%c0%ae/a", ""},
		{"a bad escape", "a%zzb", ""},
		{"a cut escape", "a%4", ""},
		{"a lone percent", "100%", ""},
		{"a fragment", "a#b", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.raw("GET " + filesPrefix + c.raw + " HTTP/1.1\r\nHost: h\r\n\r\n")
			if c.want == "" {
				wantError(t, r, 400, "invalid_argument")
				return
			}
			assert.Equal(t, "path="+c.want, wantError(t, r, 404, "not_found").Error.Message)
		})
	}
}

func TestTarget_AbsoluteFormIsAPathAndAmbiguousFormsAreRefused(t *testing.T) {
	w := overTCP(t, Config{})
	w.put("/a", []byte("x"))
	for _, c := range []struct {
		target string
		status int
	}{
		{"http://elsewhere" + filesPrefix + "a", 200},
		{"http://elsewhere" + filesPrefix + "../a", 400},
		{"/" + filesPrefix + "a", 404},
		{"//files/a", 404},
		{"//h" + filesPrefix + "a?x=http://", 400},
		{filesPrefix + "x/../a", 400},
		{"/x/.." + filesPrefix + "a", 404},
		{"http://elsewhere", 200}, // the dashboard
		{"*", 400},
		{"a", 400},
	} {
		r := w.raw("GET " + c.target + " HTTP/1.1\r\nHost: h\r\n\r\n")
		assert.Equal(t, c.status, r.status, c.target)
	}
}

func TestHeaders_WhatTwoReadersCouldUnderstandDifferentlyIsRefusedAndTheConnectionClosed(t *testing.T) {
	w := overTCP(t, Config{HeaderTimeout: 200 * time.Millisecond})
	line := "PUT " + filesPrefix + "a HTTP/1.1\r\n"
	for _, c := range []struct{ name, request string }{
		{"two lengths that differ", line + "Host: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
		{"two lengths that agree", line + "Host: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"},
		{"a list of lengths", line + "Host: h\r\nContent-Length: 1, 1\r\n\r\na"},
		{"a negative length", line + "Host: h\r\nContent-Length: -1\r\n\r\n"},
		{"a signed length", line + "Host: h\r\nContent-Length: +1\r\n\r\na"},
		{"a hexadecimal length", line + "Host: h\r\nContent-Length: 0x1\r\n\r\na"},
		{"an empty length", line + "Host: h\r\nContent-Length: \r\n\r\n"},
		{"a length beyond 64 bits", line + "Host: h\r\nContent-Length: 99999999999999999999\r\n\r\n"},
		{"a length and chunks", line + "Host: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"chunks and a length", line + "Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n"},
		{"two encodings", line + "Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"an encoding we do not know", line + "Host: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"identity", line + "Host: h\r\nTransfer-Encoding: identity\r\n\r\n"},
		{"identity and a length", line + "Host: h\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na"},
		{"a folded header", line + "Host: h\r\nX-Meta-A: b\r\n c\r\nContent-Length: 1\r\n\r\na"},
		{"a fold with a tab", line + "Host: h\r\nX-Meta-A: b\r\n\tc\r\n\r\n"},
		{"a fold that hides a length", line + "Host: h\r\nX-Meta-A: b\r\n Content-Length: 5\r\n\r\n"},
		{"a NUL in a value", line + "Host: h\r\nX-Meta-A: b\x00c\r\n\r\n"},
		{"a control character in a value", line + "Host: h\r\nX-Meta-A: b\x01c\r\n\r\n"},
		{"a DEL in a value", line + "Host: h\r\nX-Meta-A: b\x7fc\r\n\r\n"},
		{"a bare CR in a value", line + "Host: h\r\nX-Meta-A: b\rc\r\n\r\n"},
		{"a bare LF between headers", line + "Host: h\nContent-Length: 1\r\n\r\na"},
		{"a space before the colon", line + "Host: h\r\nContent-Length : 1\r\n\r\na"},
		{"a space in a name", line + "Host: h\r\nX Meta: 1\r\n\r\n"},
		{"a space before a name", line + " Host: h\r\n\r\n"},
		{"no name", line + "Host: h\r\n: x\r\n\r\n"},
		{"no colon", line + "Host: h\r\nnonsense\r\n\r\n"},
		{"a parenthesis in a name", line + "Host: h\r\nX-Meta-(a): 1\r\n\r\n"},
		{"a byte beyond ASCII in a name", line + "Host: h\r\nX-Meta-\xc3\xa4: 1\r\n\r\n"},
		{"no host", line + "\r\n"},
		{"two hosts", line + "Host: h\r\nHost: g\r\n\r\n"},
		{"another expectation", line + "Host: h\r\nExpect: gold\r\nContent-Length: 1\r\n\r\na"},
		{"two tenants", line + "Host: h\r\nX-Tenant-ID: a\r\nX-Tenant-ID: b\r\n\r\n"},
		{"two tiers", line + "Host: h\r\nX-Storage-Tier: 1\r\nX-Storage-Tier: 1\r\n\r\n"},
		{"another version", "PUT " + filesPrefix + "a HTTP/2.0\r\nHost: h\r\n\r\n"},
		{"no version", "PUT " + filesPrefix + "a\r\nHost: h\r\n\r\n"},
		{"no HTTP", "\x16\x03\x01\x00\x05hello\r\n\r\n"},
		{"too many headers", line + "Host: h\r\n" + strings.Repeat("X-A: 1\r\n", maxHeaderLines) + "\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, closed := w.exchange(c.request, true)
			e := wantError(t, r, 400, "invalid_argument")
			assert.True(t, closed, "the connection is still open")
			assert.Equal(t, strings.Contains(c.name, "fold"), strings.Contains(e.Error.Message, "folded"), e.Error.Message)
			assert.Empty(t, w.gw.puts)
		})
	}
}

func TestHeaders_BadAttributesAreRefusedBeforeTheGateway(t *testing.T) {
	w := inMemory(t, Config{MaxHeaderBytes: 64 << 10})
	many := make([]string, model.MaxMetaEntries+1)
	for i := range many {
		many[i] = "X-Meta-A" + strings.Repeat("a", i) + ": 1"
	}
	for _, c := range []struct {
		name    string
		headers []string
	}{
		{"tenant in capitals", []string{"X-Tenant-ID: Acme"}},
		{"empty tenant", []string{"X-Tenant-ID: "}},
		{"tenant with a dot", []string{"X-Tenant-ID: a.b"}},
		{"long tenant", []string{"X-Tenant-ID: " + strings.Repeat("a", 64)}},
		{"tier 0", []string{"X-Storage-Tier: 0"}},
		{"tier 4", []string{"X-Storage-Tier: 4"}},
		{"tier by name", []string{"X-Storage-Tier: critical"}},
		{"tier 01", []string{"X-Storage-Tier: 01"}},
		{"empty tier", []string{"X-Storage-Tier: "}},
		{"checksum in hex", []string{"X-Checksum-Crc32c: 9a71bb4c"}},
		{"checksum of five bytes", []string{"X-Checksum-Crc32c: AAAAAAA="}},
		{"checksum without padding", []string{"X-Checksum-Crc32c: AAAAAA"}},
		{"checksum with stray bits", []string{"X-Checksum-Crc32c: AAAAAB=="}},
		{"empty checksum", []string{"X-Checksum-Crc32c: "}},
		{"long content type", []string{"Content-Type: text/" + strings.Repeat("a", model.MaxContentTypeBytes)}},
		{"content type beyond ASCII", []string{"Content-Type: text/ä"}},
		{"empty idempotency key", []string{"Idempotency-Key: "}},
		{"long idempotency key", []string{"Idempotency-Key: " + strings.Repeat("a", model.MaxIdempotencyKeyBytes+1)}},
		{"idempotency key with a space", []string{"Idempotency-Key: a b"}},
		{"metadata that is not UTF-8", []string{"X-Meta-A: \xff"}},
		{"metadata with a tab", []string{"X-Meta-A: a\tb"}},
		{"metadata with a control character of Unicode", []string{"X-Meta-A: a\u0085b"}},
		{"metadata given twice", []string{"X-Meta-A: 1", "X-Meta-a: 2"}},
		{"too many metadata", many},
		{"too much metadata", []string{"X-Meta-A: " + strings.Repeat("a", model.MaxMetaBytes)}},
		{"a part of a file", []string{"Content-Range: bytes 0-1/3"}},
		{"encoded content", []string{"Content-Encoding: gzip"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantError(t, w.do("PUT", fileURL+"/a", strings.NewReader("x"), c.headers...), 400, "invalid_argument")
			assert.Empty(t, w.gw.puts)
		})
	}
	w.put("/a", []byte("hello"), "X-Checksum-Crc32c: mnG7TA==", "Content-Encoding: identity")
	wantError(t, w.do("PUT", fileURL+"/a", strings.NewReader("hellp"), "X-Checksum-Crc32c: mnG7TA=="), 400, "invalid_argument")
}

func TestHeaders_BeyondTheirSizeAreTooLarge(t *testing.T) {
	w := overTCP(t, Config{MaxHeaderBytes: 4 << 10})
	r, closed := w.exchange("GET /healthz HTTP/1.1\r\nHost: h\r\nX-A: "+strings.Repeat("a", 8<<10)+"\r\n\r\n", true)
	wantError(t, r, 413, "too_large")
	assert.True(t, closed)
	r, closed = w.exchange("GET /"+strings.Repeat("a", 8<<10)+" HTTP/1.1\r\nHost: h\r\n\r\n", true)
	wantError(t, r, 413, "too_large")
	assert.True(t, closed)
}

func TestExpect_RefusesBeforeTheBodyAndOtherwiseAsksForIt(t *testing.T) {
	w := overTCP(t, Config{})
	head := " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 10000\r\n"
	for _, c := range []struct {
		name, request string
		status        int
		code          string
	}{
		{"path", "PUT " + filesPrefix + "../a" + head + "\r\n", 400, "invalid_argument"},
		{"tier", "PUT " + filesPrefix + "a" + head + "X-Storage-Tier: 9\r\n\r\n", 400, "invalid_argument"},
		{"meta", "PUT " + filesPrefix + "a" + head + "X-Meta-A: \xff\r\n\r\n", 400, "invalid_argument"},
		{"condition", "PUT " + filesPrefix + "a" + head + "If-Match: x\r\n\r\n", 400, "invalid_argument"},
		{"size", "PUT " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5497558138881\r\n\r\n", 413, "too_large"},
		{"JSON size", "POST " + basePath + "/move HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n", 413, "too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, closed := w.exchange(c.request, true)
			wantError(t, r, c.status, c.code)
			assert.True(t, closed)
		})
	}

	conn, err := w.dial()
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "PUT "+filesPrefix+"a"+head+"\r\n")
	require.NoError(t, err)
	br := bufio.NewReader(conn)
	line, err := br.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = br.ReadString('\n')
	require.NoError(t, err)
	_, err = conn.Write(pattern(10000))
	require.NoError(t, err)
	assert.Equal(t, 201, readReply(t, br, "PUT").status)
	assert.Zero(t, w.server.inFlight.Load())
	assert.Equal(t, pattern(10000), w.get("/a").body)
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

func TestDates_OfAllThreeFormsAreTaken(t *testing.T) {
	for _, form := range []string{http.TimeFormat, time.RFC850, time.ANSIC} {
		when := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		got, err := parseDate("If-Range", []byte(when.Format(form)))
		require.NoError(t, err)
		assert.True(t, when.Equal(got), form)
	}
}
