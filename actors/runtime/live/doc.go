// Package live runs a node: real clock, real disk, real network.
//
// It owns the node's actor system (node.go, stop.go), the way for code outside
// actors to ask them something (edge.go), and the hardened protoactor remote:
// what leaves (outbound.go, links.go), what may come in (inbound.go), how
// connections are made and lost (dial.go) and who hears of it (watch.go).
//
// Invariants:
//   - One type of message is on the wire: an Envelope. Besides it only Watch and
//     Terminated pass; a peer can neither stop an actor nor reach protoactor's own.
//   - A message to a peer is delivered at most once, in order per connection, or
//     lost; losses at this end are counted.
//   - Sending never blocks and never waits in an unbounded queue: a peer that
//     does not keep up, or cannot be reached, loses messages.
//   - Outside loopback the network is mutual TLS, unless Config says otherwise.
//
// Read first: config.go, node.go, edge.go.
package live
