package edge

import (
	"context"
	"errors"
	"hash/crc32"
	"io"

	"tiercel/cluster/model"
	"tiercel/messages"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Put stores one file. The body is read once, in bounded memory; a body that ends
// early, or whose checksum is another than announced, stores nothing.
func (c *Client) Put(ctx context.Context, req *model.PutRequest) (*messages.PutReply, error) {
	return c.put(ctx, req, 0)
}

func (c *Client) put(ctx context.Context, req *model.PutRequest, modified int64) (*messages.PutReply, error) {
	if req.Size > model.MaxContentBytes {
		return nil, model.Errorf(model.CodeTooLarge, "put", "a file may have at most %d bytes", int64(model.MaxContentBytes))
	}
	if err := c.mayAsk(ctx, req.Tier); err != nil {
		return nil, err
	}
	p := &putting{client: c, req: req, file: attributes(req, modified)}
	p.file.SizeBytes = uint64(max(0, req.Size)) // as declared: what an upload will need
	defer p.close()
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	return p.finish(ctx)
}

func attributes(req *model.PutRequest, modified int64) *messages.FileAttributes {
	f := &messages.FileAttributes{
		Tenant: req.Tenant, Path: req.Path, TierAsked: uint32(req.Tier), ContentType: req.ContentType, Meta: req.Meta, ModifiedUnixMs: modified,
	}
	if req.MustNotExist || req.MustExist || req.IfMatch {
		f.Conditions = &messages.Conditions{MustNotExist: req.MustNotExist, MustExist: req.MustExist, Versions: req.Versions}
		if req.IfMatch && !req.MustExist && len(req.Versions) == 0 {
			f.Conditions.Versions = []uint64{0} // a version no file has: never matches
		}
	}
	return f
}

// putting is one body on its way from the client to the gateway.
type putting struct {
	client *Client
	req    *model.PutRequest
	file   *messages.FileAttributes
	buf    *buffer
	crc    uint32
	size   int64

	upload   uint64
	uploads  bool // an upload was opened
	parts    uint64
	inFlight chan error // the part that is being stored while the next is read, or nil
	finished bool
}

// read takes the body in. It returns with the last piece in p.buf.
func (p *putting) read(ctx context.Context) (err error) {
	if p.req.Size > model.MaxExtentBytes {
		// Nothing of a large body is taken in before there is a master for it.
		if err := p.open(ctx); err != nil {
			return err
		}
	}
	first := classFor(p.req.Size)
	if p.req.Size < 0 {
		first = 0
	}
	// A declared length is a promise, not a delivery: begin with a small buffer.
	if p.buf, err = p.client.buffer(ctx, min(first, 1)); err != nil {
		return err
	}
	for {
		if len(p.buf.data) == cap(p.buf.data) {
			if p.req.Size >= 0 && p.size == p.req.Size {
				return p.expectEnd()
			}
			var grown bool
			if p.buf, grown = p.client.credit.grow(p.buf); !grown {
				if err := p.flush(ctx); err != nil {
					return err
				}
			}
		}
		at := len(p.buf.data)
		n, err := p.req.Body.Read(p.buf.data[at:cap(p.buf.data)])
		p.buf.data = p.buf.data[:at+n]
		p.crc = crc32.Update(p.crc, castagnoli, p.buf.data[at:])
		p.size += int64(n)
		switch {
		case p.req.Size >= 0 && p.size > p.req.Size:
			return model.Errorf(model.CodeInvalidArgument, "read body", "the body is longer than the %d bytes declared", p.req.Size)
		case p.size > model.MaxContentBytes:
			return model.Errorf(model.CodeTooLarge, "read body", "a file may have at most %d bytes", int64(model.MaxContentBytes))
		case errors.Is(err, io.EOF):
			return p.checkEnd()
		case err != nil:
			return bodyError(err)
		case ctx.Err() != nil:
			return model.Errorf(model.CodeDeadlineExceeded, "read body", "the request was given up: %w", ctx.Err())
		}
	}
}

// expectEnd makes sure that a body of the declared size ends there.
func (p *putting) expectEnd() error {
	var one [1]byte
	n, err := p.req.Body.Read(one[:])
	if n > 0 {
		return model.Errorf(model.CodeInvalidArgument, "read body", "the body is longer than the %d bytes declared", p.req.Size)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return bodyError(err)
	}
	return p.checkEnd()
}

func (p *putting) checkEnd() error {
	if p.req.Size >= 0 && p.size != p.req.Size {
		return model.Errorf(model.CodeInvalidArgument, "read body", "the body ended after %d of %d bytes; nothing was stored", p.size, p.req.Size)
	}
	if want := p.req.Checksum; want != nil && *want != p.crc {
		return model.Errorf(model.CodeInvalidArgument, "read body",
			"the body has crc32c %08x but %08x was announced; nothing was stored", p.crc, *want).With("computed_crc32c", hex8(p.crc))
	}
	return nil
}

func hex8(v uint32) string {
	const digits = "0123456789abcdef"
	var b [8]byte
	for i := range b {
		b[7-i] = digits[v>>(4*i)&15]
	}
	return string(b[:])
}

func bodyError(err error) error {
	var coded *model.Error
	if errors.As(err, &coded) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return model.Errorf(model.CodeInvalidArgument, "read body", "the body ended before its declared length; nothing was stored")
	}
	return model.Errorf(model.CodeInvalidArgument, "read body", "the body could not be read: %w", err)
}

// flush sends the buffer as the next part and goes on with a fresh one.
func (p *putting) flush(ctx context.Context) error {
	if !p.uploads {
		if err := p.open(ctx); err != nil {
			return err
		}
	}
	if err := p.await(); err != nil {
		return err
	}
	p.sendPart(ctx)
	var err error
	// Parts under way give their credit back when they are durable, so this ends.
	p.buf, err = p.client.credit.acquire(ctx, classFor(min(p.remaining(), 64<<10)))
	return err
}

// open begins an upload; while there is no master that takes time.
func (p *putting) open(ctx context.Context) error {
	r, err := ask[*messages.OpenUploadReply](ctx, p.client, &messages.OpenUpload{Header: &messages.Header{}, File: p.file})
	if err == nil {
		err = r.Error.Err("open upload")
	}
	if err == nil {
		p.upload, p.uploads = r.Upload, true
	}
	return err
}

func (p *putting) remaining() int64 {
	if p.req.Size < 0 {
		return model.MaxExtentBytes
	}
	return p.req.Size - p.size
}

// sendPart hands the buffer over; the next part waits for its outcome, so parts
// arrive in order.
func (p *putting) sendPart(ctx context.Context) {
	buf, outcome := p.buf, make(chan error, 1)
	msg := &messages.UploadPart{Header: &messages.Header{}, Upload: p.upload, Part: p.parts, Body: buf.data}
	p.buf, p.inFlight = nil, outcome
	p.parts++
	go func() {
		r, err := ask[*messages.UploadPartReply](ctx, p.client, msg)
		if err == nil {
			err = r.Error.Err("upload part")
		}
		if err == nil && !r.BodyHeld {
			p.client.credit.release(buf)
		} else {
			p.client.credit.abandon(buf)
		}
		outcome <- err
	}()
}

// await waits for the part under way, if there is one.
func (p *putting) await() error {
	if p.inFlight == nil {
		return nil
	}
	err := <-p.inFlight
	p.inFlight = nil
	return err
}

// finish commits: one message for a small body, the end of the upload otherwise.
func (p *putting) finish(ctx context.Context) (*messages.PutReply, error) {
	p.file.SizeBytes, p.file.Crc32C = uint64(p.size), p.crc
	var reply *messages.PutReply
	var err error
	if !p.uploads {
		reply, err = ask[*messages.PutReply](ctx, p.client, &messages.Put{
			Header: &messages.Header{}, File: p.file, Body: p.buf.data, IdempotencyKey: p.req.IdempotencyKey,
		})
		p.done(err == nil && reply.Error == nil && !reply.BodyHeld)
	} else {
		reply, err = p.finishUpload(ctx)
	}
	if err == nil {
		err = reply.Error.Err("put")
	}
	if err != nil {
		return nil, err
	}
	p.finished = true
	return p.complete(ctx, reply), nil
}

func (p *putting) finishUpload(ctx context.Context) (*messages.PutReply, error) {
	if err := p.await(); err != nil {
		return nil, err
	}
	if len(p.buf.data) > 0 {
		p.sendPart(ctx)
	}
	if err := p.await(); err != nil {
		return nil, err
	}
	return ask[*messages.PutReply](ctx, p.client, &messages.FinishUpload{
		Header: &messages.Header{}, Upload: p.upload, File: p.file, IdempotencyKey: p.req.IdempotencyKey,
	})
}

// complete adds to the reply what only the catalog knows: the volumes of a large
// file, or the row that an earlier request with the same key made. Nobody else waits
// for it: a read takes as long as a master is away, and the write is done.
func (p *putting) complete(ctx context.Context, reply *messages.PutReply) *messages.PutReply {
	if reply.Earlier {
		reply.Row.Extents, reply.Volumes = nil, nil // where this request's content is, which nothing names
	} else if !p.uploads {
		return reply
	}
	if s, err := p.client.Stat(ctx, p.req.Tenant, p.req.Path, true); err == nil && s.Row.Version == reply.Result.Version {
		reply.Row, reply.Volumes = s.Row, s.Volumes
	}
	return reply
}

// done settles the last buffer: known to be finished with, or perhaps not.
func (p *putting) done(known bool) {
	if known {
		p.client.credit.release(p.buf)
	} else {
		p.client.credit.abandon(p.buf)
	}
	p.buf = nil
}

// close gives back what an abandoned put still holds and tells the gateway.
func (p *putting) close() {
	if p.buf != nil {
		p.client.credit.release(p.buf)
		p.buf = nil
	}
	if p.uploads && !p.finished {
		drop := &messages.DropUpload{Header: &messages.Header{}, Upload: p.upload}
		// The gateway drops an idle upload by itself; this only makes it soon.
		_, _ = ask[*messages.MutationReply](context.Background(), p.client, drop)
	}
}
