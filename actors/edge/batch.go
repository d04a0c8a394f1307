package edge

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"io"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// BatchAnswer hears of each item of a batch once, in their order: the reply, or why it
// was not stored.
type BatchAnswer = func(index int, path string, reply *messages.PutReply, err error)

// PutBatch stores many files. Items gather in one buffer, which goes to the gateway as
// it is full; the next is read meanwhile, so a batch holds two at most. Items above one
// extent are stored one by one like a Put, in their place.
//
// An item that is refused does not fail the others. The error is of what ended the
// batch early: the body, the credit, or that there is no master. Items before it have
// their answers, those behind it were not read.
func (c *Client) PutBatch(ctx context.Context, req *model.BatchRequest, answer BatchAnswer) error {
	b := &batching{client: c, ctx: ctx, req: req, answer: answer, denied: make(map[model.Tier]error)}
	err := b.read()
	// What came before the end, however that came about, is stored and told.
	if e := b.flush(); err == nil {
		err = e
	}
	if e := b.await(); err == nil {
		err = e
	}
	return err
}

// batching is a batch on its way from the client to the gateway.
type batching struct {
	client *Client
	ctx    context.Context
	req    *model.BatchRequest
	answer BatchAnswer
	denied map[model.Tier]error // tiers that were asked about

	group    group  // being read
	inFlight *group // being stored, or nil
	answered int
}

// group is what goes to the gateway together.
type group struct {
	buf     *buffer // nil: no content yet
	items   []item
	outcome chan groupOutcome
}

// item is one of a group: where its content is in the buffer, or why it has none.
type item struct {
	path     string
	tier     model.Tier
	from, to int
	err      error
}

type groupOutcome struct {
	reply *messages.PutBatchReply
	err   error
}

func (b *batching) read() error {
	for {
		it, err := b.req.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && b.ctx.Err() != nil {
			err = model.Errorf(model.CodeDeadlineExceeded, "read batch", "the request was given up: %w", b.ctx.Err())
		}
		if err == nil {
			err = b.take(it)
		}
		if err != nil {
			return err
		}
	}
}

// take takes one item in.
func (b *batching) take(it *model.BatchItem) error {
	if len(b.group.items) == model.MaxBatchGroupItems {
		if err := b.flush(); err != nil {
			return err
		}
	}
	refusal := it.Err // of this item alone
	if refusal == nil {
		refusal = b.mayAsk(it.Tier)
	}
	switch {
	case refusal != nil:
		b.refuse(it.Path, refusal)
		return nil
	case it.Size > model.MaxExtentBytes:
		return b.putAlone(it, it.Body)
	case b.group.size()+it.Size > model.MaxExtentBytes:
		if err := b.flush(); err != nil {
			return err
		}
	}
	return b.fill(it)
}

// refuse keeps the place of an item that is not stored.
func (b *batching) refuse(path string, why error) {
	b.group.items = append(b.group.items, item{path: path, err: why})
}

// mayAsk is Client.mayAsk, with one question for each tier that is refused.
func (b *batching) mayAsk(t model.Tier) error {
	err, known := b.denied[t]
	if !known {
		err = b.client.mayAsk(b.ctx, t)
		b.denied[t] = err
	}
	return err
}

func (g *group) size() int64 {
	if g.buf == nil {
		return 0
	}
	return int64(len(g.buf.data))
}

// fill reads an item's content into the group's buffer, which grows with what arrives.
// When no credit is free for that, what the group has goes to the gateway, and the
// item goes on alone, in pieces that fit.
func (b *batching) fill(it *model.BatchItem) (err error) {
	if b.group.buf == nil && it.Size > 0 {
		// A declared length is a promise, not a delivery: begin with a small buffer.
		if b.group.buf, err = b.buffer(min(classFor(it.Size), 1)); err != nil {
			return err
		}
	}
	from := int(b.group.size())
	to := from + int(it.Size)
	for int(b.group.size()) < to {
		buf := b.group.buf
		if at := len(buf.data); at == cap(buf.data) {
			var grown bool
			if b.group.buf, grown = b.client.credit.grow(buf); !grown {
				begun := bytes.Clone(buf.data[from:])
				buf.data = buf.data[:from]
				return b.putAlone(it, io.MultiReader(bytes.NewReader(begun), it.Body))
			}
			continue
		}
		at := len(buf.data)
		n, err := it.Body.Read(buf.data[at:min(cap(buf.data), to)])
		buf.data = buf.data[:at+n]
		if err != nil && at+n < to {
			buf.data = buf.data[:from]
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return bodyError(err)
		}
	}
	b.group.items = append(b.group.items, item{path: it.Path, tier: it.Tier, from: from, to: to})
	return nil
}

// buffer is Client.buffer, while holding nothing that others may wait for: a group
// that is being stored gives its credit back.
func (b *batching) buffer(class int) (*buffer, error) {
	if b.client.credit.sem.TryAcquire(int64(classes[class])) {
		return b.client.credit.take(class), nil
	}
	if err := b.await(); err != nil {
		return nil, err
	}
	return b.client.buffer(b.ctx, class)
}

// putAlone stores an item as a Put does, after everything before it.
func (b *batching) putAlone(it *model.BatchItem, body io.Reader) error {
	if err := b.flush(); err != nil {
		return err
	}
	if err := b.await(); err != nil {
		return err
	}
	watched := &watchedBody{from: body}
	reply, err := b.client.Put(b.ctx, &model.PutRequest{Tenant: b.req.Tenant, Path: it.Path, Tier: it.Tier, Size: it.Size, Body: watched})
	if watched.err != nil {
		return bodyError(watched.err)
	}
	b.tell(it.Path, reply, err)
	return nil
}

// watchedBody remembers what was wrong with a body.
type watchedBody struct {
	from io.Reader
	err  error
}

func (w *watchedBody) Read(p []byte) (int, error) {
	n, err := w.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// flush hands the group to the gateway once the one before has its outcome, so that
// items of one path keep their order.
func (b *batching) flush() error {
	err := b.await()
	if len(b.group.items) == 0 {
		b.giveBack()
		return err
	}
	g := b.group
	g.outcome = make(chan groupOutcome, 1)
	b.group, b.inFlight = group{}, &g
	msg := &messages.PutBatch{Header: &messages.Header{}, Items: g.puts(b.req.Tenant)}
	if err != nil || len(msg.Items) == 0 {
		g.outcome <- groupOutcome{err: err} // there is nothing, or nobody, to ask
		return b.await()
	}
	go func() {
		r, err := ask[*messages.PutBatchReply](b.ctx, b.client, msg)
		if err == nil {
			err = r.Error.Err("put")
		}
		g.outcome <- groupOutcome{r, err}
	}()
	return nil
}

// giveBack releases the buffer of a group without items.
func (b *batching) giveBack() {
	if b.group.buf != nil {
		b.client.credit.release(b.group.buf)
		b.group.buf = nil
	}
}

// puts are the writes of the items that can be stored.
func (g *group) puts(tenant string) []*messages.Put {
	out := make([]*messages.Put, 0, len(g.items))
	for _, it := range g.items {
		if it.err != nil {
			continue
		}
		var body []byte
		if it.to > it.from {
			body = g.buf.data[it.from:it.to:it.to]
		}
		out = append(out, &messages.Put{Body: body, File: &messages.FileAttributes{
			Tenant: tenant, Path: it.path, TierAsked: uint32(it.tier), SizeBytes: uint64(len(body)), Crc32C: crc32.Checksum(body, castagnoli),
		}})
	}
	return out
}

// await waits for the group under way, if there is one, and tells its outcomes. The
// error is that of a group of which nothing was stored for want of a master, or
// because nobody answered: the next would fare no better.
func (b *batching) await() error {
	g := b.inFlight
	if g == nil {
		return nil
	}
	b.inFlight = nil
	out := <-g.outcome
	replies, stored, fatal, finished := out.reply.GetItems(), false, out.err, out.err == nil
	for _, it := range g.items {
		switch {
		case it.err != nil:
			b.tell(it.path, nil, it.err)
		case out.err != nil:
			b.tell(it.path, nil, out.err)
		case len(replies) == 0:
			finished = false
			b.tell(it.path, nil, model.Errorf(model.CodeInternal, "put", "the gateway gave no outcome for an item of a batch"))
		default:
			err := replies[0].Error.Err("put")
			finished = finished && err == nil && !replies[0].BodyHeld
			if stored = stored || err == nil; model.CodeOf(err) == model.CodeNoMaster {
				fatal = err
			}
			b.tell(it.path, replies[0], err)
			replies = replies[1:]
		}
	}
	if g.buf != nil && finished {
		b.client.credit.release(g.buf)
	} else if g.buf != nil {
		b.client.credit.abandon(g.buf)
	}
	if stored {
		return nil
	}
	return fatal
}

func (b *batching) tell(path string, reply *messages.PutReply, err error) {
	b.answer(b.answered, path, reply, err)
	b.answered++
}
