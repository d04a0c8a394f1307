package conformance

import (
	"strconv"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// noted is an actor that writes its life down and panics when told "boom".
func noted(got *notes, name string) runtime.Producer {
	return always(func(_ *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			got.add(name + " started")
		case *actor.Stopped:
			got.add(name + " stopped")
		case *messages.Stat:
			if m.Path == "boom" {
				panic("planted")
			}
			got.add(name + " " + m.Path)
		}
	})
}

func children(t *testing.T, c Cluster) {
	var got notes
	spawn(t, c.A(), "parent", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			got.add("parent started")
			child := ctx.Spawn("volume/1", noted(&got, "child"))
			assert.Equal(t, "parent/volume/1", child.Id)
			ctx.Watch(child)
		case *actor.Terminated:
			got.add("terminated " + m.Who.Id)
		case *messages.Stat:
			switch m.Path {
			case "boom":
				panic("planted")
			case "stop":
				ctx.Stop(ctx.Runtime().Local("parent/volume/1"))
			}
		}
	}))
	tell(c.A(), "parent", "boom")
	c.Until(func() bool { return got.count("child started") == 2 })
	assert.Equal(t, []string{"parent started", "child started", "child stopped", "terminated parent/volume/1", "parent started", "child started"}, got.all())
	tell(c.A(), "parent", "stop")
	c.Until(func() bool { return got.count("terminated parent/volume/1") == 2 })
	tell(c.A(), "parent", "again")
	assert.Equal(t, 2, got.count("child stopped"), "a watched child's end is told once")
}

func takenName(t *testing.T, c Cluster) {
	var got notes
	spawn(t, c.A(), "parent", always(func(ctx *runtime.Context, msg any) {
		if _, ok := msg.(*actor.Started); ok {
			ctx.Spawn("child", noted(&got, "child"))
			func() {
				defer func() {
					if recover() != nil {
						got.add("panicked")
					}
				}()
				ctx.Spawn("child", noted(&got, "second"))
			}()
		}
	}))
	c.Until(func() bool { return got.has("child started") && got.has("panicked") })
	_, err := c.A().SpawnRoot("parent", noted(&got, "second"))
	assert.Error(t, err)
	assert.False(t, got.has("second started"))
}

func stopDuringBackoff(t *testing.T, c Cluster) {
	var got notes
	spawn(t, c.A(), "parent", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			ctx.Spawn("child", noted(&got, "child"))
		case *actor.Terminated:
			ctx.After(100*time.Millisecond, "long after")
		case *messages.Stat:
			ctx.Stop(ctx.Runtime().Local("parent/child"))
		case string:
			got.add(m)
		}
	}))
	c.Until(func() bool { return got.has("child started") })
	tell(c.A(), "parent/child", "boom")
	c.Until(func() bool { return c.A().Counters().Panics.Load() == 1 })
	tell(c.A(), "parent", "stop the child")
	c.Until(func() bool { return got.has("long after") })
	assert.LessOrEqual(t, got.count("child started"), 2) // the back-off may have ended before the stop
	assert.Equal(t, 1, got.count("child stopped"))
}

func panicWhileEnding(t *testing.T, c Cluster) {
	var got notes
	starts := 0
	spawn(t, c.A(), "parent", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			ctx.Spawn("child", func() runtime.Actor {
				starts++
				got.add("child made " + strconv.Itoa(starts))
				return scripted(func(_ *runtime.Context, msg any) {
					switch msg.(type) {
					case *actor.Started:
					default:
						panic("planted in everything but the start")
					}
				})
			})
		case *actor.Terminated:
			got.add("terminated " + m.Who.Id)
		case *messages.Stat:
			ctx.Stop(ctx.Runtime().Local("parent/child"))
		}
	}))
	c.Until(func() bool { return got.has("child made 1") })
	tell(c.A(), "parent/child", "boom")
	c.Until(func() bool { return got.has("child made 2") })
	tell(c.A(), "parent", "stop the child")
	c.Until(func() bool { return got.has("terminated parent/child") })
	assert.Equal(t, 2, starts)
}

func escalation(t *testing.T, c Cluster) {
	var got notes
	starts := 0
	spawn(t, c.A(), "parent", func() runtime.Actor {
		starts++
		first := starts == 1
		return scripted(func(ctx *runtime.Context, msg any) {
			if _, ok := msg.(*actor.Started); !ok {
				return
			}
			got.add("parent started")
			if first {
				ctx.Spawn("child", func() runtime.Actor {
					got.add("child made")
					return scripted(func(*runtime.Context, any) { panic("planted") })
				}, runtime.WithRestarts(2, time.Minute))
			}
		})
	})
	c.Until(func() bool { return got.count("parent started") == 2 })
	assert.Equal(t, 3, got.count("child made"), "the first start and two restarts")
	assert.EqualValues(t, 1, c.A().Counters().Escalations.Load())
	assert.NoError(t, c.Halted())
}

func rootHalts(t *testing.T, c Cluster) {
	var made notes
	spawn(t, c.A(), "hopeless", func() runtime.Actor {
		made.add("made")
		return scripted(func(*runtime.Context, any) { panic("planted") })
	})
	c.Until(func() bool { return c.Halted() != nil })
	assert.Equal(t, runtime.DefaultRestarts+1, made.count("made"))
	assert.ErrorContains(t, c.Halted(), "hopeless failed more than "+strconv.Itoa(runtime.DefaultRestarts)+" times")
	assert.ErrorContains(t, c.Halted(), "planted")
}

// watching is an actor on A that watches an actor of B and says what it hears.
func watching(t *testing.T, c Cluster, path string) *notes {
	connected(t, c)
	var got notes
	spawn(t, c.A(), "watcher", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			to := ctx.Runtime().Peer(c.B().Node(), path)
			ctx.Watch(to)
			ctx.Request(to, say("watching"))
		case *messages.StatReply:
			got.add("reply")
		case *actor.Terminated:
			assert.Equal(t, path, m.Who.Id)
			got.add(m.Why.String())
		}
	}))
	return &got
}

// replying answers every word and stops itself at "stop".
func replying() runtime.Producer {
	return always(func(ctx *runtime.Context, msg any) {
		m, ok := msg.(*messages.Stat)
		if !ok {
			return
		}
		ctx.Reply(&messages.StatReply{})
		if m.Path == "stop" {
			ctx.Stop(ctx.Self())
		}
	})
}

func watchStop(t *testing.T, c Cluster) {
	spawn(t, c.B(), "watched", replying())
	got := watching(t, c, "watched")
	c.Until(func() bool { return got.has("reply") })
	tell(c.B(), "watched", "stop")
	c.Until(func() bool { return got.has("Stopped") })
	assert.Equal(t, []string{"reply", "Stopped"}, got.all())
}

func watchNothing(t *testing.T, c Cluster) {
	got := watching(t, c, "nobody")
	c.Until(func() bool { return len(got.all()) > 0 })
	assert.Equal(t, []string{"NotFound"}, got.all())
}

func watchLostNode(t *testing.T, c Cluster) {
	spawn(t, c.B(), "watched", replying())
	got := watching(t, c, "watched")
	c.Until(func() bool { return got.has("reply") })
	c.LoseB()
	c.Until(func() bool { return got.has("AddressTerminated") })
	assert.Equal(t, []string{"reply", "AddressTerminated"}, got.all())
	late := spawn(t, c.A(), "late", always(func(ctx *runtime.Context, msg any) {
		switch msg.(type) {
		case *actor.Started:
			ctx.Watch(ctx.Runtime().Peer(c.B().Node(), "watched"))
		case *actor.Terminated:
			got.add("late watch answered")
		}
	}))
	assert.NotNil(t, late)
	c.Until(func() bool { return got.has("late watch answered") })
}
