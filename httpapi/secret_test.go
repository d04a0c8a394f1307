package httpapi

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// overTLS serves over loopback sockets that speak TLS; plain dials without it.
func overTLS(t *testing.T, cfg Config) (w *world, plain func() (net.Conn, error)) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"tiercel"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	plain = func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }
	secret := func() (net.Conn, error) {
		c, err := plain()
		if err != nil {
			return nil, err
		}
		// Small, so that how fast it is read is how fast it can be sent.
		return tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "tiercel", MinVersion: tls.VersionTLS12}), c.(*net.TCPConn).SetReadBuffer(64 << 10)
	}
	return serve(t, cfg, ln, secret), plain
}

func TestTLS_CarriesWhatPlainConnectionsDo(t *testing.T) {
	w, _ := overTLS(t, Config{Tokens: testBearers})
	content := pattern(3 << 20)
	w.put("/a", content, "Authorization: Bearer acme-rw")
	assert.Equal(t, content, w.get("/a", "Authorization: Bearer acme-ro").body)
	r, closed := w.exchange("GET /api/v1/storage/files/a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", true)
	wantError(t, r, 401, "unauthenticated")
	assert.True(t, closed)
	assert.Positive(t, w.server.connections())
}

// The patience of connections is for bytes on the wire: a record that takes longer than
// a deadline, and moves, is no reason to break the connection.
func TestTLS_ASlowClientThatMakesProgressIsServedAndAStalledOneCut(t *testing.T) {
	t.Parallel()
	content := pattern(7 << 20) // more than what the kernel takes at once
	limits := Config{StallTimeout: 2 * time.Second, MinBytesPerSecond: 1, RateGrace: time.Minute}
	ask := func(w *world) net.Conn {
		c, err := w.dial()
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
		_, err = io.WriteString(c, "GET /api/v1/storage/files/a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		return c
	}
	other, _ := overTLS(t, limits)
	other.stored("/a", content)
	stalled := ask(other) // which takes nothing while the slow one is served
	defer stalled.Close()

	w, _ := overTLS(t, limits)
	w.stored("/a", content)
	patiently(t, func() error {
		slow := ask(w)
		defer slow.Close()
		var got bytes.Buffer
		for start := time.Now(); ; {
			n, err := io.CopyN(&got, slow, 64<<10)
			if n == 0 || err != nil {
				break
			}
			// A piece of the file takes longer than the longest deadline, and two
			// deadlines pass; then there is nothing more to be learnt from waiting.
			if time.Since(start) < 6500*time.Millisecond {
				<-time.After(300 * time.Millisecond)
			}
		}
		_, body, _ := bytes.Cut(got.Bytes(), []byte("\r\n\r\n"))
		if !bytes.Equal(content, body) {
			return fmt.Errorf("%d of %d bytes", len(body), len(content))
		}
		return nil
	})

	require.Eventually(t, func() bool { return valueOf(other.server.met.cutResponses) == 1 }, longEnough, 5*time.Millisecond)
	cut, _ := io.Copy(io.Discard, stalled) // ends in the middle of a record
	assert.Less(t, cut, int64(len(content)))
}

func TestTLS_WhoSpeaksPlainHTTPIsToldSo(t *testing.T) {
	w, plain := overTLS(t, Config{})
	secret := w.dial
	w.dial = plain
	r, closed := w.exchange("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n", true)
	assert.Contains(t, wantError(t, r, 400, "invalid_argument").Error.Message, "use https://")
	assert.True(t, closed)
	c, err := plain()
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(longEnough)))
	answer, _ := io.ReadAll(c)
	assert.Empty(t, answer)
	w.dial = secret
	assert.Equal(t, http.StatusOK, w.raw("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n").status)
}

func TestTLS_AConnectionBeyondTheLimitIsRefusedInTLS(t *testing.T) {
	// What is refused has this long for its handshake, too.
	w, plain := overTLS(t, Config{MaxConnections: 1, LingerTimeout: 10 * time.Second})
	first, err := plain()
	require.NoError(t, err)
	defer first.Close()
	require.Eventually(t, func() bool { return w.server.connections() == 1 }, longEnough, time.Millisecond)
	c, err := w.dial()
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	answer, err := io.ReadAll(c)
	_ = err // the connection ends without a farewell
	assert.Contains(t, string(answer), "429 Too Many Requests")
	assert.Contains(t, string(answer), "Retry-After: ")
}

func TestTLS_WhoNeverShakesHandsIsHungUpOnAndDoesNotHoldUpTheEnd(t *testing.T) {
	_, plain := overTLS(t, Config{HeaderTimeout: 100 * time.Millisecond})
	c, err := plain()
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(longEnough)))
	_, err = c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)

	w, plain := overTLS(t, Config{}) // that hangs up on nobody before the end
	another, err := plain()
	require.NoError(t, err)
	defer another.Close()
	require.Eventually(t, func() bool { return w.server.connections() == 1 }, longEnough, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), longEnough)
	defer cancel()
	assert.NoError(t, w.server.Shutdown(ctx))
}
