package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/catalog"
	"tiercel/actors/gateway"
	"tiercel/actors/master"
	"tiercel/actors/node"
	"tiercel/actors/raftlog"
	"tiercel/actors/runtime"
	"tiercel/actors/worker"
	rules "tiercel/cluster/catalog"
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
	HeartbeatInterval  time.Duration // of a worker to the master; the master's is Tick × HeartbeatTicks
	Join               []string      // rpc addresses of nodes of the cluster, hints where to ask
	Failover           bool          // voters may be more than one
	// Announced hears whether the node can serve, and why not.
	Announced func(ready bool, reason string)
	// CatalogLoaded hears of the state machine; for the simulator's checkers.
	CatalogLoaded func(*rules.Catalog)
}

// DefaultOptions are those of a node in production.
func DefaultOptions() Options {
	return Options{
		Tick: 50 * time.Millisecond, HeartbeatTicks: 10, ElectionTicks: 45,
		SnapshotEveryBytes: 64 << 20, SnapshotChunkBytes: 256 << 10, MaxVolumeBytes: 1 << 30, ReserveBytes: 256 << 20,
		ReportEvery: time.Second, DefaultBudget: 30 * time.Second, QueueBytes: 256 << 20, UploadIdle: 2 * time.Minute,
		VolumesOpen: 2, HashEvery: 1024, ReplicationFactor: 2, IdempotencyKeys: 10_000, Worker: &messages.WorkerRow{},
		HeartbeatInterval: 30 * time.Second, Failover: true,
	}
}

// clusterVersion gates command kinds: what this binary may log.
const clusterVersion = 1

// The paths of the actors.
const (
	nodePath        = "node"
	logPath         = nodePath + "/log"
	catalogPath     = nodePath + "/catalog"
	workerPath      = nodePath + "/worker"
	GatewayPath     = nodePath + "/gateway"
	coordinatorPath = nodePath + "/master/coordinator"
)

// Start spawns the tree of a node. The runtime's node and incarnation must be
// those of data.
func Start(rt runtime.Runtime, data *Data, opt Options) (*actor.PID, error) {
	return rt.SpawnRoot(nodePath, func() runtime.Actor {
		return node.New(node.Config{
			Children:    children(data, opt),
			Master:      func(term uint64) runtime.Producer { return masterOf(data, opt, term) },
			GatewayPath: GatewayPath,
		})
	})
}

func children(data *Data, opt Options) []node.Child {
	takeover := logconf.Takeover{At: data.Dir.Node.TakenOverAt, Self: data.Dir.Node.RaftID}
	lives := uint64(0) // of the gateway: each opens a session that ends the one before
	return []node.Child{
		{Name: "catalog", Producer: func() runtime.Actor {
			return catalog.New(catalog.Config{Path: catalogPath, Joined: data.Dir.Node.Joined, Takeover: takeover, LogPath: logPath, CoordinatorPath: coordinatorPath, ChunkBytes: opt.SnapshotChunkBytes, Loaded: opt.CatalogLoaded})
		}},
		{Name: "log", Producer: func() runtime.Actor {
			return raftlog.New(raftlog.Config{
				RaftID: data.Dir.Node.RaftID, Tick: opt.Tick, HeartbeatTicks: opt.HeartbeatTicks, ElectionTicks: opt.ElectionTicks,
				SnapshotEveryBytes: opt.SnapshotEveryBytes, Path: logPath, CatalogPath: catalogPath, OwnerPath: nodePath, OpenWAL: data.openWAL,
				Takeover: takeover, Identity: data.Dir.Identity, UpdateNode: data.Dir.UpdateNode,
			})
		}},
		{Name: "worker", Producer: func() runtime.Actor {
			return worker.New(worker.Config{
				Volumes: data.Volumes, CoordinatorPath: coordinatorPath, DiskType: opt.Worker.DiskType, MaxVolumeBytes: opt.MaxVolumeBytes,
				ReserveBytes: opt.ReserveBytes, CapacityBytes: opt.CapacityBytes, ReportEvery: opt.ReportEvery,
			})
		}},
		{Name: "gateway", Producer: func() runtime.Actor {
			lives++
			return gateway.New(gateway.Config{
				CoordinatorPath: coordinatorPath, LogPath: logPath, CatalogPath: catalogPath,
				VolumePath:  func(v, g uint64) string { return fmt.Sprintf("%s/volume/%d.%d", workerPath, v, g) },
				Incarnation: data.Dir.Node.Incarnation<<20 + lives, Announced: opt.Announced,
				DefaultBudget: opt.DefaultBudget, QueueBytes: opt.QueueBytes, UploadIdle: opt.UploadIdle,
			})
		}},
	}
}

func masterOf(data *Data, opt Options, term uint64) runtime.Producer {
	cluster := data.Dir.Node.ClusterID
	return func() runtime.Actor {
		return master.New(master.Config{
			Term: term, Worker: opt.Worker,
			LogPath: logPath, CatalogPath: catalogPath, WorkerPath: workerPath, GatewayPath: GatewayPath,
			Bootstrap: &messages.Bootstrap{
				ClusterId: string(cluster), ReplicationFactor: opt.ReplicationFactor, Tiers: tier.DefaultRows(),
				ClusterVersion: clusterVersion, IdempotencyKeysPerTenant: opt.IdempotencyKeys,
			},
			VolumesOpen: opt.VolumesOpen, HashEvery: opt.HashEvery, ReconcileTick: opt.ReportEvery,
		})
	}
}
