// Package runtime is the seam between actors and the world: everything that
// differs between a live node (package live) and a simulated one (package sim).
//
// It owns the Shell, the one protoactor actor in Tiercel: it adapts Actor to
// protoactor, gives each incarnation of an actor its own identity so that
// timers and Offload results of an earlier one never arrive, unwraps what came
// over the network, and supervises children. Actors see Context and Runtime
// only; Host is what live and sim implement for the Shell.
//
// Invariants, the same live and simulated:
//   - A restart keeps the PID and the mailbox; only the message that failed is lost.
//   - A stopped or stale timer's message is never delivered.
//   - Failures are counted on the runtime's clock; exhausted restarts escalate,
//     and at the root they halt the node.
//   - Nothing but an Envelope travels between nodes, and an Envelope that cannot
//     be opened is counted, logged and dropped.
//
// Read first: runtime.go (the contract), context.go (what an actor can do),
// shell.go (how a message gets there), supervise.go (what a panic leads to).
package runtime
