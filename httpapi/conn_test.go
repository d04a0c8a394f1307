package httpapi

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
)

// scriptedConn takes writes as its script says, and everything after that.
type scriptedConn struct {
	net.Conn
	takes   []int // bytes that each write takes before its deadline passes
	written strings.Builder
	armed   int
}

func (c *scriptedConn) SetWriteDeadline(time.Time) error { c.armed++; return nil }

func (c *scriptedConn) Write(p []byte) (int, error) {
	if len(c.takes) == 0 {
		return c.written.Write(p)
	}
	n := min(c.takes[0], len(p))
	c.takes = c.takes[1:]
	c.written.Write(p[:n])
	return n, os.ErrDeadlineExceeded
}

func TestConn_AWriteThatMadeProgressBeforeItsDeadlineGoesOn(t *testing.T) {
	const text = "0123456789"
	for _, c := range []struct {
		name    string
		takes   []int
		limits  Config
		written string
		cut     bool
	}{
		{"no deadline passes", nil, Config{}, text, false},
		{"progress each time", []int{3, 1, 2}, Config{}, text, false},
		{"a stall", []int{0}, Config{}, "", true},
		{"progress, then a stall", []int{3, 0}, Config{}, "012", true},
		{"progress below the minimum rate", []int{3}, Config{RateGrace: 1, MinBytesPerSecond: 1 << 60}, "012", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := c.limits.withDefaults()
			below := &scriptedConn{takes: c.takes}
			own := &conn{Conn: below, owner: newListener(nil, &limits, newMetrics(prometheus.NewRegistry()), nil)}
			n, err := own.Write([]byte(text))
			assert.Equal(t, c.written, below.written.String())
			assert.Equal(t, len(c.written), n)
			assert.Equal(t, c.cut, err != nil, "%v", err)
		})
	}
}

func TestConn_ASteadyTransferRarelySetsItsDeadline(t *testing.T) {
	limits := Config{}.withDefaults()
	below := &scriptedConn{}
	own := &conn{Conn: below, owner: newListener(nil, &limits, newMetrics(prometheus.NewRegistry()), nil)}
	for range 1000 {
		_, err := own.Write([]byte("x"))
		assert.NoError(t, err)
	}
	assert.Equal(t, 1, below.armed)
}

func TestBody_HoldsItsReaderToTheDeclaredLength(t *testing.T) {
	for _, c := range []struct {
		declared int64
		sent     string
		err      error
	}{
		{5, "hello", nil},
		{0, "", nil},
		{-1, "hello", nil},
		{6, "hello", io.ErrUnexpectedEOF},
		{1, "", io.ErrUnexpectedEOF},
	} {
		b := &body{from: strings.NewReader(c.sent), size: c.declared}
		got, err := io.ReadAll(b)
		assert.Equal(t, c.err, err)
		assert.Equal(t, c.sent, string(got))
		assert.Equal(t, c.err == nil, b.close())
		assert.Equal(t, c.err == nil, b.failure() == nil)
	}
}
