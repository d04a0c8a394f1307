package runtime

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/cluster/model"
	"tiercel/store"
)

// Actor is what every actor package implements: one thin Receive that hands
// each message to an onX method. It never blocks, never starts a goroutine and
// never asks the wall clock; Context has a deterministic way for each.
//
// msg is a protobuf message, one of protoactor's life-cycle messages
// (*actor.Started, *actor.Stopping, *actor.Stopped, *actor.Restarting,
// *actor.Terminated), a timer's message, or the result of an Offload.
// Timers and Offload results of an earlier incarnation of the same actor are
// dropped before they get here.
type Actor interface {
	Receive(ctx *Context, msg any)
}

// Producer makes a fresh actor: once when spawned and again at every restart,
// so no state may be shared between two calls.
type Producer func() Actor

// Runtime is the seam: everything that differs between a live node and a
// simulated one. One Runtime is one incarnation of one node.
type Runtime interface {
	// Node is the durable identity; Incarnation grows with every start of it.
	Node() model.NodeID
	Incarnation() uint64
	// Now is the wall clock, or the node's virtual clock.
	Now() time.Time
	// FS is the node's data directory; all paths are relative to it.
	FS() store.FS
	Log() *slog.Logger
	// SpawnRoot starts a supervised top-level actor. When its restarts are
	// exhausted the node halts.
	SpawnRoot(name string, p Producer) (*actor.PID, error)
	// Local is the PID of an actor of this node by its path ("worker/volume/17").
	Local(path string) *actor.PID
	// Peer is the same on another node. Sending to an unknown or dead node
	// loses the message, as a network does.
	Peer(node model.NodeID, path string) *actor.PID
	// Address is where other nodes reach this one: host:port, or in simulation its id.
	Address() string
	// SetPeer tells at which address a node is heard; an empty one forgets it.
	SetPeer(node model.NodeID, address string)
	// PeerAt is an actor of whatever node is heard at address: for a node that
	// joins and knows no identity yet.
	PeerAt(address, path string) *actor.PID
	// Halt ends the node because going on would not be honest (a failed fsync
	// of the log, for instance). Live: logs the reason and ends the process
	// with status 1. Simulated: the node crashes.
	Halt(reason error)
}

// Timer is a pending After. Stop is idempotent; a stopped timer's message is
// never delivered, even if it had already fired into the mailbox.
type Timer interface{ Stop() }
