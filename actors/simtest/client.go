package simtest

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

const (
	clientTenant  = "default"
	clientBudget  = 3 * time.Second
	clientTimeout = 5 * time.Second // longer than the budget: the gateway speaks first if it can
	keyedAttempts = 8
	maxBlobBytes  = 3000
)

// client is an actor that does one operation after the other and writes history.
type client struct {
	story   *story
	number  int
	random  *rand.Rand
	at      int // the host whose gateway it uses
	left    int
	request uint64
	now     *step
	again   *step             // waits to be repeated
	life    string            // of the gateway that was asked
	seen    map[string]uint64 // newest version this client saw, by path
	shown   map[string]uint64 // newest applied index each gateway's life has shown it
}

// step is the operation under way, which may take several messages.
type step struct {
	op      operation
	keyed   string // Idempotency-Key, of puts that are repeated until answered
	tries   int
	content []byte
	parts   [][]byte
	upload  uint64
	sent    int
	file    *messages.FileAttributes
	items   []operation // of a batch
	puts    []*messages.Put
	ask     proto.Message
}

type nextDue struct{}
type timeout struct{ request uint64 }

// Receive handles one message.
func (c *client) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		ctx.After(time.Duration(c.random.Int64N(int64(200*time.Millisecond))), nextDue{})
	case nextDue:
		c.next(ctx)
	case againDue:
		c.now, c.again = c.again, nil
		c.send(ctx)
	case timeout:
		if c.now != nil && m.request == c.request {
			c.finish(ctx, output{unknown: true})
		}
	case *messages.PutReply:
		c.onPut(ctx, m)
	case *messages.PutBatchReply:
		c.onBatch(ctx, m)
	case *messages.MutationReply:
		c.onMutation(ctx, m)
	case *messages.StatReply:
		c.onStat(ctx, m)
	case *messages.OpenUploadReply:
		c.onUpload(ctx, m.Header, m.Error, m.Upload)
	case *messages.UploadPartReply:
		c.onUpload(ctx, m.Header, m.Error, m.Upload)
	}
}

// next draws the next operation.
func (c *client) next(ctx *runtime.Context) {
	if c.left == 0 {
		c.story.clientDone()
		return
	}
	c.left--
	if c.random.IntN(4) == 0 {
		c.at = c.random.IntN(len(c.story.hosts))
	}
	group := c.random.IntN(len(groups))
	s := &step{op: operation{client: c.number, in: input{group: group, path: c.random.IntN(len(groups[group].paths))}}}
	in := &s.op.in
	c.now = s
	switch draw := c.random.IntN(100); {
	case draw < 30:
		in.kind = opGet
	case draw < 42:
		in.kind = opDelete
		in.ifMatch = draw < 33
	case draw < 48:
		in.kind = opMove
		in.to = 1 - in.path
	case draw >= 90 && c.story.batches:
		c.prepareBatch(s)
	default:
		c.preparePut(s, draw)
	}
	if in.ifMatch {
		in.version = c.seen[pathOf(in.group, in.path)]
	}
	s.op.call = int64(c.story.world.Elapsed())
	c.send(ctx)
}

func (c *client) preparePut(s *step, draw int) {
	in := &s.op.in
	in.kind = opPut
	in.value = fmt.Sprintf("c%d.%d", c.number, c.left)
	s.content = blob(in.value, 1+c.random.IntN(maxBlobBytes))
	switch {
	case draw < 56:
		in.mustNotExist = true
	case draw < 64:
		in.ifMatch = true
	case draw < 72:
		s.keyed = in.value
	case draw < 82:
		for n := 2 + c.random.IntN(6); n > 0; n-- {
			s.parts = append(s.parts, blob(fmt.Sprintf("%s/%d", in.value, n), 1+c.random.IntN(maxBlobBytes)))
		}
		s.content = nil
		for _, p := range s.parts {
			s.content = append(s.content, p...)
		}
	}
	c.story.values.add(in.value, s.content)
	s.file = &messages.FileAttributes{
		Tenant: clientTenant, Path: pathOf(in.group, in.path),
		SizeBytes: uint64(len(s.content)), Crc32C: crc32.Checksum(s.content, castagnoli),
	}
	if in.mustNotExist {
		s.file.Conditions = &messages.Conditions{MustNotExist: true}
	}
}

// send sends the step's next message and starts its timer.
func (c *client) send(ctx *runtime.Context) {
	s, in := c.now, &c.now.op.in
	c.request++
	h := &messages.Header{Request: c.request, BudgetMs: clientBudget.Milliseconds()}
	path := pathOf(in.group, in.path)
	var cond *messages.Conditions
	if in.ifMatch {
		cond = &messages.Conditions{Versions: []uint64{in.version}}
		if s.file != nil {
			s.file.Conditions = cond
		}
	}
	switch {
	case s.items != nil:
		s.ask = &messages.PutBatch{Header: h, Items: s.puts}
	case in.kind == opGet:
		s.ask = &messages.Stat{Header: h, Tenant: clientTenant, Path: path, WithVolumes: true}
	case in.kind == opDelete:
		s.ask = &messages.Delete{Header: h, Tenant: clientTenant, Path: path, Conditions: cond}
	case in.kind == opMove:
		s.ask = &messages.Move{Header: h, Tenant: clientTenant, From: path, To: pathOf(in.group, in.to), Overwrite: true}
	case s.parts == nil:
		s.ask = &messages.Put{Header: h, File: s.file, Body: s.content, IdempotencyKey: s.keyed}
	case s.upload == 0:
		s.ask = &messages.OpenUpload{Header: h, File: s.file}
	case s.sent < len(s.parts):
		s.ask = &messages.UploadPart{Header: h, Upload: s.upload, Part: uint64(s.sent), Body: s.parts[s.sent]}
	default:
		s.ask = &messages.FinishUpload{Header: h, Upload: s.upload, File: s.file}
	}
	entry := c.story.hosts[c.at]
	if entry.gone {
		entry = c.story.anyHost()
	}
	c.life = fmt.Sprintf("%s.%d", entry.name, entry.node.Incarnation())
	ctx.Request(ctx.Runtime().Peer(entry.name, gatewayPath), s.ask)
	ctx.After(clientTimeout, timeout{request: c.request})
}

func (c *client) mine(h *messages.Header) bool { return c.now != nil && h.GetRequest() == c.request }

func (c *client) onPut(ctx *runtime.Context, m *messages.PutReply) {
	if !c.mine(m.Header) {
		return
	}
	if m.Error != nil {
		if m.Error.Code == string(model.CodeQuotaExceeded) {
			c.story.count("refused by a quota")
		}
		c.finish(ctx, refusal(m.Error))
		return
	}
	c.story.checkAcknowledged(m, time.Duration(c.now.op.call))
	c.finish(ctx, output{version: m.Result.Version, created: m.Result.Created})
}

func (c *client) onMutation(ctx *runtime.Context, m *messages.MutationReply) {
	if !c.mine(m.Header) {
		return
	}
	if m.Error != nil {
		c.finish(ctx, refusal(m.Error))
		return
	}
	c.finish(ctx, output{version: m.Result.GetVersion()})
}

func (c *client) onUpload(ctx *runtime.Context, h *messages.Header, refused *messages.Error, upload uint64) {
	if !c.mine(h) {
		return
	}
	if refused != nil {
		// A part that is refused or unknown commits nothing: only FinishUpload does.
		c.finish(ctx, output{code: string(model.CodeUnavailable)})
		return
	}
	if c.now.upload != 0 {
		c.now.sent++
	}
	c.now.upload = upload
	c.send(ctx)
}

func (c *client) onStat(ctx *runtime.Context, m *messages.StatReply) {
	if !c.mine(m.Header) {
		return
	}
	c.checkShown(m)
	switch {
	case m.Error.GetCode() == string(model.CodeNotFound) && m.Unchecked:
		c.finish(ctx, output{unknown: true})
	case m.Error.GetCode() == string(model.CodeNotFound):
		c.finish(ctx, output{})
	case m.Error != nil:
		c.finish(ctx, refusal(m.Error))
	case m.Unchecked:
		c.story.checkContent(c.now.op.in, m)
		c.finish(ctx, output{unknown: true})
	default:
		value := c.story.checkContent(c.now.op.in, m)
		c.finish(ctx, output{present: true, value: value, version: m.Row.Version})
	}
}

// checkShown: a gateway never shows an index older than one it has shown.
func (c *client) checkShown(m *messages.StatReply) {
	if m.Applied == 0 {
		return
	}
	if m.Unchecked {
		c.story.count("unchecked read")
	}
	if m.Applied < c.shown[c.life] {
		c.story.violate("the gateway %s showed index %d after %d", c.life, m.Applied, c.shown[c.life])
	}
	c.shown[c.life] = max(c.shown[c.life], m.Applied)
}

// refusal sorts an error: some say for certain that nothing happened.
func refusal(e *messages.Error) output {
	if e.Code == string(model.CodeOutcomeUnknown) {
		return output{unknown: true}
	}
	return output{code: e.Code}
}

// finish writes the operation down and pauses before the next.
func (c *client) finish(ctx *runtime.Context, out output) {
	s := c.now
	if s.keyed != "" && s.tries < keyedAttempts && (out.unknown || retriable(out.code)) {
		s.tries++
		c.at = c.random.IntN(len(c.story.hosts)) // any gateway will do
		c.story.count("keyed retry")
		ctx.After(time.Duration(c.random.Int64N(int64(300*time.Millisecond))), againDue{})
		c.now, c.again = nil, s
		return
	}
	if s.tries > 0 && retriable(out.code) {
		out = output{unknown: true} // an earlier attempt may still have happened
	}
	if s.items != nil {
		c.finishBatch(s, out)
	} else {
		s.op.out, s.op.ret = out, int64(c.story.world.Elapsed())
		if out.version != 0 {
			c.seen[pathOf(s.op.in.group, s.op.in.path)] = out.version
		}
		c.story.record(s.op)
	}
	c.now = nil
	ctx.After(time.Duration(c.random.Int64N(int64(80*time.Millisecond))), nextDue{})
}

type againDue struct{}

func retriable(code string) bool {
	switch model.Code(code) {
	case "", model.CodePreconditionFailed, model.CodeNotFound, model.CodeConflict, model.CodeInvalidArgument:
		return false
	}
	return true
}
