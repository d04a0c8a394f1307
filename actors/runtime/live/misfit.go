package live

import (
	"log/slog"
	"strings"

	"tiercel/cluster/model"
)

// misfit says what an operator must set when a connection fails because its two ends do not
// agree about TLS; nil: that is not why. gRPC hands on only the text of what it met.
//
// A node without TLS cannot be told why: the other side takes its greeting for a broken
// handshake and closes. Nothing else does that at once, but a process that is just ending
// may, so it is said as what it probably is.
func (n *Node) misfit(address string, cause error) error {
	const op = "connect to a peer"
	text := cause.Error()
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch secure := n.config.TLS != nil; {
	case !secure && has("error reading server preface") && has("EOF", "connection reset by peer"):
		return model.Errorf(model.CodeUnauthenticated, op,
			"%s closed the connection at once. If its cluster uses TLS, this node must, too: give it a certificate of the cluster's authority with --tls-cert, --tls-key and --tls-ca", address)
	case secure && has("first record does not look like a TLS handshake"):
		return model.Errorf(model.CodeUnauthenticated, op,
			"%s speaks without TLS, and this node only with it. Start that one with --tls-cert, --tls-key and --tls-ca, or this one without them", address)
	case secure && has("certificate signed by unknown authority"):
		return model.Errorf(model.CodeUnauthenticated, op,
			"the certificate of %s is not of this node's authority. All nodes of a cluster need certificates of one authority, named by --tls-ca", address)
	case secure && has("remote error: tls: "):
		return model.Errorf(model.CodeUnauthenticated, op,
			"%s refuses this node's certificate (--tls-cert); it must be of the authority that the other nodes name with --tls-ca", address)
	}
	return nil
}

// tellMisfit logs it once, until the peer has been spoken to.
func (n *Node) tellMisfit(l *link, cause error) {
	why := n.misfit(l.address, cause)
	if why == nil || n.silent.Load() {
		return
	}
	l.mu.Lock()
	told := l.misfit
	l.misfit = why.Error()
	l.mu.Unlock()
	if told != why.Error() {
		n.log.Error("a peer cannot be spoken to", slog.String("address", l.address), slog.String("code", string(model.CodeOf(why))), slog.Any("error", why))
	}
}
