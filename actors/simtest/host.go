package simtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"tiercel/actors"
	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	rules "tiercel/cluster/catalog"
	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// host is one node of the story: a machine, and what its newest process holds.
type host struct {
	story   *story
	name    model.NodeID
	node    *sim.Node
	number  int
	data    *actors.Data
	catalog *rules.Catalog // nil while it holds none
	conf    func() *raftpb.ConfState
	ready   bool
	reason  string
	gone    bool          // replaced: it will never come back
	since   time.Duration // of the world, when this life began
	epoch   model.Epoch
	tune    func(*actors.Options) // of this host alone
	quotaAt at                    // of the catalog whose usage was looked at last
}

// Intervals of a simulated cluster: short, so that ten missed ones fit into a run.
const (
	heartbeatInterval       = 300 * time.Millisecond
	masterHeartbeatInterval = 100 * time.Millisecond
)

// ordinaryDelay is the way of one message over a healthy link.
var ordinaryDelay = sim.Span{Min: 50 * time.Microsecond, Max: 2 * time.Millisecond}

var diskTypes = [...]string{"nvme", "ssd", "hdd"}

// addHost boots a new machine with an empty disk: the first founds the cluster,
// the others join it.
func (s *story) addHost() *host {
	return s.addHostWith(store.NewMemFS(s.params.Seed<<8 + uint64(len(s.hosts)+1)))
}

// addHostWith boots a new machine with the disk of another.
func (s *story) addHostWith(disk *store.MemFS) *host {
	h := &host{story: s, number: len(s.hosts) + 1}
	h.name = model.NodeID(fmt.Sprintf("n-%d", h.number))
	s.hosts = append(s.hosts, h)
	h.node = s.world.AddNode(h.name, disk, 1, h.boot)
	h.keepUp()
	return h
}

// boot opens what the disk kept and starts the one tree.
func (h *host) boot(rt runtime.Runtime) error {
	h.ready, h.catalog, h.data, h.since = false, nil, nil, h.story.world.Elapsed()
	data, err := actors.OpenData(rt.FS(), randomReader{h.story.random}, h.number > 1)
	if err != nil {
		return err
	}
	h.data = data
	data.LogSegmentBytes = 2 << 10 // so that truncation has something to drop
	_, err = actors.Start(rt, data, h.options(rt))
	return err
}

func (h *host) options(rt runtime.Runtime) actors.Options {
	opt := actors.DefaultOptions()
	opt.SnapshotEveryBytes = 4 << 10 // many snapshots and truncations in a short run
	opt.SnapshotChunkBytes = 200     // and writes between any two pieces of one
	opt.MaxVolumeBytes = 64 << 10
	opt.ReserveBytes = 0
	opt.HashEvery = 10
	opt.ArchiveEvery, opt.CheckpointAfter = 250*time.Millisecond, 6
	if every := h.story.params.ArchiveEvery; every > 0 {
		opt.ArchiveEvery = every
	}
	if h.story.params.NoArchive {
		opt.ArchiveEvery = 0
	}
	opt.UploadIdle = 5 * time.Second
	opt.Announced = func(ready bool, reason string) { h.ready, h.reason = ready, reason }
	opt.CatalogLoaded = func(c *rules.Catalog, conf func() *raftpb.ConfState) { h.catalog, h.conf = c, conf }
	opt.License = signed.DevelopmentSet(h.story.level(), h.story.world.Now())
	opt.Worker = &messages.WorkerRow{
		DiskType: diskTypes[h.number%len(diskTypes)], Host: fmt.Sprintf("host-%d", h.number), Rack: fmt.Sprintf("rack-%d", h.number%2),
		Address: string(h.name), Version: "sim", Incarnation: incarnationOf(rt),
	}
	if h.story.params.Nodes >= 7 { // two nodes on each machine, in two datacenters
		opt.Worker.Host, opt.Worker.Dc = fmt.Sprintf("host-%d", (h.number+1)/2), fmt.Sprintf("dc-%d", (h.number+1)/2%2)
	}
	opt.Settings = actors.DefaultSettings()
	opt.Settings.ScrubBytesPerSecond = 32 << 10 // a copy every second or so
	opt.Settings.MergeBelowBytes = 8 << 10
	opt.Settings.RebalanceSpread = 0.02
	if h.story.params.Still {
		opt.Settings.AutoRebalance, opt.Settings.CompactDeadShare, opt.Settings.MergeBelowBytes = false, 0, 0
	}
	opt.CapacityBytes = uint64(2+2*(h.number%3)) << 20                // disks of three sizes
	opt.Settings.FullUsedShare, opt.Settings.ReadOnlyUsedShare = 1, 1 // the disks of a run are never that full by themselves
	if h.story.limited {
		opt.Settings.BackgroundBytesPerSecond = backgroundLimit
	}
	if h.story.params.Nodes > 1 {
		h.story.manyNodes(h, &opt)
	}
	if h.tune != nil {
		h.tune(&opt)
	}
	return opt
}

// level is that of the licence which a cluster is founded with.
func (s *story) level() license.Level {
	if s.params.License == "" {
		return license.Enterprise
	}
	return s.params.License
}

// manyNodes are the settings of a cluster.
func (s *story) manyNodes(h *host, opt *actors.Options) {
	opt.Tick = masterHeartbeatInterval / 10
	opt.HeartbeatInterval = heartbeatInterval
	opt.Failover = !s.params.NoFailover
	for _, other := range s.hosts {
		if other != h {
			opt.Join = append(opt.Join, string(other.name))
		}
	}
}

type randomReader struct{ *rand.Rand }

func (r randomReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return len(p), nil
}

// keepUp is the operator's service manager: it starts again what has ended.
func (h *host) keepUp() {
	w := h.story.world
	w.At(50*time.Millisecond, func() {
		switch {
		case h.gone:
			return
		case h.node.Up():
			h.keepUp()
			return
		}
		h.noteHalt()
		w.At(h.story.duration(time.Millisecond, 500*time.Millisecond), func() {
			if !h.node.Up() && !h.gone {
				h.node.Restart()
			}
			h.keepUp()
		})
	})
}

// noteHalt looks at why the node ended itself: damage is a violation, for nothing
// here damages what was synced.
func (h *host) noteHalt() {
	if err := h.node.Halted(); err != nil {
		h.story.count("halted by itself")
		if model.CodeOf(err) == model.CodeCorrupt {
			h.story.violate("%s found its own disk damaged: %v", h.name, err)
		}
	}
}

// holders are the hosts that, as the master has it, hold the log.
func (s *story) holders() []*host {
	m := s.master()
	if m == nil || m.conf == nil {
		return nil
	}
	var out []*host
	for _, h := range s.living() {
		if h.node.Up() && h.catalog != nil && h.data != nil && logconf.Member(m.conf(), h.data.Dir.Identity().RaftID) {
			out = append(out, h)
		}
	}
	return out
}

// living are the hosts that have not been replaced.
func (s *story) living() []*host {
	var out []*host
	for _, h := range s.hosts {
		if !h.gone {
			out = append(out, h)
		}
	}
	return out
}

// anyHost draws one that has not been replaced.
func (s *story) anyHost() *host {
	living := s.living()
	return living[s.world.Rand().IntN(len(living))]
}

// master is the host of the newest master that any catalog knows, or nil.
func (s *story) master() *host {
	var newest *messages.ClusterRow
	for _, h := range s.living() {
		if !h.node.Up() || h.catalog == nil {
			continue
		}
		if c := h.catalog.Cluster(); c != nil && (newest == nil || c.Term > newest.Term) {
			newest = c
		}
	}
	return s.hostOf(newest.GetMaster())
}

func (s *story) hostOf(node string) *host {
	for _, h := range s.hosts {
		if string(h.name) == node {
			return h
		}
	}
	return nil
}

// serving reports whether every host runs and takes requests.
func (s *story) serving() bool {
	for _, h := range s.living() {
		if !h.node.Up() || !h.ready {
			return false
		}
	}
	return true
}

// formed reports whether n workers are in the catalog, the right number of voters
// has it, and every gateway serves.
func (s *story) formed(n int) bool {
	m := s.master()
	if m == nil || m.catalog == nil || m.conf == nil || !s.serving() {
		return false
	}
	nodes, _ := m.catalog.Workers()
	held, wanted := 0, wantedVoters(n)
	if s.params.NoFailover {
		wanted = min(n, 2)
	}
	for _, h := range s.living() {
		if h.catalog != nil && h.catalog.Cluster() != nil {
			held++
		}
	}
	conf := m.conf()
	settled := len(conf.VotersOutgoing) == 0 && len(conf.Voters)+len(conf.Learners) >= wanted
	return len(nodes) >= n && held >= wanted && settled
}

// wantedVoters is how many nodes hold the log: with two, one votes and one stands by.
func wantedVoters(n int) int {
	switch {
	case n >= 5:
		return 5
	case n >= 3:
		return 3
	}
	return n
}

// state tells where everybody is, for a violation.
func (s *story) state() string {
	var b strings.Builder
	for _, h := range s.living() {
		fmt.Fprintf(&b, "%s up=%v ready=%v (%s)", h.name, h.node.Up(), h.ready, h.reason)
		if err := h.node.Halted(); err != nil {
			fmt.Fprintf(&b, " halted: %v", err)
		}
		if h.node.Up() && h.catalog != nil {
			c := h.catalog.Cluster()
			fmt.Fprintf(&b, " applied %d master %s term %d", h.catalog.Applied(), c.GetMaster(), c.GetTerm())
		}
		b.WriteString("; ")
	}
	return b.String()
}

func incarnationOf(rt runtime.Runtime) uint64 {
	if rt == nil {
		return 0
	}
	return rt.Incarnation()
}
