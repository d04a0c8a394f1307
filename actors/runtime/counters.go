package runtime

import (
	"reflect"
	"sync/atomic"
)

// Counters count what a runtime dropped, restarted or refused since it began.
// Every field only grows.
type Counters struct {
	Panics             atomic.Uint64 // in actors and their offloaded work
	Restarts           atomic.Uint64
	Escalations        atomic.Uint64
	StaleTimers        atomic.Uint64 // fired, then stopped or outlived by their actor
	StaleResults       atomic.Uint64 // Offload results that outlived their actor
	DeadLetters        atomic.Uint64 // to an actor that does not exist
	UnknownEnvelopes   atomic.Uint64 // of a type this version does not know, or broken
	StaleIncarnations  atomic.Uint64 // from a node that has since started anew
	OversizeMessages   atomic.Uint64 // refused at the sender
	UnsendableMessages atomic.Uint64 // not protobuf, or protoactor's own
	UnreachablePeers   atomic.Uint64 // messages to a node without address or network
	RefusedFrames      atomic.Uint64 // system messages and malformed frames from peers
	LinkOverflows      atomic.Uint64 // messages to a peer that does not keep up
}

// Count adds one to a counter and reports whether this one is worth a line in the
// log: the first, the second, the fourth, and so on, so that a flood of the
// same cannot fill a disk.
func Count(c *atomic.Uint64) (n uint64, worthLogging bool) {
	n = c.Add(1)
	return n, n&(n-1) == 0
}

// goTypeName is the name of a value's Go type, without the pointer.
func goTypeName(v any) string {
	t := reflect.TypeOf(v)
	if t == nil {
		return "nil"
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.String()
}
