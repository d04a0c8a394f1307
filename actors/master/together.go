package master

import "tiercel/messages"

// together is which volume each batch of one question was given.
type together map[batchKey]uint64

type batchKey struct {
	session, batch uint64
	tier           uint32
}

func batchOf(session uint64, item *messages.BeginItem) batchKey {
	return batchKey{session, item.Batch, item.Tier}
}
