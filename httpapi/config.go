package httpapi

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config holds the limits of the HTTP edge. A field that is zero or negative
// has the default written beside it.
type Config struct {
	// Logger hears of internal errors and cut responses; default slog.Default().
	Logger *slog.Logger
	// Registry is where the metrics go, and what /metrics shows; default a new one.
	Registry *prometheus.Registry
	// Tokens says who calls; nil: anybody may do anything.
	Tokens Tokens
	// TLS is what connections must speak; nil: plain TCP.
	TLS *tls.Config
	// Audit is told of each management action once it is answered, on the goroutine that
	// answered it; nil: nobody is.
	Audit func(Action)
	// Refused is told of each request that is refused for who sent it, as it is refused: for
	// want of a token that is known, or for what the token is bound to; nil: nobody is. Of
	// a management action that a known token asked for Audit is told instead. It must not
	// block: anybody can have it called.
	Refused func(Action)
	// Warnings are those of this node itself, for /cluster/status; nil: none.
	Warnings func() []string

	// MaxHeaderBytes bounds the request line and all headers; it is also the
	// read buffer of each connection. Default 24 KiB: metadata and a path at
	// their limits fit.
	MaxHeaderBytes int
	// MaxConnections bounds open connections. Default 4,096.
	MaxConnections int
	// MaxConnectionsPerIP bounds those of one address (IPv6: one /64). Default 1,024.
	MaxConnectionsPerIP int
	// MaxRequests bounds requests under way; the next one is answered
	// overloaded. Default 2,048.
	MaxRequests int
	// MaxRequestsPerConnection closes a connection that has served so many. Default 1,000,000.
	MaxRequestsPerConnection int

	// HeaderTimeout bounds the wait for a request's header and the first 8 KiB
	// of its body, from its first byte (on a new connection: from accept). Default 30 s.
	HeaderTimeout time.Duration
	// IdleTimeout bounds the wait for the next request. Default 2 min.
	IdleTimeout time.Duration
	// StallTimeout cuts a transfer, either way, that makes no progress. Default 30 s.
	StallTimeout time.Duration
	// MinBytesPerSecond and RateGrace cut a transfer that, once it was waited
	// for longer than the grace, averages less. Defaults 1,024 and 30 s.
	MinBytesPerSecond int64
	RateGrace         time.Duration
	// RequestTimeout is how long the gateway may take: in all for small
	// requests, beyond the time its body may take for a PUT, and per piece of a
	// streamed response. Default 60 s.
	RequestTimeout time.Duration
	// LingerTimeout bounds how long a refused client is listened to, so that the
	// refusal reaches it before the connection is closed. Default 500 ms.
	LingerTimeout time.Duration
	// BatchMemory bounds the bytes that all batches together hold while they are decoded
	// and until their answers were taken; contents are not among them. Default 256 MiB.
	BatchMemory int64
}

// withDefaults returns c with every unset field set.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	orInt(&c.MaxHeaderBytes, 24<<10)
	orInt(&c.MaxConnections, 4096)
	orInt(&c.MaxConnectionsPerIP, 1024)
	orInt(&c.MaxRequests, 2048)
	orInt(&c.MaxRequestsPerConnection, 1_000_000)
	orInt(&c.MinBytesPerSecond, 1024)
	orInt(&c.HeaderTimeout, 30*time.Second)
	orInt(&c.IdleTimeout, 2*time.Minute)
	orInt(&c.StallTimeout, 30*time.Second)
	orInt(&c.RateGrace, 30*time.Second)
	orInt(&c.RequestTimeout, time.Minute)
	orInt(&c.LingerTimeout, 500*time.Millisecond)
	orInt(&c.BatchMemory, 256<<20)
	return c
}

func orInt[T ~int | ~int64](field *T, standard T) {
	if *field <= 0 {
		*field = standard
	}
}
