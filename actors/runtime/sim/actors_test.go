package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// scripted is an actor that is a function.
type scripted func(ctx *runtime.Context, msg any)

func (f scripted) Receive(ctx *runtime.Context, msg any) { f(ctx, msg) }

func always(f scripted) runtime.Producer { return func() runtime.Actor { return f } }

// boots is a boot function that spawns one actor.
func boots(name string, p runtime.Producer) func(runtime.Runtime) error {
	return func(rt runtime.Runtime) error {
		_, err := rt.SpawnRoot(name, p)
		return err
	}
}

func say(word string) *messages.Stat { return &messages.Stat{Path: word} }

// collector notes the words it hears, in every incarnation of its node.
func collector(words *[]string) runtime.Producer {
	return always(func(_ *runtime.Context, msg any) {
		if m, ok := msg.(*messages.Stat); ok {
			*words = append(*words, m.Path)
		}
	})
}

// send lets a node send a word from outside any actor.
func send(from *sim.Node, to model.NodeID, path, word string) {
	host := from.Runtime().(runtime.Host)
	host.System().Root.Send(host.Peer(to, path), say(word))
}

// tick is the timer message of gossip.
type tick struct{}

// gossip is an actor that does a bit of everything: it writes its disk,
// asks a random peer, answers, fails sometimes and watches.
type gossip struct {
	peers []model.NodeID
	round uint64
}

func (g *gossip) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		ctx.After(time.Duration(ctx.Rand()%10+1)*time.Millisecond, tick{})
	case tick:
		ctx.After(time.Duration(ctx.Rand()%10+1)*time.Millisecond, tick{})
		g.round++
		peer := ctx.Runtime().Peer(g.peers[ctx.Rand()%uint64(len(g.peers))], "gossip")
		ctx.Watch(peer)
		ctx.Request(peer, &messages.Stat{Header: &messages.Header{Request: g.round}, Path: ctx.Now().String()})
		fs, name := ctx.Runtime().FS(), fmt.Sprintf("round-%d", ctx.Rand())
		ctx.Offload(func() any { return writeFile(fs, name) })
	case *messages.Stat:
		if ctx.Rand()%50 == 0 {
			panic("planted")
		}
		ctx.Reply(&messages.StatReply{Header: m.Header, Applied: ctx.Rand()})
	}
}

func writeFile(fs store.FS, name string) error {
	f, err := fs.Create(name)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(name), 0); err != nil {
		return err
	}
	return f.Sync()
}

// gossiping is a world of that many nodes that gossip under every fault there is.
func gossiping(seed uint64, nodes int) *sim.World {
	w := sim.NewWorld(seed, sim.Options{})
	ids := make([]model.NodeID, nodes)
	for i := range ids {
		ids[i] = model.NodeID(fmt.Sprintf("n-%d", i))
	}
	for i, id := range ids {
		w.AddNode(id, store.NewMemFS(seed+uint64(i)), 1, boots("gossip", func() runtime.Actor { return &gossip{peers: ids} }))
	}
	w.SetChaos(sim.Chaos{Drop: 0.01, Duplicate: 0.01, Reorder: 0.05})
	var fault func()
	fault = func() {
		w.At(time.Duration(w.Rand().IntN(20)+1)*time.Millisecond, fault)
		a, b := w.Nodes()[w.Rand().IntN(nodes)], w.Nodes()[w.Rand().IntN(nodes)]
		switch w.Rand().IntN(8) {
		case 0:
			a.Crash(w.Rand().IntN(2) == 0)
		case 1:
			a.CrashAfter(1+w.Rand().IntN(10), true)
		case 2:
			w.Cut(a.ID(), b.ID())
		case 3:
			w.HealAll()
		case 4:
			a.Pause(5 * time.Millisecond)
		case 5:
			a.SetClockRate(0.5 + w.Rand().Float64())
		default:
			if !a.Up() {
				a.Restart()
			}
		}
	}
	fault()
	return w
}

func requireSoon(t *testing.T, w *sim.World, cond func() bool) {
	t.Helper()
	require.True(t, w.RunUntil(cond, time.Minute), "within a virtual minute")
}
