package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConn_KeepsOneConnectionForManyRequests(t *testing.T) {
	remotes := make(map[string]bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remotes[r.RemoteAddr] = true
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		w.Header().Set("X-Tier", r.Header.Get("X-Storage-Tier"))
		fmt.Fprintf(w, "%s %s %d", r.Method, r.URL.Path, len(body))
	}))
	defer s.Close()
	c := newConn(strings.TrimPrefix(s.URL, "http://"), time.Minute)
	defer c.close()
	large := bytes.Repeat([]byte("x"), 3*readBuffer)
	for _, q := range []struct {
		request
		want string
	}{
		{request{method: "GET", path: "/a"}, "GET /a 0"},
		{request{method: "PUT", path: "/b", body: []byte("four"), header: "X-Storage-Tier: 2\r\n"}, "PUT /b 4"},
		{request{method: "PUT", path: "/empty"}, "PUT /empty 0"},
		{request{method: "PUT", path: "/c", body: large}, fmt.Sprintf("PUT /c %d", len(large))},
		{request{method: "PUT", path: "/d", stream: bytes.NewReader(large), size: 1000}, "PUT /d 1000"},
		{request{method: "HEAD", path: "/e"}, ""},
		{request{method: "GET", path: "/f"}, "GET /f 0"},
	} {
		a, err := c.do(q.request)
		require.NoError(t, err, q.path)
		assert.Equal(t, 200, a.status)
		assert.Equal(t, q.want, string(a.body))
	}
	assert.Len(t, remotes, 1)
}

// TestConn_ReadsAnswersByTheirFraming feeds raw answers, as a hostile or
// clumsy server would send them.
func TestConn_ReadsAnswersByTheirFraming(t *testing.T) {
	for _, c := range []struct{ name, answer, body, problem string }{
		{"a length", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", "abc", ""},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", "", ""},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n", "abcde", ""},
		{"no framing", "HTTP/1.1 200 OK\r\n\r\nabc", "", "neither a length nor chunks"},
		{"a short body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "", "after 3 of 9 bytes"},
		{"a cut chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", "", "unexpected EOF"},
		{"missing chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "", "unexpected EOF"},
		{"a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "", "not a chunk size"},
		{"a bad length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "", "not a length"},
		{"no status", "HTTP/1.1 ABC OK\r\n\r\n", "", "not a status"},
		{"no HTTP", "SSH-2.0-OpenSSH_9.6 banner\r\n", "", "not an HTTP/1.1 status line"},
		{"nothing", "", "", "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := net.Pipe()
			go func() {
				_, _ = http.ReadRequest(bufio.NewReader(server))
				_, _ = io.WriteString(server, c.answer)
				_ = server.Close()
			}()
			conn := newConn("pipe", time.Minute)
			conn.c = client
			conn.r.Reset(client)
			a, err := conn.do(request{method: "GET", path: "/"})
			if c.problem != "" {
				require.ErrorContains(t, err, c.problem)
				assert.Nil(t, conn.c, "a broken connection is not used again")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.body, string(a.body))
		})
	}
}

func TestConn_DialsAgainAfterTheServerClosed(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		fmt.Fprint(w, "bye")
	}))
	defer s.Close()
	c := newConn(strings.TrimPrefix(s.URL, "http://"), time.Minute)
	for range 3 {
		a, err := c.do(request{method: "GET", path: "/"})
		require.NoError(t, err)
		assert.Equal(t, "bye", string(a.body))
	}
}
