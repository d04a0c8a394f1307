package httpapi

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// listener hands out conns within the limits on connections, and answers those
// beyond them in the form of every other error.
type listener struct {
	net.Listener
	limits *Config
	met    *metrics
	refuse func() []byte // a whole HTTP response

	refusing chan struct{} // bounds the refusals being sent
	done     chan struct{}
	closing  sync.Once
	closeErr error

	mu      sync.Mutex
	open    map[*conn]struct{}
	sources map[ipKey]int
	opened  atomic.Int64
}

// ipKey is what connections are counted by: an IPv4 address, an IPv6 /64, or
// nothing for a connection without either.
type ipKey struct{ addr netip.Addr }

func newListener(ln net.Listener, limits *Config, met *metrics, refuse func() []byte) *listener {
	return &listener{
		Listener: ln, limits: limits, met: met, refuse: refuse,
		refusing: make(chan struct{}, 64), done: make(chan struct{}),
		open: make(map[*conn]struct{}), sources: make(map[ipKey]int),
	}
}

// Accept returns the next connection within the limits. A passing shortage of
// file descriptors or memory is waited out: it must not end the server.
func (l *listener) Accept() (net.Conn, error) {
	pause := 5 * time.Millisecond
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			if !passes(err) {
				return nil, err
			}
			select {
			case <-time.After(pause):
			case <-l.done:
			}
			pause = min(2*pause, time.Second)
			continue
		}
		if admitted, reason := l.admit(c); admitted != nil {
			return admitted, nil
		} else {
			l.turnAway(c, reason)
		}
	}
}

// passes reports whether an Accept error is one that time or a closed
// connection heals.
func passes(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit counts c in, or names the limit that keeps it out.
func (l *listener) admit(c net.Conn) (*conn, string) {
	key := keyOf(c.RemoteAddr())
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.open) >= l.limits.MaxConnections:
		return nil, "total"
	case key.addr.IsValid() && l.sources[key] >= l.limits.MaxConnectionsPerIP:
		return nil, "address"
	}
	wrapped := &conn{Conn: c, owner: l, source: key}
	l.open[wrapped] = struct{}{}
	l.opened.Add(1)
	if key.addr.IsValid() {
		l.sources[key]++
	}
	return wrapped, ""
}

// turnAway sends a refusal and closes c, without holding up Accept.
func (l *listener) turnAway(c net.Conn, reason string) {
	l.met.refusedConnections.WithLabelValues(reason).Inc()
	select {
	case l.refusing <- struct{}{}:
	default:
		_ = c.Close() // too many to be polite to each
		return
	}
	go func() {
		defer func() { <-l.refusing }()
		stray := &conn{Conn: c, owner: l}
		stray.linger.Store(true)
		to := c
		if l.limits.TLS != nil {
			to = tls.Server(c, l.limits.TLS)
		}
		// For reading too: TLS waits for the client's first words.
		if c.SetDeadline(time.Now().Add(l.limits.LingerTimeout)) == nil {
			if _, err := to.Write(l.refuse()); err != nil {
				stray.linger.Store(false)
			}
		}
		_ = stray.Close()
	}()
}

// release counts a closed connection out; one that was never counted in is nothing.
func (l *listener) release(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, counted := l.open[c]; !counted {
		return
	}
	delete(l.open, c)
	l.opened.Add(-1)
	if c.source.addr.IsValid() {
		if l.sources[c.source]--; l.sources[c.source] == 0 {
			delete(l.sources, c.source)
		}
	}
}

// Close stops accepting; open connections go on. Closing again changes nothing.
func (l *listener) Close() error {
	l.closing.Do(func() {
		close(l.done)
		l.closeErr = l.Listener.Close()
	})
	return l.closeErr
}

// closeConns closes the open connections: all of them, or those that have never
// sent a byte.
func (l *listener) closeConns(all bool) {
	l.mu.Lock()
	var chosen []*conn
	for c := range l.open {
		if all || !c.sawBytes.Load() {
			chosen = append(chosen, c)
		}
	}
	l.mu.Unlock()
	for _, c := range chosen {
		if all {
			c.linger.Store(false)
		}
		_ = c.Close() // its own goroutine meets the error
	}
}

func (l *listener) received(n int) { l.met.bytesIn.Add(float64(n)) }
func (l *listener) sent(n int)     { l.met.bytesOut.Add(float64(n)) }

// tooSlow judges a transfer by its average, once it was waited for longer than the grace.
func (l *listener) tooSlow(t *transfer) bool {
	return t.waited > l.limits.RateGrace &&
		float64(t.bytes) < t.waited.Seconds()*float64(l.limits.MinBytesPerSecond)
}

func keyOf(a net.Addr) ipKey {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return ipKey{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			addr = prefix.Addr()
		}
	}
	return ipKey{addr}
}

// connOf finds our connection below whatever wraps it.
func connOf(c net.Conn) *conn {
	if secret, ok := c.(*secretConn); ok {
		c = secret.NetConn()
	}
	own, _ := c.(*conn)
	return own
}
