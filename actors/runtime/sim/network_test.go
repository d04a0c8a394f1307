package sim_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/messages"
	"tiercel/store"
)

// stream is node n-a that sends numbered words to n-b, one a millisecond.
func stream(w *sim.World, count int) (heard *[]int) {
	heard = new([]int)
	w.AddNode("n-b", store.NewMemFS(1), 1, boots("sink", always(func(_ *runtime.Context, msg any) {
		if m, ok := msg.(*messages.Stat); ok {
			n, _ := strconv.Atoi(m.Path)
			*heard = append(*heard, n)
		}
	})))
	a := w.Client("n-a")
	for i := range count {
		w.At(time.Duration(i)*100*time.Microsecond, func() { send(a, "n-b", "sink", strconv.Itoa(i)) })
	}
	return heard
}

func TestNetwork_ALinkIsFirstInFirstOutAndLosesNothing(t *testing.T) {
	for seed := range uint64(50) {
		w := sim.NewWorld(seed, sim.Options{})
		heard := stream(w, 300)
		w.At(5*time.Millisecond, func() { w.Node("n-b").Pause(7 * time.Millisecond) })
		w.Run(time.Second)
		if assert.Len(t, *heard, 300) {
			assert.True(t, slices.IsSorted(*heard), "seed %d", seed)
		}
	}
}

func TestNetwork_ChaosDropsDuplicatesAndReorders(t *testing.T) {
	for _, c := range []struct {
		name  string
		chaos sim.Chaos
		check func(heard []int) bool
	}{
		{"drop", sim.Chaos{Drop: 0.1}, func(h []int) bool { return len(h) < 300 && slices.IsSorted(h) }},
		{"duplicate", sim.Chaos{Duplicate: 0.1}, func(h []int) bool { return len(h) > 300 && slices.IsSorted(h) }},
		{"reorder", sim.Chaos{Reorder: 0.1}, func(h []int) bool { return len(h) == 300 && !slices.IsSorted(h) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := sim.NewWorld(1, sim.Options{})
			w.SetChaos(c.chaos)
			heard := stream(w, 300)
			w.Run(time.Second)
			assert.True(t, c.check(*heard), "heard %d", len(*heard))
		})
	}
}

func TestNetwork_PartitionLosesBothWaysAndWhatIsInFlight(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{Network: sim.Span{Min: time.Millisecond, Max: time.Millisecond}})
	var atA, atB []string
	a := w.AddNode("n-a", store.NewMemFS(1), 1, boots("sink", collector(&atA)))
	b := w.AddNode("n-b", store.NewMemFS(2), 1, boots("sink", collector(&atB)))
	send(a, "n-b", "sink", "in flight")
	w.Partition("n-a", "n-b")
	send(a, "n-b", "sink", "cut off")
	send(b, "n-a", "sink", "cut off")
	w.Run(time.Second)
	assert.Empty(t, atA)
	assert.Empty(t, atB)
	w.Heal("n-a", "n-b")
	send(a, "n-b", "sink", "healed")
	send(b, "n-a", "sink", "healed")
	w.Run(time.Second)
	assert.Equal(t, []string{"healed"}, atA)
	assert.Equal(t, []string{"healed"}, atB)
}

func TestNetwork_OneWayCutKeepsTheOtherWay(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	var atA, atB []string
	a := w.AddNode("n-a", store.NewMemFS(1), 1, boots("sink", collector(&atA)))
	b := w.AddNode("n-b", store.NewMemFS(2), 1, boots("sink", collector(&atB)))
	w.Cut("n-a", "n-b")
	send(a, "n-b", "sink", "lost")
	send(b, "n-a", "sink", "arrives")
	w.Run(time.Second)
	assert.Equal(t, []string{"arrives"}, atA)
	assert.Empty(t, atB)
}

func TestNetwork_IsolateAndHealAll(t *testing.T) {
	w := sim.NewWorld(1, sim.Options{})
	var words []string
	for i := range 3 {
		w.AddNode(w.Client(fmt.Sprintf("c-%d", i)).ID()+"-sink", store.NewMemFS(uint64(i)), 1, boots("sink", collector(&words)))
	}
	w.Isolate("c-0-sink")
	send(w.Node("c-0"), "c-0-sink", "sink", "lost")
	send(w.Node("c-0"), "c-1-sink", "sink", "others talk")
	w.Run(time.Second)
	assert.Equal(t, []string{"others talk"}, words)
	w.HealAll()
	send(w.Node("c-0"), "c-0-sink", "sink", "back")
	w.Run(time.Second)
	assert.Equal(t, []string{"others talk", "back"}, words)
}

func TestNetwork_AMessageToANodeThatIsDownIsLostAndItsRepliesOutliveItsCrash(t *testing.T) {
	arrivals := map[int]int{} // how many of ten messages outlived their sender
	for seed := range uint64(40) {
		w := sim.NewWorld(seed, sim.Options{})
		var words []string
		w.AddNode("n-b", store.NewMemFS(1), 1, boots("sink", collector(&words)))
		a := w.Client("n-a")
		for i := range 10 {
			send(a, "n-b", "sink", strconv.Itoa(i))
		}
		a.Crash(true)
		w.Run(time.Second)
		for i, word := range words {
			assert.Equal(t, strconv.Itoa(i), word, "what arrives is a beginning")
		}
		arrivals[len(words)]++
		a.Restart()
		send(a, "n-b", "sink", "new")
		w.Node("n-b").Crash(false)
		w.Node("n-b").Restart()
		w.Run(time.Second)
		assert.NotContains(t, words, "new", "in flight to a node that went down")
	}
	assert.Greater(t, len(arrivals), 2)
}

func TestWatch_ACutIsNoticedAfterTheDetectionDelay(t *testing.T) {
	detect := sim.Span{Min: 300 * time.Millisecond, Max: 400 * time.Millisecond}
	for _, c := range []struct {
		name string
		lose func(w *sim.World)
	}{
		{"partition", func(w *sim.World) { w.Partition("n-a", "n-b") }},
		{"cut of the way there", func(w *sim.World) { w.Cut("n-a", "n-b") }},
		{"cut of the way back", func(w *sim.World) { w.Cut("n-b", "n-a") }},
		{"crash", func(w *sim.World) { w.Node("n-b").Crash(true) }},
		{"crash and restart", func(w *sim.World) { w.Node("n-b").Restart() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := sim.NewWorld(1, sim.Options{Detect: detect})
			ended := time.Duration(0)
			w.AddNode("n-b", store.NewMemFS(1), 1, boots("watched", always(func(*runtime.Context, any) {})))
			w.AddNode("n-a", store.NewMemFS(1), 1, boots("watcher", always(func(ctx *runtime.Context, msg any) {
				switch m := msg.(type) {
				case *actor.Started:
					ctx.Watch(ctx.Runtime().Peer("n-b", "watched"))
				case *actor.Terminated:
					assert.Equal(t, actor.TerminatedReason_AddressTerminated, m.Why)
					assert.Zero(t, ended, "told once")
					ended = w.Elapsed()
				}
			})))
			w.Run(time.Second)
			assert.Zero(t, ended)
			c.lose(w)
			w.Run(time.Second)
			assert.GreaterOrEqual(t, ended, time.Second+detect.Min)
			assert.LessOrEqual(t, ended, time.Second+detect.Max+time.Millisecond)
		})
	}
}
