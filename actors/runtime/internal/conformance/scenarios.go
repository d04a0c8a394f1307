package conformance

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

func requestsAndReplies(t *testing.T, c Cluster) {
	connected(t, c)
	const questions = 200
	var got notes
	spawn(t, c.B(), "echo", always(func(ctx *runtime.Context, msg any) {
		if m, ok := msg.(*messages.Stat); ok {
			ctx.Reply(&messages.StatReply{Header: &messages.Header{Request: m.Header.Request}})
		}
	}))
	spawn(t, c.A(), "asker", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			for i := range questions {
				ctx.Request(ctx.Runtime().Peer(c.B().Node(), "echo"), &messages.Stat{Header: &messages.Header{Request: uint64(i)}})
			}
		case *messages.StatReply:
			got.add(strconv.FormatUint(m.Header.Request, 10))
		}
	}))
	c.Until(func() bool { return len(got.all()) >= questions })
	for i, word := range got.all() {
		assert.Equal(t, strconv.Itoa(i), word)
	}
}

func sendWithoutSender(t *testing.T, c Cluster) {
	connected(t, c)
	var got notes
	spawn(t, c.B(), "sink", always(func(ctx *runtime.Context, msg any) {
		if m, ok := msg.(*messages.Stat); ok {
			assert.Nil(t, ctx.Sender())
			ctx.Reply(say("nobody hears this"))
			got.add(m.Path)
		}
	}))
	spawn(t, c.A(), "source", always(func(ctx *runtime.Context, msg any) {
		if _, ok := msg.(*actor.Started); ok {
			ctx.Send(ctx.Runtime().Peer(c.B().Node(), "sink"), say("hello"))
		}
	}))
	c.Until(func() bool { return got.has("hello") })
	assert.Zero(t, c.B().Counters().DeadLetters.Load())
}

func timers(t *testing.T, c Cluster) {
	type due struct{ word string }
	var got notes
	spawn(t, c.A(), "clock", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			began := ctx.Now()
			ctx.After(5*time.Millisecond, due{"early"})
			stopped := ctx.After(10*time.Millisecond, due{"stopped"})
			stopped.Stop()
			stopped.Stop()
			assert.Equal(t, began.Year(), ctx.Now().Year())
		case due:
			got.add(m.word)
			if m.word == "early" { // of two that are due at once, after a pause, either may be first
				ctx.After(30*time.Millisecond, due{"late"})
			}
		}
	}))
	c.Until(func() bool { return got.has("late") })
	assert.Equal(t, []string{"early", "late"}, got.all())
}

func offloads(t *testing.T, c Cluster) {
	var got notes
	spawn(t, c.A(), "worker", always(func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *actor.Started:
			ctx.Offload(func() any { return 42 })
			ctx.Offload(func() any { return nil })
		case int:
			got.add(strconv.Itoa(m))
		case nil:
			got.add("nil")
		}
	}))
	c.Until(func() bool { return got.has("42") && got.has("nil") })
}

func restartKeepsMailbox(t *testing.T, c Cluster) {
	var got notes
	incarnations := 0
	pid := spawn(t, c.A(), "fragile", func() runtime.Actor {
		incarnations++
		mine := strconv.Itoa(incarnations)
		return scripted(func(ctx *runtime.Context, msg any) {
			switch m := msg.(type) {
			case *actor.Restarting:
				got.add("restarting " + mine)
			case *messages.Stat:
				if m.Path == "boom" {
					panic("planted")
				}
				got.add(m.Path + " " + mine + " " + ctx.Self().Id)
			}
		})
	})
	for _, word := range []string{"a", "boom", "b", "c"} {
		tell(c.A(), pid.Id, word)
	}
	c.Until(func() bool { return got.has("c 2 fragile") })
	assert.Equal(t, []string{"a 1 fragile", "restarting 1", "b 2 fragile", "c 2 fragile"}, got.all())
	assert.EqualValues(t, 1, c.A().Counters().Panics.Load())
	assert.EqualValues(t, 1, c.A().Counters().Restarts.Load())
}

func staleIsDropped(t *testing.T, c Cluster) {
	type due struct{ word string }
	var got notes
	incarnations := 0
	spawn(t, c.A(), "fragile", func() runtime.Actor {
		incarnations++
		first := incarnations == 1
		return scripted(func(ctx *runtime.Context, msg any) {
			switch m := msg.(type) {
			case *actor.Started:
				if !first {
					ctx.After(200*time.Millisecond, due{"of the second"})
					return
				}
				ctx.After(20*time.Millisecond, due{"of the first"})
				ctx.Offload(func() any { return due{"result for the first"} })
				panic("planted")
			case due:
				got.add(m.word)
			}
		})
	})
	counters := c.A().Counters()
	c.Until(func() bool {
		return got.has("of the second") && counters.StaleResults.Load() == 1 && counters.StaleTimers.Load() == 1
	})
	assert.Equal(t, []string{"of the second"}, got.all())
}

func offloadedPanic(t *testing.T, c Cluster) {
	var got notes
	incarnations := 0
	spawn(t, c.A(), "worker", func() runtime.Actor {
		incarnations++
		mine := incarnations
		return scripted(func(ctx *runtime.Context, msg any) {
			if _, ok := msg.(*actor.Started); ok {
				got.add("started " + strconv.Itoa(mine))
				if mine == 1 {
					ctx.Offload(func() any { panic("planted") })
				}
			}
		})
	})
	c.Until(func() bool { return got.has("started 2") })
}

func unknownEnvelope(t *testing.T, c Cluster) {
	var got notes
	pid := spawn(t, c.A(), "sink", always(func(_ *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *messages.Stat:
			got.add(m.Path)
		case *messages.Envelope:
			got.add("an envelope")
		}
	}))
	name := "tiercel.v1.Stat"
	for _, e := range []*messages.Envelope{
		{Type: "tiercel.v9.FromTheFuture", Payload: []byte("x")},
		{Type: name, Payload: []byte("\xff\xff\xff")},
		{Type: "actor.PoisonPill"},
		{},
	} {
		c.A().System().Root.Send(pid, e)
	}
	tell(c.A(), "sink", "still here")
	c.Until(func() bool { return got.has("still here") })
	assert.Equal(t, []string{"still here"}, got.all())
	assert.EqualValues(t, 4, c.A().Counters().UnknownEnvelopes.Load())
	assert.Zero(t, c.A().Counters().Panics.Load())
}

func oversize(t *testing.T, c Cluster) {
	connected(t, c)
	var got notes
	spawn(t, c.B(), "sink", always(func(_ *runtime.Context, msg any) {
		if m, ok := msg.(*messages.Stat); ok {
			got.add(strconv.Itoa(len(m.Path)))
		}
	}))
	spawn(t, c.A(), "source", always(func(ctx *runtime.Context, msg any) {
		if _, ok := msg.(*actor.Started); ok {
			to := ctx.Runtime().Peer(c.B().Node(), "sink")
			ctx.Send(to, say(strings.Repeat("x", runtime.MaxMessageBytes)))
			ctx.Send(to, say(strings.Repeat("x", runtime.MaxMessageBytes-16)))
			ctx.Send(to, say("."))
		}
	}))
	c.Until(func() bool { return got.has("1") })
	assert.Equal(t, []string{strconv.Itoa(runtime.MaxMessageBytes - 16), "1"}, got.all())
	assert.EqualValues(t, 1, c.A().Counters().OversizeMessages.Load())
}

func bulkLane(t *testing.T, c Cluster) {
	connected(t, c)
	const parts, size = 6, 5 << 20
	rounds := []*notes{{}, {}, {}} // a connection may end in a pause of the machine: then all is sent again
	done := func() int { return slices.IndexFunc(rounds, func(n *notes) bool { return len(n.all()) == parts }) }
	spawn(t, c.B(), "echo", always(func(ctx *runtime.Context, msg any) {
		if m, ok := msg.(*messages.Put); ok {
			ctx.ReplyBulk(&messages.Put{Header: m.Header, Body: m.Body})
		}
	}))
	spawn(t, c.A(), "source", always(func(ctx *runtime.Context, msg any) {
		begin := func(round int) {
			to := ctx.Runtime().Peer(c.B().Node(), "echo")
			for i := range parts {
				ctx.RequestBulk(to, &messages.Put{Header: &messages.Header{Request: uint64(round*parts + i)}, Body: make([]byte, size+i)})
			}
			ctx.After(20*time.Second, round+1)
		}
		switch m := msg.(type) {
		case *actor.Started:
			ctx.RequestBulk(ctx.Runtime().Peer(c.B().Node(), "echo"), &messages.Put{Body: make([]byte, runtime.MaxBulkBytes)})
			begin(0)
		case int:
			if m < len(rounds) && done() < 0 {
				begin(m)
			}
		case *messages.Put:
			round, part := int(m.Header.Request)/parts, int(m.Header.Request)%parts
			rounds[round].add(strconv.Itoa(part*1000 + len(m.Body) - size))
		}
	}))
	c.Until(func() bool { return done() >= 0 })
	assert.Equal(t, []string{"0", "1001", "2002", "3003", "4004", "5005"}, rounds[done()].all())
	assert.EqualValues(t, 1, c.A().Counters().OversizeMessages.Load())
}

func olderIncarnation(t *testing.T, c Cluster) {
	var got notes
	pid := spawn(t, c.A(), "sink", always(func(_ *runtime.Context, msg any) {
		if m, ok := msg.(*messages.Stat); ok {
			got.add(m.Path)
		}
	}))
	for _, m := range []struct {
		incarnation uint64
		word        string
	}{{7, "seven"}, {8, "eight"}, {7, "late"}, {8, "eight again"}} {
		e, err := runtime.Seal(c.B(), say(m.word))
		assert.NoError(t, err)
		e.Origin, e.Incarnation = "n-other", m.incarnation
		c.A().System().Root.Send(pid, e)
	}
	c.Until(func() bool { return got.has("eight again") })
	assert.Equal(t, []string{"seven", "eight", "eight again"}, got.all())
	assert.EqualValues(t, 1, c.A().Counters().StaleIncarnations.Load())
}
