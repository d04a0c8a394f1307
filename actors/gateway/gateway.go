package gateway

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// Config is what the gateway is told by the tree.
type Config struct {
	// Paths, the same on every node.
	CoordinatorPath string
	ControllerPath  string
	ForemanPath     string
	BursarPath      string
	ArchivistPath   string
	LogPath         string
	CatalogPath     string
	MemberPath      string
	VolumePath      func(volume, generation uint64) string
	Incarnation     uint64 // of the session: grows with every life of this actor
	// Announced hears whether this node can serve, and why not. Nil: nobody listens.
	Announced func(ready bool, reason string)

	DefaultBudget time.Duration // for requests that name none
	QueueBytes    int64         // bodies held, queued and under way
	UploadIdle    time.Duration // an upload that hears nothing for so long is dropped
}

// Limits and patience.
const (
	maxOps       = 1 << 15
	sweepEvery   = 100 * time.Millisecond
	stepPatience = 3 * time.Second // then a step is repeated; repeating is harmless
	// askPatience is that of a question that holds up all others of this gateway: for a
	// session, and for volumes.
	askPatience = 500 * time.Millisecond
	// appendPatience is how long a volume's primary may be silent, before the content
	// goes to another; a little more than that has for its followers.
	appendPatience = 2 * time.Second
	// maxBulkBytes of bodies go to a volume in one message.
	maxBulkBytes = 16 << 20
	// maxCommitBytes of commands go to the master in one message.
	maxCommitBytes = 600 << 10
	retryPause     = 20 * time.Millisecond
	maxUploads     = 4096
)

// Gateway is the actor.
type Gateway struct {
	cfg   Config
	tiers *tier.Table

	master   *messages.MasterReady // newest word of a master, nil before the first
	reason   string                // why this node cannot serve; empty: it can
	session  uint64
	opening  time.Time // of the OpenSession under way
	openID   uint64    // its number
	window   window
	nextID   uint64
	ops      map[uint64]*op
	opens    []*queuedOpen // uploads that wait for a master
	lanes    map[string][]*op
	held     int64 // body bytes in ops
	begin    []*op // waiting for a volume
	later    []*op // refused one; they ask again after a pause
	beginAt  time.Time
	beginReq uint64

	uploads  map[uint64]*upload
	reads    reads
	watched  map[string]uint64 // volume by the path of its actor that is watched
	forwards map[uint64]*forward
}

type sweepDue struct{}

// New makes the actor.
func New(cfg Config) *Gateway {
	return &Gateway{
		cfg: cfg, ops: make(map[uint64]*op), lanes: make(map[string][]*op), uploads: make(map[uint64]*upload),
		reads: reads{lookups: make(map[uint64]*readBatch)}, watched: make(map[string]uint64), forwards: make(map[uint64]*forward),
	}
}

// Receive handles one message; each case is one line.
func (g *Gateway) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		g.onStarted(ctx)
	case *messages.Put:
		g.onPut(ctx, m)
	case *messages.PutBatch:
		g.onPutBatch(ctx, m)
	case *messages.Delete:
		g.onDelete(ctx, m)
	case *messages.Move:
		g.onMove(ctx, m)
	case *messages.OpenUpload:
		g.onOpenUpload(ctx, m)
	case *messages.UploadPart:
		g.onUploadPart(ctx, m)
	case *messages.FinishUpload:
		g.onFinishUpload(ctx, m)
	case *messages.DropUpload:
		g.onDropUpload(ctx, m)
	case *messages.Stat, *messages.ReadManifest, *messages.List, *messages.ClusterStatus, *messages.DescribeVolumes, *messages.FindAffected:
		g.onRead(ctx, m)
	case *messages.BeginReply:
		g.onBegun(ctx, m)
	case *messages.AppendRecordsReply:
		g.onAppended(ctx, m)
	case *messages.CommitReply:
		g.onCommitted(ctx, m)
	case *messages.ReadIndexReply:
		g.onReadIndex(ctx, m)
	case *messages.LookupReply:
		g.onLookup(ctx, m)
	case *messages.MasterReady:
		g.onMaster(ctx, m)
	case *messages.ListWorkers, *messages.DescribeMaster, *messages.PromoteWorker, *messages.RemoveNode, *messages.ReleaseBrake, *messages.InstallLicense,
		*messages.StartRebalance, *messages.DrainWorker, *messages.StartScrub, *messages.ListJobs, *messages.ChangeJob,
		*messages.DescribeReplication, *messages.ExplainPlacement, *messages.ChangeTier, *messages.ChangeSettings,
		*messages.ListQuotas, *messages.ChangeQuota, *messages.VerifyQuotas,
		*messages.PrepareBackup, *messages.FetchSnapshot, *messages.DescribeArchive:
		g.onForward(ctx, m.(headed))
	case *messages.ListWorkersReply, *messages.DescribeMasterReply, *messages.PromoteWorkerReply, *messages.RemoveNodeReply, *messages.ReleaseBrakeReply, *messages.InstallLicenseReply,
		*messages.StartJobReply, *messages.ListJobsReply, *messages.DescribeReplicationReply, *messages.ExplainPlacementReply, *messages.ChangeClusterReply,
		*messages.ListQuotasReply, *messages.ChangeQuotaReply, *messages.VerifyQuotasReply,
		*messages.PrepareBackupReply, *messages.FetchSnapshotReply, *messages.DescribeArchiveReply:
		g.onForwarded(ctx, m.(headed))
	case *actor.Terminated:
		g.onPrimaryGone(ctx, m)
	case retryBegin:
		g.onRetryBegin(ctx)
	case sweepDue:
		g.onSweep(ctx)
	}
}

func (g *Gateway) onStarted(ctx *runtime.Context) {
	// Numbers of an earlier life of this actor may still be on their way.
	g.nextID = 1 + ctx.Rand()>>8<<4
	g.announce("no master is known yet")
	ctx.Request(ctx.Runtime().Local(g.cfg.MemberPath), &messages.MasterReady{})
	ctx.After(sweepEvery, sweepDue{})
}

// onMaster takes over a master's word. A new master, or one that is ready again,
// gets everything under way once more, under the same sequences.
func (g *Gateway) onMaster(ctx *runtime.Context, m *messages.MasterReady) {
	old := g.master
	if m.Node == "" { // nobody leads, or the master is silent
		switch {
		case old == nil:
			g.announce(m.Reason)
		case m.EpochTerm >= old.EpochTerm:
			g.master = without(old, m.Reason)
			g.announce(m.Reason)
			if old.Ready {
				g.recallReads()
			}
		}
		return
	}
	if old != nil && m.EpochTerm < old.EpochTerm && m.EpochGeneration <= old.EpochGeneration {
		return
	}
	g.master = m
	if m.Cluster != nil && len(m.Cluster.Tiers) > 0 {
		g.tiers = tier.NewTable(m.Cluster.Tiers)
	}
	if !m.Ready {
		g.announce(m.Reason)
		return
	}
	if old == nil || !old.Ready || old.EpochTerm != m.EpochTerm {
		g.opening = time.Time{}
		g.recallReads()
		g.resendAll(ctx)
	}
	if g.session == 0 {
		g.openSession(ctx)
		return
	}
	g.announce("")
	g.flushOpens(ctx)
	g.flushBegin(ctx)
	g.flushReads(ctx)
}

// without is a master's word taken back.
func without(m *messages.MasterReady, reason string) *messages.MasterReady {
	return &messages.MasterReady{
		Node: m.Node, EpochGeneration: m.EpochGeneration, EpochTerm: m.EpochTerm, Reason: reason,
		Cluster: m.Cluster, Capacity: m.Capacity, Address: m.Address, Peers: m.Peers,
	}
}

// onMasterNode is an actor on the master's node.
func (g *Gateway) onMasterNode(ctx *runtime.Context, path string) *actor.PID {
	return ctx.Runtime().Peer(model.NodeID(g.master.GetNode()), path)
}

// serving reports whether commands can be sent.
func (g *Gateway) serving() bool { return g.master != nil && g.master.Ready && g.session != 0 }

func (g *Gateway) announce(reason string) {
	g.reason = reason
	if g.cfg.Announced != nil {
		g.cfg.Announced(reason == "" && g.serving(), reason)
	}
}

// openSession logs the session under which this life of the gateway retries.
func (g *Gateway) openSession(ctx *runtime.Context) {
	if !g.opening.IsZero() && ctx.Now().Sub(g.opening) < askPatience {
		return
	}
	g.opening = ctx.Now()
	g.nextID++
	g.openID = g.nextID
	ctx.Request(g.onMasterNode(ctx, g.cfg.CoordinatorPath), &messages.Commit{Header: &messages.Header{}, Commands: []*messages.Command{{
		Proposal: g.openID, ProposedUnixMs: ctx.Now().UnixMilli(),
		Kind: &messages.Command_OpenSession{OpenSession: &messages.OpenSession{
			Node: string(ctx.Runtime().Node()), Incarnation: g.cfg.Incarnation,
		}},
	}}})
}

func (g *Gateway) onSessionOpened(ctx *runtime.Context, o *messages.CommitOutcome) {
	if g.session != 0 {
		return // the answer to an earlier try has come first
	}
	if err := o.Result.Err("open session"); err != nil || o.Dropped {
		if err != nil {
			ctx.Log().Error("the session of this gateway was refused", "error", err)
		}
		g.opening = ctx.Now() // tried again when its patience is over
		return
	}
	g.session = o.Result.Id
	g.window = window{}
	g.announce("")
	g.resendAll(ctx)
	g.flushOpens(ctx)
	g.flushBegin(ctx)
	g.flushReads(ctx)
}

// sessionLost gives up everything that was proposed under a session the catalog
// does not know: whether it took effect cannot be told any more.
func (g *Gateway) sessionLost(ctx *runtime.Context) {
	g.session = 0
	for _, o := range g.inOrder() {
		if o.sequence != 0 {
			g.fail(ctx, o, model.Errorf(model.CodeOutcomeUnknown, "commit", "the session ended while the request was under way; read to see what happened"))
		}
	}
	g.announce("a session is being opened")
	g.openSession(ctx)
}
