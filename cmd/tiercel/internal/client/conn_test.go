package client

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

// refusing answers every request as soon as its header is there, and closes while the
// body is still coming, as a server does that has no use for it.
func refusing(t *testing.T, status int, code model.Code) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	body := fmt.Sprintf(`{"error":{"code":%q,"message":"not this one"}}`, code)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if req, err := http.ReadRequest(bufio.NewReaderSize(conn, 16)); err == nil {
				if req.Header.Get("Expect") != "" {
					_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
					_, _ = io.ReadFull(conn, make([]byte, 1<<10))
				}
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d No\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
			}
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestPut_ARefusalInTheMidstOfTheBodyIsWhatIsTold(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 2<<20)
	for status, code := range map[int]model.Code{
		507: model.CodeQuotaExceeded, 413: model.CodeTooLarge, 401: model.CodeUnauthenticated, 403: model.CodePermissionDenied,
	} {
		for name, size := range map[string]int64{"a file": int64(len(content)), "a stream": -1} {
			c, err := New(Options{Server: refusing(t, status, code), BackOff: time.Millisecond, Timeout: 10 * time.Second})
			require.NoError(t, err)
			for range 5 { // which of the two is met first is a matter of luck
				var opened atomic.Int32
				src := Source{Size: size, Open: func() (io.ReadCloser, error) {
					opened.Add(1)
					return io.NopCloser(bytes.NewReader(content)), nil
				}}
				_, err := c.Put(t.Context(), "/big", src, PutOptions{})
				require.Error(t, err)
				assert.Equal(t, "put /big: not this one ("+string(code)+")", Message(err), name)
				assert.EqualValues(t, 1, opened.Load(), "%s: sent again", name)
			}
			c.Close()
		}
	}
}

func TestPut_OfWhatCanBeReadOnceSaysWhyItFailed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() { // takes a little, and breaks the connection
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, 1<<20))
			_ = conn.Close()
		}
	}()
	c, err := New(Options{Server: "http://" + l.Addr().String()})
	require.NoError(t, err)
	spent := false
	_, err = c.Put(t.Context(), "/big", Source{Size: -1, Spent: func() bool { return spent }, Open: func() (io.ReadCloser, error) {
		require.False(t, spent, "tried again")
		spent = true
		return io.NopCloser(bytes.NewReader(make([]byte, 32<<20))), nil
	}}, PutOptions{})
	require.Error(t, err)
	assert.Equal(t, model.CodeOutcomeUnknown, model.CodeOf(err))
	assert.Regexp(t, "^put /big: the connection to .* broke: .*; the content can be read only once, so the upload cannot be tried again", Message(err))
}

func TestClient_ACertificateForOtherNamesIsSaidToBeThat(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	ask := func(o Options) error {
		c, err := New(o)
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Status(t.Context())
		return err
	}
	err = ask(Options{Server: "https://localhost:" + port, Authorities: trusted})
	assert.ErrorContains(t, err, "is for other names: example.com")
	assert.ErrorContains(t, err, "127.0.0.1")
	assert.Equal(t, model.CodeUnauthenticated, model.CodeOf(err))
	assert.ErrorContains(t, ask(Options{Server: "https://127.0.0.1:" + port, Authorities: x509.NewCertPool()}), "is not trusted")
}

func TestClient_TheTimeoutCountsFromTheBeginningOfWhatFailed(t *testing.T) {
	var asked atomic.Int32
	ends := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		<-ends
	}))
	defer server.Close()
	defer close(ends)
	c, err := New(Options{Server: server.URL, Timeout: 100 * time.Millisecond, BackOff: time.Millisecond})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Status(t.Context())
	assert.Equal(t, model.CodeDeadlineExceeded, model.CodeOf(err))
	assert.EqualValues(t, 1, asked.Load(), "the first attempt has used it up")
}
