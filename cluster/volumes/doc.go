// Package volumes decides what must happen to the open volumes of a cluster: which
// are usable, opened, reopened at a new generation, sealed, or created, and on
// which workers. The row in the catalog is the arbiter and workers' reports are
// evidence; Plan compares the two.
//
// It refuses to guess: a copy that is missing, damaged or of a generation the
// catalog does not know is sealed where the catalog stands, never declared lost.
// Only an intact file that is too short is (the catalog does that, in ReopenVolume).
// A volume of several members is never reopened after any of them was restarted.
//
// It imports cluster/model, cluster/tier and messages. Read plan.go, then choose.go.
package volumes
