package catalog

import (
	"tiercel/cluster/model"
	"tiercel/messages"
)

// repeated answers a write whose client key is known: the recorded result when
// tenant, key, path, size and crc are the same, a conflict when they are not;
// nil when the key is new or there is none.
func (c *Catalog) repeated(e entry, file *messages.FileAttributes) *messages.CommandResult {
	if e.cmd.IdempotencyKey == "" {
		return nil
	}
	key := idempotencyKey(file.Tenant, e.cmd.IdempotencyKey)
	value, ok := c.ix.Get(key)
	if !ok {
		return nil
	}
	row := &messages.IdempotencyRow{}
	if !c.decode(key, value, row) {
		return nil
	}
	if row.Path != file.Path || row.SizeBytes != file.SizeBytes || row.Crc32C != file.Crc32C {
		return refuse("key_reused")
	}
	return row.Result
}

// remember records the result of a write under the client's key, and forgets
// the tenant's oldest key when there are too many.
func (c *Catalog) remember(e entry, file *messages.FileAttributes, res *messages.CommandResult) {
	key, most := e.cmd.IdempotencyKey, uint64(c.cluster.IdempotencyKeysPerTenant)
	if key == "" || most == 0 {
		return
	}
	t := c.tenantOf(file.Tenant).row
	for ; t.IdempotencyKeys >= most && c.halted == nil; t.IdempotencyKeys-- {
		c.evictKey(file.Tenant)
	}
	t.IdempotencyKeys++
	c.set(ageKey(file.Tenant, e.index), key)
	c.setRow(idempotencyKey(file.Tenant, key), &messages.IdempotencyRow{
		Path: file.Path, SizeBytes: file.SizeBytes, Crc32C: file.Crc32C, Result: res, Index: e.index,
	})
}

// evictKey forgets the oldest key of a tenant.
func (c *Catalog) evictKey(tenant string) {
	prefix, age, key := agePrefix(tenant), "", ""
	c.ascend(prefix, func(rest, value string) bool {
		age, key = rest, value
		return false
	})
	if age == "" {
		c.halt(model.CodeCorrupt, "tenant %q counts idempotency keys that are not there", tenant)
		return
	}
	c.remove(prefix + age)
	c.remove(idempotencyKey(tenant, key))
}
