package httpapi

import (
	"errors"
	"net"
	"strings"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
)

// malformedRequest answers what could not be read as a request. The server
// closes the connection after it.
func (s *Server) malformedRequest(ctx *fasthttp.RequestCtx, err error) {
	e := protocolError(err)
	if own := connOf(ctx.Conn()); own != nil && e.Code != model.CodeDeadlineExceeded {
		own.linger.Store(true)
	}
	id := s.appendRequestID(nil)
	ctx.Response.Reset()
	ctx.Response.Header.SetCanonical(headerRequestID, id)
	writeError(&ctx.Response, e, appendError(nil, e, id))
	s.malformed.observe(ctx.Response.StatusCode(), 0)
}

// protocolError is the answer to an error of the server below.
func protocolError(err error) *model.Error {
	const op = "read request"
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.As(err, &small), errors.Is(err, fasthttp.ErrSmallReadBuffer):
		return model.Errorf(model.CodeTooLarge, op, "the request line and headers are too large")
	case errors.As(err, &timeout) && timeout.Timeout():
		return model.Errorf(model.CodeDeadlineExceeded, op, "the request did not arrive in time")
	}
	return model.Errorf(model.CodeInvalidArgument, op, "%s; nothing was stored", malformation(err.Error()))
}

// malformations tell what the server below means. Most of its errors have no type, so they
// are known by their text; a raw request for each is in the test, which fails when a new
// release words one otherwise. What was sent is not repeated: it may be half of a secret.
var malformations = []worded{
	{"missing required host header", "the Host header is missing or empty; HTTP/1.1 needs one"},
	{"too many host headers", "the Host header is given more than once"},
	{"duplicate content-length", "Content-Length is given more than once"},
	{"cannot parse content-length", "the Content-Length is not a number, or is too large for one"},
	{"transfer-encoding", "the Transfer-Encoding is not supported, given more than once, or of HTTP/1.0; send \"chunked\" once with HTTP/1.1, or a Content-Length"},
	{"cannot start with space or tab", "the first header line begins with a space, so it would belong to the request line; begin each header at the start of a line"},
	{"invalid header key", "a header has a space between its name and the colon"},
	{"missing colon", "a header line has no colon"},
	{"malformed mime header line", "a header has no name, or one with a character that is not allowed"},
	{"invalid header value", "the value of a header has a control character"},
	{"forbidden trailer", "the Trailer header names a field that cannot come behind a body"},
	{"cannot find http request method", "the request line does not begin with a method; write METHOD TARGET HTTP/1.1"},
	{"unsupported http request method", "the method has a character that is not allowed; write METHOD TARGET HTTP/1.1 with one space between"},
	{"in the first line of request", "the request line names no protocol; write METHOD TARGET HTTP/1.1"},
	{"unsupported http version", "the request line does not end with a protocol that is spoken here; write METHOD TARGET HTTP/1.1 with one space between, and %20 for a space in the target"},
	{"requesturi cannot be empty", "the request line has no target; write METHOD TARGET HTTP/1.1"},
	{"invalid request uri", "the request target has a control character, or is not one that this method takes"},
	{"unexpected EOF", "the body ended before its declared length"},
	// Behind the others: it is what is left when the bytes end before the headers do.
	{"EOF", "the request ended before its headers did; an empty line, CR LF, is their end"},
}

func malformation(text string) string {
	if means := meaning(text, malformations); means != "" {
		return means
	}
	return "the request is malformed, or ended early"
}

type worded struct{ text, means string }

// brokenBodies are the same for the framing of a body.
var brokenBodies = []worded{
	{errFraming.Error(), "its framing is many times its content"},
	{"empty hex number", "a chunk does not begin with its size, in hexadecimal"},
	{"too large hex number", "a chunk's size is too large"},
	{"chunk size", "a chunk is not as long as it says, or a line of the framing does not end with CR LF"},
	{"trailer", "a field behind the last chunk may not come there, or has a control character"},
	{"error when reading response headers", "a line behind the last chunk is no header"},
}

// brokenBody begins with a colon, or is empty when nothing is known.
func brokenBody(err error) string {
	if means := meaning(err.Error(), brokenBodies); means != "" {
		return ": " + means
	}
	return ""
}

func meaning(text string, of []worded) string {
	// What the client sent comes in quotes, and could read like any of them.
	said, _, _ := strings.Cut(text, `"`)
	for _, m := range of {
		if strings.Contains(said, m.text) {
			return m.means
		}
	}
	return ""
}
