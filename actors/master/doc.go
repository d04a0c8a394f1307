// Package master is the tree of actors that only the node that leads the log runs,
// one tree per epoch: Master supervises, the Coordinator admits writes, passes
// commands to the log and keeps each tier supplied with usable volumes on many
// workers, the Controller hears heartbeats, judges health, ranks the candidates
// for the next master and looks after the voters, the Bursar answers for the limits
// of tenants, the Compactor empties volumes that are mostly dead, the Archivist ships
// checkpoints of the catalog and the commit journal into volumes of tier 1.
//
// It owns nothing durable: everything it decides goes through the log, and a new
// master starts from the catalog and a pulled round of reports. It refuses writes
// that no volume can take, each with its reason.
//
// Invariants: a grant names a volume and generation that the catalog has open; a
// command's outcome is told to whoever asked, once, and only after it was applied;
// what is said to be in the archive is on the disks of all members of its volumes;
// every order to a worker carries the epoch; a volume is sealed only with what its
// fenced members say, and never below what was committed; what is reserved of a
// tenant's limit and what is used of it are never counted twice; the log names the new copy
// of moved content only once every member has fsynced it.
//
// Read first: coordinator.go (begin and commit), look.go and steps.go (volumes),
// controller.go (health), quota.go (reservations), compactor.go (compaction),
// archivist.go (archive).
package master
