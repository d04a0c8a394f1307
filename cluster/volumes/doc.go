// Package volumes decides what must happen to the open volumes of a worker: which
// are usable, reopened at a new generation, sealed, or created. The row in the
// catalog is the arbiter and a worker's report is evidence; Plan compares the two.
//
// It refuses to guess: a copy that is missing, damaged or of a generation the
// catalog does not know is sealed where the catalog stands, never declared lost.
// Only an intact file that is too short is (the catalog does that, in ReopenVolume).
//
// It imports cluster/model and messages. Read plan.go.
package volumes
