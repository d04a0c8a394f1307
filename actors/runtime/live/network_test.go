package live_test

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/live"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// counting counts the words it hears and their bytes.
type counting struct{ words, bytes atomic.Int64 }

func (c *counting) producer() runtime.Producer {
	return always(func(_ *runtime.Context, msg any) {
		if m, ok := msg.(*messages.Stat); ok {
			c.words.Add(1)
			c.bytes.Add(int64(len(m.Path)))
		}
	})
}

func send(from *live.Node, to *actor.PID, word string) {
	from.System().Root.Send(to, &messages.Stat{Path: word})
}

func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patience, time.Millisecond)
}

// doors numbers what connected knocks at.
var doors atomic.Int64

// connected brings up the connection from a node to another: what is sent before there is
// one is lost where making it takes long.
func connected(t *testing.T, from, to *live.Node) {
	t.Helper()
	var heard counting
	name := fmt.Sprintf("door-%d", doors.Add(1))
	spawn(t, to, name, heard.producer())
	eventually(t, func() bool {
		send(from, from.Peer(to.Node(), name), "knock")
		return heard.words.Load() > 0
	})
}

func TestNetwork_ABatchOfTheLargestMessagesArrives(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	connected(t, p.a, p.b)
	word := strings.Repeat("x", runtime.MaxMessageBytes-16)
	for try := range 5 { // a pause of the machine may end the connection; a batch that is too large always does
		var heard counting
		name := fmt.Sprintf("sink-%d", try)
		spawn(t, p.b, name, heard.producer())
		lost, to := p.a.Stats().LinksLost, p.a.Peer("n-b", name)
		for range live.BatchMessages + 8 {
			send(p.a, to, word)
		}
		all := func() bool { return heard.bytes.Load() == int64((live.BatchMessages+8)*len(word)) }
		eventually(t, func() bool { return all() || p.a.Stats().LinksLost > lost })
		if all() {
			eventually(t, func() bool { return p.a.Stats().QueuedBytes == 0 })
			return
		}
		connected(t, p.a, p.b)
	}
	require.Fail(t, "no batch arrived")
}

func TestNetwork_APeerThatDoesNotKeepUpLosesMessagesAndTheSenderDoesNotWait(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	const limit = 64 << 10
	p.a.LimitQueue(limit)
	word := strings.Repeat("x", limit/4)
	// A listener that never accepts a stream: what is sent to it is queued.
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, mute.Close()) }()
	p.a.SetPeers(map[model.NodeID]string{"n-mute": mute.Addr().String()})
	to := p.a.Peer("n-mute", "sink")
	eventually(t, func() bool { // the connection may be given up between two of them
		for range 8 {
			send(p.a, to, word)
		}
		return p.a.Stats().LinkOverflows > 0
	})
	assert.LessOrEqual(t, p.a.Stats().QueuedBytes, int64(limit))
	// The connection is given up, and a watch of such a peer is answered.
	var ended atomic.Bool
	spawn(t, p.a, "watcher", always(func(ctx *runtime.Context, msg any) {
		switch msg.(type) {
		case *actor.Started:
			ctx.Watch(to)
		case *actor.Terminated:
			ended.Store(true)
		}
	}))
	eventually(t, ended.Load)
	eventually(t, func() bool { return p.a.Stats().QueuedBytes == 0 })
	assert.Zero(t, p.a.Stats().LinksUp)
}

func TestNetwork_APeerThatAcceptsAndSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	a := start(t, live.Config{Node: "n-a", RPC: "127.0.0.1:0"})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	mute := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		<-stream.Context().Done()
		return nil
	}))
	served := make(chan error, 1)
	go func() { served <- mute.Serve(listener) }()
	defer func() { mute.Stop(); assert.NoError(t, <-served) }()
	a.SetPeers(map[model.NodeID]string{"n-mute": listener.Addr().String()})
	var ended atomic.Bool
	spawn(t, a, "watcher", always(func(ctx *runtime.Context, msg any) {
		switch msg.(type) {
		case *actor.Started:
			ctx.Watch(ctx.Runtime().Peer("n-mute", "sink"))
		case *actor.Terminated:
			ended.Store(true)
		}
	}))
	eventually(t, ended.Load)
}

func TestNetwork_APeerThatComesBackIsHeardAgain(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	var first, second counting
	spawn(t, p.b, "sink", first.producer())
	to := p.a.Peer("n-b", "sink")
	connected(t, p.a, p.b)
	send(p.a, to, "hello")
	eventually(t, func() bool { return first.words.Load() == 1 })
	require.NoError(t, p.b.Stop())
	eventually(t, func() bool {
		send(p.a, to, "into the void")
		return p.a.Stats().UnreachablePeers > 0 && p.a.Stats().LinksUp == 0
	})
	again := start(t, live.Config{Node: "n-b", Incarnation: 2, RPC: p.b.Address()})
	spawn(t, again, "sink", second.producer())
	eventually(t, func() bool {
		send(p.a, to, "hello again")
		return second.words.Load() > 0
	})
	assert.Positive(t, p.a.Stats().LinksLost)
}

func TestNetwork_TheFirstBulkMessageAfterARestartArrives(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	var first counting
	spawn(t, p.b, "sink", first.producer())
	to := p.a.Peer("n-b", "sink")
	eventually(t, func() bool {
		p.a.SendBulk(to, nil, &messages.Stat{Path: "hello"})
		return first.words.Load() > 0
	})
	// It may be lost, after all, where the connection is not made within three seconds.
	b := p.b
	for try := range uint64(5) {
		require.NoError(t, b.Stop())
		eventually(t, func() bool { return !p.a.BulkUp(p.b.Address()) }) // though nothing is sent
		var again counting
		b = start(t, live.Config{Node: "n-b", Incarnation: 2 + try, RPC: p.b.Address()})
		spawn(t, b, "sink", again.producer())
		p.a.SendBulk(to, nil, &messages.Stat{Path: "hello again"})
		for began := time.Now(); time.Since(began) < patience/4; {
			if again.words.Load() == 1 {
				return
			}
			<-time.After(time.Millisecond)
		}
	}
	require.Fail(t, "it was lost again and again")
}

func TestNetwork_TheAnswerToAPeerThatHasComeBackDoesNotWaitForABackOff(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	var first, second counting
	spawn(t, p.b, "sink", first.producer())
	spawn(t, p.a, "echo", always(func(ctx *runtime.Context, msg any) {
		if m, ok := msg.(*messages.Stat); ok {
			ctx.Send(p.a.Peer("n-b", "sink"), m)
		}
	}))
	connected(t, p.a, p.b)
	send(p.a, p.a.Peer("n-b", "sink"), "hello")
	eventually(t, func() bool { return first.words.Load() == 1 })
	require.NoError(t, p.b.Stop())
	eventually(t, func() bool { return p.a.Stats().LinksUp == 0 })
	p.a.BackOff(p.b.Address(), time.Hour)
	again := start(t, live.Config{Node: "n-b", Incarnation: 2, RPC: p.b.Address()})
	spawn(t, again, "sink", second.producer())
	again.SetPeer("n-a", p.a.Address())
	eventually(t, func() bool {
		send(again, again.Peer("n-a", "echo"), "are you there")
		return second.words.Load() > 0
	})
}

func TestNetwork_WithoutAddressOrNetworkMessagesAreLostAndCounted(t *testing.T) {
	for _, c := range []struct {
		name   string
		config live.Config
	}{
		{"no network", live.Config{Node: "n-a"}},
		{"unknown node", live.Config{Node: "n-a", RPC: "127.0.0.1:0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, c.config)
			var ended atomic.Bool
			spawn(t, n, "lonely", always(func(ctx *runtime.Context, msg any) {
				switch msg.(type) {
				case *actor.Started:
					ctx.Send(ctx.Runtime().Peer("n-nobody", "sink"), &messages.Stat{})
					ctx.Stop(ctx.Runtime().Peer("n-nobody", "sink"))
					ctx.Watch(ctx.Runtime().Peer("n-nobody", "sink"))
				case *actor.Terminated:
					ended.Store(true)
				}
			}))
			eventually(t, ended.Load)
			assert.EqualValues(t, 2, n.Stats().UnreachablePeers, "the message and the watch")
			assert.EqualValues(t, 1, n.Stats().RefusedFrames, "the stop")
		})
	}
}

func TestNew_RefusesAConfigThatCannotWork(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, taken.Close()) }()
	for _, c := range []struct {
		name   string
		config live.Config
		code   model.Code
		says   string
	}{
		{"no id", live.Config{FS: noDisk}, model.CodeInvalidArgument, "no id"},
		{"no disk", live.Config{Node: "n-a"}, model.CodeInvalidArgument, "no data directory"},
		{"no port", live.Config{Node: "n-a", FS: noDisk, RPC: "127.0.0.1"}, model.CodeInvalidArgument, "host:port"},
		{"every interface", live.Config{Node: "n-a", FS: noDisk, RPC: ":7000", Insecure: true}, model.CodeInvalidArgument, "advertised"},
		{"plain outside loopback", live.Config{Node: "n-a", FS: noDisk, RPC: "10.1.2.3:7000"}, model.CodeInvalidArgument, "not loopback"},
		{"bad advertised address", live.Config{Node: "n-a", FS: noDisk, RPC: "127.0.0.1:0", Advertise: "here"}, model.CodeInvalidArgument, "advertised"},
		{"taken port", live.Config{Node: "n-a", FS: noDisk, RPC: taken.Addr().String()}, model.CodeUnavailable, "in use"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Log = quiet
			_, err := live.New(c.config)
			assert.Equal(t, c.code, model.CodeOf(err), fmt.Sprint(err))
			assert.ErrorContains(t, err, c.says)
		})
	}
}

// BenchmarkNetwork_SmallMessages is one sender and one receiver over loopback.
func BenchmarkNetwork_SmallMessages(b *testing.B) {
	from, err := live.New(live.Config{Node: "n-a", FS: noDisk, Log: quiet, RPC: "127.0.0.1:0"})
	require.NoError(b, err)
	to, err := live.New(live.Config{Node: "n-b", FS: noDisk, Log: quiet, RPC: "127.0.0.1:0"})
	require.NoError(b, err)
	defer func() { require.NoError(b, from.Stop()); require.NoError(b, to.Stop()) }()
	introduce(from, to)
	// A window of credits, as actors use: without one the queue overflows.
	const window = 4096
	credits := make(chan struct{}, window)
	spawn(b, to, "sink", always(func(_ *runtime.Context, msg any) {
		if _, ok := msg.(*messages.Stat); ok {
			<-credits
		}
	}))
	pid := from.Peer("n-b", "sink")
	b.ReportAllocs()
	for b.Loop() {
		credits <- struct{}{}
		send(from, pid, "/a/path/of/some/length")
	}
}
