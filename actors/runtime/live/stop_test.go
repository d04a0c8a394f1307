package live_test

import (
	"errors"
	"log/slog"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/live"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

var (
	noDisk = store.NewMemFS(1)
	quiet  = slog.New(slog.DiscardHandler)
)

func TestStop_EndsTheNewestActorFirstAndWaitsForWhatWasOffloaded(t *testing.T) {
	n := start(t, live.Config{Node: "n-a", StopTimeout: patience})
	var mu sync.Mutex
	var ended []string
	begun, written := make(chan struct{}), atomic.Bool{}
	for _, name := range []string{"log", "worker", "gateway"} {
		spawn(t, n, name, always(func(ctx *runtime.Context, msg any) {
			switch msg.(type) {
			case *actor.Started:
				if name == "worker" {
					ctx.Offload(func() any {
						close(begun)
						for range 100 {
							goruntime.Gosched()
						}
						written.Store(true)
						return nil
					})
				}
			case *actor.Stopped:
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, name)
			}
		}))
	}
	<-begun
	require.NoError(t, n.Stop())
	require.NoError(t, n.Stop(), "idempotent")
	assert.Equal(t, []string{"gateway", "worker", "log"}, ended)
	assert.True(t, written.Load())
}

func TestStop_IsBoundedWhenAnActorOrItsWorkHangs(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for _, c := range []struct {
		name string
		hang func(ctx *runtime.Context, begun chan struct{})
	}{
		{"in the mailbox", func(_ *runtime.Context, begun chan struct{}) { close(begun); <-release }},
		{"in offloaded work", func(ctx *runtime.Context, begun chan struct{}) {
			ctx.Offload(func() any { close(begun); <-release; return nil })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, live.Config{Node: "n-a", StopTimeout: 50 * time.Millisecond})
			begun := make(chan struct{})
			spawn(t, n, "hangs", always(func(ctx *runtime.Context, msg any) {
				if _, ok := msg.(*actor.Started); ok {
					c.hang(ctx, begun)
				}
			}))
			<-begun
			assert.Equal(t, model.CodeDeadlineExceeded, model.CodeOf(n.Stop()))
		})
	}
}

func TestStop_LeavesNoGoroutines(t *testing.T) {
	before := goruntime.NumGoroutine()
	for range 3 {
		p := startPair(t)
		var heard counting
		spawn(t, p.b, "sink", heard.producer())
		connected(t, p.a, p.b)
		send(p.a, p.a.Peer("n-b", "sink"), "hello")
		eventually(t, func() bool { return heard.words.Load() == 1 })
		require.NoError(t, p.a.Stop())
		require.NoError(t, p.b.Stop())
	}
	const condition = 1 // is called on a goroutine of its own
	eventually(t, func() bool { return goruntime.NumGoroutine() <= before+condition })
}

func TestHalt_TellsOnceAndTheNodeFallsSilent(t *testing.T) {
	var reasons atomic.Int32
	bad := errors.New("the log's disk failed")
	a := start(t, live.Config{Node: "n-a", RPC: "127.0.0.1:0", OnHalt: func(reason error) {
		assert.Equal(t, bad, reason)
		reasons.Add(1)
	}})
	b := start(t, live.Config{Node: "n-b", RPC: "127.0.0.1:0"})
	introduce(a, b)
	connected(t, a, b)
	var heard counting
	spawn(t, b, "sink", heard.producer())
	var returned atomic.Bool
	for _, name := range []string{"one", "two"} {
		spawn(t, a, name, always(func(ctx *runtime.Context, msg any) {
			switch msg.(type) {
			case *actor.Started:
				ctx.Send(ctx.Runtime().Peer("n-b", "sink"), &messages.Stat{Path: "before"})
			case *messages.Stat:
				ctx.Runtime().Halt(bad)
				returned.Store(true)
			}
		}))
	}
	eventually(t, func() bool { return heard.words.Load() == 2 })
	send(a, a.Local("one"), "halt")
	send(a, a.Local("two"), "halt")
	eventually(t, func() bool { return reasons.Load() == 1 })
	send(a, a.Peer("n-b", "sink"), "after")
	_, err := a.Edge().Ask(t.Context(), a.Local("one"), ask("/a"))
	assert.Equal(t, model.CodeUnavailable, model.CodeOf(err))
	require.NoError(t, a.Stop(), "does not wait for the actors that halted")
	assert.False(t, returned.Load())
	assert.EqualValues(t, 2, heard.words.Load())
	assert.EqualValues(t, 1, reasons.Load())
}
