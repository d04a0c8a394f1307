package member

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/cluster/model"
	"tiercel/cluster/roster"
	"tiercel/messages"
	"tiercel/store"
)

// told is a world of members and a master that is played by the test.
type told struct {
	t       *testing.T
	world   *sim.World
	members map[string]*Member
	nodes   map[string]*sim.Node
	greeted int // how often the master's node was asked for peers
	roster  roster.Roster
}

func newTold(t *testing.T, members ...string) *told {
	w := &told{t: t, world: sim.NewWorld(1, sim.Options{}), members: make(map[string]*Member), nodes: make(map[string]*sim.Node)}
	master := w.world.Client("m").Runtime()
	_, err := master.SpawnRoot("member", func() runtime.Actor {
		return scripted(func(ctx *runtime.Context, msg any) {
			if g, ok := msg.(*messages.Greet); ok {
				w.greeted++
				r := &messages.GreetReply{Header: messages.ReplyHeader(g.Header), ClusterId: "c", Generation: 1, Node: "m", Address: "m", Incarnation: 1}
				r.Peers, r.Roster = w.roster.After(g.Roster, greetPage)
				ctx.Reply(r)
			}
		})
	})
	require.NoError(t, err)
	for i, name := range members {
		cfg := Config{
			Path: "member", NodePath: "node", GatewayPath: "gateway", WorkerPath: "worker", LogPath: "log", ControllerPath: "controller", CoordinatorPath: "coordinator",
			Worker: &messages.WorkerRow{}, Boot: uint64(i + 1), HeartbeatInterval: time.Hour, MasterInterval: 100 * time.Millisecond,
			Identity:   func() store.NodeFile { return store.NodeFile{ClusterID: "c", Generation: 1, RaftID: uint64(i + 1)} },
			UpdateNode: func(func(*store.NodeFile)) error { return nil }, HoldsLog: func() (bool, error) { return false, nil },
		}
		w.nodes[name] = w.world.Client(name)
		_, err := w.nodes[name].Runtime().SpawnRoot("member", func() runtime.Actor {
			m := New(cfg)
			w.members[name] = m
			return m
		})
		require.NoError(t, err)
	}
	w.world.Run(200 * time.Millisecond)
	return w
}

type scripted func(ctx *runtime.Context, msg any)

func (f scripted) Receive(ctx *runtime.Context, msg any) { f(ctx, msg) }

// join lets the log learn of nodes.
func (w *told) join(from, to int) {
	for i := from; i <= to; i++ {
		w.roster.Put(&messages.Peer{Node: fmt.Sprintf("n-%05d", i), Address: fmt.Sprintf("n-%05d", i), Incarnation: 1, RaftId: uint64(i), ChangedAt: uint64(i)})
	}
}

// word is the master's, with what changed after an index, to some members.
func (w *told) word(after uint64, to ...string) {
	m := &messages.MasterReady{
		Node: "m", Address: "m", EpochGeneration: 1, EpochTerm: 1, Ready: true, Cluster: &messages.ClusterRow{ClusterId: "c"},
		Roster: w.roster.Newest(), RosterAfter: after,
	}
	m.Peers, _ = w.roster.After(after, greetPage)
	host := w.world.Node("m").Runtime().(runtime.Host)
	for _, name := range to {
		host.System().Root.Send(host.Peer(model.NodeID(name), "member"), m)
	}
}

// words are many of the master that say only how far the log is.
func (w *told) words(count int, to ...string) {
	for range count {
		w.word(w.roster.Newest(), to...)
		w.world.Run(110 * time.Millisecond)
	}
}

// Found by a drill: workers that hold no log were started together with the only node that
// knew the master, before it could answer. They met each other, and asked nobody else for ever.
func TestMember_AsksAgainWhereItWasSentWhenTheFirstGreetingWasLost(t *testing.T) {
	w := &told{t: t, world: sim.NewWorld(1, sim.Options{}), members: make(map[string]*Member)}
	spawn := func(name string, boot uint64, join ...string) {
		cfg := Config{
			Path: "member", NodePath: "node", GatewayPath: "gateway", WorkerPath: "worker", LogPath: "log", ControllerPath: "controller", CoordinatorPath: "coordinator",
			Worker: &messages.WorkerRow{}, Boot: boot, HeartbeatInterval: time.Hour, MasterInterval: 100 * time.Millisecond, Join: join,
			Identity:   func() store.NodeFile { return store.NodeFile{ClusterID: "c", Generation: 1, RaftID: boot} },
			UpdateNode: func(func(*store.NodeFile)) error { return nil }, HoldsLog: func() (bool, error) { return false, nil },
		}
		_, err := w.world.Client(name).Runtime().SpawnRoot("member", func() runtime.Actor {
			w.members[name] = New(cfg)
			return w.members[name]
		})
		require.NoError(t, err)
	}
	spawn("a", 1, "m", "b")
	spawn("b", 2, "m", "a")
	w.world.Run(3 * time.Second)
	require.Contains(t, w.members["a"].peers, "b")
	require.NotContains(t, w.members["a"].peers, "m")
	spawn("m", 3)
	w.world.Run(2 * time.Second)
	for _, name := range []string{"a", "b"} {
		require.Contains(t, w.members[name].peers, "m", name)
		assert.Equal(t, "m", w.members[name].peers["m"].address)
	}
}

func TestMember_LearnsWhatItMissedFromAnotherMember(t *testing.T) {
	w := newTold(t, "a", "b")
	w.join(10, 10)
	for i, name := range []string{"a", "b"} {
		w.roster.Put(&messages.Peer{Node: name, Address: name, Incarnation: 1, ChangedAt: uint64(i + 1)})
	}
	w.word(0, "a", "b")
	w.world.Run(50 * time.Millisecond)
	w.join(11, 20)
	w.word(10, "a") // b misses it
	w.world.Run(50 * time.Millisecond)
	require.EqualValues(t, 20, w.members["a"].places.known)
	require.EqualValues(t, 10, w.members["b"].places.known)
	w.greeted = 0
	w.words(5, "a", "b")
	assert.EqualValues(t, 20, w.members["b"].places.known)
	assert.Len(t, w.members["b"].peers, 11+2, "ten newcomers, the one before, the other member and the master")
	assert.Zero(t, w.greeted, "the master was not asked")
}

func TestMember_WhatNobodyElseKnowsItLearnsFromTheMasterPageByPage(t *testing.T) {
	w := newTold(t, "a")
	w.join(1, 5*greetPage/2)
	w.words(2*maxFruitless, "a")
	a := w.members["a"]
	assert.EqualValues(t, w.roster.Newest(), a.places.known)
	assert.Equal(t, 5*greetPage/2+1, len(a.peers), "and the master")
	assert.LessOrEqual(t, w.greeted, 6, "a page at a time")
}

func TestMember_AnotherGenerationsIndexesMeanNothing(t *testing.T) {
	w := newTold(t, "a")
	w.join(1, 20)
	w.word(0, "a")
	w.world.Run(50 * time.Millisecond)
	a := w.members["a"]
	require.EqualValues(t, 20, a.places.known)
	a.places.generation = 0 // as it would be, had the cluster been taken over since
	w.roster = roster.Roster{}
	w.join(1, 5)
	w.words(2*maxFruitless, "a")
	assert.EqualValues(t, 5, a.places.known, "it asked for everything anew")
}
