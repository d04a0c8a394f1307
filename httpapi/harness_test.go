package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp/fasthttputil"

	"tiercel/cluster/model"
)

const fileURL = "http://tiercel/api/v1/storage/files"

// longEnough bounds a wait for what must come. It only ends a test that hangs, so it is far
// beyond what a busy machine may hold one up for.
const longEnough = 20 * time.Second

// world is a server in front of a fake gateway, and ways to talk to it.
type world struct {
	t      *testing.T
	gw     *fakeGateway
	server *Server
	dial   func() (net.Conn, error)
	client *http.Client
}

// inMemory serves over pipes in memory.
func inMemory(t *testing.T, cfg Config) *world {
	ln := fasthttputil.NewInmemoryListener()
	return serve(t, cfg, ln, func() (net.Conn, error) { return ln.Dial() })
}

// overTCP serves over loopback sockets, where closing and deadlines are real.
func overTCP(t *testing.T, cfg Config) *world {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serve(t, cfg, ln, func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) })
}

func serve(t *testing.T, cfg Config, ln net.Listener, dial func() (net.Conn, error)) *world {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	w := &world{t: t, gw: newFake(), dial: dial}
	w.server = New(cfg, w.gw)
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(ln) }()
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return dial() },
		DisableCompression: true, MaxIdleConnsPerHost: 16,
	}
	w.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_ = w.server.Shutdown(ctx) // some tests leave connections open on purpose
		assert.NoError(t, <-served)
	})
	return w
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // of reading the body
	length int64 // declared
	last   bool  // the answer ends the connection
}

// do sends one request with headers given as "Name: value".
func (w *world) do(method, url string, body io.Reader, headers ...string) reply {
	w.t.Helper()
	req, err := http.NewRequest(method, url, body)
	require.NoError(w.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header[name] = append(req.Header[name], value)
	}
	resp, err := w.client.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength, last: resp.Close}
	r.body, r.err = io.ReadAll(resp.Body)
	return r
}

func (w *world) put(path string, content []byte, headers ...string) reply {
	w.t.Helper()
	r := w.do("PUT", fileURL+path, bytes.NewReader(content), headers...)
	require.Contains(w.t, []int{200, 201}, r.status, "%s", r.body)
	return r
}

// stored puts a file behind the server, past the timeouts on trial.
func (w *world) stored(path string, content []byte) {
	w.t.Helper()
	_, err := w.gw.store(&model.PutRequest{Tenant: model.DefaultTenant, Path: path}, content)
	require.NoError(w.t, err)
}

// patiently tries up to three times what the server must not cut off. Both ends are in one
// process: when that stands still for longer than a deadline, the deadline has passed before
// anybody can look at the bytes. A server that cuts off without cause does so each time.
func patiently(t *testing.T, served func() error) {
	t.Helper()
	err := served()
	for try := 1; err != nil && try < 3; try++ {
		t.Logf("cut off, once more: %v", err)
		err = served()
	}
	assert.NoError(t, err)
}

func (w *world) get(path string, headers ...string) reply {
	w.t.Helper()
	return w.do("GET", fileURL+path, nil, headers...)
}

// raw writes bytes on a connection of their own and reads one answer.
func (w *world) raw(text string) reply {
	w.t.Helper()
	r, _ := w.exchange(text, false)
	return r
}

// exchange does the same and reports whether the server closed the connection.
func (w *world) exchange(text string, wantClosed bool) (r reply, closed bool) {
	w.t.Helper()
	c, err := w.dial()
	require.NoError(w.t, err)
	defer c.Close()
	require.NoError(w.t, c.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(c, text)
	require.NoError(w.t, err)
	br := bufio.NewReader(c)
	method, _, _ := strings.Cut(text, " ")
	r = readReply(w.t, br, method)
	if wantClosed {
		require.NoError(w.t, c.SetReadDeadline(time.Now().Add(longEnough)))
		_, err = br.ReadByte()
	}
	return r, err == io.EOF
}

func readReply(t *testing.T, br *bufio.Reader, method string) reply {
	t.Helper()
	r, err := nextReply(br, method)
	require.NoError(t, err)
	return r
}

func nextReply(br *bufio.Reader, method string) (reply, error) {
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		return reply{}, err
	}
	r := reply{status: resp.StatusCode, header: resp.Header, length: resp.ContentLength, last: resp.Close}
	r.body, r.err = io.ReadAll(resp.Body)
	return r, nil
}

// errorBody is the JSON form of an error.
type errorBody struct {
	Error struct {
		Code      string            `json:"code"`
		Message   string            `json:"message"`
		RequestID string            `json:"request_id"`
		Details   map[string]string `json:"details"`
	} `json:"error"`
}

// wantError checks status, code and form of an error answer and returns its parts.
func wantError(t *testing.T, r reply, status int, code string) errorBody {
	t.Helper()
	var e errorBody
	assert.Equal(t, status, r.status, "%s", r.body)
	if assert.NoError(t, json.Unmarshal(r.body, &e), "%s", r.body) {
		assert.Equal(t, code, e.Error.Code, "%s", r.body)
		assert.NotEmpty(t, e.Error.Message)
		assert.Equal(t, r.header.Get("X-Request-Id"), e.Error.RequestID)
		assert.NotEmpty(t, e.Error.RequestID)
		assert.NotNil(t, e.Error.Details)
		assert.Equal(t, "application/json", r.header.Get("Content-Type"))
	}
	return e
}

// pattern makes n bytes of which no two blocks are alike.
func pattern(n int) []byte {
	const block = 4 << 10
	b := make([]byte, n)
	for i := 0; i < min(n, block); i++ {
		b[i] = byte(i*7 + i>>8)
	}
	for at := block; at < n; at += block {
		copy(b[at:], b[:block])
		copy(b[at:], strconv.Itoa(at))
	}
	return b
}

// valueOf reads a counter.
func valueOf(c prometheus.Counter) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		panic(err)
	}
	return m.GetCounter().GetValue()
}
