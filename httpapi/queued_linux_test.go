package httpapi

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The kernel wakes who waits to write once a third of its buffer is free: until then
// the client takes bytes and no write gets on.
func TestConn_BytesTakenOutOfWhatTheKernelHoldsAreProgress(t *testing.T) {
	t.Parallel()
	const stall = 2 * time.Second
	for _, taking := range []bool{true, false} {
		t.Run(fmt.Sprintf("taking=%v", taking), func(t *testing.T) {
			t.Parallel()
			write := func() error { return writeToFull(t, stall, taking) }
			if taking {
				patiently(t, write)
			} else {
				assert.ErrorIs(t, write(), os.ErrDeadlineExceeded)
			}
		})
	}
}

// writeToFull writes to a connection whose kernel takes no more, and whose client goes on
// taking or does not.
func writeToFull(t *testing.T, stall time.Duration, taking bool) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	below, err := ln.Accept()
	require.NoError(t, err)
	defer below.Close()
	// Until it takes nothing, not even a byte, and that more than once: a deadline that
	// passes before the write has begun looks the same.
	for refused := 0; refused < 3; refused++ {
		require.NoError(t, below.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
		n, err := below.Write(make([]byte, 16<<20))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		if n > 0 {
			refused = -1
		}
	}

	limits := Config{StallTimeout: stall, MinBytesPerSecond: 1}.withDefaults()
	own := &conn{Conn: below, owner: newListener(nil, &limits, newMetrics(prometheus.NewRegistry()), nil)}
	if taking {
		// Once the write waits; far less than a third in the time it is given.
		go func() {
			for err := error(nil); err == nil; { // until the connection is closed
				<-time.After(500 * time.Millisecond)
				_, err = io.CopyN(io.Discard, client, 64<<10)
			}
		}()
	}
	n, err := own.Write([]byte("0123456789"))
	if err == nil {
		assert.Equal(t, 10, n)
	}
	return err
}
