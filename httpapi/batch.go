package httpapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// The formats of a batch (API.md "POST /batch").
const (
	typeTar     = "application/x-tar"
	typeNDJSON  = "application/x-ndjson"
	typeRecords = "application/vnd.tiercel.records"
)

const (
	// decodeBytes is the buffer behind which every format is decoded.
	decodeBytes = 16 << 10
	// answerBytes is what the answer to one item takes, but for its path.
	answerBytes = 1 << 10
)

// batchRequest is a POST /batch before its body.
type batchRequest struct {
	tenant, prefix, format string
	tier                   model.Tier
	size                   int64 // of the body, or -1
}

// batchDecoder gives the items of a body. A bad item has its error in it and does not
// keep the next from being read; an error in its place is of the body (io.EOF: its end).
type batchDecoder interface {
	next() (*model.BatchItem, error)
}

// postBatch answers POST /batch: each item with its receipt or its error, in order. The
// status is 200 when the body was read to its end, however its items fared; otherwise it
// is that of the error which ended it, beside the answers to the items before.
func (c *call) postBatch() error {
	req, err := c.readBatch()
	if err != nil {
		c.leaveBody()
		return err
	}
	ctx, cancel := c.context(c.putTime(longest(req.size)))
	defer cancel()
	b := c.openBody(req.size)
	in := &batchBody{body: b, batch: req, memory: share{of: &c.s.batches}, answers: share{of: &c.s.batches}}
	defer in.memory.close()
	a := &batchAnswer{id: append([]byte(nil), c.id...), text: []byte(`{"items":[`)}
	if err = in.open(); err == nil {
		err = c.s.gw.PutBatch(ctx, &model.BatchRequest{Tenant: req.tenant, Next: in.next}, a.add)
	}
	if !b.close() {
		c.leaveBody()
	}
	if err != nil {
		err = in.explain(err, a)
		if b.err != nil && b.err != io.EOF {
			c.ctx.SetConnectionClose()
		}
	}
	if err != nil && a.items == 0 {
		in.answers.close()
		return err
	}
	c.answerBatch(a, err, in.answers)
	return nil
}

// longest is the longest that a body of this declared size can be.
func longest(size int64) int64 {
	if size < 0 {
		return model.MaxBatchBytes
	}
	return size
}

// expectBatch judges a batch before its body.
func (c *call) expectBatch() error {
	_, err := c.readBatch()
	return err
}

// readBatch reads everything but the body.
func (c *call) readBatch() (req batchRequest, err error) {
	q, err := strictQuery(c.query, "prefix", "tier")
	if err != nil {
		return req, err
	}
	if req.tenant, err = readTenant(c.h.tenant); err != nil {
		return req, err
	}
	if req.prefix = q["prefix"]; req.prefix != "" && req.prefix != "/" {
		if err := model.CheckPath(strings.TrimSuffix(req.prefix, "/")); err != nil {
			return req, badQuery("the prefix %q: %s", clip(req.prefix), messageOf(err))
		}
	}
	if req.tier, err = c.batchTier(q); err != nil {
		return req, err
	}
	if req.format, _, err = mime.ParseMediaType(string(c.h.contentType)); err != nil || req.format != typeTar && req.format != typeNDJSON && req.format != typeRecords {
		return req, badHeader("the Content-Type %q is no format of batches; send %s, %s or %s", clip(string(c.h.contentType)), typeTar, typeNDJSON, typeRecords)
	}
	if len(c.h.meta) > 0 || c.h.ifMatch != nil || c.h.ifNoneMatch != nil || c.h.checksum != nil || c.h.idempotencyKey != nil {
		return req, badHeader("X-Meta-*, If-Match, If-None-Match, X-Checksum-Crc32c and Idempotency-Key are about one file; store it with PUT")
	}
	if req.size, err = c.bodySize(); err != nil {
		return req, err
	}
	if req.size > model.MaxBatchBytes {
		return req, errBatchTooLarge()
	}
	return req, c.checkContent()
}

// batchTier is the tier of items that name none: ?tier, or the header that PUT takes.
func (c *call) batchTier(q map[string]string) (model.Tier, error) {
	text, asked := q["tier"]
	tier, err := readTier(c.h.tier)
	switch {
	case err != nil || !asked:
		return tier, err
	case len(text) != 1 || text[0] < '1' || text[0] > '3':
		return 0, badQuery("the tier %q is unknown; it is 1 (critical), 2 (important) or 3 (rebuildable)", clip(text))
	case tier != model.TierUnset && tier != model.Tier(text[0]-'0'):
		return 0, badQuery("the query asks for tier %s and X-Storage-Tier for %d; give one of them", text, tier)
	}
	return model.Tier(text[0] - '0'), nil
}

func errBatchTooLarge() error {
	return model.Errorf(model.CodeTooLarge, "read batch", "the body of a batch may have at most %d bytes; send the rest in another", model.MaxBatchBytes)
}

// batchBody gives the items of a body to the gateway and holds them to the limits.
type batchBody struct {
	body    *body
	batch   batchRequest
	memory  share // of decoding
	answers share // of what will be said of the items
	in      *bufio.Reader
	decoder batchDecoder
	items   int
}

// open prepares the decoder.
func (b *batchBody) open() error {
	if err := b.memory.take(2 * decodeBytes); err != nil {
		return err
	}
	b.in = bufio.NewReaderSize(b, decodeBytes)
	switch b.batch.format {
	case typeTar:
		b.decoder = newTarDecoder(b.in, b.batch)
	case typeNDJSON:
		b.decoder = &ndjsonDecoder{in: b.in, batch: b.batch, line: growing{memory: &b.memory}}
	default:
		b.decoder = &recordsDecoder{in: b.in, batch: b.batch, message: growing{memory: &b.memory}}
	}
	return nil
}

// Read is the body up to what a batch may have.
func (b *batchBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if b.body.read > model.MaxBatchBytes {
		return 0, errBatchTooLarge()
	}
	return n, err
}

// next is model.BatchRequest.Next.
func (b *batchBody) next() (*model.BatchItem, error) {
	it, err := b.decoder.next()
	switch {
	case err != nil:
		return nil, err
	case b.items == model.MaxBatchItems:
		return nil, model.Errorf(model.CodeTooLarge, "read batch", "a batch may have at most %d items; send the rest in another", model.MaxBatchItems)
	}
	b.items++
	return it, b.answers.take(answerBytes + 2*int64(len(it.Path)))
}

// at is how many bytes of the body have been decoded.
func (b *batchBody) at() int64 {
	if b.in == nil {
		return 0
	}
	return b.body.read - int64(b.in.Buffered())
}

// explain says where a batch ended early, and what became of the items before.
func (b *batchBody) explain(err error, a *batchAnswer) error {
	if fault := b.body.fault(""); fault != nil {
		err = fault // the decoder only knows that it got no more
	}
	e := *clientError(err)
	e.Message = fmt.Sprintf("item %d, near byte %d of the body: %s; of the %d items before it %d were stored, nothing behind it was read",
		a.items, b.at(), e.Message, a.items, a.stored)
	e.Details = map[string]string{}
	for k, v := range clientError(err).Details {
		e.Details[k] = v
	}
	e.Details["index"], e.Details["byte"] = strconv.Itoa(a.items), strconv.FormatInt(b.at(), 10)
	e.Details["stored"] = strconv.Itoa(a.stored)
	e.Err = err
	return &e
}

// batchAnswer is the JSON answer to a batch as it grows.
type batchAnswer struct {
	id            []byte
	text          []byte
	items, stored int
}

// add appends the outcome of one item.
func (a *batchAnswer) add(index int, path string, reply *messages.PutReply, err error) {
	if index > 0 {
		a.text = append(a.text, ',')
	}
	a.items++
	a.text = append(a.text, `{"index":`...)
	a.text = appendJSONUint(a.text, uint64(index))
	a.text = append(a.text, `,"path":`...)
	a.text = appendJSONString(a.text, path)
	a.text = append(a.text, `,"status":`...)
	if err = putError(reply, err); err != nil {
		e := clientError(err)
		a.text = appendJSONUint(a.text, uint64(statuses[e.Code].status))
		a.text = append(a.text, ',')
		a.text = append(appendErrorMember(a.text, e, a.id), '}')
		return
	}
	a.stored++
	r := receiptOf(path, reply)
	a.text = appendJSONUint(a.text, uint64(putStatus(reply)))
	a.text = append(a.text, `,"receipt":`...)
	a.text = bytes.TrimSuffix(r.append(a.text), []byte("\n"))
	a.text = append(a.text, '}')
}

// answerBatch sends the answer; the memory it holds is given back when it was sent.
func (c *call) answerBatch(a *batchAnswer, err error, held share) {
	status := fasthttp.StatusOK
	a.text = append(a.text, `],"stored":`...)
	a.text = appendJSONUint(a.text, uint64(a.stored))
	a.text = append(a.text, `,"failed":`...)
	a.text = appendJSONUint(a.text, uint64(a.items-a.stored))
	resp := &c.ctx.Response
	if err != nil {
		e := clientError(err)
		c.failed = e.Code
		status = statuses[e.Code].status
		if wait := retryAfterSeconds(e); wait != "" {
			resp.Header.Set("Retry-After", wait)
		}
		a.text = append(a.text, ',')
		a.text = appendErrorMember(a.text, e, c.id)
	}
	a.text = append(a.text, "}\n"...)
	resp.SetStatusCode(status)
	resp.Header.SetContentTypeBytes(typeJSON)
	c.streaming = true
	resp.SetBodyStream(&heldAnswer{Reader: bytes.NewReader(a.text), s: c.s, held: held, route: c.route, status: status, start: c.start}, len(a.text))
}

// heldAnswer is the body of an answer whose memory is counted until it was sent.
type heldAnswer struct {
	*bytes.Reader
	s      *Server
	held   share
	route  *route
	status int
	start  time.Time
	done   bool
}

// Close closes the accounts of the request.
func (h *heldAnswer) Close() error {
	if h.done {
		return nil
	}
	h.done = true
	if h.Len() > 0 {
		h.s.met.cutResponses.Inc()
	}
	h.held.close()
	h.route.metrics.observe(h.status, time.Since(h.start))
	h.s.inFlight.Add(-1)
	return nil
}

// item makes an item of what a decoder has read. An error is the item's.
func (r *batchRequest) item(path string, tier model.Tier, size int64, content io.Reader) *model.BatchItem {
	joined, err := model.JoinPath(r.prefix, path)
	if err != nil {
		return &model.BatchItem{Path: clip(path), Err: err}
	}
	if tier == model.TierUnset {
		tier = r.tier
	}
	if tier != model.TierUnset && !tier.Valid() {
		return &model.BatchItem{Path: joined, Err: badItem("tier %d does not exist; there are 1, 2 and 3", tier)}
	}
	return &model.BatchItem{Path: joined, Tier: tier, Size: size, Body: content}
}

func badItem(format string, args ...any) error {
	return model.Errorf(model.CodeInvalidArgument, "read batch", format, args...)
}

func errItemTooLarge(size int64) error {
	return model.Errorf(model.CodeTooLarge, "read batch", "the item has %d bytes; at most %d are allowed in this format, larger files go by %s or PUT", size, model.MaxExtentBytes, typeTar)
}

// growing is a buffer that grows with what arrives, under a share of the memory.
type growing struct {
	memory *share
	data   []byte
}

// room makes room for n more bytes. What a decoder copies out of the buffer is no larger
// than the buffer, so twice its size is taken.
func (g *growing) room(n int) error {
	need := len(g.data) + n
	if need <= cap(g.data) {
		return nil
	}
	larger := max(need, 2*cap(g.data), 4<<10)
	if err := g.memory.take(2 * int64(larger-cap(g.data))); err != nil {
		return err
	}
	g.data = append(make([]byte, 0, larger), g.data...)
	return nil
}

// malformed tells of a body that cannot be read on, or what its reader said of it.
func malformed(err error, format string, args ...any) error {
	var coded *model.Error
	if errors.As(err, &coded) {
		return coded
	}
	return badItem(format, args...)
}
