package httpapi

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

// The kernel wakes who waits to write once a third of its buffer is free: until then
// the client takes bytes and no write gets on.
func TestConn_BytesTakenOutOfWhatTheKernelHoldsAreProgress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what the kernel holds is known on Linux only")
	}
	t.Parallel()
	const stall = 400 * time.Millisecond
	for _, taking := range []bool{true, false} {
		t.Run(fmt.Sprintf("taking=%v", taking), func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer ln.Close()
			client, err := net.Dial("tcp", ln.Addr().String())
			require.NoError(t, err)
			defer client.Close()
			below, err := ln.Accept()
			require.NoError(t, err)
			defer below.Close()
			for n := 1; n > 0; { // until it takes nothing, not even a byte
				require.NoError(t, below.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
				n, err = below.Write(make([]byte, 16<<20))
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			}

			limits := Config{StallTimeout: stall, MinBytesPerSecond: 1}.withDefaults()
			own := &conn{Conn: below, owner: newListener(nil, &limits, newMetrics(prometheus.NewRegistry()), nil)}
			if taking {
				// Once the write waits; far less than a third in the time it is given.
				go func() {
					for range 10 {
						<-time.After(100 * time.Millisecond)
						_, _ = io.CopyN(io.Discard, client, 64<<10)
					}
				}()
			}
			n, err := own.Write([]byte("0123456789"))
			if taking {
				assert.NoError(t, err)
				assert.Equal(t, 10, n)
			} else {
				assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
			}
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
