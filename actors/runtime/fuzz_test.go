package runtime

import (
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// receiver is a host as far as opening an envelope needs one.
type receiver struct {
	Host
	counters Counters
}

func (r *receiver) Counters() *Counters                 { return &r.counters }
func (r *receiver) Log() *slog.Logger                   { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
func (r *receiver) Admit(_ model.NodeID, n uint64) bool { return n > 0 }

// FuzzEnvelope opens any bytes as what came from another node: what it lets through is
// a message that may travel, and says no more than the payload.
func FuzzEnvelope(f *testing.F) {
	for _, m := range []proto.Message{
		&messages.Stat{Path: "/a"}, &messages.RaftMessages{From: 1, Messages: [][]byte{{1}}}, &messages.Heartbeat{}, &messages.OpenVolume{Volume: 1},
		&messages.ApplyEntries{}, &messages.AppendRecords{Items: []*messages.AppendItem{{Body: []byte("x")}}},
	} {
		payload, err := proto.Marshal(m)
		require.NoError(f, err)
		f.Add(string(m.ProtoReflect().Descriptor().FullName()), payload, uint64(1))
	}
	f.Add("actor.Stop", []byte{}, uint64(1))
	f.Add("tiercel.v1.Envelope", []byte{}, uint64(1))
	f.Add("google.protobuf.Any", []byte{}, uint64(0))
	f.Fuzz(func(t *testing.T, name string, payload []byte, incarnation uint64) {
		r := &receiver{}
		m := Open(r, &messages.Envelope{Type: name, Payload: payload, Origin: "n-b", Incarnation: incarnation})
		dropped := r.counters.UnknownEnvelopes.Load() + r.counters.StaleIncarnations.Load()
		if m == nil {
			require.EqualValues(t, 1, dropped, "dropped without being counted")
			return
		}
		require.Zero(t, dropped)
		require.True(t, strings.HasPrefix(name, "tiercel.v1."), name)
		require.NotEqual(t, "tiercel.v1.Envelope", name)
		require.False(t, inside[protoreflect.FullName(name)], name)
	})
}
