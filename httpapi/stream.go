package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// pieceBytes is how much content is read, verified and written at a time.
	pieceBytes = 1 << 20
	// crowdedPieceBytes is the same once more than maxLargePieces responses are
	// streamed at once: memory must not grow with the number of slow readers.
	crowdedPieceBytes = 128 << 10
	maxLargePieces    = 64
)

var (
	largePieces   = sync.Pool{New: func() any { b := make([]byte, 0, pieceBytes); return &b }}
	crowdedPieces = sync.Pool{New: func() any { b := make([]byte, 0, crowdedPieceBytes); return &b }}
)

// segment is one part of a streamed response: literal bytes, then content.
type segment struct {
	head []byte
	span
}

// stream is the body of a response, made piece by piece as the client takes it.
// The first piece is read before the header is sent; if a later one fails, the
// error makes the server cut the connection before the declared length.
type stream struct {
	s        *Server
	src      source
	segments []segment
	first    []byte // the piece that was read ahead, to be sent after its head
	buf      *[]byte
	large    bool
	rest     []byte // of the chunk that Read is in
	left     int64  // bytes of the response still to come

	route  *route
	status int
	start  time.Time
	id     string
}

// sendStream answers with the content, one range of it, or several.
func (c *call) sendStream(ctx context.Context, src *source, spans []span) error {
	st := &stream{s: c.s, src: *src, route: c.route, start: c.start, id: string(c.id)}
	resp := &c.ctx.Response
	status, contentType, contentRange := fasthttp.StatusOK, "", ""
	size := int64(src.row.SizeBytes)
	switch len(spans) {
	case 0:
		st.segments = []segment{{span: span{0, size}}}
	case 1:
		status, contentRange = fasthttp.StatusPartialContent, rangeOf(spans[0], size)
		st.segments = []segment{{span: spans[0]}}
	default:
		status = fasthttp.StatusPartialContent
		st.segments, contentType = layOutParts(spans, src.row.ContentType, size)
	}
	for _, seg := range st.segments {
		st.left += int64(len(seg.head)) + seg.bytes()
	}
	st.status = status
	st.acquire()
	if err := st.readFirst(ctx); err != nil {
		st.giveBack()
		return err
	}
	c.fileHeaders(src.row, status == fasthttp.StatusOK)
	resp.SetStatusCode(status)
	if contentType != "" {
		resp.Header.SetContentType(contentType)
	}
	if contentRange != "" {
		resp.Header.Set("Content-Range", contentRange)
	}
	c.streaming = true
	resp.SetBodyStream(st, int(st.left))
	return nil
}

// acquire takes a buffer, a smaller one when many are out.
func (st *stream) acquire() {
	if st.large = st.s.streams.Add(1) <= maxLargePieces; st.large {
		st.buf = largePieces.Get().(*[]byte)
	} else {
		st.buf = crowdedPieces.Get().(*[]byte)
	}
}

// giveBack returns the buffer.
func (st *stream) giveBack() {
	st.s.streams.Add(-1)
	if st.large {
		largePieces.Put(st.buf)
	} else {
		crowdedPieces.Put(st.buf)
	}
	st.buf = nil
}

// readFirst reads the first piece, while an error can still be answered.
func (st *stream) readFirst(ctx context.Context) (err error) {
	s := st.segments[0].span
	st.first, err = st.src.read(ctx, s.from, s.to, int64(cap(*st.buf)), (*st.buf)[:0])
	return err
}

// next returns the next chunk to be sent, valid until the next call; io.EOF at the end.
func (st *stream) next() ([]byte, error) {
	for len(st.segments) > 0 {
		seg := &st.segments[0]
		switch {
		case len(seg.head) > 0:
			head := seg.head
			seg.head = nil
			return head, nil
		case len(st.first) > 0:
			piece := st.first
			st.first = nil
			seg.from += int64(len(piece))
			return piece, nil
		case seg.from < seg.to:
			ctx, cancel := context.WithTimeout(st.s.base, st.s.cfg.RequestTimeout)
			piece, err := st.src.read(ctx, seg.from, seg.to, int64(cap(*st.buf)), (*st.buf)[:0])
			cancel()
			if err != nil {
				return nil, err
			}
			seg.from += int64(len(piece))
			return piece, nil
		}
		st.segments = st.segments[1:]
	}
	return nil, io.EOF
}

// WriteTo sends the rest of the response.
func (st *stream) WriteTo(w io.Writer) (total int64, err error) {
	for {
		chunk, err := st.next()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			st.s.cfg.Logger.Error("response cut", "request_id", st.id, "error", err.Error())
			return total, err
		}
		n, err := w.Write(chunk)
		total += int64(n)
		st.left -= int64(n)
		if err != nil {
			return total, err
		}
	}
}

// Read is WriteTo for readers that pull.
func (st *stream) Read(p []byte) (int, error) {
	for len(st.rest) == 0 {
		var err error
		if st.rest, err = st.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, st.rest)
	st.rest = st.rest[n:]
	st.left -= int64(n)
	return n, nil
}

// Close closes the accounts of the request.
func (st *stream) Close() error {
	if st.buf == nil {
		return nil
	}
	st.giveBack()
	if st.left > 0 {
		st.s.met.cutResponses.Inc()
	}
	st.route.metrics.observe(st.status, time.Since(st.start))
	st.s.inFlight.Add(-1)
	return nil
}

// layOutParts lays out a multipart/byteranges body (RFC 9110, 14.6).
func layOutParts(spans []span, contentType string, size int64) (segments []segment, mediaType string) {
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	boundary := hex.EncodeToString(random[:])
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	open := "--"
	for _, s := range spans {
		head := fmt.Sprintf("%s%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n", open, boundary, contentType, rangeOf(s, size))
		segments = append(segments, segment{head: []byte(head), span: s})
		open = "\r\n--"
	}
	segments = append(segments, segment{head: []byte("\r\n--" + boundary + "--\r\n")})
	return segments, "multipart/byteranges; boundary=" + boundary
}

// rangeOf is the value of Content-Range for s.
func rangeOf(s span, size int64) string {
	return "bytes " + strconv.FormatInt(s.from, 10) + "-" + strconv.FormatInt(s.to-1, 10) + "/" + strconv.FormatInt(size, 10)
}
