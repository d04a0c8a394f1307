package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// conn is one keep-alive HTTP/1.1 connection with one request under way. The
// client shares the machine with the server, so it does only what the bench
// needs: no pools, no header maps, buffers reused. It redials after an error.
type conn struct {
	addr    string
	timeout time.Duration // of one request, whole
	c       net.Conn
	r       *bufio.Reader
	out     []byte // request head, reused
	in      []byte // response body, reused
}

// readBuffer also bounds a header line, and the body that is sent with its head.
const readBuffer = 64 << 10

func newConn(addr string, timeout time.Duration) *conn {
	return &conn{addr: addr, timeout: timeout, r: bufio.NewReaderSize(nil, readBuffer)}
}

// request is one exchange. Path is already escaped.
type request struct {
	method, path string
	header       string // lines, each ended by \r\n
	body         []byte
	stream       io.Reader // instead of body: exactly size bytes
	size         int64
	sink         io.Writer // nil: the body comes back in answer.body
}

// answer is what came back. The body is valid until the next exchange.
type answer struct {
	status int
	body   []byte
	length int64 // of the body, also when it went to the sink
}

// do sends a request and reads the whole answer.
func (c *conn) do(q request) (answer, error) {
	if err := c.connect(); err != nil {
		return answer{}, err
	}
	a, closing, err := c.exchange(q)
	if err != nil || closing {
		c.close()
	}
	return a, err
}

func (c *conn) connect() error {
	if c.c != nil {
		return nil
	}
	dialed, err := net.DialTimeout("tcp", c.addr, c.timeout)
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	c.c = dialed
	c.r.Reset(dialed)
	return nil
}

func (c *conn) close() {
	if c.c != nil {
		// An error of closing says nothing about an exchange that has ended.
		_ = c.c.Close()
		c.c = nil
	}
}

func (c *conn) exchange(q request) (a answer, closing bool, err error) {
	if err := c.c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return a, false, fmt.Errorf("set a deadline: %w", err)
	}
	if err := c.send(q); err != nil {
		return a, false, fmt.Errorf("send %s %s: %w", q.method, q.path, err)
	}
	a, closing, err = c.receive(q)
	if err != nil {
		return a, closing, fmt.Errorf("answer to %s %s: %w", q.method, q.path, err)
	}
	return a, closing, nil
}

func (c *conn) send(q request) error {
	size := int64(len(q.body))
	if q.stream != nil {
		size = q.size
	}
	out := append(c.out[:0], q.method...)
	out = append(append(append(out, ' '), q.path...), " HTTP/1.1\r\nHost: "...)
	out = append(append(append(out, c.addr...), "\r\n"...), q.header...)
	if size > 0 || q.method == "PUT" || q.method == "POST" {
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), size, 10), "\r\n"...)
	}
	out = append(out, "\r\n"...)
	c.out = out
	if q.stream != nil {
		if _, err := c.c.Write(out); err != nil {
			return err
		}
		_, err := io.CopyN(c.c, q.stream, size)
		return err
	}
	if len(q.body) <= readBuffer {
		c.out = append(out, q.body...)
		_, err := c.c.Write(c.out)
		return err
	}
	parts := net.Buffers{out, q.body}
	_, err := parts.WriteTo(c.c)
	return err
}

// head is what the bench needs of a response head.
type head struct {
	status  int
	length  int64 // -1: not declared
	chunked bool
	closing bool
}

func (c *conn) receive(q request) (a answer, closing bool, err error) {
	h, err := c.readHead()
	if err != nil {
		return a, false, err
	}
	a.status = h.status
	var body io.Reader
	switch {
	case q.method == "HEAD" || h.status == 204 || h.status == 304:
		return a, h.closing, nil
	case h.chunked:
		body = &chunkReader{r: c.r}
	case h.length >= 0:
		body = &io.LimitedReader{R: c.r, N: h.length}
	default:
		return a, true, errors.New("the answer declares neither a length nor chunks")
	}
	if q.sink != nil && h.status < 300 {
		a.length, err = io.Copy(q.sink, body)
	} else {
		c.in, err = readInto(c.in[:0], body)
		a.body, a.length = c.in, int64(len(c.in))
	}
	if err == nil && h.length >= 0 && !h.chunked && a.length != h.length {
		err = fmt.Errorf("the body ended after %d of %d bytes: %w", a.length, h.length, io.ErrUnexpectedEOF)
	}
	return a, h.closing, err
}

// readInto reads to the end, growing buf as needed.
func readInto(buf []byte, r io.Reader) ([]byte, error) {
	if l, ok := r.(*io.LimitedReader); ok && int64(cap(buf)) < l.N+1 {
		buf = make([]byte, 0, min(l.N+1, 64<<20))
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

func (c *conn) readHead() (head, error) {
	h := head{length: -1}
	line, err := c.readLine()
	if err != nil {
		return h, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return h, fmt.Errorf("not an HTTP/1.1 status line: %q", line)
	}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return h, fmt.Errorf("not a status: %q", line)
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return h, err
		}
		if len(line) == 0 {
			return h, nil
		}
		if err := h.field(line); err != nil {
			return h, err
		}
	}
}

// field notes a header line that says how the body is framed.
func (h *head) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("not a length: %q", line)
		}
		h.length = n
	case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
		h.chunked = bytes.EqualFold(value, []byte("chunked"))
	case len(name) == len("Connection") && bytes.EqualFold(name, []byte("Connection")):
		h.closing = bytes.EqualFold(value, []byte("close"))
	}
	return nil
}

// readLine returns a line without its end; valid until the next read.
func (c *conn) readLine() ([]byte, error) { return readLine(c.r) }

func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		if err == io.EOF && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// chunkReader undoes Transfer-Encoding: chunked. Trailers are read over.
type chunkReader struct {
	r    *bufio.Reader
	left int64
	done bool
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if c.done {
		return 0, io.EOF
	}
	if c.left == 0 {
		line, err := readLine(c.r)
		if err != nil {
			return 0, unexpected(err)
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		if c.left, err = strconv.ParseInt(string(size), 16, 63); err != nil {
			return 0, fmt.Errorf("not a chunk size: %q", line)
		}
		if c.left == 0 {
			c.done = true
			return 0, c.trailers()
		}
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	if c.left -= int64(n); c.left == 0 && err == nil {
		_, err = readLine(c.r) // the line end after the chunk
	}
	return n, unexpected(err)
}

func (c *chunkReader) trailers() error {
	for {
		line, err := readLine(c.r)
		if err != nil {
			return unexpected(err)
		}
		if len(line) == 0 {
			return io.EOF
		}
	}
}

// unexpected makes an end inside a body an error.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
