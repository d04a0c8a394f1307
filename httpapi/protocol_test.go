package httpapi

import (
	"bufio"
	"io"
	"net/http"
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
	for _, url := range []string{"http://tiercel/nothing", base, base + "/", base + "/batches", base + "/files2", base + "/Files/a",
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
		{"an encoded slash", "a%2Fb", "/a/b"},
		{"dots behind an encoded slash", "..%2fa", ""},
		{"an escape of an escape is not decoded twice", "%252e%252e%252fa", "/%2e%2e%2fa"},
		{"two slashes, one encoded", "a/%2Fb", ""},
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
		if strings.HasSuffix(c.target, "://") {
			assert.Contains(t, wantError(t, r, 400, "invalid_argument").Error.Message, "two ways")
		}
	}
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

func TestDates_OfAllThreeFormsAreTaken(t *testing.T) {
	for _, form := range []string{http.TimeFormat, time.RFC850, time.ANSIC} {
		when := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		got, err := parseDate("If-Range", []byte(when.Format(form)))
		require.NoError(t, err)
		assert.True(t, when.Equal(got), form)
	}
}
