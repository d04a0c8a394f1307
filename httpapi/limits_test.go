package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func putHeader(length int64) string {
	return fmt.Sprintf("PUT %sa HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", filesPrefix, length)
}

// send opens a connection, writes text and, if asked, ends the sending side.
func (w *world) send(text string, end bool) (net.Conn, *bufio.Reader) {
	w.t.Helper()
	c, err := w.dial()
	require.NoError(w.t, err)
	w.t.Cleanup(func() { c.Close() })
	require.NoError(w.t, c.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(c, text)
	require.NoError(w.t, err)
	if end {
		require.NoError(w.t, c.(*net.TCPConn).CloseWrite())
	}
	return c, bufio.NewReader(c)
}

func TestPut_ABodyThatEndsEarlyStoresNothing(t *testing.T) {
	w := overTCP(t, Config{})
	chunked := "PUT " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, request := range map[string]string{
		"nothing of it":           putHeader(10),
		"some of it":              putHeader(10) + "abc",
		"more than is read ahead": putHeader(100_000) + strings.Repeat("a", 50_000),
		"all but a byte":          putHeader(100_000) + strings.Repeat("a", 99_999),
		"no chunk":                chunked,
		"within a chunk":          chunked + "5\r\nabc",
		"without a last chunk":    chunked + "5\r\nabcde\r\n",
		"without the last line":   chunked + "5\r\nabcde\r\n0\r\n",
		"a chunk size in words":   chunked + "five\r\nabcde\r\n0\r\n\r\n",
		"a chunk that is longer":  chunked + "3\r\nabcde\r\n0\r\n\r\n",
		"a huge chunk size":       chunked + "ffffffffffffffffff\r\nabcde\r\n0\r\n\r\n",
		"a bare LF in chunks":     chunked + "5\nabcde\n0\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, br := w.send(request, true)
			wantError(t, readReply(t, br, "PUT"), 400, "invalid_argument")
			_, err := br.ReadByte()
			assert.Equal(t, io.EOF, err, "the connection is still open")
			assert.Empty(t, w.gw.puts)
		})
	}
}

func TestPut_AClientMayEndItsSideAfterTheWholeBody(t *testing.T) {
	w := overTCP(t, Config{})
	chunked := "PUT " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, request := range []string{
		putHeader(3) + "abc",
		chunked + "3\r\nabc\r\n0\r\n\r\n",
		chunked + "3;note=1\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n",
	} {
		_, br := w.send(request, true)
		r := readReply(t, br, "PUT")
		assert.Contains(t, []int{200, 201}, r.status, "%s", r.body)
		assert.Equal(t, "abc", string(w.get("/a").body))
	}
}

func TestPut_SaysHowFarABrokenBodyCame(t *testing.T) {
	w := overTCP(t, Config{})
	_, br := w.send(putHeader(100_000)+strings.Repeat("a", 50_000), true)
	assert.Contains(t, wantError(t, readReply(t, br, "PUT"), 400, "invalid_argument").Error.Message, "50000 of 100000 bytes")
}

func TestPut_AGatewaysRefusalArrivesThoughTheBodyIsNotRead(t *testing.T) {
	w := overTCP(t, Config{})
	w.gw.onPut = func(context.Context, *model.PutRequest) (*messages.PutReply, error) {
		return nil, model.Errorf(model.CodeQuotaExceeded, "put", "the quota is used up")
	}
	for _, size := range []int{10, 100_000, 10 << 20} {
		c, br := w.send(putHeader(int64(size)), false)
		go func() { _, _ = c.Write(pattern(size)) }() // fails when the server has closed
		wantError(t, readReply(t, br, "PUT"), 507, "quota_exceeded")
	}
	wantError(t, w.do("PUT", fileURL+"/a", strings.NewReader("x")), 507, "quota_exceeded")
}

func TestPut_ASmallUnreadBodyDoesNotEndTheConnectionOrBecomeARequest(t *testing.T) {
	w := overTCP(t, Config{})
	smuggled := "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
	_, br := w.send("PUT "+filesPrefix+"../a HTTP/1.1\r\nHost: h\r\nContent-Length: "+fmt.Sprint(len(smuggled))+"\r\n\r\n"+smuggled+
		"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n", false)
	wantError(t, readReply(t, br, "PUT"), 400, "invalid_argument")
	wantError(t, readReply(t, br, "GET"), 404, "not_found")
}

func TestPut_ABodyMayNotBeReadAfterItsRequest(t *testing.T) {
	w := inMemory(t, Config{})
	var kept io.Reader
	w.gw.onPut = func(_ context.Context, req *model.PutRequest) (*messages.PutReply, error) {
		kept = req.Body
		return w.gw.store(req, nil)
	}
	w.put("/a", []byte("hello"))
	_, err := kept.Read(make([]byte, 1))
	assert.ErrorIs(t, err, errBodyClosed)
}

func TestPut_DeclaringTooMuchIsRefused(t *testing.T) {
	w := overTCP(t, Config{})
	c, br := w.send(putHeader(model.MaxContentBytes+1), false)
	go func() { _, _ = c.Write(pattern(9 << 10)) }()
	wantError(t, readReply(t, br, "PUT"), 413, "too_large")
}

func TestSlowClient_ThatStallsInABodyIsCutOff(t *testing.T) {
	w := overTCP(t, Config{StallTimeout: 60 * time.Millisecond})
	for _, request := range []string{
		putHeader(100_000) + strings.Repeat("a", 20_000),
		"PUT " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
	} {
		_, br := w.send(request, false)
		wantError(t, readReply(t, br, "PUT"), 504, "deadline_exceeded")
		_, err := br.ReadByte()
		assert.Equal(t, io.EOF, err)
	}
	assert.Empty(t, w.gw.puts)
}

func TestSlowClient_ThatDripsBelowTheRateIsCutOff(t *testing.T) {
	w := overTCP(t, Config{StallTimeout: 10 * time.Second, RateGrace: 50 * time.Millisecond, MinBytesPerSecond: 1 << 20})
	c, br := w.send(putHeader(1<<20)+strings.Repeat("a", 9000), false)
	stop := drip(c, time.Millisecond)
	defer stop()
	wantError(t, readReply(t, br, "PUT"), 504, "deadline_exceeded")
}

// drip writes a byte now and then until it fails or is stopped.
func drip(c net.Conn, every time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if _, err := c.Write([]byte("a")); err != nil {
					return
				}
			}
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}

func TestSlowClient_ThatKeepsMovingIsServedBeyondEveryTimeout(t *testing.T) {
	t.Parallel()
	const stall = 3 * time.Second
	w := overTCP(t, Config{StallTimeout: stall, HeaderTimeout: time.Second, RateGrace: 500 * time.Millisecond, MinBytesPerSecond: 1})
	const pieces, piece = 50, 1000
	patiently(t, func() error {
		// The first 8 KiB are read before the handler runs and do not count for the rate.
		c, br := w.send(putHeader(8192+pieces*piece)+strings.Repeat("a", 8192), false)
		start := time.Now()
		for range pieces {
			<-time.After(100 * time.Millisecond)
			if _, err := c.Write(make([]byte, piece)); err != nil {
				return err
			}
		}
		r, err := nextReply(br, "PUT")
		if err == nil && r.status/100 != 2 {
			err = fmt.Errorf("%d %s", r.status, r.body)
		}
		assert.Greater(t, time.Since(start), stall+stall/2, "longer than a deadline is ever set for")
		return err
	})
}

func TestSlowClient_ThatDoesNotFinishItsHeaderIsCutOff(t *testing.T) {
	w := overTCP(t, Config{HeaderTimeout: 60 * time.Millisecond})
	for _, begun := range []string{"GET /hea", "GET /healthz HTTP/1.1\r\nHost: h\r\n", putHeader(10) + "abc"} {
		c, br := w.send(begun, false)
		if !strings.HasPrefix(begun, "PUT") {
			defer drip(c, 5*time.Millisecond)()
		}
		wantError(t, readReply(t, br, "GET"), 504, "deadline_exceeded")
		_, err := br.ReadByte()
		assert.Error(t, err)
	}
}

func TestSlowClient_ThatStopsReadingIsCutOff(t *testing.T) {
	w := overTCP(t, Config{StallTimeout: 60 * time.Millisecond})
	w.stored("/big", pattern(20<<20))
	_, br := w.send("GET "+filesPrefix+"big HTTP/1.1\r\nHost: h\r\n\r\n", false)
	assert.Eventually(t, func() bool { return valueOf(w.server.met.cutResponses) == 1 }, longEnough, 5*time.Millisecond)
	assert.ErrorIs(t, readReply(t, br, "GET").err, io.ErrUnexpectedEOF)
}

func TestSlowClient_ThatReadsSlowlyButSteadilyGetsEverything(t *testing.T) {
	t.Parallel()
	const stall = 2 * time.Second
	w := overTCP(t, Config{StallTimeout: stall})
	content := pattern(12 << 20)
	w.stored("/big", content)
	dial := w.dial
	w.dial = func() (net.Conn, error) {
		c, err := dial()
		if err != nil {
			return nil, err
		}
		// Small, so that how slowly it is read is how slowly it can be sent.
		return c, c.(*net.TCPConn).SetReadBuffer(64 << 10)
	}
	patiently(t, func() error {
		start := time.Now()
		_, br := w.send("GET "+filesPrefix+"big HTTP/1.1\r\nHost: h\r\n\r\n", false)
		slow := bufio.NewReaderSize(&pausing{c: br, every: 1 << 20, pause: 600 * time.Millisecond}, 1<<20)
		r, err := nextReply(slow, "GET")
		if err = errors.Join(err, r.err); err != nil {
			return err
		}
		assert.True(t, bytes.Equal(content, r.body), "%d of %d bytes", len(r.body), len(content))
		assert.Greater(t, time.Since(start), stall+stall/2, "longer than a deadline is ever set for")
		return nil
	})
}

// pausing reads with a pause after so many bytes.
type pausing struct {
	c           io.Reader
	every, read int
	pause       time.Duration
}

func (p *pausing) Read(b []byte) (int, error) {
	n, err := p.c.Read(b)
	if p.read += n; p.read >= p.every {
		p.read = 0
		<-time.After(p.pause)
	}
	return n, err
}

func TestIdleConnections_AreClosedInSilence(t *testing.T) {
	w := overTCP(t, Config{IdleTimeout: 40 * time.Millisecond})
	_, br := w.send("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", false)
	assert.Equal(t, 200, readReply(t, br, "GET").status)
	_, err := br.ReadByte()
	assert.Equal(t, io.EOF, err)
}

func TestLimits_OnConnectionsAreAnsweredInTheFormOfErrors(t *testing.T) {
	for name, c := range map[string]struct {
		cfg   Config
		limit string
	}{
		"in all":      {Config{MaxConnections: 2}, "total"},
		"per address": {Config{MaxConnectionsPerIP: 2}, "address"},
	} {
		t.Run(name, func(t *testing.T) {
			w := overTCP(t, c.cfg)
			const probe = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
			first, br := w.send(probe, false)
			require.Equal(t, 200, readReply(t, br, "GET").status)
			_, br = w.send(probe, false)
			require.Equal(t, 200, readReply(t, br, "GET").status)
			r, closed := w.exchange(probe, true)
			wantError(t, r, 429, "overloaded")
			assert.Equal(t, "1", r.header.Get("Retry-After"))
			assert.True(t, closed)
			assert.Equal(t, 1.0, valueOf(w.server.met.refusedConnections.WithLabelValues(c.limit)))
			first.Close()
			assert.Eventually(t, func() bool { return w.raw(probe).status == 200 }, longEnough, 5*time.Millisecond, "the place is not free again")
		})
	}
}

func TestLimits_OnRequestsUnderWaySpareTheProbes(t *testing.T) {
	w := inMemory(t, Config{MaxRequests: 1})
	entered, release := make(chan struct{}), make(chan struct{})
	w.gw.onStat = func(string) error { close(entered); <-release; return nil }
	answered := make(chan reply, 1)
	go func() { answered <- w.get("/a") }()
	<-entered
	r := w.get("/b")
	wantError(t, r, 429, "overloaded")
	assert.Equal(t, "1", r.header.Get("Retry-After"))
	for _, probe := range []string{"/healthz", "/readyz", "/metrics"} {
		assert.Equal(t, 200, w.do("GET", "http://tiercel"+probe, nil).status, probe)
	}
	close(release)
	wantError(t, <-answered, 404, "not_found")
	w.gw.onStat = nil
	wantError(t, w.get("/b"), 404, "not_found")
}

func TestLimits_OnRequestsPerConnection(t *testing.T) {
	w := overTCP(t, Config{MaxRequestsPerConnection: 2})
	_, br := w.send(strings.Repeat("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 3), false)
	assert.False(t, readReply(t, br, "GET").last)
	assert.True(t, readReply(t, br, "GET").last)
	_, err := br.ReadByte()
	assert.Error(t, err)
}

func TestMemory_DoesNotGrowWithWhatManySlowClientsDeclare(t *testing.T) {
	w := overTCP(t, Config{})
	const clients = 200
	var reading sync.WaitGroup
	reading.Add(clients)
	w.gw.onPut = func(_ context.Context, req *model.PutRequest) (*messages.PutReply, error) {
		var once sync.Once
		buf := make([]byte, 4<<10)
		for {
			n, err := req.Body.Read(buf)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				once.Do(reading.Done)
			}
		}
	}
	before := heapInUse()
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i], _ = w.send(putHeader(5<<30)+string(pattern(10<<10)), false)
	}
	reading.Wait()
	grown := heapInUse() - before
	t.Logf("%d KiB per client", grown/clients>>10)
	assert.Less(t, grown, int64(clients*256<<10), "declared: %d GiB", clients*5)
	for _, c := range conns {
		c.Close()
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAddresses_OfOneIPv6NetworkCountAsOne(t *testing.T) {
	key := func(ip string) ipKey { return keyOf(&net.TCPAddr{IP: net.ParseIP(ip), Port: 1}) }
	assert.Equal(t, key("2001:db8::1"), key("2001:db8::ffff:2"))
	assert.NotEqual(t, key("2001:db8::1"), key("2001:db8:0:1::1"))
	assert.NotEqual(t, key("10.0.0.1"), key("10.0.0.2"))
	assert.Equal(t, key("10.0.0.1"), key("::ffff:10.0.0.1"))
	assert.False(t, keyOf(&net.UnixAddr{}).addr.IsValid())
}
