package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
)

// call is one request from begin to end:
//
//	begin ─▶ check (headers, target, limits) ─▶ handler ─▶ end
//
// A handler returns the error it wants answered, or has answered. Calls are
// pooled: nothing may keep one, or what it holds, after end.
type call struct {
	s     *Server
	ctx   *fasthttp.RequestCtx
	conn  *conn // nil in front of no listener of ours
	route *route
	start time.Time

	h           headers
	who         *model.Principal // nil until authorize, and for nobody known
	path, query []byte           // of the target, as on the wire
	id          []byte           // request id
	idBuf       [maxRequestIDBytes]byte
	scratch     []byte
	streaming   bool       // a stream finishes the call's accounts
	withdrawn   bool       // only looked at: the handler opens accounts of its own
	said        []byte     // the JSON body, for the audit log
	failed      model.Code // of the error that was answered
}

var calls = sync.Pool{New: func() any { return new(call) }}

// handle makes a fasthttp handler of a route.
func (s *Server) handle(rt *route) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		c := s.begin(ctx, rt)
		defer c.end()
		err := c.check()
		if err == nil {
			err = rt.serve(c)
		}
		if err != nil {
			c.fail(err)
		}
	}
}

// begin opens the accounts of a request.
func (s *Server) begin(ctx *fasthttp.RequestCtx, rt *route) *call {
	c := calls.Get().(*call)
	c.s, c.ctx, c.route, c.start = s, ctx, rt, time.Now()
	c.streaming, c.withdrawn, c.who, c.said, c.failed = false, false, nil, nil, ""
	c.h.reset()
	c.id = s.appendRequestID(c.idBuf[:0])
	if c.conn = connOf(ctx.Conn()); c.conn != nil {
		c.conn.beginResponse()
		c.conn.linger.Store(false)
	}
	s.inFlight.Add(1)
	return c
}

// end closes them, and turns a panic into an answer: one broken request must not
// take the node down, and is told loudly.
func (c *call) end() {
	if broken := recover(); broken != nil {
		c.s.cfg.Logger.Error("panic in an http handler", "request_id", string(c.id),
			"panic", fmt.Sprint(broken), "stack", string(debug.Stack()))
		c.ctx.Response.Reset()
		c.ctx.SetConnectionClose()
		c.streaming = false
		c.fail(&model.Error{Code: model.CodeInternal, Message: "internal error; the log of this node says more under the request id"})
	}
	if !c.withdrawn {
		c.ctx.Response.Header.SetCanonical(headerRequestID, c.id)
	}
	if !c.withdrawn && !c.streaming {
		c.route.metrics.observe(c.ctx.Response.StatusCode(), time.Since(c.start))
	}
	c.audit()
	if !c.streaming {
		c.s.inFlight.Add(-1)
	}
	c.h.reset()
	c.ctx, c.conn, c.route, c.path, c.query, c.who, c.said = nil, nil, nil, nil, nil, nil, nil
	calls.Put(c)
}

// check judges what every request must satisfy. A request whose framing is in
// doubt ends its connection.
func (c *call) check() error {
	err := c.h.scan(c.ctx.Request.Header.RawHeaders())
	if saneRequestID(c.h.requestID) {
		c.id = append(c.idBuf[:0], c.h.requestID...)
	}
	if err == nil {
		err = c.h.checkVersion(c.ctx.Request.Header.Protocol())
	}
	if err == nil {
		c.path, c.query, err = splitTarget(c.ctx.Request.Header.RequestURI())
	}
	if err == nil && !bytes.Equal(c.path, c.ctx.URI().PathOriginal()) {
		err = badTarget("the request target can be read in two ways; begin it with a single %q", "/")
	}
	if err != nil {
		c.closeAfter()
		return err
	}
	if c.route.limited && c.s.inFlight.Load() > int64(c.s.cfg.MaxRequests) {
		return model.Errorf(model.CodeOverloaded, "admit request",
			"%d requests are under way, as many as are allowed; try again", c.s.cfg.MaxRequests)
	}
	return c.authorize()
}

// closeAfter ends the connection after this answer, which is given time to arrive.
func (c *call) closeAfter() {
	c.ctx.SetConnectionClose()
	if c.conn != nil {
		c.conn.linger.Store(true)
	}
}

// fail answers with an error.
func (c *call) fail(err error) {
	e := clientError(err)
	c.failed = e.Code
	if e.Code == model.CodeInternal || e.Code == model.CodeCorrupt {
		c.s.cfg.Logger.Error("http request failed", "request_id", string(c.id),
			"route", c.route.pattern, "code", string(e.Code), "error", err.Error())
	}
	c.scratch = appendError(c.scratch[:0], e, c.id)
	writeError(&c.ctx.Response, e, c.scratch)
}

// writeError sets status, headers and body of an error answer.
func writeError(resp *fasthttp.Response, e *model.Error, body []byte) {
	resp.SetStatusCode(statuses[e.Code].status)
	resp.Header.SetContentTypeBytes(typeJSON)
	if wait := retryAfterSeconds(e); wait != "" {
		resp.Header.Set("Retry-After", wait)
	}
	if size, ok := e.Details["size_bytes"]; ok && e.Code == model.CodeRangeNotSatisfiable {
		resp.Header.Set("Content-Range", "bytes */"+size)
	}
	resp.SetBody(body)
}

// answerJSON answers with c.scratch as JSON.
func (c *call) answerJSON(status int) {
	c.ctx.Response.SetStatusCode(status)
	c.ctx.Response.Header.SetContentTypeBytes(typeJSON)
	c.ctx.Response.SetBody(c.scratch)
}

// context is the time the gateway has for this request.
func (c *call) context(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.s.base, d)
}

// filePath and tenant name the file a request is about.
func (c *call) filePath() (tenant, path string, err error) {
	if path, err = decodePath(c.path[len(basePath)+len("/files"):]); err != nil {
		return "", "", err
	}
	tenant, err = readTenant(c.h.tenant)
	return tenant, path, err
}

// appendRequestID appends a request id that no other process gives:
// a random part of this one, and a count.
func (s *Server) appendRequestID(dst []byte) []byte {
	dst = append(dst, s.idPrefix...)
	return strconv.AppendUint(dst, s.requests.Add(1), 16)
}

var (
	headerRequestID = []byte("X-Request-Id")
	typeJSON        = []byte("application/json")
)
