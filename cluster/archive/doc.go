// Package archive decides what of the catalog is kept outside of the log, and what a
// recovery makes of it (DESIGN "Volumes": checkpoints and a commit journal in volumes
// of tier 1). A checkpoint is a whole catalog snapshot, in parts; a journal segment is
// a run of log entries. Both are files of the system's own tenant, whose paths say
// what they are, so that they are found by scanning volumes when no catalog is left.
//
// It owns the names (names.go), when to write and what to retire (plan.go), which log
// entries are worth writing (matters.go), and which checkpoint and segments a recovery
// builds on (choose.go). It refuses to continue one generation's journal with
// another's: after a take-over the same log index may mean something else.
//
// Invariants: nothing is retired that the newest two complete checkpoints need; a
// checkpoint with a part missing is none; a journal is followed only as far as it has
// no gap.
//
// Pure: no clock, I/O or goroutine. Read first: plan.go, choose.go.
package archive
