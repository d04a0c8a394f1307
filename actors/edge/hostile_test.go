package edge_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tiercel/actors"
	"tiercel/actors/edge"
	"tiercel/actors/runtime/live"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// startListening runs a whole node that other nodes can reach.
func startListening(t *testing.T) (*edge.Client, *live.Node) {
	t.Helper()
	fs, err := store.NewDirFS(t.TempDir())
	require.NoError(t, err)
	data, err := actors.OpenData(fs, rand.Reader, false)
	require.NoError(t, err)
	rt, err := live.New(live.Config{
		Node: data.Dir.Identity().NodeID, Incarnation: data.Dir.Identity().Incarnation, FS: fs, Log: slog.New(slog.DiscardHandler), RPC: "127.0.0.1:0",
		StopTimeout: stopIn, OnHalt: func(reason error) { t.Errorf("the node halted: %v", reason) },
	})
	require.NoError(t, err)
	opt := actors.DefaultOptions()
	opt.ReserveBytes, opt.AppendPatience = 0, appendIn
	ready := make(chan struct{})
	var once sync.Once
	opt.Announced = func(ok bool, _ string) {
		if ok {
			once.Do(func() { close(ready) })
		}
	}
	_, err = actors.Start(rt, data, opt)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, rt.Stop())
		assert.NoError(t, data.Close())
	})
	select {
	case <-ready:
	case <-time.After(readyIn):
		t.Fatal("the node does not get ready")
	}
	return edge.New(edge.Config{
		Node: string(rt.Node()), Worker: func(id model.NodeID) *actor.PID { return rt.Peer(id, actors.WorkerPath) },
		Asker: rt.Edge(), Gateway: rt.Local(actors.GatewayPath), Volumes: data.Volumes, BodyCredit: 0,
		StepTimeout: stepIn, Ready: func() (bool, string) { return true, "" },
	}), rt
}

// h2 is an HTTP/2 frame with the header that it says.
func h2(length uint32, kind, flags byte, stream uint32, payload string) string {
	b := binary.BigEndian.AppendUint32(nil, length<<8|uint32(kind))
	b = binary.BigEndian.AppendUint32(append(b, flags), stream)
	return string(b) + payload
}

func TestHostile_GarbageOnThePortOfNodesEndsItsConnectionAndNothingElse(t *testing.T) {
	c, rt := startListening(t)
	n := &node{Client: c}
	_, err := c.Put(t.Context(), put("/models/a", content(10_000)))
	require.NoError(t, err)
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	settings := h2(0, 4, 0, 0, "")
	noise := make([]byte, 64<<10)
	_, err = rand.Read(noise)
	require.NoError(t, err)
	for name, raw := range map[string]string{
		"nothing": "", "noise": string(noise), "HTTP/1.1": "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"half a preface":             preface[:10],
		"a preface alone":            preface,
		"a frame of 16 MiB":          preface + h2(1<<24-1, 0, 0, 1, "x"),
		"a frame that is cut":        preface + settings + h2(1000, 1, 4, 1, "abc"),
		"an unknown frame":           preface + settings + h2(4, 0xfe, 0xff, 7, "abcd"),
		"headers that are no HPACK":  preface + settings + h2(4, 1, 4, 1, "\xff\xff\xff\xff"),
		"data on a stream of nobody": preface + settings + h2(4, 0, 0, 99, "abcd"),
		"settings that are absurd":   preface + h2(6, 4, 0, 0, "\x00\x04\xff\xff\xff\xff"),
		"a flood of pings":           preface + settings + strings.Repeat(h2(8, 6, 0, 0, "12345678"), 20_000),
		"a flood of resets":          preface + settings + strings.Repeat(h2(4, 3, 0, 1, "\x00\x00\x00\x08"), 20_000),
	} {
		conn, err := net.Dial("tcp", rt.Address())
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		_, _ = io.WriteString(conn, raw) // the node may have closed before the end
		_ = conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, conn); err != nil {
			assert.NotErrorIs(t, err, context.DeadlineExceeded, name)
			var timeout net.Error
			assert.False(t, errorsAs(err, &timeout) && timeout.Timeout(), "%s: the connection stays open", name)
		}
		_ = conn.Close()
	}
	assert.Zero(t, rt.Stats().Panics)
	assert.True(t, bytes.Equal(content(10_000), n.read(t, "/models/a")))
	_, err = c.Put(t.Context(), put("/models/b", content(10)))
	require.NoError(t, err)
}

func errorsAs(err error, target *net.Error) bool {
	e, ok := err.(net.Error)
	*target = e
	return ok
}

func TestHostile_StreamsOfPeersCanDoNoMoreThanPeersMay(t *testing.T) {
	c, rt := startListening(t)
	n := &node{Client: c}
	_, err := c.Put(t.Context(), put("/models/a", content(10_000)))
	require.NoError(t, err)
	conn, err := grpc.NewClient(rt.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	t.Run("an unknown method is refused", func(t *testing.T) {
		err := conn.Invoke(ctx, "/tiercel.v1.Secrets/Tell", &messages.Stat{}, &messages.Stat{})
		assert.Equal(t, codes.Unimplemented, status.Code(err), "%v", err)
		_, err = remote.NewRemotingClient(conn).GetProcessDiagnostics(ctx, &remote.GetProcessDiagnosticsRequest{})
		assert.Equal(t, codes.Unimplemented, status.Code(err), "%v", err)
	})
	t.Run("a frame beyond the limit ends its stream", func(t *testing.T) {
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/tiercel.v1.Bulk/Carry")
		require.NoError(t, err)
		huge := &messages.BulkFrame{Target: "node/log", Envelope: &messages.Envelope{Payload: make([]byte, 48<<20)}}
		_ = stream.SendMsg(huge) // the refusal may come before the end
		assert.Equal(t, codes.ResourceExhausted, status.Code(stream.RecvMsg(&messages.BulkFrame{})))
	})
	t.Run("headers beyond the limit end theirs", func(t *testing.T) {
		big := metadata.AppendToOutgoingContext(ctx, "x-a", strings.Repeat("a", 1<<20))
		stream, err := conn.NewStream(big, &grpc.StreamDesc{ClientStreams: true}, "/tiercel.v1.Bulk/Carry")
		if err == nil {
			err = stream.RecvMsg(&messages.BulkFrame{})
		}
		assert.Error(t, err)
	})
	t.Run("bulk frames of any kind to anybody", func(t *testing.T) {
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/tiercel.v1.Bulk/Carry")
		require.NoError(t, err)
		old, err := proto.Marshal(&messages.FenceVolume{Header: &messages.Header{Request: 1}, Volume: 1, Generation: 1})
		require.NoError(t, err)
		for _, target := range []string{"", "nobody", "node", "node/log", "node/catalog", "node/worker", "node/worker/volume/1.1", "node/gateway", "node/master/coordinator", "guardian$1", "activator", "$1"} {
			for _, e := range []*messages.Envelope{
				nil, {}, {Type: "no.such.Type", Origin: "n-evil", Incarnation: 1}, {Type: "tiercel.v1.Stat", Payload: []byte{0xff, 0xff}, Origin: "n-evil", Incarnation: 1},
				{Type: "tiercel.v1.FenceVolume", Payload: old, Origin: "n-evil", Incarnation: 1}, {Type: "tiercel.v1.DropCopy", Origin: "n-evil", Incarnation: 1},
				{Type: "tiercel.v1.ApplyEntries", Origin: "n-evil", Incarnation: 1}, {Type: "actor.PoisonPill", Origin: "n-evil", Incarnation: 1},
			} {
				for _, sender := range []string{"", "127.0.0.1:1", rt.Address()} {
					require.NoError(t, stream.SendMsg(&messages.BulkFrame{Target: target, Envelope: e, SenderAddress: sender, SenderPath: "node/catalog"}))
				}
			}
		}
		require.NoError(t, stream.CloseSend())
		_ = stream.RecvMsg(&messages.BulkFrame{}) // io.EOF, or how the node puts it: all of it was taken in
	})
	assert.Zero(t, rt.Stats().Panics)
	assert.True(t, bytes.Equal(content(10_000), n.read(t, "/models/a")))
	_, err = c.Put(t.Context(), put("/models/b", content(10)))
	require.NoError(t, err, "a fence of an epoch that never was has closed the volume")
}
