package sim_test

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/messages"
	"tiercel/store"
)

// writes is an actor that writes one file in an Offload when it starts, unless
// the file is there.
func writes(done *[]string) runtime.Producer {
	return always(func(ctx *runtime.Context, msg any) {
		disk := ctx.Runtime().FS()
		switch m := msg.(type) {
		case *actor.Started:
			if _, err := disk.Stat("file"); err == nil {
				*done = append(*done, "found")
				return
			}
			ctx.Offload(func() any {
				if err := writeFile(disk, "file"); err != nil {
					return err.Error()
				}
				return disk.SyncDir(".")
			})
		case nil:
			*done = append(*done, "written")
		case string:
			*done = append(*done, m)
		}
	})
}

func TestOffload_ACrashFallsBeforeWithinOrAfterTheWork(t *testing.T) {
	outcomes := map[string]int{}
	for seed := range uint64(60) {
		w := sim.NewWorld(seed, sim.Options{Disk: sim.Span{Max: time.Millisecond}})
		var done []string
		n := w.AddNode("n-a", store.NewMemFS(seed), 1, boots("writer", writes(&done)))
		if seed%2 == 0 {
			n.CrashAfter(1+int(seed/2)%4, true)
		}
		w.At(time.Duration(w.Rand().IntN(1500))*time.Microsecond, func() { n.Crash(true) })
		w.Run(10 * time.Millisecond)
		require.False(t, n.Up())
		_, err := n.FS().Stat("file")
		switch {
		case len(done) > 0:
			require.NoError(t, err, "what was reported durable is there")
			outcomes["reported"]++
		case errors.Is(err, fs.ErrNotExist):
			outcomes["not written"]++
		default:
			outcomes["written, not reported"]++
		}
		n.Restart()
		w.Run(10 * time.Millisecond)
		require.Contains(t, []string{"found", "written"}, done[len(done)-1], "the next incarnation goes on")
	}
	for _, outcome := range []string{"reported", "not written", "written, not reported"} {
		assert.Positive(t, outcomes[outcome], outcome)
	}
}

func TestCrashAfter_TheCodeThatWroteGoesNoFurther(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	var words []string
	w.AddNode("n-b", store.NewMemFS(1), 1, boots("sink", collector(&words)))
	after := false
	n := w.AddNode("n-a", store.NewMemFS(1), 1, boots("writer", always(func(ctx *runtime.Context, msg any) {
		if _, ok := msg.(*actor.Started); ok {
			_ = writeFile(ctx.Runtime().FS(), "file")
			after = true
			ctx.Send(ctx.Runtime().Peer("n-b", "sink"), say("after the crash"))
		}
	})))
	n.CrashAfter(2, false)
	w.Run(time.Second)
	assert.False(t, n.Up())
	assert.False(t, after)
	assert.Empty(t, words)
	assert.Zero(t, n.Counters().Panics.Load(), "a crash is not the actor's failure")
	assert.NoError(t, n.Halted())
}

func TestRestart_IsTheNextIncarnationWithTheSameDisk(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	var done []string
	n := w.AddNode("n-a", store.NewMemFS(1), 5, boots("writer", writes(&done)))
	requireSoon(t, w, func() bool { return len(done) == 1 })
	first := n.Runtime()
	n.Restart()
	requireSoon(t, w, func() bool { return len(done) == 2 })
	assert.Equal(t, []string{"written", "found"}, done)
	assert.EqualValues(t, 5, first.Incarnation())
	assert.EqualValues(t, 6, n.Runtime().Incarnation())
	_, err := first.FS().Stat("file")
	assert.ErrorIs(t, err, store.ErrCrashed, "the old process has no disk any more")
}

func TestCrash_NothingPendingHappens(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	happened := 0
	n := w.AddNode("n-a", store.NewMemFS(1), 1, boots("busy", always(func(ctx *runtime.Context, msg any) {
		switch msg.(type) {
		case *actor.Started:
			ctx.After(10*time.Millisecond, "timer")
			ctx.Offload(func() any { return "offloaded" })
			ctx.Send(ctx.Self(), say("to itself"))
		default:
			happened++
		}
	})))
	w.Step() // Started
	n.Crash(false)
	w.Run(time.Second)
	assert.Zero(t, happened)
}

func TestHalt_CrashesTheNodeAndDoesNotReturn(t *testing.T) {
	reason := errors.New("the log's disk failed")
	for _, c := range []struct {
		name string
		act  func(ctx *runtime.Context)
	}{
		{"in a message", func(ctx *runtime.Context) { ctx.Runtime().Halt(reason) }},
		{"in offloaded work", func(ctx *runtime.Context) {
			rt := ctx.Runtime()
			ctx.Offload(func() any { rt.Halt(reason); return nil })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := sim.NewWorld(1, sim.Options{})
			returned := false
			n := w.AddNode("n-a", store.NewMemFS(1), 1, boots("actor", always(func(ctx *runtime.Context, msg any) {
				switch msg.(type) {
				case *actor.Started:
					c.act(ctx)
				default:
					returned = true
				}
			})))
			w.Run(time.Second)
			assert.False(t, n.Up())
			assert.False(t, returned)
			assert.Equal(t, reason, n.Halted())
			assert.Zero(t, n.Counters().Panics.Load())
			n.Restart()
			assert.NoError(t, n.Halted())
		})
	}
}

func TestBoot_AnErrorCrashesTheNodeAndIsKept(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	bad := errors.New("no format version")
	n := w.AddNode("n-a", store.NewMemFS(1), 1, func(runtime.Runtime) error { return bad })
	assert.False(t, n.Up())
	assert.ErrorIs(t, n.Halted(), bad)
}

func TestPause_DefersEverythingInOrderWhileTheClockGoesOn(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	var words []string
	var at []time.Duration
	n := w.AddNode("n-a", store.NewMemFS(1), 1, boots("clock", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			for i, word := range []string{"one", "two", "three", "four", "five"} {
				ctx.After(time.Duration(10+i)*time.Millisecond, word)
			}
		case string:
			words = append(words, m)
			at = append(at, ctx.Now().Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
		}
	})))
	w.At(time.Millisecond, func() { n.Pause(99 * time.Millisecond) })
	w.Run(time.Second)
	assert.Equal(t, []string{"one", "two", "three", "four", "five"}, words)
	for _, when := range at {
		assert.GreaterOrEqual(t, when, 100*time.Millisecond)
		assert.Less(t, when, 101*time.Millisecond)
	}
}

func TestHangDisk_WhatIsAskedOfTheDiskWaitsAndNothingElseDoes(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	var written, fired, later time.Duration
	n := w.AddNode("n-a", store.NewMemFS(1), 1, boots("writer", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			ctx.After(10*time.Millisecond, "write")
			ctx.After(3*time.Second, "again")
		case string:
			fired = w.Elapsed()
			ctx.Offload(func() any { return &m })
		case *string:
			if *m == "again" {
				later = w.Elapsed()
			} else {
				written = w.Elapsed()
			}
		}
	})))
	w.At(time.Millisecond, func() { n.HangDisk(2 * time.Second) })
	w.Run(time.Second)
	assert.Less(t, fired, 20*time.Millisecond)
	assert.Zero(t, written)
	w.Run(4 * time.Second)
	assert.GreaterOrEqual(t, written, 2*time.Second)
	assert.Less(t, written, 2100*time.Millisecond)
	assert.Less(t, later, 3100*time.Millisecond, "it works again")
}

func TestSetClockRate_TimersFollowTheNodesClock(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	fired := map[float64]time.Duration{}
	for _, rate := range []float64{0.5, 1, 2} {
		n := w.Client("n-" + time.Duration(rate*float64(time.Second)).String())
		n.SetClockRate(rate)
		_, err := n.Runtime().SpawnRoot("clock", always(func(ctx *runtime.Context, msg any) {
			switch m := msg.(type) {
			case *actor.Started:
				ctx.After(time.Second, ctx.Now())
			case time.Time:
				fired[rate] = w.Elapsed()
				assert.InDelta(t, float64(time.Second), float64(ctx.Now().Sub(m)), float64(time.Millisecond))
			}
		}))
		require.NoError(t, err)
	}
	w.Run(3 * time.Second)
	for rate, at := range fired {
		assert.InDelta(t, float64(time.Second)/rate, float64(at), float64(time.Millisecond))
	}
	assert.Len(t, fired, 3)
}

func TestMailbox_AMessageChangedAfterSendingShows(t *testing.T) {
	for _, c := range []struct {
		name  string
		share bool
		hears string
	}{{"by default each gets its copy", false, "as sent"}, {"shared, as live nodes do", true, "changed"}} {
		t.Run(c.name, func(t *testing.T) {
			w := sim.NewWorld(1, sim.Options{ShareLocal: c.share})
			var words []string
			n := w.AddNode("n-a", store.NewMemFS(1), 1, boots("sink", collector(&words)))
			_, err := n.Runtime().SpawnRoot("careless", always(func(ctx *runtime.Context, msg any) {
				if _, ok := msg.(*actor.Started); ok {
					m := &messages.Stat{Path: "as sent"}
					ctx.Send(ctx.Runtime().Local("sink"), m)
					m.Path = "changed"
				}
			}))
			require.NoError(t, err)
			requireSoon(t, w, func() bool { return len(words) == 1 })
			assert.Equal(t, c.hears, words[0])
		})
	}
}

func TestMailbox_AMessageThatCannotBeEncodedFailsItsSender(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	var words []string
	n := w.AddNode("n-a", store.NewMemFS(1), 1, boots("sink", collector(&words)))
	_, err := n.Runtime().SpawnRoot("careless", always(func(ctx *runtime.Context, msg any) {
		if _, ok := msg.(*actor.Started); ok {
			ctx.Send(ctx.Runtime().Local("sink"), say("not UTF-8: \xff"))
		}
	}))
	require.NoError(t, err)
	requireSoon(t, w, func() bool { return n.Counters().Panics.Load() > 0 })
	assert.Empty(t, words)
}

func TestSupervision_AStopFromOutsideIsNotUndoneByARestartThatWasDue(t *testing.T) {
	for seed := range uint64(200) {
		w := sim.NewWorld(seed, sim.Options{})
		n := w.Client("n-a")
		_, err := n.Runtime().SpawnRoot("fragile", always(func(ctx *runtime.Context, msg any) {
			switch m := msg.(type) {
			case *actor.Started:
				for _, name := range []string{"a", "b", "c"} {
					ctx.Spawn(name, always(func(*runtime.Context, any) {}))
				}
			case *messages.Stat:
				panic(m.Path)
			}
		}))
		require.NoError(t, err)
		w.Run(time.Millisecond)
		send(n, "n-a", "fragile", "boom")
		requireSoon(t, w, func() bool { return n.Counters().Panics.Load() == 1 })
		host := n.Runtime().(runtime.Host)
		w.At(10*time.Millisecond-time.Duration(w.Rand().IntN(60))*time.Microsecond, func() { host.System().Root.Stop(host.Local("fragile")) })
		w.Run(time.Second)
		_, err = n.Runtime().SpawnRoot("fragile", always(func(*runtime.Context, any) {}))
		require.NoError(t, err, "seed %d: the actor has ended and its name is free", seed)
	}
}

func TestSupervision_AChildStoppedByItsParentIsNotStartedAgain(t *testing.T) {
	for seed := range uint64(200) {
		w := sim.NewWorld(seed, sim.Options{})
		n := w.Client("n-a")
		stopping := false
		_, err := n.Runtime().SpawnRoot("parent", always(func(ctx *runtime.Context, msg any) {
			switch msg.(type) {
			case *actor.Started:
				ctx.Spawn("child", always(func(ctx *runtime.Context, msg any) {
					switch m := msg.(type) {
					case *actor.Started:
						require.False(t, stopping, "seed %d", seed)
						ctx.Spawn("grandchild", always(func(*runtime.Context, any) {}))
					case *actor.Stopping:
						stopping = true
					case *messages.Stat:
						panic(m.Path)
					}
				}))
			case *messages.Stat:
				ctx.Stop(ctx.Runtime().Local("parent/child"))
			}
		}))
		require.NoError(t, err)
		w.Run(time.Millisecond)
		send(n, "n-a", "parent/child", "boom")
		requireSoon(t, w, func() bool { return n.Counters().Panics.Load() == 1 })
		w.At(10*time.Millisecond+time.Duration(w.Rand().IntN(40)-20)*time.Microsecond, func() { send(n, "n-a", "parent", "stop") })
		w.Run(time.Second)
	}
}

func TestCrash_InTheMiddleOfAMessageNothingMoreLeaves(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	var words []string
	w.AddNode("n-b", store.NewMemFS(1), 1, boots("sink", collector(&words)))
	n := w.Client("n-a")
	_, err := n.Runtime().SpawnRoot("doomed", always(func(ctx *runtime.Context, msg any) {
		if _, ok := msg.(*actor.Started); ok {
			n.Crash(true)
			ctx.Send(ctx.Runtime().Peer("n-b", "sink"), say("from the dead"))
			panic("nobody hears this either")
		}
	}))
	require.NoError(t, err)
	w.Run(time.Second)
	assert.Empty(t, words)
}
