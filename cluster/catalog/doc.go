// Package catalog is the deterministic state machine that the log feeds: the
// file index, tenants, volumes, workers, sessions, uploads, idempotency keys
// and the cluster row. What a command may do is judged here, in apply, and
// nowhere else (DESIGN "Who decides what").
//
// It owns the rows of a store.Index; messages/rows.proto is their layout. It
// refuses by a CommandResult with a code. It stops by an error: a command of a
// kind it does not know, a log of a newer cluster version, a state that
// contradicts itself or the proposer's hash. After an error it applies nothing more.
//
// Invariants, all checked by Verify:
//   - Apply is pure: the same entries on the same state give the same rows and
//     the same hash, however they are batched. No clock, no random numbers, no
//     map order, no default that the log does not carry. Sentences for people
//     are no part of the state: a refusal is stored as a reason and its facts.
//   - A tenant's usage is the sum of its files. A volume's live bytes are the sum
//     of the records that a file, an upload or not yet released garbage names.
//   - A manifest is named by exactly one file, upload or garbage row.
//   - One entry does a bounded amount of work, whatever the size of the file it
//     deletes or replaces.
//
// The structs cached here (volumes, tenants, sessions, uploads) are derived
// from rows by New and written back once per batch.
//
// Used by one goroutine at a time. Read first: catalog.go (Apply), files.go,
// extents.go, sessions.go. Imports cluster/model, cluster/tier, cluster/license (what
// the row of a licence allows: it knows no key), cluster/quota (what a file counts),
// messages and the index interface of store; its tests also cluster/affected, which walks
// over what only they make.
package catalog
