package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
)

// Server answers HTTP for one node. Make one with New.
type Server struct {
	cfg  Config
	gw   Gateway
	met  *metrics
	http *fasthttp.Server

	routes    []*route
	malformed *routeMetrics // requests that never reached a route

	base     context.Context // of every request; ended when Shutdown gives up
	cancel   context.CancelFunc
	idPrefix string
	requests atomic.Uint64
	inFlight atomic.Int64
	streams  atomic.Int64
	batches  memory

	mu        sync.Mutex
	listeners []*listener
	stopped   bool
}

// New makes a server in front of gw. It does nothing before Serve.
func New(cfg Config, gw Gateway) *Server {
	s := &Server{cfg: cfg.withDefaults(), gw: gw, idPrefix: newIDPrefix()}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.batches.free.Store(s.cfg.BatchMemory)
	s.met = newMetrics(s.cfg.Registry)
	s.met.gauges(s.cfg.Registry,
		func() float64 { return float64(s.inFlight.Load()) },
		func() float64 { return float64(s.connections()) })
	s.malformed = s.met.route("malformed", "any")
	handler := s.buildRouter()
	s.http = &fasthttp.Server{
		Name:    "tiercel",
		Handler: handler, ErrorHandler: s.malformedRequest, ExpectHandler: s.expect,
		Logger: serverLog{s.cfg.Logger},

		// A body goes to the handler as it arrives, up to 8 KiB of it before the
		// handler runs; its size is judged there.
		StreamRequestBody:            true,
		MaxRequestBodySize:           math.MaxInt,
		DisablePreParseMultipartForm: true,

		ReadBufferSize:     s.cfg.MaxHeaderBytes,
		WriteBufferSize:    8 << 10, // a small file and its header in one write
		ReadTimeout:        s.cfg.HeaderTimeout,
		IdleTimeout:        s.cfg.IdleTimeout,
		MaxRequestsPerConn: s.cfg.MaxRequestsPerConnection,
		Concurrency:        2*s.cfg.MaxConnections + 16, // our listener refuses first, in our form

		NoDefaultContentType:  true,
		CloseOnShutdown:       true,
		SecureErrorLogMessage: true,
		LazyRequestTime:       true,
	}
	return s
}

func newIDPrefix() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:]) + "-"
}

// Serve accepts connections on ln until Shutdown, then returns nil. It may be
// called for several listeners; with Config.TLS they speak it.
func (s *Server) Serve(ln net.Listener) error {
	own := newListener(ln, &s.cfg, s.met, s.refusedConnection)
	front := net.Listener(own)
	if s.cfg.TLS != nil {
		front = &secretListener{own, s}
	}
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return errors.Join(errors.New("serve http: the server is already shut down"), ln.Close())
	}
	s.listeners = append(s.listeners, own)
	s.mu.Unlock()
	if err := s.http.Serve(front); err != nil {
		return fmt.Errorf("serve http on %s: %w", ln.Addr(), err)
	}
	return nil
}

// Shutdown stops accepting, lets requests under way finish, and closes idle
// connections. When ctx ends first, the requests left are cut off and the
// error of ctx is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	listeners := s.listeners
	s.mu.Unlock()
	defer s.cancel()
	var err error
	for _, l := range listeners {
		err = errors.Join(err, l.Close()) // one that Serve is only about to serve, too
		l.closeConns(false)
	}
	if e := s.http.ShutdownWithContext(ctx); ctx.Err() == nil {
		return errors.Join(err, e)
	}
	s.cancel()
	for _, l := range listeners {
		l.closeConns(true)
	}
	return fmt.Errorf("shut http down: %w", ctx.Err())
}

func (s *Server) connections() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		n += l.opened.Load()
	}
	return n
}

// expect judges a request that waits for 100 Continue, so that a refusal comes
// before its body. It returns the status, which is 100 to go on. The server
// sends the response that is set here with it.
func (s *Server) expect(ctx *fasthttp.RequestCtx) (status int) {
	status = fasthttp.StatusInternalServerError // should what follows panic
	rt := s.routeOf(string(ctx.Method()), ctx.URI().PathOriginal())
	c := s.begin(ctx, rt)
	defer c.end()
	err := c.check()
	if err == nil && rt.expect != nil {
		err = rt.expect(c)
	}
	if err == nil {
		c.withdrawn = true
		return fasthttp.StatusContinue
	}
	c.fail(err)
	c.closeAfter()
	return ctx.Response.StatusCode()
}

// refusedConnection is the whole answer to a connection beyond the limits.
func (s *Server) refusedConnection() []byte {
	e := &model.Error{Code: model.CodeOverloaded, Message: "too many connections are open; close some, or try again later"}
	return s.wholeAnswer("429 Too Many Requests\r\nRetry-After: "+retryAfterSeconds(e), e)
}

// wholeAnswer is an error on the wire, for connections that never become requests.
func (s *Server) wholeAnswer(status string, e *model.Error) []byte {
	id := s.appendRequestID(nil)
	body := appendError(nil, e, id)
	out := append([]byte("HTTP/1.1 "), status...)
	out = append(out, "\r\nServer: tiercel\r\nConnection: close\r\nContent-Type: application/json\r\nX-Request-Id: "...)
	out = append(append(out, id...), "\r\nContent-Length: "...)
	out = strconv.AppendInt(out, int64(len(body)), 10)
	return append(append(out, "\r\n\r\n"...), body...)
}

// serverLog takes the few words of the server below as debug: what matters of
// them reaches a client, a metric or our own log. They quote what was sent.
type serverLog struct{ to *slog.Logger }

func (l serverLog) Printf(format string, args ...any) {
	l.to.Debug("http server", "detail", withoutSecrets(fmt.Appendf(nil, format, args...)))
}
