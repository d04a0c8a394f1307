package live

import (
	"log/slog"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/messages"
	"tiercel/store"
)

// FuzzScreen takes any bytes for a frame of a peer: what is left of it protoactor can
// deliver without breaking, and it steers nothing.
func FuzzScreen(f *testing.F) {
	n, err := New(Config{Node: "n-a", FS: store.NewMemFS(1), Log: slog.New(slog.DiscardHandler), RPC: "127.0.0.1:0"})
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, n.Stop()) })
	envelope, err := proto.Marshal(&messages.Envelope{Type: "tiercel.v1.Stat", Origin: "n-b", Incarnation: 1})
	require.NoError(f, err)
	watch, err := proto.Marshal(&actor.Watch{Watcher: actor.NewPID("127.0.0.1:1", "w")})
	require.NoError(f, err)
	for _, b := range []*remote.MessageBatch{
		{TypeNames: []string{envelopeType}, Targets: []*actor.PID{actor.NewPID("", "node/log")}, Envelopes: []*remote.MessageEnvelope{{MessageData: envelope}}},
		{TypeNames: []string{watchType}, Targets: []*actor.PID{actor.NewPID("", "node/log")}, Envelopes: []*remote.MessageEnvelope{{MessageData: watch}}},
		{TypeNames: []string{terminatedType, "actor.Stop"}, Targets: []*actor.PID{actor.NewPID("x", "guardian$1")}, Envelopes: []*remote.MessageEnvelope{{TypeId: 1}, {Target: -1}, {Sender: 9}}},
		{},
	} {
		data, err := proto.Marshal(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}})
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &remote.RemoteMessage{}
		if proto.Unmarshal(data, m) != nil {
			return
		}
		b := m.GetMessageBatch()
		n.screen(b)
		for _, e := range b.GetEnvelopes() {
			require.Less(t, int(e.TypeId), len(b.TypeNames))
			require.Less(t, int(e.Target), len(b.Targets))
			require.LessOrEqual(t, int(e.Sender), len(b.Senders))
			require.GreaterOrEqual(t, min(e.TypeId, e.Target, e.Sender), int32(0))
			require.Contains(t, []string{envelopeType, watchType}, b.TypeNames[e.TypeId])
			require.Equal(t, n.system.Address(), b.Targets[e.Target].Address)
			require.False(t, infrastructure(b.Targets[e.Target].Id))
			if e.Sender > 0 {
				require.NotEqual(t, n.system.Address(), b.Senders[e.Sender-1].GetAddress())
			}
		}
	})
}
