package master

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/pace"
	"tiercel/cluster/replication"
	"tiercel/messages"
)

// Foreman sees to it that every sealed volume has its copies where they belong. It
// is driven by levels: about once a second it looks at the catalog, lets
// replication.Plan compare with what is known of the workers, and takes the steps.
// What was lost on the way, or with a master, is found at the next look; what must
// survive is in the rows: VolumeMember.job and JobRow.
type Foreman struct {
	committer
	cfg     Config
	lookup  uint64                       // number of the newest question to the catalog
	status  *messages.ClusterStatusReply // its newest answer; nil before the first
	rows    map[uint64]*messages.VolumeRow
	output  replication.Output // of the newest plan
	space   map[string]*space
	latency map[string]time.Duration

	copies   map[replication.Copy]*copying // settles under way
	failed   map[replication.Copy]*failure
	sound    map[replication.Copy]sound
	changing map[uint64]time.Time // members or damage of a volume, with the log
	creating map[replication.JobKey]time.Time
	tallies  map[uint64]*tally // by job
	sweeps   map[string]*sweep // by node
	scrubs   map[uint64]map[string]*messages.ScrubCopiesReply
	asks     []ask        // of operators, that wait for the catalog
	inDebt   [3]time.Time // since when each tier has lacked copies
	lags     *messages.DescribeReplicationReply
	unread   map[uint64][]unreadFile // by volume
	rested   time.Time               // no plan before, while nothing is logged
	uneven   time.Time               // when a rebalance by itself is thought of again

	waiting map[askKey]bool        // for bandwidth
	budget  pace.Bucket            // of all jobs together
	budgets map[uint64]pace.Bucket // of each job that has its own limit
}

// copying is a copy that a worker was told to settle.
type copying struct {
	job   uint64
	bytes uint64
	from  string
	since time.Time
	sent  time.Time // the order, the last time
	check bool      // VerifyCopy of one that the row has as verified
}

// failure of a copy; it rests until then.
type failure struct {
	reason string
	times  int
	until  time.Time
	check  bool // of a copy that the row has as verified
}

// sound is a copy that was read or made, and was what was sealed.
type sound struct {
	replicaGen uint64
	at         time.Time
}

type foremanDue struct{}

const (
	// restTicks is how many looks pass between two plans while nothing changes.
	restTicks = 5
	// soundTicks is how many looks long a copy that was read counts as sound.
	soundTicks = 5
	// orderAgain repeats an order that was not answered: it, or the answer, was lost.
	orderAgain = 10 * time.Second
	// copiesPerWorker and copiesInAll bound what is under way at once.
	copiesPerWorker = 2
	copiesInAll     = 32
	// presentFor is how old a worker's word of its disk may be.
	presentFor = 10 * time.Second
)

func newForeman(cfg Config) *Foreman {
	return &Foreman{
		committer: newCommitter(cfg.CoordinatorPath), cfg: cfg, space: make(map[string]*space), latency: make(map[string]time.Duration),
		copies: make(map[replication.Copy]*copying), failed: make(map[replication.Copy]*failure), sound: make(map[replication.Copy]sound), changing: make(map[uint64]time.Time),
		creating: make(map[replication.JobKey]time.Time), tallies: make(map[uint64]*tally), sweeps: make(map[string]*sweep),
		scrubs: make(map[uint64]map[string]*messages.ScrubCopiesReply), budgets: make(map[uint64]pace.Bucket), waiting: make(map[askKey]bool),
		unread: make(map[uint64][]unreadFile),
	}
}

// Receive handles one message; each case is one line.
func (f *Foreman) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		f.begin(ctx)
		f.onDue(ctx)
	case foremanDue:
		f.onDue(ctx)
	case *messages.LookupReply:
		f.onLookup(ctx, m)
	case *messages.CommitReply:
		f.onOutcomes(ctx, m)
	case *messages.CapacityReport:
		f.space[m.Node] = &space{report: m, at: ctx.Now()}
	case *messages.WorkerLatency:
		f.latency[m.Node] = time.Duration(m.Micros) * time.Microsecond
	case *messages.SettleVolumeReply:
		f.onSettled(ctx, m)
	case *messages.VerifyCopyReply:
		f.onVerified(ctx, m)
	case *messages.CopyDamaged:
		f.onDamaged(ctx, m)
	case *messages.ReportVolumesReply:
		f.onReport(ctx, m)
	case *messages.DropCopyReply:
		f.onDropped(ctx, m)
	case *messages.AskBandwidth:
		f.onAskBandwidth(ctx, m)
	case grantDue:
		f.onGrantDue(ctx, m)
	case *messages.DescribeReplicationReply:
		f.lags = m
	case *messages.FileUnread:
		f.onFileUnread(ctx, m)
	case *messages.ScrubCopiesReply:
		f.onScrubbed(m)
	default:
		f.receiveQuestion(ctx, msg)
	}
}

func (f *Foreman) onDue(ctx *runtime.Context) {
	ctx.After(f.cfg.ReconcileTick, foremanDue{})
	f.sweep(ctx.Now())
	f.look(ctx)
}

func (f *Foreman) look(ctx *runtime.Context) {
	f.lookup++
	ctx.Request(ctx.Runtime().Local(f.cfg.CatalogPath), &messages.Lookup{
		Header: &messages.Header{Request: f.lookup}, Items: []*messages.LookupItem{{Kind: &messages.LookupItem_Status{Status: &messages.ClusterStatus{}}}},
	})
}

// onLookup plans anew. Before this master's start is in the log its catalog may lack
// what an earlier master has logged, and a plan on that would undo it.
func (f *Foreman) onLookup(ctx *runtime.Context, m *messages.LookupReply) {
	if m.Header.GetRequest() != f.lookup || len(m.Answers) != 1 || m.Answers[0].GetStatus() == nil {
		return
	}
	s := m.Answers[0].GetStatus()
	if s.Cluster.GetTerm() != f.cfg.Term || s.Cluster.GetGeneration() != f.cfg.Generation || s.Error != nil {
		return
	}
	idle := f.status.GetApplied() == s.Applied && len(f.copies)+len(f.failed)+len(f.sound)+len(f.asks) == 0 && !slices.ContainsFunc(s.Jobs, active)
	if idle && ctx.Now().Before(f.rested) {
		f.sweepCopies(ctx)
		return // nothing has been logged, and only disks may have changed
	}
	f.rested = ctx.Now().Add(restTicks * f.cfg.ReconcileTick)
	f.status, f.rows = s, make(map[uint64]*messages.VolumeRow, len(s.Volumes))
	for _, row := range s.Volumes {
		f.rows[row.Id] = row
	}
	f.forget(ctx.Now())
	f.output = replication.Plan(f.input(ctx))
	f.noteDebt(ctx.Now())
	f.driveJobs(ctx)
	for i := range f.output.Steps {
		f.act(ctx, &f.output.Steps[i])
	}
	f.repeatOrders(ctx)
	f.sweepCopies(ctx)
	f.driveScrubs(ctx)
	f.answerQuestions(ctx)
}

// forget drops what is over: copies that no row wants any more, failures that have
// rested, changes whose outcome was lost.
func (f *Foreman) forget(now time.Time) {
	for key, c := range f.copies {
		switch m := memberOf(f.rows[key.Volume], key.Node); {
		case m == nil:
			delete(f.copies, key)
		case m.Verified && !c.check: // its outcome is on the way
			f.count(key, c)
		}
	}
	for key, x := range f.failed {
		if m := memberOf(f.rows[key.Volume], key.Node); m == nil || m.Verified && !x.check || now.After(x.until.Add(failureKept)) {
			delete(f.failed, key)
		}
	}
	f.forgetUnread(now)
	for key, x := range f.sound {
		if now.Sub(x.at) > soundTicks*f.cfg.ReconcileTick {
			delete(f.sound, key)
		}
	}
	for volume, since := range f.changing {
		if now.Sub(since) > decisionPatience {
			delete(f.changing, volume)
		}
	}
	for key, since := range f.creating {
		if now.Sub(since) > decisionPatience {
			delete(f.creating, key)
		}
	}
}

func memberOf(row *messages.VolumeRow, node string) *messages.VolumeMember {
	for _, m := range row.GetMembers() {
		if m.Node == node {
			return m
		}
	}
	return nil
}

// input is what the plan looks at.
func (f *Foreman) input(ctx *runtime.Context) replication.Input {
	now := ctx.Now()
	in := replication.Input{
		Rows: f.status.Volumes, Tiers: f.status.Cluster.Tiers, ReplicationFactor: int(f.status.Cluster.ReplicationFactor),
		Weights: weightsOf(f.status.Cluster.Settings), Jobs: f.remembered(now), Settings: f.status.Cluster.Settings,
		Brake: f.status.Cluster.GetBrake().GetEngaged(), BrakeReason: f.status.Cluster.GetBrake().GetReason(),
		Settling: make(map[replication.Copy]bool, len(f.copies)), Failed: make(map[replication.Copy]string),
		Sound:     make(map[replication.Copy]bool, len(f.sound)),
		PerWorker: copiesPerWorker, Total: copiesInAll,
	}
	for key := range f.copies {
		in.Settling[key] = true
	}
	for key, x := range f.failed {
		if now.Before(x.until) {
			in.Failed[key] = x.reason
		}
	}
	for key, x := range f.sound {
		in.Sound[key] = memberOf(f.rows[key.Volume], key.Node).GetReplicaGen() == x.replicaGen
	}
	for i, node := range f.status.WorkerNodes {
		row := f.status.Workers[i]
		w := replication.Worker{Worker: candidate(node, row, f.space[node], f.cluster())}
		w.Reached = f.space[node] != nil && now.Sub(f.space[node].at) < presentFor
		w.Latency, w.HasLatency = f.latency[node]
		if t := row.Transitions; len(t) > 0 {
			w.ChangedAt = t[len(t)-1].Index
		}
		in.Workers = append(in.Workers, w)
	}
	return in
}

// cancelledFor is how long a cancelled job that nobody is missed for keeps the same from
// beginning by itself again.
const cancelledFor = time.Hour

// remembered are the jobs that say something about what is to be done now. Who changes a
// tier wants its copies to follow, whatever was cancelled before.
func (f *Foreman) remembered(now time.Time) []*messages.JobRow {
	return slices.DeleteFunc(slices.Clone(f.status.Jobs), func(j *messages.JobRow) bool {
		again := j.Kind == messages.JobKind_REBALANCE || j.Kind == messages.JobKind_ADAPT
		if j.State != messages.JobState_CANCELLED || !again {
			return false
		}
		return now.Sub(time.UnixMilli(j.EndedUnixMs)) > cancelledFor || j.Kind == messages.JobKind_ADAPT && f.tierChanged(j.Tier) > j.EndedUnixMs
	})
}

// tierChanged is when somebody changed a tier, 0: never.
func (f *Foreman) tierChanged(tier uint32) int64 {
	for _, row := range f.cluster().GetTiers() {
		if row.Tier == tier {
			return row.ChangedUnixMs
		}
	}
	return 0
}

func (f *Foreman) cluster() *messages.ClusterRow { return f.status.GetCluster() }

// header carries the epoch with every order to a worker.
func (f *Foreman) header() *messages.Header {
	return &messages.Header{EpochGeneration: f.cfg.Generation, EpochTerm: f.cfg.Term}
}
