package httpapi

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one client's connection with our own idea of patience. The server
// below bounds idle time and the wait for a header; a body, or a response, may
// take as long as it likes as long as it makes progress:
//
//	idle ──first byte──▶ header ──handler──▶ body ──handler returns──▶ response ─▶ idle
//	   IdleTimeout         HeaderTimeout       progress                  progress
//
// Progress: something within StallTimeout, and MinBytesPerSecond on average once
// the time spent waiting for this client exceeds RateGrace. Time in which nobody
// reads or writes (a queued write, a slow disk) does not count against it.
//
// Read and Write are called by one goroutine at a time each; Close by any.
type conn struct {
	net.Conn
	owner  *listener
	source ipKey

	pacing   bool  // a body is being read: our deadlines hold
	taken    int64 // bytes of that body that have come out of its framing
	armed    bool  // the read deadline is ours
	ended    bool  // the client sends no more; read by the goroutine that reads
	in, out  transfer
	sawBytes atomic.Bool
	linger   atomic.Bool
	once     sync.Once
	closeErr error
}

// transfer measures one direction of one request.
type transfer struct {
	deadline time.Time // that is armed, zero: none of ours
	waited   time.Duration
	bytes    int64
	held     int // what the kernel would hold, had the client taken nothing since deadline was armed
}

// noProgress is what queued says where nobody knows: as if nothing had been taken.
const noProgress = math.MaxInt

// errTooSlow tells that a client stayed below the minimum rate. It is a timeout
// to those who ask (net.Error).
var errTooSlow error = slowError{}

type slowError struct{}

func (slowError) Error() string   { return "the client is slower than the minimum rate" }
func (slowError) Timeout() bool   { return true }
func (slowError) Temporary() bool { return false }

// beginBody takes the read deadline over for the body of a request.
func (c *conn) beginBody() { c.pacing, c.in, c.taken = true, transfer{}, 0 }

// Limits of what a body may cost on the wire: chunks of one byte take six.
const (
	framingBytes    = 256 << 10
	framingPerTaken = 8
)

// errFraming tells that a body is all framing: chunk extensions without end.
var errFraming = errors.New("the framing of the body is many times its content")

// endBody hands it back. What is left of the body is given only a short time,
// since the server below drains it before the next request.
func (c *conn) endBody() {
	c.pacing = false
	if c.armed {
		c.armed = false
		// An error here is one that the next read returns, too.
		_ = c.Conn.SetReadDeadline(time.Now().Add(c.owner.limits.LingerTimeout))
	}
}

// beginResponse starts the measure of what is written.
func (c *conn) beginResponse() { c.out.waited, c.out.bytes = 0, 0 }

func (c *conn) Read(p []byte) (int, error) {
	if !c.pacing {
		n, err := c.Conn.Read(p)
		c.received(n, err)
		return n, err
	}
	start := time.Now()
	if err := c.in.arm(start, c.owner.limits.StallTimeout, c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	c.armed = true
	n, err := c.Conn.Read(p)
	c.received(n, err)
	// What this read brought nobody has looked at yet; it may be a large piece at once.
	framing := c.in.bytes-c.taken > framingBytes+framingPerTaken*c.taken
	c.in.add(n, time.Since(start))
	switch {
	case err != nil:
	case framing:
		err = errFraming
	case c.owner.tooSlow(&c.in):
		err = errTooSlow
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	written := 0
	for {
		start := time.Now()
		if c.out.deadline.Sub(start) < c.owner.limits.StallTimeout {
			c.out.held = queued(c.Conn)
		}
		if err := c.out.arm(start, c.owner.limits.StallTimeout, c.Conn.SetWriteDeadline); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		c.out.add(n, time.Since(start))
		c.out.held += n
		c.owner.sent(n)
		// A deadline that passed with something written, or taken by the client out
		// of what was written before, is progress: go on, unless the average says
		// otherwise.
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || c.owner.tooSlow(&c.out) ||
			n == 0 && queued(c.Conn) >= c.out.held {
			return written, err
		}
		c.out.deadline = time.Time{}
	}
}

func (c *conn) received(n int, err error) {
	c.ended = c.ended || err == io.EOF
	if n > 0 {
		if !c.sawBytes.Load() {
			c.sawBytes.Store(true)
		}
		c.owner.received(n)
	}
}

// Close closes the connection. When the client is still sending what nobody
// will read, closing at once would make its kernel drop our answer with the
// connection, so it is listened to for a moment first.
func (c *conn) Close() error {
	c.once.Do(func() {
		if c.linger.Load() {
			c.drain()
		}
		c.closeErr = c.Conn.Close()
		c.owner.release(c)
	})
	return c.closeErr
}

// lingerBytes bounds what is read and dropped before a close.
const lingerBytes = 1 << 20

func (c *conn) drain() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.Conn.SetReadDeadline(time.Now().Add(c.owner.limits.LingerTimeout)) != nil {
		return
	}
	buf := make([]byte, 16<<10)
	for left := lingerBytes; left > 0; {
		n, err := c.Conn.Read(buf)
		if left -= n; err != nil {
			return
		}
	}
}

// arm makes sure that the armed deadline is at least stall away. It is set to
// half as much again, so that a steady transfer rarely sets it.
func (t *transfer) arm(now time.Time, stall time.Duration, set func(time.Time) error) error {
	if t.deadline.Sub(now) >= stall {
		return nil
	}
	t.deadline = now.Add(stall + stall/2)
	return set(t.deadline)
}

func (t *transfer) add(n int, waited time.Duration) {
	t.bytes += int64(n)
	t.waited += waited
}
