package catalog

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// cachedRow is a struct that stands for a row and is written back at the end of a batch.
type cachedRow interface {
	mark() *marks
	key() string
	// encoded is the value of the row as the struct has it.
	encoded(c *Catalog) string
}

// marks says what the index does not know yet about a cached row.
type marks struct {
	dirty bool // in Catalog.dirty
	gone  bool // deleted; must not be written again
}

func (m *marks) mark() *marks { return m }

// touch notes that r differs from its row.
func (c *Catalog) touch(r cachedRow) {
	if m := r.mark(); !m.dirty {
		m.dirty = true
		c.dirty = append(c.dirty, r)
	}
}

// flush writes every cached row that has changed, and the applied index. The
// order does not matter: keys are distinct and the hash is a sum.
func (c *Catalog) flush() {
	if c.halted != nil {
		return
	}
	for _, r := range c.dirty {
		m := r.mark()
		m.dirty = false
		if !m.gone {
			c.set(r.key(), r.encoded(c))
		}
	}
	clear(c.dirty)
	c.dirty = c.dirty[:0]
	if c.batch && c.applied > 0 {
		c.set(keyApplied, hex(c.applied, 16))
	}
}

// set stores a row and keeps the hash.
func (c *Catalog) set(key, value string) {
	previous, replaced := c.ix.Set(key, value)
	if replaced {
		if previous == value {
			return
		}
		c.hash.remove(key, previous)
	}
	c.hash.add(key, value)
	if c.survey != nil {
		c.surveyed(key, previous, value)
	}
}

// remove deletes a row, if there is one, and keeps the hash.
func (c *Catalog) remove(key string) {
	if previous, deleted := c.ix.Delete(key); deleted {
		c.hash.remove(key, previous)
		if c.survey != nil {
			c.surveyed(key, previous, "")
		}
	}
}

// setRow stores a message as a row.
func (c *Catalog) setRow(key string, row proto.Message) { c.set(key, c.encode(row)) }

// encode marshals a row. Map entries are sorted: equal rows are equal strings.
func (c *Catalog) encode(row proto.Message) string { return string(c.encodeBuf(row)) }

// encodeBuf is encode into a buffer that the next call uses again.
func (c *Catalog) encodeBuf(row proto.Message) []byte {
	buf, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(c.buf[:0], row)
	if err != nil {
		c.halt(model.CodeInternal, "a row of type %T cannot be written: %w", row, err)
		return nil
	}
	c.buf = buf
	return buf
}

// decode unmarshals a row and halts if it is damaged.
func (c *Catalog) decode(key, value string, row proto.Message) bool {
	c.scratch = append(c.scratch[:0], value...)
	if err := proto.Unmarshal(c.scratch, row); err != nil {
		c.halt(model.CodeCorrupt, "row %q is damaged; restore this node from a snapshot: %w", key, err)
		return false
	}
	return true
}

// fileAt returns the file row of a key, or nil.
func (c *Catalog) fileAt(key string) *messages.FileRow {
	value, ok := c.ix.Get(key)
	if !ok {
		return nil
	}
	row := &messages.FileRow{}
	if !c.decode(key, value, row) {
		return nil
	}
	return row
}

// ascend walks the rows under a key prefix in byte order until fn says no; rest
// is the key without the prefix.
func (c *Catalog) ascend(prefix string, fn func(rest, value string) bool) {
	c.ix.Ascend(prefix, func(key, value string) bool {
		rest, ok := strings.CutPrefix(key, prefix)
		return ok && fn(rest, value)
	})
}
