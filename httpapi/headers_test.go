package httpapi

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
)

func TestHeaders_WhatTwoReadersCouldUnderstandDifferentlyIsRefusedAndTheConnectionClosed(t *testing.T) {
	w := overTCP(t, Config{HeaderTimeout: 5 * time.Second})
	line := "PUT " + filesPrefix + "a HTTP/1.1\r\n"
	for _, c := range []struct{ name, request string }{
		{"two lengths that differ", line + "Host: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
		{"two lengths that agree", line + "Host: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"},
		{"a list of lengths", line + "Host: h\r\nContent-Length: 1, 1\r\n\r\na"},
		{"a negative length", line + "Host: h\r\nContent-Length: -1\r\n\r\n"},
		{"a signed length", line + "Host: h\r\nContent-Length: +1\r\n\r\na"},
		{"a hexadecimal length", line + "Host: h\r\nContent-Length: 0x1\r\n\r\na"},
		{"an empty length", line + "Host: h\r\nContent-Length: \r\n\r\n"},
		{"a length beyond 64 bits", line + "Host: h\r\nContent-Length: 99999999999999999999\r\n\r\n"},
		{"a length and chunks", line + "Host: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"chunks and a length", line + "Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n"},
		{"two encodings", line + "Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"an encoding we do not know", line + "Host: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"identity", line + "Host: h\r\nTransfer-Encoding: identity\r\n\r\n"},
		{"identity and a length", line + "Host: h\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na"},
		{"a folded header", line + "Host: h\r\nX-Meta-A: b\r\n c\r\nContent-Length: 1\r\n\r\na"},
		{"a fold with a tab", line + "Host: h\r\nX-Meta-A: b\r\n\tc\r\n\r\n"},
		{"a fold that hides a length", line + "Host: h\r\nX-Meta-A: b\r\n Content-Length: 5\r\n\r\n"},
		{"a NUL in a value", line + "Host: h\r\nX-Meta-A: b\x00c\r\n\r\n"},
		{"a control character in a value", line + "Host: h\r\nX-Meta-A: b\x01c\r\n\r\n"},
		{"a DEL in a value", line + "Host: h\r\nX-Meta-A: b\x7fc\r\n\r\n"},
		{"a bare CR in a value", line + "Host: h\r\nX-Meta-A: b\rc\r\n\r\n"},
		{"a bare LF between headers", line + "Host: h\nContent-Length: 1\r\n\r\na"},
		{"a space before the colon", line + "Host: h\r\nContent-Length : 1\r\n\r\na"},
		{"a space in a name", line + "Host: h\r\nX Meta: 1\r\n\r\n"},
		{"a space before a name", line + " Host: h\r\n\r\n"},
		{"no name", line + "Host: h\r\n: x\r\n\r\n"},
		{"no colon", line + "Host: h\r\nnonsense\r\n\r\n"},
		{"a parenthesis in a name", line + "Host: h\r\nX-Meta-(a): 1\r\n\r\n"},
		{"a byte beyond ASCII in a name", line + "Host: h\r\nX-Meta-\xc3\xa4: 1\r\n\r\n"},
		{"no host", line + "\r\n"},
		{"two hosts", line + "Host: h\r\nHost: g\r\n\r\n"},
		{"another expectation", line + "Host: h\r\nExpect: gold\r\nContent-Length: 1\r\n\r\na"},
		{"two tenants", line + "Host: h\r\nX-Tenant-ID: a\r\nX-Tenant-ID: b\r\n\r\n"},
		{"two tiers", line + "Host: h\r\nX-Storage-Tier: 1\r\nX-Storage-Tier: 1\r\n\r\n"},
		{"another version", "PUT " + filesPrefix + "a HTTP/2.0\r\nHost: h\r\n\r\n"},
		{"no version", "PUT " + filesPrefix + "a\r\nHost: h\r\n\r\n"},
		{"no HTTP", "\x16\x03\x01\x00\x05hello\r\n\r\n"},
		{"too many headers", line + "Host: h\r\n" + strings.Repeat("X-A: 1\r\n", maxHeaderLines) + "\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, closed := w.exchange(c.request, true)
			e := wantError(t, r, 400, "invalid_argument")
			assert.True(t, closed, "the connection is still open")
			assert.Equal(t, strings.Contains(c.name, "fold"), strings.Contains(e.Error.Message, "folded"), e.Error.Message)
			assert.Empty(t, w.gw.puts)
		})
	}
}

func TestHeaders_BadAttributesAreRefusedBeforeTheGateway(t *testing.T) {
	w := inMemory(t, Config{MaxHeaderBytes: 64 << 10})
	many := make([]string, model.MaxMetaEntries+1)
	for i := range many {
		many[i] = "X-Meta-A" + strings.Repeat("a", i) + ": 1"
	}
	for _, c := range []struct {
		name    string
		headers []string
	}{
		{"tenant in capitals", []string{"X-Tenant-ID: Acme"}},
		{"empty tenant", []string{"X-Tenant-ID: "}},
		{"tenant with a dot", []string{"X-Tenant-ID: a.b"}},
		{"long tenant", []string{"X-Tenant-ID: " + strings.Repeat("a", 64)}},
		{"tier 0", []string{"X-Storage-Tier: 0"}},
		{"tier 4", []string{"X-Storage-Tier: 4"}},
		{"tier by name", []string{"X-Storage-Tier: critical"}},
		{"tier 01", []string{"X-Storage-Tier: 01"}},
		{"empty tier", []string{"X-Storage-Tier: "}},
		{"checksum in hex", []string{"X-Checksum-Crc32c: 9a71bb4c"}},
		{"checksum of five bytes", []string{"X-Checksum-Crc32c: AAAAAAA="}},
		{"checksum without padding", []string{"X-Checksum-Crc32c: AAAAAA"}},
		{"checksum with stray bits", []string{"X-Checksum-Crc32c: AAAAAB=="}},
		{"empty checksum", []string{"X-Checksum-Crc32c: "}},
		{"long content type", []string{"Content-Type: text/" + strings.Repeat("a", model.MaxContentTypeBytes)}},
		{"content type beyond ASCII", []string{"Content-Type: text/ä"}},
		{"empty idempotency key", []string{"Idempotency-Key: "}},
		{"long idempotency key", []string{"Idempotency-Key: " + strings.Repeat("a", model.MaxIdempotencyKeyBytes+1)}},
		{"idempotency key with a space", []string{"Idempotency-Key: a b"}},
		{"metadata that is not UTF-8", []string{"X-Meta-A: \xff"}},
		{"metadata with a tab", []string{"X-Meta-A: a\tb"}},
		{"metadata with a control character of Unicode", []string{"X-Meta-A: a\u0085b"}},
		{"metadata given twice", []string{"X-Meta-A: 1", "X-Meta-a: 2"}},
		{"too many metadata", many},
		{"too much metadata", []string{"X-Meta-A: " + strings.Repeat("a", model.MaxMetaBytes)}},
		{"a part of a file", []string{"Content-Range: bytes 0-1/3"}},
		{"encoded content", []string{"Content-Encoding: gzip"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantError(t, w.do("PUT", fileURL+"/a", strings.NewReader("x"), c.headers...), 400, "invalid_argument")
			assert.Empty(t, w.gw.puts)
		})
	}
	w.put("/a", []byte("hello"), "X-Checksum-Crc32c: mnG7TA==", "Content-Encoding: identity")
	wantError(t, w.do("PUT", fileURL+"/a", strings.NewReader("hellp"), "X-Checksum-Crc32c: mnG7TA=="), 400, "invalid_argument")
}

func TestHeaders_BeyondTheirSizeAreTooLarge(t *testing.T) {
	w := overTCP(t, Config{MaxHeaderBytes: 4 << 10})
	r, closed := w.exchange("GET /healthz HTTP/1.1\r\nHost: h\r\nX-A: "+strings.Repeat("a", 8<<10)+"\r\n\r\n", true)
	wantError(t, r, 413, "too_large")
	assert.True(t, closed)
	r, closed = w.exchange("GET /"+strings.Repeat("a", 8<<10)+" HTTP/1.1\r\nHost: h\r\n\r\n", true)
	wantError(t, r, 413, "too_large")
	assert.True(t, closed)
}
