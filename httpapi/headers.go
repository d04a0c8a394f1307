package httpapi

import (
	"bytes"

	"tiercel/cluster/model"
)

// maxHeaderLines bounds the header fields of one request: twice the metadata
// entries and room for what browsers and proxies add.
const maxHeaderLines = 2 * model.MaxMetaEntries

// headers are the fields of a request that mean something here, as slices of
// the raw header block; nil when a field was not sent.
type headers struct {
	contentLength, transferEncoding    []byte
	contentType, contentEncoding       []byte
	contentRange, expect               []byte
	authorization                      []byte
	tenant, tier, checksum             []byte
	idempotencyKey, requestID          []byte
	ifMatch, ifNoneMatch, ifRange      []byte
	ifModifiedSince, ifUnmodifiedSince []byte
	rng                                []byte
	meta                               []metaField
}

// metaField is one X-Meta-* header: its name behind the prefix, as sent, and its value.
type metaField struct{ name, value []byte }

func (h *headers) reset() { *h = headers{meta: h.meta[:0]} }

// scan reads a raw header block (from behind the request line to the empty line)
// more strictly than the server below does: a bare LF or CR, a folded line, a
// space in a name, a control character in a value, or framing that two readers
// could understand differently is refused, since what one hop lets through
// another will read as a second request. h keeps slices of raw.
func (h *headers) scan(raw []byte) error {
	h.reset()
	for lines := 0; len(raw) > 0; lines++ {
		end := bytes.IndexByte(raw, '\n')
		if end < 1 || raw[end-1] != '\r' {
			return badHeader("a header line does not end with CR LF")
		}
		line := raw[:end-1]
		raw = raw[end+1:]
		if len(line) == 0 {
			break
		}
		if lines == maxHeaderLines {
			return badHeader("the request has more than %d header fields", maxHeaderLines)
		}
		name, value, err := cutField(line)
		if err != nil {
			return err
		}
		if err := h.take(name, value); err != nil {
			return err
		}
	}
	return h.checkFraming()
}

// cutField splits one header line into a name of token characters and a value
// without control characters, its outer white space removed.
func cutField(line []byte) (name, value []byte, err error) {
	if line[0] == ' ' || line[0] == '\t' {
		return nil, nil, badHeader("a header is folded over several lines; send it on one")
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return nil, nil, badHeader("a header line has no name or no colon")
	}
	name, value = line[:colon], trimOWS(line[colon+1:])
	for _, c := range name {
		if !isTokenByte[c] {
			return nil, nil, badHeader("the header name %q has a character that is not allowed (0x%02X)", clip(string(name)), c)
		}
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, badHeader("the header %s has a control character (0x%02X)", clip(string(name)), c)
		}
	}
	return name, value, nil
}

// take files one field under its name. Fields that are lists are joined when
// they come on several lines; the others may come once.
func (h *headers) take(name, value []byte) error {
	var buf [32]byte
	lower := appendLower(buf[:0], name)
	if len(lower) > 7 && string(lower[:7]) == "x-meta-" {
		h.meta = append(h.meta, metaField{name[7:], value})
		return nil
	}
	slot, list := h.slot(lower)
	switch {
	case slot == nil:
	case *slot == nil:
		if value == nil {
			value = []byte{}
		}
		*slot = value
	case list:
		*slot = append(append(append([]byte(nil), *slot...), ", "...), value...)
	default:
		return badHeader("the header %s is given more than once", clip(string(name)))
	}
	return nil
}

// slot finds the field a lower-case name belongs to, nil when it means nothing here.
func (h *headers) slot(lower []byte) (field *[]byte, list bool) {
	switch string(lower) {
	case "content-length":
		return &h.contentLength, false
	case "transfer-encoding":
		return &h.transferEncoding, false
	case "content-type":
		return &h.contentType, false
	case "content-encoding":
		return &h.contentEncoding, false
	case "content-range":
		return &h.contentRange, false
	case "expect":
		return &h.expect, false
	case "authorization":
		return &h.authorization, false
	case "x-tenant-id":
		return &h.tenant, false
	case "x-storage-tier":
		return &h.tier, false
	case "x-checksum-crc32c":
		return &h.checksum, false
	case "idempotency-key":
		return &h.idempotencyKey, false
	case "x-request-id":
		return &h.requestID, false
	case "if-match":
		return &h.ifMatch, true
	case "if-none-match":
		return &h.ifNoneMatch, true
	case "if-range":
		return &h.ifRange, false
	case "if-modified-since":
		return &h.ifModifiedSince, false
	case "if-unmodified-since":
		return &h.ifUnmodifiedSince, false
	case "range":
		return &h.rng, false
	}
	return nil, false
}

// checkFraming refuses every way of saying a body's length that two readers
// could understand differently.
func (h *headers) checkFraming() error {
	if h.transferEncoding != nil {
		if h.contentLength != nil {
			return badHeader("Content-Length and Transfer-Encoding are both given; send one")
		}
		if !equalFold(h.transferEncoding, "chunked") {
			return badHeader("the Transfer-Encoding %q is not supported; send \"chunked\" or a Content-Length", clip(string(h.transferEncoding)))
		}
	}
	for _, c := range h.contentLength {
		if c < '0' || c > '9' {
			return badHeader("the Content-Length %q is not a number", clip(string(h.contentLength)))
		}
	}
	if h.contentLength != nil && len(h.contentLength) == 0 {
		return badHeader("the Content-Length is empty")
	}
	if h.expect != nil && !equalFold(h.expect, "100-continue") {
		return badHeader("the expectation %q is not supported; the only one is 100-continue", clip(string(h.expect)))
	}
	return nil
}

// checkVersion takes HTTP/1.1 and HTTP/1.0, which the server below speaks. A hop of
// HTTP/1.0 does not know chunks and would see a second request in them (RFC 9112, 6.1).
func (h *headers) checkVersion(protocol []byte) error {
	if string(protocol) == "HTTP/1.0" && h.transferEncoding != nil {
		return badHeader("HTTP/1.0 has no Transfer-Encoding; send a Content-Length, or speak HTTP/1.1")
	}
	if string(protocol) != "HTTP/1.1" && string(protocol) != "HTTP/1.0" {
		return badHeader("the protocol %q is not supported; speak HTTP/1.1", clip(string(protocol)))
	}
	return nil
}

func badHeader(format string, args ...any) error {
	return model.Errorf(model.CodeInvalidArgument, "read headers", format, args...)
}

// isTokenByte holds the characters of an HTTP token (RFC 9110, 5.6.2).
var isTokenByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0
	}
	return t
}()

// trimOWS removes spaces and tabs at both ends.
func trimOWS(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// appendLower appends s with A-Z made lower case.
func appendLower(dst, s []byte) []byte {
	for _, c := range s {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// equalFold compares s with a lower-case text, ignoring the case of A-Z.
func equalFold(s []byte, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i, c := range s {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
