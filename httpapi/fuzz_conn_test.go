package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// recorded is a connection whose client has sent all it will and ended its side.
type recorded struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *recorded) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *recorded) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *recorded) Close() error                     { return nil }
func (c *recorded) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (c *recorded) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }
func (c *recorded) SetDeadline(time.Time) error      { return nil }
func (c *recorded) SetReadDeadline(time.Time) error  { return nil }
func (c *recorded) SetWriteDeadline(time.Time) error { return nil }

// speak has a server answer raw as the bytes of one connection.
func speak(t *testing.T, raw []byte) (gw *fakeGateway, answer []byte, broken []string) {
	t.Helper()
	return speakTo(t, Config{}, raw)
}

func speakTo(t *testing.T, cfg Config, raw []byte) (gw *fakeGateway, answer []byte, broken []string) {
	t.Helper()
	gw = willing()
	answer, broken = speakWith(t, cfg, gw, raw)
	return gw, answer, broken
}

// willing is a fake that has something to say to every route.
func willing() *fakeGateway {
	gw := newFake()
	gw.onRetier = func(*model.RetierRequest) (*model.RetierResult, error) { return &model.RetierResult{}, nil }
	gw.status = func() (*messages.ClusterStatusReply, error) { return &messages.ClusterStatusReply{}, nil }
	gw.license = &messages.LicenseInfo{Level: "free"}
	gw.backup.content = []byte("snapshot")
	return gw
}

func speakWith(t *testing.T, cfg Config, gw Gateway, raw []byte) (answer []byte, broken []string) {
	t.Helper()
	log := &bytes.Buffer{}
	cfg.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))
	s := New(cfg, gw)
	c := &recorded{in: bytes.NewReader(raw)}
	own := &conn{Conn: c, owner: newListener(nil, &s.cfg, s.met, s.refusedConnection)}
	_ = s.http.ServeConn(own) // an error is a connection that was ended
	for _, line := range strings.Split(log.String(), "\n") {
		if strings.Contains(line, "panic") {
			broken = append(broken, line)
		}
	}
	require.Zero(t, s.inFlight.Load(), "a request is not closed in the accounts")
	return c.out.Bytes(), broken
}

// FuzzConnection sends any bytes as one connection: whatever they are, nothing breaks,
// every answer is HTTP with a status of ours, an error has its form, and what is stored
// was sent.
func FuzzConnection(f *testing.F) {
	put := "PUT " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\n"
	for _, seed := range []string{
		"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /nothing HTTP/1.1\r\nHost: h\r\n\r\n",
		put + "Content-Length: 5\r\n\r\nhelloGET " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nRange: bytes=1-2,4-\r\n\r\n",
		put + "Transfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
		put + "Expect: 100-continue\r\nContent-Length: 1\r\nX-Meta-A: b\r\n\r\na",
		put + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST " + basePath + "/move HTTP/1.1\r\nHost: h\r\nContent-Length: 23\r\n\r\n{\"from\":\"/a\",\"to\":\"/b\"}",
		"PUT " + basePath + "/cluster/config HTTP/1.1\r\nHost: h\r\nIf-Match: *\r\nContent-Length: 2\r\n\r\n{}",
		"PUT " + basePath + "/tiers/3/config HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n{\"copies\":2}",
		"GET " + basePath + "/files?prefix=/a&limit=2&delimiter=/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET http://h" + basePath + "/cluster/placement/explain?path=/a&tier=9 HTTP/1.0\r\n\r\n",
		"POST " + basePath + "/quotas HTTP/1.1\r\nHost: h\r\nContent-Length: 32\r\n\r\n{\"tenant\":\"acme\",\"limit_bytes\":1}",
		"PUT " + basePath + "/license HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		"POST " + basePath + "/copy HTTP/1.1\r\nHost: h\r\nContent-Length: 23\r\n\r\n{\"from\":\"/a\",\"to\":\"/b\"}",
		"POST " + basePath + "/retier HTTP/1.1\r\nHost: h\r\nContent-Length: 22\r\n\r\n{\"path\":\"/a\",\"tier\":2}",
		"POST " + basePath + "/cluster/scrub HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\n\r\n{}",
		"POST " + basePath + "/cluster/master/promote HTTP/1.1\r\nHost: h\r\nContent-Length: 19\r\n\r\n{\"worker_id\":\"n-1\"}",
		"GET " + basePath + "/quotas?tenant=acme&limit=2 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer acme-ro\r\n\r\n",
		"POST " + basePath + "/quotas/verify HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer all-admin\r\nContent-Length: 0\r\n\r\n",
		"PUT " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nauthorization: bearer acme-rw\r\nX-Tenant-ID: acme\r\nContent-Length: 1\r\n\r\naGET " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer umbrella\r\n\r\n",
		"PUT " + basePath + "/license HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer all-admin\r\nContent-Length: 9\r\n\r\nTIERCEL a",
		"POST " + basePath + "/batch?prefix=/p&tier=2 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer acme-rw\r\nContent-Type: application/x-ndjson\r\nContent-Length: 34\r\n\r\n{\"path\":\"/a\",\"data_base64\":\"eA==\"}",
		"POST " + basePath + "/batch/read HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer acme-ro\r\nContent-Length: 16\r\n\r\n{\"paths\":[\"/a\"]}",
		"POST " + basePath + "/cluster/rebalance HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer all-rw\r\nContent-Length: 16\r\n\r\n{\"dry_run\":true}",
		"GET " + basePath + "/cluster/backup HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer all-admin\r\n\r\n",
		"DELETE " + filesPrefix + "%61 HTTP/1.1\r\nHost: h\r\nIf-Match: \"x\", W/\"y\"\r\n\r\n", "\x16\x03\x01\x00", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 64<<10 {
			return
		}
		gw, answer, broken := speak(t, raw)
		require.Empty(t, broken)
		for _, p := range gw.puts {
			stored := gw.contents[100+gw.files[p.Tenant+"\x00"+p.Path].row.Version]
			require.True(t, scattered(stored, raw), "stored %q of a connection without it", stored)
		}
		readAnswers(t, answer)

		// Nobody who sends it knows a token: nothing is stored or told.
		gw, answer, broken = speakTo(t, Config{Tokens: bearers{}, Audit: func(a Action) { t.Errorf("done by nobody: %+v", a) }, Refused: func(a Action) {
			require.Equal(t, Action{At: a.At, RequestID: a.RequestID, Remote: "127.0.0.1:2", Method: a.Method, Route: a.Route, Outcome: "unauthenticated", Status: 401, Detail: a.Detail}, a)
			require.Less(t, len(a.RequestID)+len(a.Detail), 1<<10)
		}}, raw)
		require.Empty(t, broken)
		require.Empty(t, gw.puts)
		readAnswers(t, answer)

		// Who sends one gets what it allows: everything is of a tenant that it reaches, and
		// only who manages the cluster is in the audit log.
		gw, answer, broken = speakTo(t, Config{Tokens: testBearers, Audit: func(a Action) {
			require.NotNil(t, testBearers[a.Name], "done by %q", a.Name)
			require.True(t, a.Outcome != Done || a.Name == "all-admin", "%+v", a)
		}}, raw)
		require.Empty(t, broken)
		for _, p := range gw.puts {
			require.True(t, namedIn(raw, p.Tenant), "stored for %q by a connection without a token for it", p.Tenant)
		}
		readAnswers(t, answer)
	})
}

// namedIn reports whether a connection has a token in it that may write for a tenant.
func namedIn(raw []byte, tenant string) bool {
	for secret, who := range testBearers {
		if who.Role.Includes(model.RoleReadWrite) && bytes.Contains(raw, []byte(secret)) {
			if _, err := who.TenantFor(tenant); err == nil {
				return true
			}
		}
	}
	return false
}

// scattered reports whether part is in whole in this order, perhaps with gaps, as the
// chunks of a body are.
func scattered(part, whole []byte) bool {
	for _, b := range whole {
		if len(part) > 0 && part[0] == b {
			part = part[1:]
		}
	}
	return len(part) == 0
}

func readAnswers(t *testing.T, answer []byte) {
	br := bufio.NewReader(bytes.NewReader(answer))
	for {
		if _, err := br.Peek(1); err == io.EOF {
			return
		}
		// Whether it answers a HEAD is not known here: then there is no body, and what
		// follows begins the next answer.
		head, err := http.ReadResponse(br, &http.Request{Method: "HEAD"})
		require.NoError(t, err, "%.300q", answer)
		require.True(t, head.StatusCode == 100 || knownStatus(head.StatusCode), "status %d", head.StatusCode)
		if rest, err := br.Peek(5); len(head.TransferEncoding) > 0 && err == nil && string(rest) != "HTTP/" {
			_, err := io.Copy(io.Discard, httputil.NewChunkedReader(br))
			require.NoError(t, err, "%.300q", answer)
			end, err := br.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "\r\n", end)
		} else if head.ContentLength > 0 && (err != nil || string(rest) != "HTTP/") {
			body := make([]byte, head.ContentLength)
			_, err := io.ReadFull(br, body)
			require.NoError(t, err, "an answer is shorter than it says")
			if head.StatusCode >= 400 {
				require.True(t, bytes.HasPrefix(body, []byte(`{"error":{"code":"`)), "%s", body)
			}
		}
	}
}

func knownStatus(status int) bool {
	for _, a := range statuses {
		if a.status == status {
			return true
		}
	}
	switch status {
	case fasthttp.StatusOK, fasthttp.StatusCreated, fasthttp.StatusAccepted, fasthttp.StatusNoContent, fasthttp.StatusPartialContent, fasthttp.StatusNotModified:
		return true
	}
	return false
}

func TestSpeak_TheConnectionOfTheFuzzTargetIsARealOne(t *testing.T) {
	body := "hello"
	gw, answer, broken := speak(t, []byte(fmt.Sprintf("PUT %sa HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%sGET %sa HTTP/1.1\r\nHost: h\r\n\r\n", filesPrefix, len(body), body, filesPrefix)))
	require.Empty(t, broken)
	require.Len(t, gw.puts, 1)
	require.Contains(t, string(answer), "HTTP/1.1 201 Created\r\n")
	require.True(t, bytes.HasSuffix(answer, []byte("\r\n\r\nhello")))
	require.False(t, scattered([]byte("ba"), []byte("ab")))
}
