package httpapi

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
	"tiercel/messages"
)

const (
	// maxPathsBytes bounds the list of paths of a POST /batch/read.
	maxPathsBytes = 4 << 20
	// statAhead is how many paths are looked up at once; the log is asked once for them.
	statAhead = 128
)

// readFiles answers POST /batch/read: the files as a tar archive, in the order asked
// for. What cannot be read is an empty entry with the PAX records TIERCEL.error (the
// code) and TIERCEL.message. If a file breaks off after its header was sent, the response
// is cut.
func (c *call) readFiles() error {
	tenant, err := readTenant(c.h.tenant)
	if err == nil {
		_, err = strictQuery(c.query)
	}
	if err == nil && string(c.ctx.Request.Header.Protocol()) == "HTTP/1.0" {
		err = badHeader("the archive has no length that is known before; speak HTTP/1.1")
	}
	if err != nil {
		c.leaveBody()
		return err
	}
	held := share{of: &c.s.batches}
	paths, err := c.readPaths(&held)
	if err == nil {
		err = held.take(2 * crowdedPieceBytes)
	}
	st := &tarStream{s: c.s, tenant: tenant, paths: paths, held: held, route: c.route, start: c.start, id: string(c.id)}
	if err == nil {
		err = st.lookAhead()
	}
	if err == nil {
		err = st.lost // nobody answers: that is all there is to say
	}
	if err != nil {
		st.held.close()
		return err
	}
	for _, f := range st.ahead {
		c.sayConsistency(f.stat.GetUnchecked())
	}
	st.tar, st.buf = tar.NewWriter(&st.out), crowdedPieces.Get().(*[]byte)
	h := &c.ctx.Response.Header
	h.SetContentType(typeTar)
	h.Set("Cache-Control", "no-store")
	h.SetCanonical(headerNoSniff, valueNoSniff)
	c.ctx.Response.SetStatusCode(fasthttp.StatusOK)
	c.streaming = true
	c.ctx.Response.SetBodyStream(st, -1)
	return nil
}

// readPaths reads the body: {"paths":[…]}.
func (c *call) readPaths(held *share) ([]string, error) {
	size, err := c.bodySize()
	if err == nil && size > maxPathsBytes {
		err = errPathsTooLarge()
	}
	if err == nil {
		err = c.checkContent()
	}
	if err != nil {
		c.leaveBody()
		return nil, err
	}
	b := c.openBody(size)
	text, err := readGrowing(b, maxPathsBytes, &growing{memory: held})
	if !b.close() {
		c.leaveBody()
	}
	switch fault := b.fault("; nothing was read"); {
	case fault != nil:
		c.ctx.SetConnectionClose()
		return nil, fault
	case err != nil:
		return nil, err
	}
	return decodePaths(text)
}

func errPathsTooLarge() error {
	return model.Errorf(model.CodeTooLarge, "read body", "the list of paths may have at most %d bytes; ask for the rest in another request", maxPathsBytes)
}

// readGrowing reads all of r, up to limit bytes; too_large beyond.
func readGrowing(r io.Reader, limit int, g *growing) ([]byte, error) {
	for {
		if err := g.room(decodeBytes); err != nil {
			return nil, err
		}
		at := len(g.data)
		n, err := r.Read(g.data[at:cap(g.data)])
		g.data = g.data[:at+n]
		switch {
		case len(g.data) > limit:
			return nil, errPathsTooLarge()
		case errors.Is(err, io.EOF):
			return g.data, nil
		case err != nil:
			return nil, err
		}
	}
}

// decodePaths reads {"paths":["/a",…]} and nothing else. A path that no file can have
// refuses the request.
func decodePaths(text []byte) ([]string, error) {
	if !utf8.Valid(text) || loneSurrogate(text) {
		return nil, badJSON("the body is not valid UTF-8 JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	for _, want := range []json.Token{json.Delim('{'), "paths", json.Delim('[')} {
		if t, err := dec.Token(); err != nil || t != want {
			return nil, badJSON("the body must be {\"paths\":[…]}; it is not near byte %d", dec.InputOffset())
		}
	}
	var paths []string
	for dec.More() {
		t, err := dec.Token()
		path, ok := t.(string)
		switch {
		case err != nil || !ok:
			return nil, badJSON("path %d is no JSON string, near byte %d", len(paths), dec.InputOffset())
		case len(paths) == model.MaxBatchReadPaths:
			return nil, model.Errorf(model.CodeTooLarge, "read body", "at most %d paths are read at once; ask for the rest in another request", model.MaxBatchReadPaths)
		}
		if err := model.CheckPath(path); err != nil {
			return nil, badJSON("path %d (%s): %s", len(paths), clip(path), messageOf(err))
		}
		paths = append(paths, path)
	}
	for _, want := range []json.Token{json.Delim(']'), json.Delim('}')} {
		if t, err := dec.Token(); err != nil || t != want {
			return nil, badJSON("the body must be {\"paths\":[…]}; it is not near byte %d", dec.InputOffset())
		}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, badJSON("the body goes on after its JSON object")
	}
	if len(paths) == 0 {
		return nil, badJSON("the list \"paths\" is empty")
	}
	return paths, nil
}

// tarStream is the body of a POST /batch/read, made as the client takes it.
type tarStream struct {
	s      *Server
	tenant string
	paths  []string   // not looked up yet
	ahead  []foundRow // looked up
	lost   error      // why nobody can be asked any more

	out  bytes.Buffer // made, not sent yet
	tar  *tar.Writer
	buf  *[]byte
	src  *source // the file under way, or nil
	at   int64   // in it
	over bool
	held share

	route *route
	start time.Time
	id    string
	done  bool
}

// foundRow is a path and what a quorum says of it.
type foundRow struct {
	path string
	stat *messages.StatReply
	err  error
}

// lookAhead asks for the next paths, all at once.
func (st *tarStream) lookAhead() error {
	if err := st.s.base.Err(); err != nil {
		return err
	}
	n := min(len(st.paths), statAhead)
	st.ahead = make([]foundRow, n)
	var asked sync.WaitGroup
	ctx, cancel := context.WithTimeout(st.s.base, st.s.cfg.RequestTimeout)
	defer cancel()
	for i, path := range st.paths[:n] {
		st.ahead[i].path = path
		if st.ahead[i].err = st.lost; st.lost != nil {
			continue
		}
		asked.Go(func() {
			f := &st.ahead[i]
			f.stat, f.err = statFile(ctx, st.s.gw, st.tenant, f.path, false)
		})
	}
	asked.Wait()
	st.paths = st.paths[n:]
	for _, f := range st.ahead {
		if model.CodeOf(f.err) != model.CodeNoMaster {
			return nil
		}
	}
	if n > 0 {
		st.lost = st.ahead[0].err
	}
	return nil
}

// Read implements io.Reader.
func (st *tarStream) Read(p []byte) (int, error) {
	for st.out.Len() == 0 {
		if st.over {
			return 0, io.EOF
		}
		if err := st.more(); err != nil {
			st.s.cfg.Logger.Error("response cut", "request_id", st.id, "error", err.Error())
			return 0, err
		}
	}
	return st.out.Read(p)
}

// more makes the next piece: of the file under way, or the header of the next and
// its first piece, or the end.
func (st *tarStream) more() error {
	switch {
	case st.src != nil:
		return st.piece()
	case len(st.ahead) > 0:
		f := st.ahead[0]
		st.ahead = st.ahead[1:]
		return st.entry(f)
	case len(st.paths) > 0:
		return st.lookAhead()
	}
	st.over = true
	return st.tar.Close()
}

// piece adds the next piece of the file under way.
func (st *tarStream) piece() error {
	size := int64(st.src.row.SizeBytes)
	if st.at == size {
		st.src = nil
		return nil
	}
	piece, err := st.read(st.src, st.at, size)
	if err != nil {
		return err
	}
	st.at += int64(len(piece))
	_, err = st.tar.Write(piece)
	return err
}

func (st *tarStream) read(src *source, from, to int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(st.s.base, st.s.cfg.RequestTimeout)
	defer cancel()
	return src.read(ctx, from, to, int64(cap(*st.buf)), (*st.buf)[:0])
}

// entry begins an entry. Its first piece is read before its header is written, while
// what goes wrong can still be told.
func (st *tarStream) entry(f foundRow) error {
	var first []byte
	for tries := 1; f.err == nil; tries++ {
		st.src, st.at = &source{gw: st.s.gw, tenant: st.tenant, path: f.path, row: f.stat.Row}, 0
		if size := int64(f.stat.Row.SizeBytes); size > 0 {
			first, f.err = st.read(st.src, 0, size)
		}
		if !errors.Is(f.err, errVersionGone) {
			break
		}
		if tries == maxResolves {
			f.err = model.Errorf(model.CodeUnavailable, "get", "the file was replaced %d times while it was read; try again", tries)
			break
		}
		f.stat, f.err = st.stat(f.path)
	}
	if err := st.s.base.Err(); err != nil {
		return err // this node goes down: what is left is not missing
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.path, "/"), Mode: 0o644, PAXRecords: map[string]string{}}
	if f.err != nil {
		st.src = nil
		e := clientError(f.err)
		h.PAXRecords[paxError], h.PAXRecords[paxMessage] = string(e.Code), strings.ReplaceAll(e.Message, "\x00", "")
		return st.tar.WriteHeader(h)
	}
	row := st.src.row
	h.Size, h.ModTime = int64(row.SizeBytes), lastModified(row)
	if f.stat.Unchecked {
		h.PAXRecords[paxUnchecked] = strconv.FormatBool(true)
	}
	if err := st.tar.WriteHeader(h); err != nil {
		return err
	}
	st.at = int64(len(first))
	_, err := st.tar.Write(first)
	return err
}

func (st *tarStream) stat(path string) (*messages.StatReply, error) {
	ctx, cancel := context.WithTimeout(st.s.base, st.s.cfg.RequestTimeout)
	defer cancel()
	return statFile(ctx, st.s.gw, st.tenant, path, false)
}

// Close closes the accounts of the request.
func (st *tarStream) Close() error {
	if st.done {
		return nil
	}
	st.done = true
	if !st.over || st.out.Len() > 0 {
		st.s.met.cutResponses.Inc()
	}
	crowdedPieces.Put(st.buf)
	st.held.close()
	st.route.metrics.observe(fasthttp.StatusOK, time.Since(st.start))
	st.s.inFlight.Add(-1)
	return nil
}
