package live

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tiercel/actors/runtime"
)

// link is what this node knows of the connection to one address.
//
//	idle ── first send ──▶ connecting ──▶ up ──▶ lost
//	                           ▲  └────────────▶  │
//	                           └── after retryAt ─┘
type link struct {
	address string
	queued  atomic.Int64  // bytes handed over and not yet written
	lost    atomic.Uint64 // how often
	retryAt atomic.Int64  // Unix nanoseconds; nothing is sent before; 0: no failure
	lostAt  atomic.Int64  // Unix nanoseconds
	up      atomic.Bool
	back    chan struct{} // the peer was heard while there was no connection to it

	mu       sync.Mutex
	failures int    // in a row
	misfit   string // what was last said about TLS, since the link was up
	cancel   context.CancelFunc
}

func (n *Node) link(address string) *link {
	if l, ok := n.links.Load(address); ok {
		return l.(*link)
	}
	l, _ := n.links.LoadOrStore(address, &link{address: address, back: make(chan struct{}, 1)})
	return l.(*link)
}

// usable reports whether a send may be tried now.
func (l *link) usable() bool {
	at := l.retryAt.Load()
	return at == 0 || time.Now().UnixNano() >= at
}

// isBack is called for what comes from the node at an address: whoever speaks can be spoken to, so
// a back-off ends that began while the peer was down. Otherwise the answers to the
// first questions of a node that has just started would be lost.
func (n *Node) isBack(address string) {
	v, ok := n.links.Load(address)
	if !ok {
		return
	}
	// Where only this direction is broken that is said again and again.
	if l := v.(*link); !l.usable() && time.Now().UnixNano()-l.lostAt.Load() >= int64(firstRetry) {
		l.retryAt.Store(0)
		select {
		case l.back <- struct{}{}:
		default:
		}
	}
	n.bulks.isBack(address)
}

// reserve takes room for size bytes in a queue of limit bytes.
func (l *link) reserve(size int, limit int64) bool {
	if l.queued.Add(int64(size)) <= limit {
		return true
	}
	l.queued.Add(int64(-size))
	return false
}

// written gives back room. What a lost connection took with it was given back
// then, so the sum may not fall below zero.
func (l *link) written(size int) {
	for {
		queued := l.queued.Load()
		if l.queued.CompareAndSwap(queued, max(0, queued-int64(size))) {
			return
		}
	}
}

// connecting remembers how to break the connection.
func (l *link) connecting(cancel context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel = cancel
}

// sever breaks the connection, if there is one.
func (l *link) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel()
	}
}

func (n *Node) linkUp(l *link) {
	l.mu.Lock()
	l.failures, l.misfit = 0, ""
	l.mu.Unlock()
	l.retryAt.Store(0)
	l.up.Store(true)
	n.log.Info("peer link up", slog.String("address", l.address))
}

// linkLost begins the back-off and tells the watchers. It returns the back-off.
func (n *Node) linkLost(l *link, cause error) time.Duration {
	l.mu.Lock()
	backoff := min(firstRetry<<min(l.failures, 10), longestRetry)
	l.failures++
	first := l.failures == 1
	l.mu.Unlock()
	now := time.Now()
	l.lostAt.Store(now.UnixNano())
	l.retryAt.Store(now.Add(backoff).UnixNano())
	l.up.Store(false)
	l.queued.Store(0)
	l.lost.Add(1)
	if first && !n.silent.Load() {
		n.log.Warn("peer link lost", slog.String("address", l.address), slog.Any("error", cause))
	}
	n.tellMisfit(l, cause)
	n.endWatches(l.address)
	return backoff
}

// Stats are the counters of a node, for metrics. All but LinksUp, QueuedBytes
// and PendingAsks only grow.
type Stats struct {
	Panics, Restarts, Escalations        uint64
	StaleTimers, StaleResults            uint64
	DeadLetters                          uint64
	UnknownEnvelopes, StaleIncarnations  uint64
	OversizeMessages, UnsendableMessages uint64
	UnreachablePeers, LinkOverflows      uint64
	RefusedFrames                        uint64
	LinksLost, LateReplies               uint64
	LinksUp, PendingAsks                 int
	QueuedBytes                          int64
}

// Stats reads the counters; they are not of one instant.
func (n *Node) Stats() Stats {
	c := &n.counters
	s := Stats{
		Panics: c.Panics.Load(), Restarts: c.Restarts.Load(), Escalations: c.Escalations.Load(),
		StaleTimers: c.StaleTimers.Load(), StaleResults: c.StaleResults.Load(),
		DeadLetters:      c.DeadLetters.Load(),
		UnknownEnvelopes: c.UnknownEnvelopes.Load(), StaleIncarnations: c.StaleIncarnations.Load(),
		OversizeMessages: c.OversizeMessages.Load(), UnsendableMessages: c.UnsendableMessages.Load(),
		UnreachablePeers: c.UnreachablePeers.Load(), LinkOverflows: c.LinkOverflows.Load(),
		RefusedFrames: c.RefusedFrames.Load(),
		LateReplies:   n.edge.late.Load(), PendingAsks: n.edge.pending(),
	}
	n.links.Range(func(_, v any) bool {
		l := v.(*link)
		s.LinksLost += l.lost.Load()
		s.QueuedBytes += l.queued.Load()
		if l.up.Load() {
			s.LinksUp++
		}
		return true
	})
	return s
}

// countDrop counts a message that was not sent, and logs some of them.
func (n *Node) countDrop(c *atomic.Uint64, address, why string) {
	if count, log := runtime.Count(c); log {
		n.log.Warn("messages to a peer dropped", slog.String("address", address), slog.String("reason", why), slog.Uint64("count", count))
	}
}
