package controller

import (
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"tiercel/actors"
	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	rules "tiercel/cluster/catalog"
	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// voters of the measured cluster are real nodes with all their actors.
const voters = 5

// realNode is one of them.
type realNode struct {
	node    *sim.Node
	catalog *rules.Catalog
	conf    func() *raftpb.ConfState
}

// cluster is the world of one run.
type cluster struct {
	world *sim.World
	meter *meter
	real  []*realNode
	swarm *swarm
}

// newCluster boots the real nodes and waits until they have formed a cluster.
func newCluster(o Options) (*cluster, error) {
	c := &cluster{meter: newMeter()}
	c.meter.node = "m-1"
	c.world = sim.NewWorld(o.Seed, sim.Options{ShareLocal: true, Around: c.meter.around})
	random := rand.New(rand.NewPCG(o.Seed, 0x62656e6368))
	for i := range voters {
		c.addReal(i+1, random, o.Interval)
	}
	if !c.world.RunUntil(c.formed, time.Minute) {
		return nil, fmt.Errorf("the real nodes did not form a cluster within a virtual minute")
	}
	c.swarm = &swarm{world: c.world, master: c.meter.node, interval: o.Interval}
	return c, nil
}

func (c *cluster) addReal(number int, random *rand.Rand, interval time.Duration) {
	r := &realNode{}
	c.real = append(c.real, r)
	boot := func(rt runtime.Runtime) error {
		data, err := actors.OpenData(rt.FS(), randomReader{random}, number > 1)
		if err != nil {
			return err
		}
		opt := actors.DefaultOptions()
		opt.HeartbeatInterval, opt.HandOverAfter = interval, 0
		opt.License = signed.DevelopmentSet(license.Enterprise, c.world.Now())
		opt.CatalogLoaded = func(cat *rules.Catalog, conf func() *raftpb.ConfState) { r.catalog, r.conf = cat, conf }
		opt.Worker = &messages.WorkerRow{
			DiskType: "nvme", Host: fmt.Sprintf("host-m-%d", number), Rack: "rack-m", Address: string(rt.Node()), Version: "bench", Incarnation: rt.Incarnation(),
		}
		if number > 1 {
			opt.Join = []string{"m-1"}
		}
		_, err = actors.Start(rt, data, opt)
		return err
	}
	r.node = c.world.AddNode(model.NodeID(fmt.Sprintf("m-%d", number)), store.NewMemFS(uint64(number)), 1, boot)
}

type randomReader struct{ *rand.Rand }

func (r randomReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return len(p), nil
}

// catalog is the master's.
func (c *cluster) catalog() *rules.Catalog { return c.real[0].catalog }

func (c *cluster) formed() bool {
	r := c.real[0]
	return r.catalog != nil && r.catalog.Cluster() != nil && r.catalog.Cluster().Master == string(c.meter.node) && len(r.conf().Voters) == voters
}

// checkAlive fails when the master is not the one that is measured any more, or an
// actor of it has failed: the figures would be those of something else.
func (c *cluster) checkAlive() error {
	m := c.real[0].node
	switch counters := m.Counters(); {
	case !m.Up():
		return fmt.Errorf("the master ended itself: %w", m.Halted())
	case counters.Panics.Load() > 0:
		return fmt.Errorf("%d panics in the master's actors", counters.Panics.Load())
	case !c.formed():
		return fmt.Errorf("the lead went to %s", c.catalog().Cluster().Master)
	}
	return nil
}

// oversize counts the messages of the master's node that were too large to travel.
func (c *cluster) oversize() uint64 { return c.real[0].node.Counters().OversizeMessages.Load() }

// stop ends one of the master's actors and forgets it.
func (c *cluster) stop(path string) {
	host := c.real[0].node.Runtime().(runtime.Host)
	host.System().Root.Stop(host.Local(path))
	c.world.Run(5 * time.Second) // until its timers are gone, too
}
