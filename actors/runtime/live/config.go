package live

import (
	"crypto/tls"
	"log/slog"
	"net"
	"strconv"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/store"
)

// Limits of the network between nodes.
const (
	// batchMessages × MaxMessageBytes is below maxFrameBytes on both sides, or a
	// batch would be lost without a trace.
	batchMessages = 32
	frameOverhead = 64 << 10 // names and addresses of one batch
	maxFrameBytes = batchMessages*(runtime.MaxMessageBytes+envelopeOverhead) + frameOverhead
	// envelopeOverhead is the most an Envelope adds to its payload.
	envelopeOverhead = 1 << 10
	// queueMessages is preallocated per peer; the queue grows beyond it.
	queueMessages = 256
	// maxQueuedBytes may wait for one peer; what is sent beyond is dropped.
	maxQueuedBytes = 64 << 20

	keepaliveInterval = 10 * time.Second // the least gRPC lets a client ask for
	keepaliveTimeout  = 5 * time.Second
	connectTimeout    = 3 * time.Second
	handshakeTimeout  = 10 * time.Second // of a connection that a peer opens
	// A peer has one stream for control and, on another connection, one for bulk.
	maxStreams           = 16
	maxStreamHeaderBytes = 16 << 10
	firstRetry           = 100 * time.Millisecond
	longestRetry         = time.Second

	// maxOffloads is how many blocking works run at once; more wait.
	maxOffloads = 256

	// DefaultStopTimeout bounds Stop when Config does not.
	DefaultStopTimeout = 10 * time.Second
)

// Config says what a node runs on.
type Config struct {
	Node        model.NodeID
	Incarnation uint64 // grows with every start of this node
	FS          store.FS
	Log         *slog.Logger // nil: slog.Default()

	// RPC is the host:port on which other nodes are heard; empty: no network.
	RPC string
	// Advertise is the host:port at which other nodes reach RPC; empty: the
	// address it is bound to.
	Advertise string
	// TLS is for both directions, and asked for at each connection: it needs a
	// certificate, RootCAs and ClientCAs. A peer without a certificate of ClientCAs is
	// refused; what more it must be is for VerifyConnection to say. nil: plain TCP.
	TLS func() *tls.Config
	// Insecure allows plain TCP on an address that is not loopback, where every
	// host that can connect is trusted like a node of the cluster.
	Insecure bool

	// StopTimeout bounds Stop; 0: DefaultStopTimeout.
	StopTimeout time.Duration
	// OnHalt ends the process; nil: exit with status 1. It hears the reason once.
	OnHalt func(reason error)
}

// check refuses what cannot work and fills in defaults.
func (c *Config) check() error {
	const op = "start node"
	switch {
	case c.Node == "":
		return model.Errorf(model.CodeInvalidArgument, op, "the node has no id")
	case c.FS == nil:
		return model.Errorf(model.CodeInvalidArgument, op, "the node %s has no data directory", c.Node)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.StopTimeout <= 0 {
		c.StopTimeout = DefaultStopTimeout
	}
	if c.RPC == "" {
		return nil
	}
	host, _, err := splitAddress(c.RPC)
	if err != nil {
		return model.Errorf(model.CodeInvalidArgument, op, "the RPC address %q is not host:port: %w", c.RPC, err)
	}
	ip := net.ParseIP(host)
	if c.Advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return model.Errorf(model.CodeInvalidArgument, op, "the RPC address %q is every interface; set an advertised host:port at which other nodes reach it", c.RPC)
	}
	if c.TLS == nil && !c.Insecure && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return model.Errorf(model.CodeInvalidArgument, op, "the RPC address %q is not loopback and there is no TLS; any host could command this node: configure certificates, or allow plain TCP explicitly", c.RPC)
	}
	if c.Advertise != "" {
		if _, port, err := splitAddress(c.Advertise); err != nil || port == 0 {
			return model.Errorf(model.CodeInvalidArgument, op, "the advertised address %q is not host:port", c.Advertise)
		}
	}
	return nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, int(n), err
}
