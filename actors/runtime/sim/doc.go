// Package sim is a whole cluster in one goroutine: nodes with their actors,
// disks, clocks and network, in virtual time. The same seed gives the same run,
// event for event, at any GOMAXPROCS; World.TraceHash proves it.
//
// It owns the event loop (world.go, queue.go), the incarnations of a node and
// their faults (node.go, process.go), the mailbox and the actor system that
// protoactor runs on (mailbox.go, system.go), and the network with its partitions,
// chaos and death-watch (network.go, watch.go).
//
// The rule: nothing here starts a goroutine, reads the wall clock, or ranges
// over a map. Actors that keep the rule too are deterministic. Code that draws
// from crypto/rand (etcd raft's election jitter) needs DeterministicRand.
//
// What is simulated harder than it happens: scheduling between actors is
// random; every message is encoded and decoded, on one node too, so that no two
// actors share memory; a one-way cut loses one direction for good while the
// other goes on; chaos duplicates and reorders. What is not simulated: slow
// CPUs, memory pressure, and the limits of sockets.
package sim
