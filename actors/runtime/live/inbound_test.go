package live_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/live"
	"tiercel/messages"
)

// hostile opens a raw stream to a node, as anyone with a certificate could.
func hostile(t *testing.T, n *live.Node) (remote.Remoting_ReceiveClient, *grpc.ClientConn) {
	t.Helper()
	conn, err := grpc.NewClient(n.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	stream, err := remote.NewRemotingClient(conn).Receive(t.Context())
	require.NoError(t, err)
	return stream, conn
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

func TestInbound_HostileFramesAreRefusedAndTheNodeLives(t *testing.T) {
	n := start(t, live.Config{Node: "n-a", RPC: "127.0.0.1:0"})
	var heard counting
	var ended atomic.Bool
	spawn(t, n, "sink", always(func(ctx *runtime.Context, msg any) {
		if _, ok := msg.(*actor.Stopping); ok {
			ended.Store(true)
		}
		heard.producer()().Receive(ctx, msg)
	}))
	stream, conn := hostile(t, n)
	good := encode(t, &messages.Envelope{Type: "tiercel.v1.Stat", Payload: encode(t, &messages.Stat{Path: "good"}), Origin: "n-evil", Incarnation: 1})
	frames := []struct {
		name  string
		types []string
		to    *actor.PID
		e     *remote.MessageEnvelope
	}{
		{"unknown type", []string{"no.such.Type"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{}},
		{"stop", []string{"actor.Stop"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{}},
		{"poison", []string{"actor.PoisonPill"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{}},
		{"bare message", []string{"tiercel.v1.Stat"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{}},
		{"watch without watcher", []string{"actor.Watch"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{}},
		{"end of nobody", []string{"actor.Terminated"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{}},
		{"type out of range", []string{"tiercel.v1.Envelope"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{TypeId: 7, MessageData: good}},
		{"negative target", []string{"tiercel.v1.Envelope"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{Target: -1, MessageData: good}},
		{"sender out of range", []string{"tiercel.v1.Envelope"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{Sender: 3, MessageData: good}},
		{"other serializer", []string{"tiercel.v1.Envelope"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{SerializerId: 1, MessageData: good}},
		{"to a guardian", []string{"tiercel.v1.Envelope"}, actor.NewPID(n.Address(), "guardian$1"), &remote.MessageEnvelope{MessageData: good}},
		{"to the supervisor", []string{"tiercel.v1.Envelope"}, actor.NewPID(n.Address(), "EndpointSupervisor/$1"), &remote.MessageEnvelope{MessageData: good}},
		{"in the node's own name", []string{"tiercel.v1.Envelope"}, actor.NewPID(n.Address(), "sink"), &remote.MessageEnvelope{Sender: 1, MessageData: good}},
		{"to the activator", []string{"remote.ActorPidRequest"}, actor.NewPID(n.Address(), "activator"), &remote.MessageEnvelope{}},
	}
	deliver := func(types []string, to *actor.PID, e *remote.MessageEnvelope) {
		batch := &remote.MessageBatch{TypeNames: types, Targets: []*actor.PID{to}, Envelopes: []*remote.MessageEnvelope{e}}
		if e.Sender == 1 {
			batch.Senders = []*actor.PID{actor.NewPID(n.Address(), "node/catalog")}
		}
		require.NoError(t, stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: batch}}))
	}
	for i, f := range frames {
		deliver(f.types, f.to, f.e)
		eventually(t, func() bool { return n.Stats().RefusedFrames == uint64(i+1) || heard.words.Load() > 0 })
		require.Zero(t, heard.words.Load(), "%s: it was let in", f.name)
	}
	deliver([]string{"tiercel.v1.Envelope"}, actor.NewPID("10.0.0.1:1", "sink"), &remote.MessageEnvelope{MessageData: good})
	eventually(t, func() bool { return heard.words.Load() == 1 }) // not relayed elsewhere
	assert.False(t, ended.Load())
	assert.Zero(t, n.Stats().Panics)
	_, err := remote.NewRemotingClient(conn).ListProcesses(context.Background(), &remote.ListProcessesRequest{})
	assert.Equal(t, codes.Unimplemented, status.Code(err))
}

// authority signs certificates for loopback.
func authority(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: pool, ClientCAs: pool, MinVersion: tls.VersionTLS13}
}

// fixed are settings that do not change; nil: no TLS.
func fixed(config *tls.Config) func() *tls.Config {
	if config == nil {
		return nil
	}
	return func() *tls.Config { return config }
}

func TestNetwork_TLSLetsOnlyPeersOfTheSameAuthorityIn(t *testing.T) {
	ours, theirs := authority(t), authority(t)
	trusting := ours.Clone() // knows our server, has no certificate of ours
	trusting.Certificates = theirs.Certificates
	for _, c := range []struct {
		name   string
		tls    *tls.Config
		listen bool
	}{{"same authority", ours, true}, {"other certificate", trusting, false}, {"other authority", theirs, false}, {"plain", nil, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := start(t, live.Config{Node: "n-a", RPC: "127.0.0.1:0", TLS: fixed(c.tls)})
			b := start(t, live.Config{Node: "n-b", RPC: "127.0.0.1:0", TLS: fixed(ours)})
			introduce(a, b)
			var heard counting
			spawn(t, b, "sink", heard.producer())
			eventually(t, func() bool {
				send(a, a.Peer("n-b", "sink"), "hello")
				return heard.words.Load() > 0 || !c.listen && a.Stats().LinksLost > 1
			})
			assert.Equal(t, c.listen, heard.words.Load() > 0)
		})
	}
}
