package master

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/compaction"
	"tiercel/messages"
)

// Compactor empties sealed volumes that are mostly dead, or small, and drops them:
// retire, walk over the catalog, write each extent that lies in a retiring volume
// again elsewhere and let the log name the new place, until nothing names the old
// one. Everything it knows is in the rows: a new master's compactor sees what is
// retiring and goes on; whatever it lost on the way, the next pass finds again.
type Compactor struct {
	cfg     Config
	next    uint64
	lookup  uint64 // number of the newest look
	applied uint64 // log index that it showed; a walk begins at or above it
	cluster *messages.ClusterRow
	nodes   []string // workers, in order
	workers []*messages.WorkerRow
	job     *messages.JobRow // the compaction job, as the rows have it; nil: none
	rows    map[uint64]*messages.VolumeRow
	ids     []uint64             // of retiring volumes, in order
	asked   map[uint64]time.Time // RetireVolume and DropVolume under way, by volume

	outcomes map[uint64]func(*runtime.Context, *messages.CommitOutcome)
	pass     *pass
	rest     time.Time       // no pass before
	barren   int             // passes that moved nothing, one after the other
	told     map[uint64]bool // versions of files that cannot be read
}

// Intervals of the compactor.
const (
	compactEvery = 2 * time.Second
	compactBusy  = 250 * time.Millisecond // while something is being emptied
	compactSteps = 5 * time.Second        // patience with one step
)

type compactDue struct{}

func newCompactor(cfg Config) *Compactor {
	return &Compactor{
		cfg: cfg, rows: make(map[uint64]*messages.VolumeRow), asked: make(map[uint64]time.Time),
		outcomes: make(map[uint64]func(*runtime.Context, *messages.CommitOutcome)), told: make(map[uint64]bool),
	}
}

// Receive handles one message; each case is one line.
func (c *Compactor) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		c.next = ctx.Rand() >> 16 << 16 // a restarted compactor must not take an old answer for its own
		ctx.After(compactEvery, compactDue{})
	case compactDue:
		c.onCompactDue(ctx)
	case *messages.LookupReply:
		c.onLookup(ctx, m)
	case *messages.CommitReply:
		c.onOutcomes(ctx, m)
	case *messages.BandwidthGranted:
		c.onBandwidth(ctx, m)
	case *messages.ReadExtentReply:
		c.onRead(ctx, m)
	case *messages.BeginReply:
		c.onBegun(ctx, m)
	case *messages.AppendRecordsReply:
		c.onAppended(ctx, m)
	case *messages.ReportVolumesReply:
		c.onHeld(ctx, m)
	}
}

// onCompactDue looks at the rows, and after whatever is under way.
func (c *Compactor) onCompactDue(ctx *runtime.Context) {
	pause := compactEvery
	if len(c.ids) > 0 && !ctx.Now().Before(c.rest) {
		pause = compactBusy
	}
	ctx.After(pause, compactDue{})
	c.sweep(ctx)
	if c.pass != nil {
		return // the rows are looked at when it has ended
	}
	c.next++
	c.lookup = c.next
	ctx.Request(ctx.Runtime().Local(c.cfg.CatalogPath), &messages.Lookup{
		Header: &messages.Header{Request: c.lookup},
		Items:  []*messages.LookupItem{{Kind: &messages.LookupItem_Status{Status: &messages.ClusterStatus{}}}},
	})
}

func (c *Compactor) onLookup(ctx *runtime.Context, m *messages.LookupReply) {
	if len(m.Answers) != 1 {
		return
	}
	if page := m.Answers[0].GetFindExtents(); page != nil {
		c.onPage(ctx, m.Header.GetRequest(), page)
		return
	}
	s := m.Answers[0].GetStatus()
	if s == nil || m.Header.GetRequest() != c.lookup || s.Error != nil {
		return
	}
	c.applied = s.Applied
	c.cluster, c.nodes, c.workers = s.Cluster, s.WorkerNodes, s.Workers
	// Before its start is in the log this master sees the rows of an earlier one.
	if c.cluster.GetTerm() != c.cfg.Term || c.cluster.GetGeneration() != c.cfg.Generation {
		return
	}
	c.job = nil
	for _, job := range s.Jobs {
		if job.Kind == messages.JobKind_COMPACTION && (job.State == messages.JobState_RUNNING || job.State == messages.JobState_PAUSED) {
			c.job = job
		}
	}
	c.judge(ctx, s.Volumes)
}

// judge retires what is worth it, drops what is empty, and begins a pass over the
// rest.
func (c *Compactor) judge(ctx *runtime.Context, rows []*messages.VolumeRow) {
	rows = c.movable(rows)
	clear(c.rows)
	c.ids = c.ids[:0]
	for _, row := range rows {
		c.rows[row.Id] = row
		if row.State == messages.VolumeState_RETIRING {
			c.ids = append(c.ids, row.Id)
		}
	}
	if c.job.GetState() == messages.JobState_PAUSED {
		return
	}
	if !c.cluster.GetBrake().GetEngaged() {
		choices, _ := compaction.Plan(rows, c.cluster.GetSettings())
		for _, choice := range choices {
			c.retire(ctx, choice)
		}
	}
	var named []uint64
	for _, id := range c.ids {
		if c.rows[id].LiveBytes <= 0 {
			c.drop(ctx, id)
		} else if len(c.rows[id].Lost) == 0 || slices.ContainsFunc(c.rows[id].Members, whole) {
			named = append(named, id)
		}
	}
	// The foreman makes a job of what is retiring; its bandwidth is what moves count against.
	if len(named) > 0 && c.job != nil && !ctx.Now().Before(c.rest) {
		c.begin(ctx, named)
	}
}

// whole reports whether a copy is known to be good.
func whole(m *messages.VolumeMember) bool { return m.GetVerified() && !m.GetDamaged() }

func (c *Compactor) retire(ctx *runtime.Context, choice compaction.Choice) {
	c.once(ctx, choice.Volume, "retire a volume", &messages.Command{Kind: &messages.Command_RetireVolume{RetireVolume: &messages.RetireVolume{
		Volume: choice.Volume, Generation: choice.Generation, Cause: choice.Cause,
	}}})
}

// drop proposes to drop a volume; apply refuses while anything names it.
func (c *Compactor) drop(ctx *runtime.Context, id uint64) {
	c.once(ctx, id, "drop a volume", &messages.Command{Kind: &messages.Command_DropVolume{DropVolume: &messages.DropVolume{
		Volume: id, Generation: c.rows[id].Generation,
	}}})
}

// once proposes a command for a volume unless one is under way.
func (c *Compactor) once(ctx *runtime.Context, volume uint64, what string, cmd *messages.Command) {
	if since, already := c.asked[volume]; already && ctx.Now().Sub(since) < compactSteps {
		return
	}
	c.asked[volume] = ctx.Now()
	c.commit(ctx, cmd, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		delete(c.asked, volume) // whatever came of it is in the rows of the next look
		if !o.Dropped {
			ctx.Log().Info("compaction", "step", what, "volume", volume, "code", o.Result.GetCode())
		}
	})
}

// commit proposes a command through the coordinator.
func (c *Compactor) commit(ctx *runtime.Context, cmd *messages.Command, then func(*runtime.Context, *messages.CommitOutcome)) {
	c.next++
	c.outcomes[c.next] = then
	cmd.Proposal, cmd.ProposedUnixMs = c.next, ctx.Now().UnixMilli()
	ctx.Request(ctx.Runtime().Local(c.cfg.CoordinatorPath), &messages.Commit{Header: &messages.Header{}, Commands: []*messages.Command{cmd}})
}

func (c *Compactor) onOutcomes(ctx *runtime.Context, m *messages.CommitReply) {
	for _, o := range m.Outcomes {
		if then := c.outcomes[o.Proposal]; then != nil {
			delete(c.outcomes, o.Proposal)
			then(ctx, o)
		}
	}
}
