// Package gateway is the actor through which every request of this node passes:
// it batches writes to the master and to volumes, keeps the order of writes to one
// path, retries under one logged session, and queues while there is no master.
//
// It owns a session in the log, the order of what it was given, and nothing
// durable. It refuses what is malformed, what exceeds its queue, and what its
// deadline has passed.
//
// Invariants:
//   - Writes to one path take effect in the order they came (invariant 9).
//   - A command is repeated only under the sequence it was first sent with.
//   - Every request gets exactly one answer within its deadline (invariant 12).
//   - A read is answered from an index confirmed after the read arrived.
//
// Read first: gateway.go (messages), op.go (the life of a write), reads.go.
package gateway
