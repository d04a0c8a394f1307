package master

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/license/signed"
	"tiercel/messages"
)

// Config is what the master tree is told by the node.
type Config struct {
	Term       uint64
	Generation uint64   // of the cluster, as node.yaml has it
	Fork       string   // of the newest take-over, empty: none
	Superseded []uint64 // Raft ids that take-over left behind
	Worker     *messages.WorkerRow
	RaftID     uint64
	// Paths, the same on every node.
	LogPath         string
	CatalogPath     string
	WorkerPath      string
	MemberPath      string
	CoordinatorPath string
	ForemanPath     string                                 // of who grants bandwidth to jobs
	ArchivistPath   string                                 // hears what waits for the journal
	ControllerPath  string                                 // hears how far copies are behind
	VolumePath      func(volume, generation uint64) string // of a volume's actor on its members
	// Bootstrap is logged once, by the first master of a cluster.
	Bootstrap         *messages.Bootstrap
	VolumesOpen       int           // usable volumes per tier
	HashEvery         uint64        // entries between two logged state hashes, at least
	ReconcileTick     time.Duration // the longest time between two looks at the volumes
	HeartbeatInterval time.Duration // of workers
	MasterInterval    time.Duration // between two words of this master
	BrakeShare        float64       // of the workers, missing at once
	LicenseKeys       signed.Keys   // whose licences are believed
	// HandOverAfter intervals of a candidate being better by class, the lead goes there.
	HandOverAfter int
	// ArchiveEvery is the pause between two pieces of the commit journal; 0: no archive.
	ArchiveEvery time.Duration
	// CheckpointAfter so many pieces the whole catalog is written again; 0: the default.
	CheckpointAfter int
}

// Master supervises the tree of one epoch.
type Master struct{ cfg Config }

// New makes the actor.
func New(cfg Config) *Master { return &Master{cfg: cfg} }

// Receive starts the children; their failures are the supervisor's business.
func (m *Master) Receive(ctx *runtime.Context, msg any) {
	if _, ok := msg.(*actor.Started); ok {
		cfg := m.cfg
		ctx.Spawn("coordinator", func() runtime.Actor { return newCoordinator(cfg) })
		ctx.Spawn("controller", func() runtime.Actor { return newController(cfg) })
		ctx.Spawn("foreman", func() runtime.Actor { return newForeman(cfg) })
		ctx.Spawn("bursar", func() runtime.Actor { return newBursar(cfg) })
		ctx.Spawn("compactor", func() runtime.Actor { return newCompactor(cfg) })
		ctx.Spawn("archivist", func() runtime.Actor { return newArchivist(cfg) })
	}
}
