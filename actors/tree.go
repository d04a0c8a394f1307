package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.etcd.io/raft/v3/raftpb"

	"tiercel/actors/catalog"
	"tiercel/actors/gateway"
	"tiercel/actors/master"
	"tiercel/actors/member"
	"tiercel/actors/node"
	"tiercel/actors/raftlog"
	"tiercel/actors/runtime"
	"tiercel/actors/worker"
	rules "tiercel/cluster/catalog"
	"tiercel/cluster/license/signed"
	"tiercel/cluster/logconf"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// Options are the settings of one node; DefaultOptions gives the usual ones.
type Options struct {
	Tick               time.Duration // of Raft
	HeartbeatTicks     int
	ElectionTicks      int
	SnapshotEveryBytes int64 // of log between two catalog snapshots
	SnapshotChunkBytes int   // walked in one go
	MaxVolumeBytes     uint64
	ReserveBytes       uint64 // of the disk kept free of new content
	CapacityBytes      uint64 // cap on what is used; 0: the whole file system
	ReportEvery        time.Duration
	DefaultBudget      time.Duration // of a request that names none
	QueueBytes         int64
	UploadIdle         time.Duration
	VolumesOpen        int    // per tier
	HashEvery          uint64 // entries between two logged state hashes, at least
	ReplicationFactor  uint32
	IdempotencyKeys    uint32 // remembered per tenant
	Worker             *messages.WorkerRow
	HeartbeatInterval  time.Duration        // of a worker to the master; the master's is Tick × HeartbeatTicks
	Join               []string             // rpc addresses of nodes of the cluster, hints where to ask
	Discovers          bool                 // Discovered will be called with more of them
	AppendPatience     time.Duration        // of a volume's primary for a follower
	BrakeShare         float64              // of the workers, missing at once, that hold mass repair
	ArchiveEvery       time.Duration        // between two pieces of the commit journal; 0: no archive of the catalog
	CheckpointAfter    int                  // pieces of journal; 0: the default
	HandOverAfter      int                  // heartbeat intervals until the lead goes to a better candidate; 0: never
	Failover           bool                 // voters may be more than one
	Settings           *messages.Settings   // of a new cluster
	License            *messages.SetLicense // of a new cluster, verified; nil: none, which is the level free
	LicenseKeys        signed.Keys          // whose licences are believed later
	// DiskBusy is for how long the disk has had work, by the system's counters; it may
	// block. Nil, or false: what the volumes did to it is what counts.
	DiskBusy func() (time.Duration, bool)
	// Announced hears whether the node can serve, and why not.
	Announced func(ready bool, reason string)
	// CatalogLoaded hears of the state machine; for the simulator's checkers.
	CatalogLoaded func(cat *rules.Catalog, conf func() *raftpb.ConfState)
}

// DefaultOptions are those of a node in production.
func DefaultOptions() Options {
	return Options{
		Tick: 50 * time.Millisecond, HeartbeatTicks: 10, ElectionTicks: 45,
		SnapshotEveryBytes: 64 << 20, SnapshotChunkBytes: 256 << 10, MaxVolumeBytes: 1 << 30, ReserveBytes: 256 << 20,
		ReportEvery: time.Second, DefaultBudget: 30 * time.Second, QueueBytes: 256 << 20, UploadIdle: 2 * time.Minute,
		VolumesOpen: 2, HashEvery: 1024, ReplicationFactor: 2, IdempotencyKeys: 10_000, Worker: &messages.WorkerRow{},
		HeartbeatInterval: 30 * time.Second, Failover: true, AppendPatience: 1500 * time.Millisecond,
		BrakeShare: 0.3, HandOverAfter: 10, ArchiveEvery: 2 * time.Second, Settings: DefaultSettings(),
	}
}

// DefaultSettings are those that a new cluster begins with; from then on the log has them.
func DefaultSettings() *messages.Settings {
	return &messages.Settings{
		ScrubBytesPerSecond: 8 << 20, WeightFree: 0.40, WeightDisk: 0.30, WeightLoad: 0.20, WeightLatency: 0.10,
		WarnUsedShare: 0.80, FullUsedShare: 0.90, ReadOnlyUsedShare: 0.97,
		CompactDeadShare: 0.30, MergeBelowBytes: 64 << 20, RebalanceSpread: 0.10, AutoRebalance: true,
	}
}

// clusterVersion gates command kinds: what this binary may log.
const clusterVersion = 1

// The paths of the actors, the same on every node.
const (
	nodePath        = "node"
	memberPath      = nodePath + "/member"
	logPath         = nodePath + "/log"
	catalogPath     = nodePath + "/catalog"
	WorkerPath      = nodePath + "/worker"
	GatewayPath     = nodePath + "/gateway"
	coordinatorPath = nodePath + "/master/coordinator"
	controllerPath  = nodePath + "/master/controller"
	foremanPath     = nodePath + "/master/foreman"
	bursarPath      = nodePath + "/master/bursar"
	archivistPath   = nodePath + "/master/archivist"
)

// Start spawns the tree of a node. The runtime's node and incarnation must be
// those of data.
func Start(rt runtime.Runtime, data *Data, opt Options) (*actor.PID, error) {
	t := tree{rt: rt, data: data, opt: opt, boot: 1}
	if host, ok := rt.(runtime.Host); ok {
		t.boot = host.Rand() | 1
	}
	return rt.SpawnRoot(nodePath, func() runtime.Actor {
		return node.New(node.Config{
			Member: node.Child{Name: "member", Producer: t.member}, Children: t.children(),
			Master: func(term uint64) runtime.Producer { return t.master(term) }, MemberPath: memberPath,
		})
	})
}

// Discovered tells a started node rpc addresses at which discovery saw others, and is
// called again now and then: a node that is just starting may miss it. It may be
// called from any goroutine.
func Discovered(rt runtime.Host, addresses []string) {
	rt.System().Root.Send(rt.Local(memberPath), &messages.DiscoveredPeers{Addresses: addresses})
}

// tree is what the actors of one node are made of.
type tree struct {
	rt   runtime.Runtime
	data *Data
	opt  Options
	boot uint64 // random per process
}

// masterInterval is that of the leader's heartbeats and of the master's word.
func (o *Options) masterInterval() time.Duration {
	return time.Duration(o.HeartbeatTicks) * o.Tick
}

func (t *tree) member() runtime.Actor {
	return member.New(member.Config{
		Path: memberPath, NodePath: nodePath, GatewayPath: GatewayPath, WorkerPath: WorkerPath, LogPath: logPath, ControllerPath: controllerPath,
		CoordinatorPath: coordinatorPath, Join: t.opt.Join, Discovers: t.opt.Discovers, Worker: t.opt.Worker, Boot: t.boot, MaxClusterVersion: clusterVersion,
		HeartbeatInterval: t.opt.HeartbeatInterval, MasterInterval: t.opt.masterInterval(),
		Identity: t.data.Dir.Identity, UpdateNode: t.data.Dir.UpdateNode,
		HoldsLog: t.data.holdsLog,
	})
}

func (t *tree) children() []node.Child {
	data, opt := t.data, t.opt
	id := data.Dir.Identity() // what is asked for here does not change
	takeover := logconf.Takeover{At: id.TakenOverAt, Self: id.RaftID}
	lives := uint64(0) // of the gateway: each opens a session that ends the one before
	return []node.Child{
		{Name: "catalog", Producer: func() runtime.Actor {
			return catalog.New(catalog.Config{
				Path: catalogPath, LogPath: logPath, CoordinatorPath: coordinatorPath, ChunkBytes: opt.SnapshotChunkBytes,
				Loaded: opt.CatalogLoaded, Joined: id.Joined, Takeover: takeover,
			})
		}},
		{Name: "log", Producer: func() runtime.Actor {
			return raftlog.New(raftlog.Config{
				RaftID: id.RaftID, Tick: opt.Tick, HeartbeatTicks: opt.HeartbeatTicks, ElectionTicks: opt.ElectionTicks,
				SnapshotEveryBytes: opt.SnapshotEveryBytes, Path: logPath, CatalogPath: catalogPath, OwnerPath: nodePath, CoordinatorPath: coordinatorPath, OpenWAL: data.openWAL,
				Takeover: takeover, Identity: data.Dir.Identity, UpdateNode: data.Dir.UpdateNode,
			})
		}},
		{Name: "worker", Producer: func() runtime.Actor {
			return worker.New(worker.Config{
				Volumes: data.Volumes, Path: WorkerPath, CoordinatorPath: coordinatorPath, ForemanPath: foremanPath, MemberPath: memberPath,
				DiskType: opt.Worker.DiskType, MaxVolumeBytes: opt.MaxVolumeBytes,
				ReserveBytes: opt.ReserveBytes, CapacityBytes: opt.CapacityBytes, ReportEvery: opt.ReportEvery,
				DiskBusy: opt.DiskBusy, AppendPatience: opt.AppendPatience, Epoch: id.HighestEpoch, UpdateNode: data.Dir.UpdateNode,
			})
		}},
		{Name: "gateway", Producer: func() runtime.Actor {
			lives++
			return gateway.New(gateway.Config{
				CoordinatorPath: coordinatorPath, ControllerPath: controllerPath, ForemanPath: foremanPath, BursarPath: bursarPath, ArchivistPath: archivistPath,
				LogPath: logPath, CatalogPath: catalogPath, MemberPath: memberPath,
				VolumePath:  volumePath,
				Incarnation: id.Incarnation<<20 + lives, Announced: opt.Announced,
				DefaultBudget: opt.DefaultBudget, QueueBytes: opt.QueueBytes, UploadIdle: opt.UploadIdle,
			})
		}},
	}
}

// volumePath is where a volume's actor is on each of its members.
func volumePath(volume, generation uint64) string {
	return fmt.Sprintf("%s/volume/%d.%d", WorkerPath, volume, generation)
}

func (t *tree) master(term uint64) runtime.Producer {
	data, opt := t.data, t.opt
	return func() runtime.Actor {
		id := data.Dir.Identity()
		row := &messages.WorkerRow{
			Address: t.rt.Address(), DiskType: opt.Worker.DiskType, Dc: opt.Worker.Dc, Rack: opt.Worker.Rack, Host: opt.Worker.Host,
			Version: opt.Worker.Version, Incarnation: t.rt.Incarnation(), RaftId: id.RaftID, MaxClusterVersion: clusterVersion,
		}
		return master.New(master.Config{
			Term: term, Generation: id.Generation, Fork: id.Fork, Superseded: id.Superseded, Worker: row, RaftID: id.RaftID,
			LogPath: logPath, CatalogPath: catalogPath, WorkerPath: WorkerPath, MemberPath: memberPath, CoordinatorPath: coordinatorPath,
			ControllerPath: controllerPath, ForemanPath: foremanPath, VolumePath: volumePath,
			Bootstrap: &messages.Bootstrap{
				ClusterId: string(id.ClusterID), ReplicationFactor: opt.ReplicationFactor, Tiers: tier.DefaultRows(),
				ClusterVersion: clusterVersion, IdempotencyKeysPerTenant: opt.IdempotencyKeys, Failover: opt.Failover,
				Settings: opt.Settings, License: opt.License,
			},
			VolumesOpen: opt.VolumesOpen, HashEvery: opt.HashEvery, ReconcileTick: opt.ReportEvery,
			HeartbeatInterval: opt.HeartbeatInterval, MasterInterval: opt.masterInterval(), BrakeShare: opt.BrakeShare, HandOverAfter: opt.HandOverAfter, LicenseKeys: opt.LicenseKeys,
			ArchivistPath: archivistPath, ArchiveEvery: opt.ArchiveEvery, CheckpointAfter: opt.CheckpointAfter,
		})
	}
}
