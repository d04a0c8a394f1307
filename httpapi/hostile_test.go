package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answers sends bytes on a connection of its own, ends the sending side, and reads
// every answer until the server closes. It fails when the server does not close, or
// says something that is no HTTP.
func (w *world) answers(raw string, methods ...string) []reply {
	w.t.Helper()
	c, err := w.dial()
	require.NoError(w.t, err)
	defer c.Close()
	require.NoError(w.t, c.SetDeadline(time.Now().Add(time.Minute)))
	go func() {
		_, _ = io.WriteString(c, raw) // fails when the server has closed
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	br := bufio.NewReader(c)
	var out []reply
	for final := 0; ; {
		if _, err := br.Peek(1); err != nil {
			require.NotErrorIs(w.t, err, errDeadline, "the connection stays open")
			return out
		}
		method := "GET"
		if final < len(methods) {
			method = methods[final]
		}
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		require.NoError(w.t, err)
		r := reply{status: resp.StatusCode, header: resp.Header}
		r.body, r.err = io.ReadAll(resp.Body)
		out = append(out, r)
		if r.status != 100 {
			final++
		}
		require.Less(w.t, len(out), 100)
	}
}

var errDeadline error = timeout{}

type timeout struct{}

func (timeout) Error() string { return "timeout" }

// Is matches every error that is a passed deadline.
func (timeout) Is(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

func TestHostile_ABodyNeverBecomesARequest(t *testing.T) {
	open := overTCP(t, Config{})
	closed, _ := overTLS(t, Config{Tokens: testBearers})
	const end = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, rt := range New(Config{}, newFake()).routes {
		path := strings.NewReplacer("{path:*}", "a", "{id}", "x").Replace(rt.pattern)
		for _, framing := range []struct{ name, head, body string }{
			{"length", fmt.Sprintf("Content-Length: %d\r\n", len(smuggled)), smuggled},
			{"chunks", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)},
			{"trailer", "Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nX-A: GET /smuggled HTTP/1.1\r\n\r\n"},
			{"expected", fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n", len(smuggled)), smuggled},
			{"to be upgraded", fmt.Sprintf("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: %d\r\n", len(smuggled)), smuggled},
		} {
			t.Run(rt.method+" "+path+" "+framing.name, func(t *testing.T) {
				for _, from := range []struct {
					w     *world
					token string
				}{{open, ""}, {closed, ""}, {closed, "Authorization: Bearer all-admin\r\n"}, {closed, "Authorization: Bearer acme-ro\r\n"}} {
					from.w.t = t
					request := rt.method + " " + path + " HTTP/1.1\r\nHost: h\r\n" + from.token + framing.head + "\r\n" + framing.body
					neverARequest(t, from.w.answers(request+end, rt.method, "GET"))
				}
			})
		}
	}
}

// neverARequest looks at the answers to one request and a probe behind it: one, and the
// probe's unless the connection was closed for safety.
func neverARequest(t *testing.T, got []reply) {
	t.Helper()
	final := got[:0:0]
	for _, r := range got {
		if r.status != 100 {
			final = append(final, r)
		}
		assert.NotContains(t, string(r.body), `nothing at \"/smuggled`, "the body was taken for a request")
	}
	require.NotEmpty(t, final)
	require.LessOrEqual(t, len(final), 2)
	if len(final) == 2 {
		assert.JSONEq(t, `{"status":"ok"}`, string(final[1].body))
	}
}

func TestHostile_FramingThatAnotherHopWouldReadOtherwiseStoresNothing(t *testing.T) {
	// In the clear, and as a server that other machines reach is: under TLS and tokens.
	open := overTCP(t, Config{})
	closed, _ := overTLS(t, Config{Tokens: testBearers})
	put := "PUT " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer acme-rw\r\n"
	chunked := put + "Transfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct{ name, raw string }{
		{"a vertical tab before chunked", put + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + smuggled},
		{"chunked with a prefix", put + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled},
		{"chunked in quotes", put + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + smuggled},
		{"chunked and identity", put + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled},
		{"chunked with a parameter", put + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" + smuggled},
		{"an empty encoding", put + "Transfer-Encoding:\r\n\r\n" + smuggled},
		{"a length of many digits", put + "Content-Length: 000000000000000000000000000000000000000000000000001x\r\n\r\na"},
		{"a length with a space within", put + "Content-Length: 1 2\r\n\r\nab"},
		{"a length with a sign", put + "Content-Length: +3\r\n\r\nabc"},
		{"a length in full-width digits", put + "Content-Length: \xef\xbc\x93\r\n\r\nabc"},
		{"a header hidden behind a bare CR", put + "X-A: b\rContent-Length: 3\r\n\r\nabc"},
		{"a header hidden behind a NUL", put + "X-A: b\x00\r\nContent-Length: 3\r\n\r\nabc"},
		{"a chunk size with a sign", chunked + "+3\r\nabc\r\n0\r\n\r\n"},
		{"a chunk size below nothing", chunked + "-3\r\nabc\r\n0\r\n\r\n"},
		{"a chunk size with 0x", chunked + "0x3\r\nabc\r\n0\r\n\r\n"},
		{"a chunk size with a space before", chunked + " 3\r\nabc\r\n0\r\n\r\n"},
		{"a chunk size with an underscore", chunked + "0_3\r\nabc\r\n0\r\n\r\n"},
		{"an empty chunk size", chunked + "\r\nabc\r\n0\r\n\r\n"},
		{"a chunk size that wraps around", chunked + "10000000000000003\r\nabc\r\n0\r\n\r\n"},
		{"the largest chunk size", chunked + "7fffffffffffffff\r\nabc\r\n0\r\n\r\n"},
		{"a chunk extension that ends in a bare LF", chunked + "3;a\nabc\r\n0\r\n\r\n" + smuggled},
		{"a chunk size that ends in a bare CR", chunked + "3\rabc\r\n0\r\n\r\n"},
		{"two bytes that are no CR LF behind a chunk", chunked + "3\r\nabcXX0\r\n\r\n" + smuggled},
		{"a last chunk with a bare LF", chunked + "3\r\nabc\r\n0\n\n" + smuggled},
		{"a trailer without a colon", chunked + "3\r\nabc\r\n0\r\nnonsense\r\n\r\n" + smuggled},
		{"a trailer with a length", chunked + "3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n" + smuggled},
		{"a trailer with an encoding", chunked + "3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled},
		{"a flood of trailers", chunked + "3\r\nabc\r\n0\r\n" + strings.Repeat("X-A: b\r\n", 100_000) + "\r\n"},
		{"a chunk extension without end", chunked + "3;" + strings.Repeat("a", 4<<20) + "\r\nabc\r\n0\r\n\r\n"},
		{"chunks in HTTP/1.0", strings.Replace(chunked, "HTTP/1.1", "HTTP/1.0", 1) + "3\r\nabc\r\n0\r\n\r\n" + smuggled},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, w := range []*world{open, closed} {
				w.t = t
				got := w.answers(c.raw, "PUT")
				require.Len(t, got, 1, "what follows was taken for a request")
				e := wantError(t, got[0], got[0].status, codeOf(t, got[0]))
				assert.Contains(t, []string{"invalid_argument", "too_large"}, e.Error.Code)
				assert.Empty(t, w.gw.puts)
			}
		})
	}
}

func codeOf(t *testing.T, r reply) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(r.body), `"code":"`)
	require.True(t, ok, "%d %s", r.status, r.body)
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

func TestHostile_WhatIsNoRequestIsRefusedAndTheConnectionClosed(t *testing.T) {
	open := overTCP(t, Config{MaxHeaderBytes: 8 << 10})
	closed, _ := overTLS(t, Config{MaxHeaderBytes: 8 << 10, Tokens: testBearers})
	host := " HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, c := range []struct {
		name, raw string
		silence   bool // closing without a word is right, too
	}{
		{"a TLS greeting", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\xa5", 500), false},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", false},
		{"HTTP/0.9", "GET /\r\n\r\n", false},
		{"HTTP/1.2", "GET /healthz HTTP/1.2\r\nHost: h\r\n\r\n", false},
		{"http in lower case", "GET /healthz http/1.1\r\nHost: h\r\n\r\n", false},
		{"a version with a sign", "GET /healthz HTTP/+1.1\r\nHost: h\r\n\r\n", false},
		{"no target", "GET  HTTP/1.1\r\nHost: h\r\n\r\n", false},
		{"two spaces", "GET  /healthz HTTP/1.1\r\nHost: h\r\n\r\n", false},
		{"tabs for spaces", "GET\t/healthz\tHTTP/1.1\r\nHost: h\r\n\r\n", false},
		{"a space in the target", "GET /heal thz HTTP/1.1\r\nHost: h\r\n\r\n", false},
		{"a NUL in the target", "GET " + filesPrefix + "a\x00b" + host, false},
		{"a control character in the target", "GET " + filesPrefix + "a\x01b" + host, false},
		{"a bare CR in the target", "GET " + filesPrefix + "a\rb" + host, false},
		{"a DEL in the target", "GET " + filesPrefix + "a\x7fb" + host, false},
		{"a NUL in the method", "GE\x00T /healthz" + host, false},
		{"a method of brackets", "(GET) /healthz" + host, false},
		{"an empty method", " /healthz" + host, false},
		{"a method without end", strings.Repeat("A", 64<<10), false},
		{"a target without end", "GET /" + strings.Repeat("a", 64<<10), false},
		{"a query without end", "GET /healthz?" + strings.Repeat("a=b&", 16<<10) + host, false},
		{"a header without end", "GET /healthz HTTP/1.1\r\nHost: h\r\nX-A: " + strings.Repeat("a", 64<<10), false},
		{"a name without end", "GET /healthz HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a", 64<<10), false},
		{"a flood of headers", "GET /healthz HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", 100_000) + "\r\n", false},
		{"a flood of empty lines", strings.Repeat("\r\n", 1<<20), true},
		{"a flood of NULs", strings.Repeat("\x00", 1<<20), false},
		{"half a request line", "GET /hea", true},
		{"half a header", "GET /healthz HTTP/1.1\r\nHos", false},
		{"nothing", "", true},
		{"overlong percent-encoding", "GET " + filesPrefix + strings.Repeat("%25", 2000) + host, false},
		{"a tunnel", "CONNECT internal:22 HTTP/1.1\r\nHost: internal:22\r\n\r\n", false},
		{"an empty host", "GET http:///healthz HTTP/1.1\r\nHost: \r\n\r\n", true},
		{"another scheme", "GET gopher://h/healthz" + host, true},
		{"a host with a path", "GET /healthz HTTP/1.1\r\nHost: h/../evil\r\n\r\n", true},
		{"a host with a user", "GET http://user:secret@h/healthz" + host, true},
		{"two hosts that differ", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, w := range []*world{open, closed} {
				w.t = t
				noRequest(t, w.answers(c.raw), c.silence)
			}
		})
	}
	for _, w := range []*world{open, closed} {
		assert.Empty(t, w.gw.puts)
		assert.Eventually(t, func() bool { return w.server.inFlight.Load() == 0 }, longEnough, 5*time.Millisecond)
		assert.Eventually(t, func() bool { return w.server.connections() == 0 }, longEnough, 5*time.Millisecond)
	}
}

// noRequest wants one refusal, or none where silence will do.
func noRequest(t *testing.T, got []reply, silence bool) {
	t.Helper()
	if len(got) == 0 {
		assert.True(t, silence, "closed without a word")
		return
	}
	require.Len(t, got, 1)
	if silence && got[0].status == 200 {
		assert.NotContains(t, string(got[0].body), "secret")
		return // taken as the path it names
	}
	wantError(t, got[0], got[0].status, codeOf(t, got[0]))
	assert.Equal(t, 4, got[0].status/100, "%s", got[0].body)
	assert.NotContains(t, string(got[0].body), "secret")
}

func TestHostile_GarbageBehindARequestEndsTheConnectionAfterItsAnswer(t *testing.T) {
	open := overTCP(t, Config{})
	closed, _ := overTLS(t, Config{Tokens: testBearers})
	const good = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, garbage := range map[string]string{
		"bytes": "\xff\xfe\xfd\xfc\r\n\r\n", "a body without a length": "hello, world\r\n\r\n", "half a request": "GET /heal", "a TLS greeting": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, w := range []*world{open, closed} {
				w.t = t
				got := w.answers(good + good + garbage + good)
				require.GreaterOrEqual(t, len(got), 2)
				require.LessOrEqual(t, len(got), 3)
				assert.Equal(t, 200, got[0].status)
				assert.Equal(t, 200, got[1].status)
				if len(got) == 3 {
					wantError(t, got[2], 400, "invalid_argument")
				}
			}
		})
	}
}

func TestHostile_PipelinedRequestsWhoseAnswersNobodyReadsAreCutOff(t *testing.T) {
	w := overTCP(t, Config{StallTimeout: 60 * time.Millisecond})
	w.stored("/big", pattern(1<<20))
	c, _ := w.send("", false)
	sent := make(chan int)
	go func() {
		n := 0
		for ; n < 100_000; n++ {
			if _, err := io.WriteString(c, "GET "+filesPrefix+"big HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
				break
			}
		}
		sent <- n
	}()
	assert.Less(t, <-sent, 100_000, "everything was taken in")
	w.client.CloseIdleConnections()
	assert.Eventually(t, func() bool { return w.server.connections() == 0 }, longEnough, 5*time.Millisecond)
	assert.Zero(t, w.server.inFlight.Load())
}

func TestHostile_ExpectIsNoWayAroundTheChecks(t *testing.T) {
	open := overTCP(t, Config{})
	closed, _ := overTLS(t, Config{Tokens: testBearers})
	put := "PUT " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer acme-rw\r\n"
	for _, c := range []struct{ name, raw string }{
		{"twice", put + "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"},
		{"a list", put + "Expect: 100-continue, 100-continue\r\nContent-Length: 3\r\n\r\nabc"},
		{"something else", put + "Expect: 200-ok\r\nContent-Length: 3\r\n\r\nabc"},
		{"a length and chunks", put + "Expect: 100-continue\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"a body that never comes", put + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"},
		{"a body that is cut", put + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, w := range []*world{open, closed} {
				w.t = t
				var errs int
				for _, r := range w.answers(c.raw, "PUT") {
					if r.status != 100 {
						wantError(t, r, 400, "invalid_argument")
						errs++
					}
				}
				assert.Equal(t, 1, errs)
				assert.Empty(t, w.gw.puts)
			}
		})
	}
}

func TestHostile_ABodyInTheSmallestChunksIsNotTakenForFraming(t *testing.T) {
	w := overTCP(t, Config{})
	content := pattern(600_000) // 3.6 MB on the wire
	var raw strings.Builder
	raw.WriteString("PUT " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	for _, b := range content {
		raw.WriteString("1\r\n" + string([]byte{b}) + "\r\n")
	}
	raw.WriteString("0\r\n\r\n")
	got := w.answers(raw.String(), "PUT")
	require.Len(t, got, 1)
	require.Equal(t, 201, got[0].status, "%s", got[0].body)
	assert.Equal(t, content, w.get("/a").body)
}

func TestHostile_ALargePieceAtOnceIsNotTakenForFraming(t *testing.T) {
	limits := Config{}.withDefaults()
	own := &conn{Conn: &recorded{in: bytes.NewReader(pattern(64 << 20))}, owner: newListener(nil, &limits, newMetrics(prometheus.NewRegistry()), nil)}
	own.beginBody()
	b := &body{from: own, conn: own, size: 64 << 20}
	buf := make([]byte, 8<<20)
	for {
		_, err := b.Read(buf)
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
	}
	assert.NoError(t, b.failure())
}

func TestHostile_EveryRouteRefusesAQueryThatItDoesNotKnow(t *testing.T) {
	w := inMemory(t, Config{})
	for _, rt := range New(Config{}, newFake()).routes {
		if !strings.HasPrefix(rt.pattern, basePath) {
			continue // probes and documents, which monitors may decorate
		}
		if strings.HasPrefix(rt.pattern, filesPrefix) && (rt.method == "GET" || rt.method == "HEAD") {
			continue // a link to a file may carry what is none of ours
		}
		path := strings.NewReplacer("{path:*}", "a", "{id}", "1").Replace(rt.pattern)
		r := w.do(rt.method, "http://tiercel"+path+"?nonsense=1", nil)
		assert.Equal(t, 400, r.status, "%s %s: %s", rt.method, path, r.body)
		assert.Contains(t, string(r.body), "nonsense", "%s %s", rt.method, path)
	}
}
