package sim_test

import (
	"bytes"
	"crypto/rand"
	"math/big"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

func TestWorld_SameSeedGivesTheSameTrace(t *testing.T) {
	run := func(seed uint64) (hash uint64, events int) {
		w := gossiping(seed, 4)
		w.Run(time.Second)
		return w.TraceHash(), w.Events()
	}
	before := goruntime.GOMAXPROCS(0)
	defer goruntime.GOMAXPROCS(before)
	hash, events := run(7)
	assert.Greater(t, events, 1000, "the world must do something")
	for i := range 20 {
		goruntime.GOMAXPROCS(1 + i%2)
		again, count := run(7)
		assert.Equal(t, hash, again)
		assert.Equal(t, events, count)
	}
	other, _ := run(8)
	assert.NotEqual(t, hash, other, "another seed is another run")
}

func TestWorld_TraceIsTheSameLineForLine(t *testing.T) {
	run := func() string {
		var out bytes.Buffer
		w := gossiping(3, 3)
		w.TraceTo(&out)
		w.Run(50 * time.Millisecond)
		return out.String()
	}
	first := run()
	assert.Contains(t, first, "n-1.1 gossip: receive tiercel.v1.Stat ")
	assert.Equal(t, first, run())
}

func TestWorld_TraceHashCoversTheMessagesBytes(t *testing.T) {
	run := func(word string) uint64 {
		w := sim.NewWorld(1, sim.Options{})
		a, b := w.Client("n-a"), w.Client("n-b")
		var words []string
		_, err := b.Runtime().SpawnRoot("sink", collector(&words))
		assert.NoError(t, err)
		send(a, "n-b", "sink", word)
		requireSoon(t, w, func() bool { return len(words) == 1 })
		return w.TraceHash()
	}
	assert.Equal(t, run("one"), run("one"))
	assert.NotEqual(t, run("one"), run("two"))
}

func TestDeterministicRand_SeedsWhatRaftDrawsItsJitterFrom(t *testing.T) {
	draw := func(seed uint64) (drawn []int64) {
		defer sim.DeterministicRand(seed)()
		for range 8 {
			n, err := rand.Int(rand.Reader, big.NewInt(1<<40))
			assert.NoError(t, err)
			drawn = append(drawn, n.Int64())
		}
		return drawn
	}
	before := rand.Reader
	assert.Equal(t, draw(1), draw(1))
	assert.NotEqual(t, draw(1), draw(2))
	assert.Equal(t, before, rand.Reader, "restored")
}

func TestWorld_ThousandsOfWorldsLeaveNothingBehind(t *testing.T) {
	gossiping(1, 3).Run(10 * time.Millisecond) // what is made once is made
	goruntime.GC()
	var before, after goruntime.MemStats
	goroutines := goruntime.NumGoroutine()
	goruntime.ReadMemStats(&before)
	for seed := range uint64(2000) {
		w := gossiping(seed, 3)
		w.Run(10 * time.Millisecond)
	}
	goruntime.GC()
	goruntime.ReadMemStats(&after)
	assert.Equal(t, goroutines, goruntime.NumGoroutine(), "a world has no goroutines")
	assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(16<<20), "worlds are garbage once dropped")
}

// BenchmarkWorld_Events is two actors on two nodes that ask each other: about
// three events a message.
func BenchmarkWorld_Events(b *testing.B) {
	w := sim.NewWorld(1, sim.Options{})
	for _, id := range []model.NodeID{"n-a", "n-b"} {
		w.AddNode(id, store.NewMemFS(1), 1, boots("asker", always(func(ctx *runtime.Context, msg any) {
			if m, ok := msg.(*messages.Stat); ok {
				ctx.Request(ctx.Sender(), &messages.Stat{Header: m.Header, Path: m.Path})
			}
		})))
	}
	a := w.Node("n-a").Runtime().(runtime.Host)
	a.System().Root.RequestWithCustomSender(a.Peer("n-b", "asker"), &messages.Stat{Path: "/a/path", Header: &messages.Header{Request: 1}}, a.Local("asker"))
	b.ReportAllocs()
	for b.Loop() {
		if !w.Step() {
			b.Fatal("nothing left to do")
		}
	}
}

func BenchmarkWorld_StartingANode(b *testing.B) {
	w := sim.NewWorld(1, sim.Options{})
	n := w.Client("n-a")
	b.ReportAllocs()
	for b.Loop() {
		n.Restart()
	}
}
