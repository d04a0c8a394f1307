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
