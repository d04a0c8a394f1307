// Package master is the tree of actors that only the node that leads the log runs,
// one tree per epoch: Master supervises, the Coordinator admits writes, passes
// commands to the log, and keeps each tier supplied with usable volumes.
//
// It owns nothing durable: everything it decides goes through the log, and a new
// master starts from the catalog and a pulled round of reports. It refuses writes
// that no volume can take, each with its reason.
//
// Invariants: a grant names a volume and generation that the catalog has open; a
// command's outcome is told to whoever asked, once, and only after it was applied.
//
// Read first: coordinator.go (begin and commit), steward.go (volumes).
package master
