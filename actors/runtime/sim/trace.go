package sim

import (
	"encoding/binary"
	"fmt"
	"io"
)

// TraceTo writes a line per event to out: virtual time, node.incarnation,
// actor, what happened, the message's type and its encoded size. nil ends it.
func (w *World) TraceTo(out io.Writer) { w.trace = out }

// TraceHash is a hash over every event so far: time, node, incarnation, actor, kind,
// message type and bytes. Two runs that behave the same have the same hash.
func (w *World) TraceHash() uint64 { return w.hash.Sum64() }

// record adds one event to the hash and the trace. p is nil for the world's own.
func (w *World) record(p *process, actorName, kind, message string, bytes []byte) {
	node, incarnation := "", uint64(0)
	if p != nil {
		node, incarnation = string(p.node.id), p.incarnation
	}
	b := w.scratch[:0]
	b = binary.LittleEndian.AppendUint64(b, uint64(w.now))
	b = binary.LittleEndian.AppendUint64(b, incarnation)
	for _, s := range [...]string{node, actorName, kind, message} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(bytes)))
	w.scratch = b
	// Digest.Write never fails.
	_, _ = w.hash.Write(b)
	_, _ = w.hash.Write(bytes)
	if w.trace != nil {
		// A trace is for a person; a writer that fails has only itself to blame.
		_, _ = fmt.Fprintf(w.trace, "%14v %s.%d %s: %s %s %dB\n", w.now, node, incarnation, actorName, kind, message, len(bytes))
	}
}
