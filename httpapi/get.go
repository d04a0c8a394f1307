package httpapi

import (
	"context"
	"errors"
	"strconv"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// smallFileBytes is up to where a file is read into the response's own buffer,
// which lives as long as its connection.
const smallFileBytes = 16 << 10

// maxResolves bounds how often a read starts over because its version went away.
const maxResolves = 4

// getFile answers GET and HEAD /files/{path}: the content, a part of it, or with
// ?receipt where it is.
func (c *call) getFile() error {
	tenant, path, err := c.filePath()
	if err != nil {
		return err
	}
	cond, err := parseReadConditions(&c.h)
	if err != nil {
		return err
	}
	wantReceipt, err := hasFlag(c.query, "receipt")
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	if wantReceipt {
		return c.getReceipt(ctx, tenant, path)
	}
	for range maxResolves {
		stat, err := statFile(ctx, c.s.gw, tenant, path, false)
		if err != nil {
			return err
		}
		c.sayConsistency(stat.Unchecked)
		err = c.sendVersion(ctx, &source{gw: c.s.gw, tenant: tenant, path: path, row: stat.Row}, &cond)
		if !errors.Is(err, errVersionGone) {
			return err
		}
	}
	return model.Errorf(model.CodeUnavailable, "get", "the file was replaced %d times while it was read; try again", maxResolves)
}

// statFile asks for a row and unwraps the answer.
func statFile(ctx context.Context, gw Gateway, tenant, path string, withVolumes bool) (*messages.StatReply, error) {
	stat, err := gw.Stat(ctx, tenant, path, withVolumes)
	switch {
	case err != nil:
		return nil, err
	case stat.GetError() != nil:
		return nil, stat.Error.Err("stat")
	case stat.GetRow() == nil:
		return nil, model.Errorf(model.CodeNotFound, "stat", "there is no file at this path")
	}
	return stat, nil
}

// getReceipt answers with the receipt as it stands now.
func (c *call) getReceipt(ctx context.Context, tenant, path string) error {
	stat, err := statFile(ctx, c.s.gw, tenant, path, true)
	if err != nil {
		return err
	}
	r := receipt{path: path, row: stat.Row, volumes: stat.Volumes, factor: stat.ReplicationFactor, wanted: stat.CopiesWanted,
		epoch: model.Epoch{Generation: stat.EpochGeneration, Term: stat.EpochTerm}}
	c.scratch = r.append(c.scratch[:0])
	c.answerJSON(fasthttp.StatusOK)
	c.versionHeaders(stat.Row)
	return nil
}

// sendVersion answers with one version of a file as the conditions and the range
// ask. Nothing is set before the first piece of content is there.
func (c *call) sendVersion(ctx context.Context, src *source, cond *readConditions) error {
	row := src.row
	switch cond.judge(row) {
	case failed:
		return model.Errorf(model.CodePreconditionFailed, "get", "the file is not the version that was asked for")
	case notModified:
		c.ctx.Response.SetStatusCode(fasthttp.StatusNotModified)
		c.fileHeaders(row, false)
		return nil
	}
	if c.ctx.IsHead() {
		c.fileHeaders(row, true)
		c.ctx.Response.Header.SetContentLength(int(row.SizeBytes))
		return nil
	}
	var spans []span
	if c.h.rng != nil && cond.rangeHolds(row) {
		var err error
		if spans, err = parseRange(c.h.rng, int64(row.SizeBytes)); err != nil {
			return err
		}
	}
	if spans == nil && row.SizeBytes <= smallFileBytes {
		return c.sendSmall(ctx, src)
	}
	return c.sendStream(ctx, src, spans)
}

// sendSmall reads a whole file into the response's buffer.
func (c *call) sendSmall(ctx context.Context, src *source) error {
	resp := &c.ctx.Response
	buf := resp.SwapBody(nil)
	content, err := src.readAll(ctx, buf[:0])
	if err != nil {
		resp.SwapBody(buf[:0])
		return err
	}
	resp.SwapBody(content)
	c.fileHeaders(src.row, true)
	return nil
}

// fileHeaders sets the headers that describe a file. whole adds the checksum of
// the content, which would mislead beside a part of it.
func (c *call) fileHeaders(row *messages.FileRow, whole bool) {
	h := &c.ctx.Response.Header
	c.versionHeaders(row)
	contentType := row.ContentType
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	h.SetContentType(contentType)
	var buf [64]byte
	h.SetCanonical(headerLastModified, fasthttp.AppendHTTPDate(buf[:0], lastModified(row)))
	h.SetCanonical(headerTier, strconv.AppendUint(buf[:0], uint64(row.Tier), 10))
	h.SetCanonical(headerAcceptRanges, valueBytes)
	if whole {
		h.SetCanonical(headerChecksum, appendChecksum(buf[:0], row.Crc32C))
	}
	// Content is a client's, and shares its origin with the dashboard: a browser
	// must neither guess its type nor run it.
	h.SetCanonical(headerNoSniff, valueNoSniff)
	h.SetCanonical(headerPolicy, valueSandbox)
	for name, value := range row.Meta {
		h.Set("X-Meta-"+name, value)
	}
}

var (
	headerLastModified = []byte("Last-Modified")
	headerTier         = []byte("X-Storage-Tier")
	headerAcceptRanges = []byte("Accept-Ranges")
	headerChecksum     = []byte("X-Checksum-Crc32c")
	headerNoSniff      = []byte("X-Content-Type-Options")
	headerPolicy       = []byte("Content-Security-Policy")
	valueBytes         = []byte("bytes")
	valueNoSniff       = []byte("nosniff")
	valueSandbox       = []byte("sandbox")
)
