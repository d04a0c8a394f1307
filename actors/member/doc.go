// Package member is the actor by which a node takes part in a cluster: it greets
// the nodes it knows before anything else starts, joins, sends heartbeats to the
// master, and tells the other actors of its node who is master and who is where.
//
//	greeting ──▶ (joining ──▶) serving
//
// It owns the addresses of peers (hints, kept in node.yaml) and the newest word of
// a master. It refuses, by ending the process with the reason, to take part with
// an identity that is in use elsewhere, in a cluster that is not its own, after it
// has left, or after a take-over it was not part of.
//
// Invariants: a node that was made to join never founds a cluster; only the newest
// epoch's word counts; nothing but this actor runs before the node is admitted.
//
// Read first: member.go (messages), greet.go (coming in), serve.go (heartbeats).
package member
