package simtest

import (
	"fmt"
	"hash/crc32"
	"time"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

const maxBatchItems = 8

// prepareBatch makes a step of many puts that travel together. Paths repeat: items of
// one path must take effect in their order.
func (c *client) prepareBatch(s *step) {
	for n := 2 + c.random.IntN(maxBatchItems-1); n > 0; n-- {
		group := c.random.IntN(len(groups))
		in := input{kind: opPut, group: group, path: c.random.IntN(len(groups[group].paths)), value: fmt.Sprintf("c%d.%d.%d", c.number, c.left, n)}
		content := blob(in.value, 1+c.random.IntN(maxBlobBytes))
		c.story.values.add(in.value, content)
		s.items = append(s.items, operation{client: c.number, in: in})
		s.puts = append(s.puts, &messages.Put{Body: content, File: &messages.FileAttributes{
			Tenant: clientTenant, Path: pathOf(in.group, in.path), SizeBytes: uint64(len(content)), Crc32C: crc32.Checksum(content, castagnoli),
		}})
	}
}

// onBatch takes the outcome of each item, as that of a put of its own.
func (c *client) onBatch(ctx *runtime.Context, m *messages.PutBatchReply) {
	if !c.mine(m.Header) {
		return
	}
	c.story.count("batch")
	s := c.now
	if m.Error != nil {
		c.finish(ctx, refusal(m.Error))
		return
	}
	if len(m.Items) != len(s.items) {
		c.story.violate("a batch of %d items has %d outcomes", len(s.items), len(m.Items))
		c.finish(ctx, output{unknown: true})
		return
	}
	newest := make(map[string]uint64)
	for i, reply := range m.Items {
		in := s.items[i].in
		path := pathOf(in.group, in.path)
		out := output{}
		if reply.Error != nil {
			c.story.count("refused item of a batch")
			out = refusal(reply.Error)
		} else {
			c.story.checkAcknowledged(reply, time.Duration(s.op.call))
			out = output{version: reply.Result.Version, created: reply.Result.Created}
			if out.version <= newest[path] {
				c.story.violate("item %d of a batch made version %d of %s, one before it made %d", i, out.version, path, newest[path])
			}
			newest[path] = out.version
		}
		s.items[i].out = out
	}
	c.finish(ctx, output{})
}

// finishBatch writes the items down. Those that have no outcome of their own share out.
func (c *client) finishBatch(s *step, out output) {
	for _, o := range s.items {
		if o.out == (output{}) {
			o.out = out
		}
		o.call, o.ret = s.op.call, int64(c.story.world.Elapsed())
		if o.out.version != 0 {
			c.seen[pathOf(o.in.group, o.in.path)] = o.out.version
		}
		c.story.record(o)
	}
}
