package httpapi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each is a request as it could come from a broken client, in the clear and under TLS with
// a token; what is said of it names the cause.
func TestMalformed_TheCauseIsNamedAndWhatWasSentIsNotRepeated(t *testing.T) {
	open := overTCP(t, Config{})
	closed, _ := overTLS(t, Config{Tokens: testBearers})
	const get = "GET /healthz HTTP/1.1\r\nHost: h\r\n"
	put := "PUT " + filesPrefix + "a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer acme-rw\r\n"
	chunked := put + "Transfer-Encoding: chunked\r\n\r\n"
	said := map[string]bool{}
	for _, c := range []struct{ name, raw, says string }{
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n", "the Host header is missing or empty"},
		{"an empty host", "GET /healthz HTTP/1.1\r\nHost: \r\n\r\n", "the Host header is missing or empty"},
		{"two hosts", get + "Host: other\r\n\r\n", "the Host header is given more than once"},
		{"the same host twice", get + "Host: h\r\n\r\n", "the Host header is given more than once"},
		{"an encoding twice", put + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "the Transfer-Encoding is not supported, given more than once"},
		{"an encoding that nobody has", put + "Transfer-Encoding: gzip\r\n\r\n", "the Transfer-Encoding is not supported"},
		{"chunks in HTTP/1.0", strings.Replace(chunked, "HTTP/1.1", "HTTP/1.0", 1) + "0\r\n\r\n", "or of HTTP/1.0"},
		{"a length and chunks", put + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "are both given; send one"},
		{"two lengths", put + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "Content-Length is given more than once"},
		{"a length of letters", put + "Content-Length: x\r\n\r\n", "the Content-Length is not a number"},
		{"no length in the header", put + "Content-Length:\r\n\r\n", "the Content-Length is not a number"},
		{"a length beyond numbers", put + "Content-Length: 99999999999999999999\r\n\r\n", "or is too large for one"},
		{"a space before the first header", "GET /healthz HTTP/1.1\r\n Host: h\r\n\r\n", "the first header line begins with a space"},
		{"a folded header", get + "A: b\r\n c\r\n\r\n", "folded over several lines"},
		{"a space before a colon", get + "A : b\r\n\r\n", "between its name and the colon"},
		{"no colon", get + "acme-rw\r\n\r\n", "a header line has no colon"},
		{"no name", get + ": acme-rw\r\n\r\n", "a header has no name"},
		{"a bracket in a name", get + "A(: acme-rw\r\n\r\n", "a character that is not allowed"},
		{"a NUL in a value", get + "Authorization: Bearer acme-rw\x00\r\n\r\n", "the value of a header has a control character"},
		{"a trailer that frames", put + "Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "the Trailer header names a field"},
		{"bare LF", "GET /healthz HTTP/1.1\nHost: h\n\n", "an empty line, CR LF, is their end"},
		{"half a request", get, "the request ended before its headers did"},
		{"half a request line", "GET /heal", "the request ended before its headers did"},
		{"HTTP/0.9", "GET /\r\n\r\n", "the request line names no protocol"},
		{"two spaces", "GET  /healthz HTTP/1.1\r\nHost: h\r\n\r\n", "with one space between"},
		{"a space in the target", "GET /a acme-rw HTTP/1.1\r\nHost: h\r\n\r\n", "%20 for a space in the target"},
		{"no target", "GET  HTTP/1.1\r\nHost: h\r\n\r\n", "the request line has no target"},
		{"tabs", "GET\t/\tHTTP/1.1 \r\nHost: h\r\n\r\n", "the method has a character that is not allowed"},
		{"brackets", "(GET) / HTTP/1.1\r\nHost: h\r\n\r\n", "the method has a character that is not allowed"},
		{"no method", " / HTTP/1.1\r\nHost: h\r\n\r\n", "does not begin with a method"},
		{"a control character in the target", "GET /acme-rw\x01 HTTP/1.1\r\nHost: h\r\n\r\n", "the request target has a control character"},
		{"an asterisk", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", "is not one that this method takes"},
		{"a body that is cut", put + "Content-Length: 5\r\n\r\nab", "the body ended before its declared length"},
		{"a chunk without a size", chunked + "x\r\n", "after 0 bytes of a chunked body: a chunk does not begin with its size"},
		{"a chunk beyond numbers", chunked + "10000000000000003\r\nabc\r\n0\r\n\r\n", "a chunk's size is too large"},
		{"a chunk that is longer", chunked + "3\r\nabcXX0\r\n\r\n", "a chunk is not as long as it says"},
		{"a chunk behind a bare LF", chunked + "3;a\nabc\r\n0\r\n\r\n", "does not end with CR LF"},
		{"a length behind the chunks", chunked + "3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n", "may not come there"},
		{"nonsense behind the chunks", chunked + "3\r\nabc\r\n0\r\nacme-rw\r\n\r\n", "a line behind the last chunk is no header"},
		{"nothing but framing", chunked + "3;" + strings.Repeat("a", 4<<20) + "\r\nabc\r\n0\r\n\r\n", "its framing is many times its content"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, w := range []*world{open, closed} {
				w.t = t
				got := w.answers(c.raw, "PUT")
				require.Len(t, got, 1)
				text := wantError(t, got[0], 400, "invalid_argument").Error.Message
				assert.Contains(t, text, c.says)
				assert.NotContains(t, text, "acme-rw")
				said[text] = true
				assert.Empty(t, w.gw.puts)
			}
		})
	}
	var all strings.Builder
	for text := range said {
		all.WriteString(text)
	}
	for _, m := range append(malformations, brokenBodies...) {
		assert.Contains(t, all.String(), m.means, "no request here is told this")
	}
}
