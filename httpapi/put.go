package httpapi

import (
	"strconv"
	"time"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// putFile answers PUT /files/{path}: 201 or 200 with the receipt.
func (c *call) putFile() error {
	req, err := c.readPut()
	if err != nil {
		c.leaveBody()
		return err
	}
	ctx, cancel := c.context(c.putTime(req.Size))
	defer cancel()
	b := c.openBody(req.Size)
	req.Body = b
	reply, err := c.s.gw.Put(ctx, req)
	if !b.close() {
		c.leaveBody()
	}
	if err = putError(reply, err); err != nil {
		// The gateway only hears that the body broke; we know how.
		if fault := b.failure(); fault != nil {
			c.ctx.SetConnectionClose()
			return fault
		}
		return err
	}
	return c.answerReceipt(req.Path, reply)
}

// expectPut judges a PUT before its body.
func (c *call) expectPut() error {
	_, err := c.readPut()
	return err
}

// leaveBody prepares for a connection that may be closed with some of its body
// unread: the answer must still arrive.
func (c *call) leaveBody() {
	if c.conn != nil {
		c.conn.linger.Store(true)
	}
}

// putTime is how long a PUT may take: what its body takes at the slowest rate
// allowed, and the gateway's own time. An undeclared length is taken for the
// longest; its progress is watched all the same.
func (c *call) putTime(size int64) time.Duration {
	if size < 0 {
		size = model.MaxContentBytes
	}
	seconds := size / c.s.cfg.MinBytesPerSecond
	const longest = 200 * 365 * 24 * 3600 // about what a time.Duration holds
	return time.Duration(min(seconds, longest))*time.Second + c.s.cfg.RateGrace + c.s.cfg.RequestTimeout
}

// readPut makes a PutRequest of everything but the body, and refuses what can be
// refused before it.
func (c *call) readPut() (*model.PutRequest, error) {
	req := &model.PutRequest{}
	if _, err := strictQuery(c.query); err != nil {
		return nil, err
	}
	var err error
	if req.Tenant, req.Path, err = c.filePath(); err != nil {
		return nil, err
	}
	if req.Size, err = c.bodySize(); err != nil {
		return nil, err
	}
	if req.Size > model.MaxContentBytes {
		return nil, errContentTooLarge(req.Size)
	}
	if req.Tier, err = readTier(c.h.tier); err != nil {
		return nil, err
	}
	if req.ContentType, err = readContentType(c.h.contentType); err != nil {
		return nil, err
	}
	if req.Meta, err = readMeta(c.h.meta); err != nil {
		return nil, err
	}
	if req.IdempotencyKey, err = readIdempotencyKey(c.h.idempotencyKey); err != nil {
		return nil, err
	}
	if c.h.checksum != nil {
		sum, err := parseChecksum(c.h.checksum)
		if err != nil {
			return nil, err
		}
		req.Checksum = &sum
	}
	cond, err := readWriteConditions(&c.h, true)
	if err != nil {
		return nil, err
	}
	req.MustNotExist, req.MustExist = cond.mustNotExist, cond.mustExist
	req.Versions, req.IfMatch = cond.versions, len(cond.versions) > 0
	return req, c.checkContent()
}

// checkContent refuses headers that say the body is not the file: stored as it
// comes it would be read back as something else.
func (c *call) checkContent() error {
	if c.h.contentRange != nil {
		return badHeader("a PUT with Content-Range is not supported; send the whole file")
	}
	if e := c.h.contentEncoding; len(e) > 0 && !equalFold(e, "identity") {
		return badHeader("the Content-Encoding %q is not supported; send the content as it is to be read", clip(string(e)))
	}
	return nil
}

// bodySize is the declared length of the body, -1 for a chunked one. A request
// that declares neither has none.
func (c *call) bodySize() (int64, error) {
	switch {
	case c.h.transferEncoding != nil:
		return -1, nil
	case c.h.contentLength == nil:
		return 0, nil
	}
	n, err := strconv.ParseInt(string(c.h.contentLength), 10, 64)
	if err != nil {
		return 0, badHeader("the Content-Length %q is out of range", clip(string(c.h.contentLength)))
	}
	return n, nil
}

// putError is the refusal in a reply, wherever it stands.
func putError(reply *messages.PutReply, err error) error {
	const op = "put"
	switch {
	case err != nil:
		return err
	case reply.GetError() != nil:
		return reply.Error.Err(op)
	case reply.GetRow() == nil && reply.GetResult().GetCode() == "":
		return model.Errorf(model.CodeInternal, op, "the gateway answered without a row")
	}
	return reply.GetResult().Err(op)
}
