package catalog

import (
	"tiercel/cluster/model"
)

// discard gives a manifest up: nothing names it any more. Its records are
// released step by step by sweep, so that no single entry does work in
// proportion to the size of a file.
func (c *Catalog) discard(manifest uint64) {
	c.set(idKey(prefixGarbage, manifest), hex(0, 8))
	c.garbage++
}

// sweep releases up to garbageChunksPerEntry manifest rows of garbage, lowest
// manifest first. Every entry calls it.
func (c *Catalog) sweep() {
	budget := garbageChunksPerEntry
	for budget > 0 && c.garbage > 0 && c.halted == nil {
		id, next, ok := c.firstGarbage()
		if !ok {
			return
		}
		budget = c.sweepManifest(id, next, budget)
	}
}

// firstGarbage is the first garbage row: a manifest and its next chunk.
func (c *Catalog) firstGarbage() (id uint64, next uint32, ok bool) {
	var okID, okNext bool
	c.ascend(prefixGarbage, func(rest, value string) bool {
		var n uint64
		id, okID = parseHex(rest, 16)
		n, okNext = parseHex(value, 8)
		next = uint32(n)
		return false
	})
	if !okID || !okNext {
		c.halt(model.CodeCorrupt, "the garbage rows are damaged: %d are counted", c.garbage)
		return 0, 0, false
	}
	return id, next, true
}

// sweepManifest releases rows of one manifest and returns what is left of the budget.
func (c *Catalog) sweepManifest(id uint64, next uint32, budget int) int {
	for ; budget > 0; budget-- {
		extents := c.chunk(id, next)
		if extents == nil {
			c.remove(idKey(prefixGarbage, id))
			c.garbage--
			return budget
		}
		c.release(extents)
		c.remove(manifestKey(id, next))
		next++
	}
	c.set(idKey(prefixGarbage, id), hex(uint64(next), 8))
	return 0
}
