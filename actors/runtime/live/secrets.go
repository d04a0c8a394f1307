package live

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
)

// currentTLS implements credentials.TransportCredentials by asking for the settings at
// every connection, so that a certificate or an authority that was replaced counts for
// the next one. Verification is crypto/tls's own, with the settings as they are then.
type currentTLS struct{ now func() *tls.Config }

var _ credentials.TransportCredentials = currentTLS{}

// ClientHandshake implements credentials.TransportCredentials.
func (c currentTLS) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(c.now().Clone()).ClientHandshake(ctx, authority, raw)
}

// ServerHandshake implements credentials.TransportCredentials. Whoever has no certificate
// of ours is refused, whatever the settings say.
func (c currentTLS) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config := c.now().Clone()
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return credentials.NewTLS(config).ServerHandshake(raw)
}

// Info implements credentials.TransportCredentials.
func (c currentTLS) Info() credentials.ProtocolInfo {
	return credentials.NewTLS(c.now().Clone()).Info()
}

// Clone implements credentials.TransportCredentials.
func (c currentTLS) Clone() credentials.TransportCredentials { return c }

// OverrideServerName implements credentials.TransportCredentials; nobody does.
func (c currentTLS) OverrideServerName(string) error { return nil }
