// Package catalog is the actor around the deterministic state machine of
// cluster/catalog: it applies what the log hands it, answers lookups, and walks
// snapshots to disk piece by piece so that writes never wait for one.
//
// It owns the index in memory and the files in snapshots/. It refuses nothing by
// itself: judgement is in cluster/catalog. A command it does not know halts the
// node rather than being skipped.
//
// Invariants: entries are applied once and in order; a lookup is answered only at
// or above the applied index it asks for; a snapshot counts only after it was
// read back and verified.
//
// Read first: catalog.go (messages), load.go (recovery), snapshot.go.
package catalog
