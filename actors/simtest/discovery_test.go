package simtest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// lone is a host outside the story's cluster: it founds one, or waits for discovery.
func lone(s *story, name string, discovers bool) *sim.Node {
	random := randomReader{rand.New(rand.NewPCG(s.params.Seed, uint64(len(name))))}
	return s.world.AddNode(model.NodeID(name), store.NewMemFS(s.params.Seed+uint64(len(name))), 1, func(rt runtime.Runtime) error {
		data, err := actors.OpenData(rt.FS(), random, discovers)
		if err != nil {
			return err
		}
		opt := actors.DefaultOptions()
		opt.Tick, opt.HeartbeatInterval, opt.Discovers = masterHeartbeatInterval/10, heartbeatInterval, discovers
		opt.Worker = &messages.WorkerRow{DiskType: "nvme", Host: name, Address: name, Version: "sim", Incarnation: rt.Incarnation()}
		_, err = actors.Start(rt, data, opt)
		return err
	})
}

func (p *probe) workers() []string {
	nodes, _ := p.story.master().catalog.Workers()
	return nodes
}

func TestStory_ANodeJoinsWhereDiscoverySawTheCluster(t *testing.T) {
	p := newClusterProbe(t, 900, 3)
	newcomer := lone(p.story, "newcomer", true)
	p.story.world.Run(5 * time.Second)
	require.True(t, newcomer.Up(), "without a hint it waits: %v", newcomer.Halted())
	assert.NotContains(t, p.workers(), "newcomer")
	actors.Discovered(newcomer.Runtime().(runtime.Host), []string{"nobody", "newcomer", string(p.story.hosts[1].name)})
	require.True(t, p.story.world.RunUntil(func() bool { return len(p.workers()) == 4 }, 10*time.Second), "%v", p.workers())
	assert.Empty(t, p.story.bad)
}

func TestStory_AStrangerAtADiscoveredAddressDoesNoHarm(t *testing.T) {
	p := newClusterProbe(t, 901, 3)
	p.host = p.story.master()
	require.Nil(t, p.put("/models/a", "value", nil).Error)
	lone(p.story, "stranger", false)
	p.story.world.Run(5 * time.Second)
	for _, h := range p.story.hosts {
		actors.Discovered(h.node.Runtime().(runtime.Host), []string{"stranger"})
	}
	// Without a master everybody asks everywhere.
	others := []*host{}
	for _, h := range p.story.hosts {
		if h != p.host {
			h.turnOff(false)
			others = append(others, h)
		}
	}
	p.story.world.Run(10 * time.Second)
	require.True(t, p.host.node.Up(), "%v", p.host.node.Halted())
	for _, h := range others {
		h.turnOn()
		actors.Discovered(h.node.Runtime().(runtime.Host), []string{"stranger"})
	}
	require.True(t, p.story.world.RunUntil(p.story.serving, time.Minute), p.story.state())
	assert.Equal(t, "value", p.value("/models/a"))
	assert.Len(t, p.workers(), 3)
	assert.Zero(t, p.story.fired["halted by itself"])
}
