package live_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"tiercel/actors/runtime/live"
	"tiercel/messages"
)

// Every way to speak to a node: protoactor's stream, the bulk lane, and a unary call.
func TestTLS_ACallWithoutACertificateIsRefusedOnEveryMethod(t *testing.T) {
	ours := authority(t)
	n := start(t, live.Config{Node: "n-a", RPC: "127.0.0.1:0", TLS: fixed(ours)})
	var heard counting
	spawn(t, n, "sink", heard.producer())
	envelope := &messages.Envelope{Type: "tiercel.v1.Stat", Payload: encode(t, &messages.Stat{Path: "in"}), Origin: "n-evil", Incarnation: 1}
	for _, c := range []struct {
		name   string
		secret credentials.TransportCredentials
	}{
		{"plain", insecure.NewCredentials()},
		{"no certificate", credentials.NewTLS(&tls.Config{RootCAs: ours.RootCAs, MinVersion: tls.VersionTLS13})},
		{"a certificate of somebody else", credentials.NewTLS(&tls.Config{RootCAs: ours.RootCAs, Certificates: authority(t).Certificates, MinVersion: tls.VersionTLS13})},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := grpc.NewClient(n.Address(), grpc.WithTransportCredentials(c.secret))
			require.NoError(t, err)
			defer func() { assert.NoError(t, conn.Close()) }()
			_, err = remote.NewRemotingClient(conn).ListProcesses(t.Context(), &remote.ListProcessesRequest{})
			require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
			stream, err := remote.NewRemotingClient(conn).Receive(t.Context())
			if err == nil {
				_ = stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: &remote.MessageBatch{
					TypeNames: []string{"tiercel.v1.Envelope"}, Targets: []*actor.PID{actor.NewPID(n.Address(), "sink")},
					Envelopes: []*remote.MessageEnvelope{{MessageData: encode(t, envelope)}},
				}}})
				_, err = stream.Recv()
			}
			assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
			bulk, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, "/tiercel.v1.Bulk/Carry")
			if err == nil {
				_ = bulk.SendMsg(&messages.BulkFrame{Target: "sink", Envelope: envelope})
				err = bulk.RecvMsg(&messages.BulkFrame{})
			}
			assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
			assert.Zero(t, heard.words.Load())
		})
	}
}

func TestTLS_SettingsThatAreReplacedCountForTheNextConnection(t *testing.T) {
	ours := authority(t)
	var now atomic.Pointer[tls.Config]
	now.Store(authority(t)) // of another cluster
	a := start(t, live.Config{Node: "n-a", RPC: "127.0.0.1:0", TLS: now.Load})
	b := start(t, live.Config{Node: "n-b", RPC: "127.0.0.1:0", TLS: fixed(ours)})
	introduce(a, b)
	var heardA, heardB counting
	spawn(t, a, "sink", heardA.producer())
	spawn(t, b, "sink", heardB.producer())
	eventually(t, func() bool {
		send(a, a.Peer("n-b", "sink"), "hello")
		send(b, b.Peer("n-a", "sink"), "hello")
		return a.Stats().LinksLost > 1 && b.Stats().LinksLost > 1
	})
	require.Zero(t, heardA.words.Load()+heardB.words.Load())
	now.Store(ours)
	eventually(t, func() bool {
		send(a, a.Peer("n-b", "sink"), "hello")
		send(b, b.Peer("n-a", "sink"), "hello")
		return heardA.words.Load() > 0 && heardB.words.Load() > 0
	})
}

// What the settings say of a peer beyond its chain counts at both ends, on both lanes.
func TestTLS_APeerThatTheSettingsRefuseIsRefusedEitherWay(t *testing.T) {
	shared := authority(t)
	picky := shared.Clone()
	picky.VerifyConnection = func(tls.ConnectionState) error { return errors.New("not one of us") }
	a := start(t, live.Config{Node: "n-a", RPC: "127.0.0.1:0", TLS: fixed(shared)})
	b := start(t, live.Config{Node: "n-b", RPC: "127.0.0.1:0", TLS: fixed(picky)})
	introduce(a, b)
	var heard counting
	spawn(t, a, "sink", heard.producer())
	spawn(t, b, "sink", heard.producer())
	deadline := time.Now().Add(patience)
	for (a.Stats().LinksLost < 2 || b.Stats().LinksLost < 2) && time.Now().Before(deadline) {
		send(a, a.Peer("n-b", "sink"), "hello")
		send(b, b.Peer("n-a", "sink"), "hello")
		a.SendBulk(a.Peer("n-b", "sink"), nil, &messages.Stat{Path: "bulk"})
		b.SendBulk(b.Peer("n-a", "sink"), nil, &messages.Stat{Path: "bulk"})
		<-time.After(time.Millisecond)
	}
	assert.Greater(t, a.Stats().LinksLost, uint64(1))
	assert.Greater(t, b.Stats().LinksLost, uint64(1))
	assert.False(t, a.BulkUp(b.Address()))
	assert.Zero(t, heard.words.Load())
}

// Whoever starts a node with other settings than the cluster's learns it from its log.
func TestTLS_ANodeThatDoesNotFitSaysOnceWhatToSet(t *testing.T) {
	ours := authority(t)
	for _, c := range []struct {
		name          string
		joins, member func() *tls.Config
		want          string
	}{
		{"without TLS", nil, fixed(ours), "closed the connection at once. If its cluster uses TLS, this node must, too: give it a certificate of the cluster's authority with --tls-cert, --tls-key and --tls-ca"},
		{"with TLS where there is none", fixed(ours), nil, "speaks without TLS, and this node only with it"},
		{"of another authority", fixed(authority(t)), fixed(ours), "is not of this node's authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log lockedLog
			a := start(t, live.Config{Node: "n-a", RPC: "127.0.0.1:0", TLS: c.joins, Log: slog.New(slog.NewTextHandler(&log, nil))})
			b := start(t, live.Config{Node: "n-b", RPC: "127.0.0.1:0", TLS: c.member})
			introduce(a, b)
			eventually(t, func() bool {
				send(a, a.Peer("n-b", "sink"), "hello")
				return a.Stats().LinksLost > 2
			})
			assert.Equal(t, 1, strings.Count(log.String(), c.want), "%s", log.String())
			assert.Contains(t, log.String(), "code=unauthenticated")
		})
	}
}

func TestTLS_APeerThatIsNotThereIsNoMisfit(t *testing.T) {
	var log lockedLog
	a := start(t, live.Config{Node: "n-a", RPC: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, nil))})
	b := start(t, live.Config{Node: "n-b", RPC: "127.0.0.1:0"})
	introduce(a, b)
	connected(t, a, b)
	b.Kill()
	eventually(t, func() bool {
		send(a, a.Peer("n-b", "sink"), "hello")
		return a.Stats().LinksLost > 2
	})
	assert.NotContains(t, log.String(), "cannot be spoken to")
}

// lockedLog is a log that is read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
