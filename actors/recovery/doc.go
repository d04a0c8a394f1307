// Package recovery makes a catalog again when every voter's log is lost, and puts it
// into the data directory of a stopped node: from a checkpoint and the commit journal
// in the volumes (`tiercel recover`), or from a backup (`tiercel restore`).
//
// It owns no rule: which checkpoint and journal are built on is cluster/archive's to
// say, what a recovered catalog is like cluster/catalog's. It refuses a directory whose
// log is intact, because a take-over would miss nothing, and one of another cluster.
//
// Invariants: without apply nothing but tmp/ and the number of starts is written; with
// it nothing is deleted, and whatever is replaced lies in quarantine/; node.yaml is
// written last, so that a recovery that was cut off is simply done again; a record that
// the catalog does not know comes under /lost+found, never under its old path.
//
// Read first: recover.go.
package recovery
