package sim

import (
	"log/slog"
	"time"

	"tiercel/cluster/model"
)

// Span is a range from which a delay is drawn, evenly: [Min, Max].
type Span struct{ Min, Max time.Duration }

// Options are the world's delays and habits. The zero value is a fast, healthy
// cluster on one switch.
type Options struct {
	// Network is the way of one message over a link. Default 50 µs to 2 ms.
	Network Span
	// Step is how long a message waits for a processor. Default 1 µs to 20 µs.
	Step Span
	// Disk is how long an Offload takes before and, separately, after the instant
	// in which its work happens. Default 20 µs to 2 ms.
	Disk Span
	// Detect is how long a lost node or link goes unnoticed by death-watch.
	// Default 100 ms to 2 s.
	Detect Span
	// ShareLocal lets actors of one node share the messages they send each other,
	// as live ones do. By default each gets its own copy, so that a message changed
	// after sending shows.
	ShareLocal bool
	// Around is called for each turn of an actor in place of the turn, which it must
	// call once, then and there: the place for a meter. message is the type's name;
	// nil: nobody looks.
	Around func(node model.NodeID, actor, message string, turn func())
	// Log receives what the nodes log; nil discards it.
	Log *slog.Logger
}

func (o *Options) fill() {
	o.Network = o.Network.or(50*time.Microsecond, 2*time.Millisecond)
	o.Step = o.Step.or(time.Microsecond, 20*time.Microsecond)
	o.Disk = o.Disk.or(20*time.Microsecond, 2*time.Millisecond)
	o.Detect = o.Detect.or(100*time.Millisecond, 2*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func (s Span) or(lowest, highest time.Duration) Span {
	if s == (Span{}) {
		return Span{lowest, highest}
	}
	return Span{max(0, s.Min), max(0, s.Min, s.Max)}
}

// Chaos makes links worse than TCP. Each is a probability per message.
type Chaos struct {
	Drop      float64
	Duplicate float64
	Reorder   float64 // delays the message without holding back those behind it
}
