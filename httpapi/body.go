package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"tiercel/cluster/model"
)

// body is the content of a PUT on its way to the gateway: counted, held to its
// declared length, and cut off from the connection once the handler has returned.
type body struct {
	from   io.Reader
	conn   *conn
	size   int64 // declared, or -1
	read   int64
	err    error // that ended it, io.EOF included
	closed atomic.Bool
}

// errBodyClosed meets a gateway that reads on after Put has returned.
var errBodyClosed = errors.New("the request of this body is over")

// openBody takes the connection's patience over for a body of size bytes (-1:
// chunked).
func (c *call) openBody(size int64) *body {
	b := &body{from: c.ctx.Request.BodyStream(), conn: c.conn, size: size}
	if b.from == nil || size == 0 {
		b.err = io.EOF
	}
	if b.conn != nil {
		b.conn.beginBody()
	}
	return b
}

// Read returns io.ErrUnexpectedEOF when the content ends before its declared
// length, and too_large once an undeclared one passes the limit.
func (b *body) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, errBodyClosed
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.from.Read(p)
	b.read += int64(n)
	if b.conn != nil {
		b.conn.taken = b.read
	}
	switch {
	case b.read == b.size:
		err = io.EOF
	case err == io.EOF && (b.size >= 0 || b.conn != nil && b.conn.ended):
		// The server below takes the end of a connection between two chunks for
		// the end of the body. A body that was complete did not need to read so far.
		err = io.ErrUnexpectedEOF
	case b.size < 0 && b.read > model.MaxContentBytes:
		err = errContentTooLarge(b.read)
	}
	b.err = err
	return n, err
}

// close ends the body. It reports whether all of it was read.
func (b *body) close() bool {
	b.closed.Store(true)
	if b.conn != nil {
		b.conn.endBody()
	}
	return b.err == io.EOF
}

// failure is what the client did wrong with the body of a file, nil if nothing.
func (b *body) failure() error { return b.fault("; nothing was stored") }

// fault is failure with what follows from it.
func (b *body) fault(then string) error {
	const op = "read body"
	var coded *model.Error
	var timeout net.Error
	switch {
	case b.err == nil, b.err == io.EOF:
		return nil
	case errors.As(b.err, &coded):
		return coded
	case errors.As(b.err, &timeout) && timeout.Timeout():
		return model.Errorf(model.CodeDeadlineExceeded, op, "the body stopped coming after %s%s", b.progress(), then)
	case errors.Is(b.err, io.ErrUnexpectedEOF):
		return model.Errorf(model.CodeInvalidArgument, op, "the body ended after %s%s", b.progress(), then)
	}
	return model.Errorf(model.CodeInvalidArgument, op, "the body is malformed after %s%s%s", b.progress(), brokenBody(b.err), then)
}

func (b *body) progress() string {
	if b.size < 0 {
		return fmt.Sprintf("%d bytes of a chunked body", b.read)
	}
	return fmt.Sprintf("%d of %d bytes", b.read, b.size)
}

func errContentTooLarge(size int64) error {
	return model.Errorf(model.CodeTooLarge, "read body", "the content has %d bytes or more; at most %d are allowed", size, int64(model.MaxContentBytes))
}
