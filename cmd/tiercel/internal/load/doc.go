// Package load is the generator of `tiercel bench`: workloads against a running
// server, by the same client as the other verbs, and what was measured of them.
//
// It is a closed loop: each connection has one request under way and sends the
// next when the last was answered. A request counts when its answer was right:
// of a write the receipt, of a read the length and the checksum that the write
// had. What the server refuses for a while (429, 503) is repeated as Retry-After
// says; that is counted by code, and the wait is part of that request's latency,
// because it is what a client lives through. Writes are summed up by what their
// receipts say of copies that were durable.
//
// It owns a directory of its own, Options.Dir, and touches nothing else. It does
// not remove it: the caller knows when.
//
// Read first: bench.go (the workloads), phase.go (the loop), report.go.
package load
