package live_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/live"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// scripted is an actor that is a function.
type scripted func(ctx *runtime.Context, msg any)

func (f scripted) Receive(ctx *runtime.Context, msg any) { f(ctx, msg) }

func always(f scripted) runtime.Producer { return func() runtime.Actor { return f } }

// answering replies with the path it was asked about.
var answering = always(func(ctx *runtime.Context, msg any) {
	if m, ok := msg.(*messages.Stat); ok {
		ctx.Reply(&messages.StatReply{Header: &messages.Header{Request: m.Header.Request}, Applied: uint64(len(m.Path))})
	}
})

func ask(path string) *messages.Stat {
	return &messages.Stat{Header: &messages.Header{}, Path: path}
}

func spawn(t testing.TB, n *live.Node, name string, p runtime.Producer) *actor.PID {
	t.Helper()
	pid, err := n.SpawnRoot(name, p)
	require.NoError(t, err)
	return pid
}

func TestEdge_EveryoneGetsTheirOwnAnswer(t *testing.T) {
	p := startPair(t)
	spawn(t, p.a, "stat", answering)
	spawn(t, p.b, "stat", answering)
	connected(t, p.a, p.b)
	connected(t, p.b, p.a)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wait sync.WaitGroup
	for asker := range 8 {
		to := p.a.Local("stat")
		if asker%2 == 1 {
			to = p.a.Peer("n-b", "stat")
		}
		wait.Go(func() {
			path := ""
			for range 200 {
				path += "x"
				reply, err := p.a.Edge().Ask(ctx, to, ask(path))
				if !assert.NoError(t, err) {
					return
				}
				assert.EqualValues(t, len(path), reply.(*messages.StatReply).Applied)
			}
		})
	}
	wait.Wait()
	assert.Zero(t, p.a.Stats().PendingAsks)
	assert.Zero(t, p.a.Stats().LateReplies)
}

func TestEdge_ADeadlineEndsTheQuestionAndItsLateAnswerIsDropped(t *testing.T) {
	n := start(t, live.Config{Node: "n-a"})
	release := make(chan struct{})
	slow := spawn(t, n, "slow", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *messages.Stat:
			sender := ctx.Sender()
			ctx.Offload(func() any {
				<-release
				return func(ctx *runtime.Context) {
					ctx.Send(sender, &messages.StatReply{Header: m.Header})
				}
			})
		case func(*runtime.Context):
			m(ctx)
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := n.Edge().Ask(ctx, slow, ask("/a"))
	assert.Equal(t, model.CodeDeadlineExceeded, model.CodeOf(err))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Zero(t, n.Stats().PendingAsks)
	close(release)
	require.Eventually(t, func() bool { return n.Stats().LateReplies == 1 }, patience, time.Millisecond)
}

func TestEdge_RefusesWhatCannotBeAnswered(t *testing.T) {
	n := start(t, live.Config{Node: "n-a"})
	for _, c := range []struct {
		name string
		msg  live.AskMessage
		to   string
		code model.Code
	}{
		{"no header", &messages.Stat{}, "stat", model.CodeInvalidArgument},
		{"no such actor", ask("/a"), "nobody", model.CodeUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := n.Edge().Ask(t.Context(), n.Local(c.to), c.msg)
			assert.Equal(t, c.code, model.CodeOf(err))
		})
	}
	require.NoError(t, n.Stop())
	_, err := n.Edge().Ask(t.Context(), n.Local("stat"), ask("/a"))
	assert.Equal(t, model.CodeUnavailable, model.CodeOf(err))
}

func TestEdge_RequestIdsOfTwoIncarnationsDiffer(t *testing.T) {
	var ids []uint64
	for incarnation := range uint64(2) {
		n := start(t, live.Config{Node: "n-a", Incarnation: incarnation + 1})
		spawn(t, n, "stat", answering)
		m := ask("/a")
		_, err := n.Edge().Ask(t.Context(), n.Local("stat"), m)
		require.NoError(t, err)
		ids = append(ids, m.Header.Request)
	}
	assert.NotEqual(t, ids[0], ids[1])
}

func BenchmarkEdge_Ask(b *testing.B) {
	n, err := live.New(live.Config{Node: "n-a", FS: noDisk, Log: quiet})
	require.NoError(b, err)
	defer func() { require.NoError(b, n.Stop()) }()
	to := spawn(b, n, "stat", answering)
	one := func(ctx context.Context) {
		if _, err := n.Edge().Ask(ctx, to, ask("/a")); err != nil {
			b.Error(err)
		}
	}
	b.Run("one at a time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			one(b.Context())
		}
	})
	b.Run("64 at a time", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one(b.Context())
			}
		})
	})
}
