package master

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/cluster/roster"
	"tiercel/messages"
)

// proposalPatience is how long a proposal may stay without an outcome before its
// memory is dropped here; whoever asked has its own, shorter patience.
const (
	proposalPatience = 2 * time.Minute
	maxProposals     = 1 << 17
	// maxReplyItems bounds one reply that travels to another node.
	maxReplyItems = 2000
	// maxProposeBytes bounds the commands of one Propose, which stays on this node.
	maxProposeBytes = 8 << 20
)

// Coordinator is the actor through which every write begins and commits.
type Coordinator struct {
	cfg       Config
	proposals map[uint64]*proposal // by our number
	next      uint64
	since     time.Time // when it began

	cluster *messages.ClusterRow
	nodes   []string // every worker in the catalog, in order
	rows    []*messages.WorkerRow
	roster  roster.Roster            // of those that have not left
	told    [wordsOverlap + 1]uint64 // newest change of a peer at the last words
	steward steward
	space   map[string]*space // by node
	usable  map[model.Tier][]placement.Open
	grants  map[uint64]grant // volume -> what a grant of it says
	short   map[model.Tier]string
	ready   bool
	reason  string
	latency map[string]time.Duration           // median way of each worker to its peers
	ways    map[string][]*messages.PeerLatency // of each worker, to explain what it would see
	standby *messages.StandbyMatch             // nil: the log has not said
	held    []*messages.CommitOutcome          // that wait for it
	newest  uint64                             // log index that was seen applied here
	desk    desk
	shipped journaled // of the catalog
}

// proposal remembers who asked for a command.
type proposal struct {
	to     *actor.PID
	id     uint64 // the asker's number
	since  time.Time
	waits  waits
	effect effect                                          // on quotas
	then   func(*runtime.Context, *messages.CommitOutcome) // the coordinator's own
}

type grant struct {
	generation uint64
	members    []string
}

// space is what a worker last said of its disk, and what was granted since.
type space struct {
	report  *messages.CapacityReport
	granted uint64
	at      time.Time // of the report
}

type housekeeping struct{}
type announceDue struct{}

func newCoordinator(cfg Config) *Coordinator {
	return &Coordinator{
		cfg: cfg, proposals: make(map[uint64]*proposal), reason: "the master has just started", space: make(map[string]*space),
		latency: make(map[string]time.Duration),
		ways:    make(map[string][]*messages.PeerLatency),
		usable:  make(map[model.Tier][]placement.Open), grants: make(map[uint64]grant), steward: newSteward(), desk: newDesk(),
	}
}

// Receive handles one message; each case is one line.
func (c *Coordinator) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		c.onStarted(ctx)
	case *messages.Begin:
		c.onBegin(ctx, m)
	case *messages.Commit:
		c.onCommit(ctx, m)
	case *messages.ProposeReply:
		c.onDropped(ctx, m)
	case *messages.CommandsApplied:
		c.deliver(ctx, m.Outcomes)
	case *messages.CapacityReport:
		c.onCapacity(ctx, m)
	case *messages.LookupReply:
		c.onLookup(ctx, m)
	case *messages.ReportVolumesReply:
		c.onReport(ctx, m)
	case lookDue:
		c.onLookDue(ctx, m)
	case *messages.OpenVolumeReply:
		c.onVolumeOpened(ctx, m)
	case *messages.FenceVolumeReply:
		c.onFenced(ctx, m)
	case stepDue:
		c.onStepDue(ctx, m)
	case *messages.CopyDamaged:
		ctx.Send(ctx.Runtime().Local(c.cfg.ForemanPath), m)
	case *messages.ExplainPlacement:
		c.onExplainPlacement(ctx, m)
	case *messages.VolumeStopped:
		c.onVolumeStopped(ctx, m)
	case *messages.WorkerLatency:
		c.latency[m.Node] = time.Duration(m.Micros) * time.Microsecond
		c.ways[m.Node] = m.Ways
		ctx.Send(ctx.Runtime().Local(c.cfg.ForemanPath), m)
	case *messages.JournalCovers:
		c.onJournalCovers(m)
	case *messages.StandbyMatch:
		c.onStandby(ctx, m)
	case housekeeping:
		c.onHousekeeping(ctx)
	case announceDue:
		c.onAnnounceDue(ctx)
	case *messages.MasterReady:
		c.onAsked(ctx, m)
	case *messages.ReleaseQuota:
		c.onReleaseQuota(m)
	case *messages.DescribeReserved:
		c.onDescribeReserved(ctx, m)
	}
}

func (c *Coordinator) onStarted(ctx *runtime.Context) {
	c.since = ctx.Now()
	c.next = ctx.Rand() >> 16 << 16 // a restarted coordinator must not take an old outcome for its own
	ctx.After(c.cfg.ReconcileTick, housekeeping{})
	ctx.After(c.cfg.MasterInterval, announceDue{})
	ctx.Request(ctx.Runtime().Local(c.cfg.LogPath), &messages.StandbyMatch{})
	c.reconcile(ctx)
}

// header carries the epoch with every order to a worker.
func (c *Coordinator) header() *messages.Header {
	return &messages.Header{EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term}
}

func (c *Coordinator) grant(ctx *runtime.Context, session uint64, item *messages.BeginItem, given together) *messages.BeginGrant {
	g := &messages.BeginGrant{Item: item.Item}
	tier := model.Tier(item.Tier)
	open, full := c.withRoom(c.usable[tier], item)
	i, ok := placement.Together(open, given[batchOf(session, item)], item.Avoid)
	if !ok {
		i, ok = placement.Gather(open, int64(item.Bytes), item.Avoid)
	}
	if !ok {
		i, ok = placement.Choose(open, int64(item.Bytes), item.Avoid, ctx.Rand())
	}
	if !ok {
		// The volumes to avoid are all there are: one of them may be back, reopened.
		i, ok = placement.Choose(open, int64(item.Bytes), nil, ctx.Rand())
	}
	switch {
	case ok && tier == model.TierCritical && c.standby.GetStanding() && !c.standby.GetInContact():
		g.Error = messages.FromError(model.Errorf(model.CodeInsufficientReplicas, "begin",
			"the standby is out of contact, and tier 1 is not acknowledged without it; start it, or remove it from the cluster"))
	case ok:
		c.take(tier, open[i].Volume, item.Bytes)
		if item.Batch != 0 {
			given[batchOf(session, item)] = open[i].Volume
		}
		gr := c.grants[open[i].Volume]
		g.Volume, g.Generation, g.Primary, g.Members = open[i].Volume, gr.generation, gr.members[0], gr.members
	case full && c.othersTake(ctx, tier):
		c.reconcile(ctx)
		g.Error = messages.FromError(model.Errorf(model.CodeUnavailable, "begin",
			"a member of each open volume of tier %d is full; others are being opened elsewhere", item.Tier))
	case full || c.allFull():
		g.Error = messages.FromError(model.Errorf(model.CodeClusterFull, "begin",
			"the disks are full %s; delete files or add space", c.fullUpTo()))
	case c.allFailing() != "":
		g.Error = messages.FromError(model.Errorf(model.CodeInsufficientReplicas, "begin", "no disk takes new content; that of %s", c.allFailing()))
	case c.short[tier] != "" && tier == model.TierCritical:
		g.Error = messages.FromError(model.Errorf(model.CodeInsufficientReplicas, "begin", "%s", c.short[tier]))
	default:
		g.Error = messages.FromError(model.Errorf(model.CodeUnavailable, "begin",
			"no volume of tier %d takes writes at the moment; one is being opened", item.Tier))
	}
	return g
}

// onCommit passes commands to the log under numbers of our own.
func (c *Coordinator) onCommit(ctx *runtime.Context, m *messages.Commit) {
	if len(c.proposals)+len(m.Commands) > maxProposals {
		reply := &messages.CommitReply{Header: messages.ReplyHeader(m.Header)}
		for _, cmd := range m.Commands {
			reply.Outcomes = append(reply.Outcomes, &messages.CommitOutcome{Proposal: cmd.Proposal, Dropped: true})
		}
		ctx.Reply(reply)
		return
	}
	out := &messages.Propose{Header: &messages.Header{}, Commands: make([]*messages.Command, 0, len(m.Commands))}
	to, now, bytes := ctx.Sender(), ctx.Now(), 0
	for _, cmd := range admitted(ctx, m) {
		if c.tooSoon(cmd) || c.notJournaled(ctx, cmd) {
			ctx.Reply(&messages.CommitReply{Header: messages.ReplyHeader(m.Header), Outcomes: []*messages.CommitOutcome{{Proposal: cmd.Proposal, Dropped: true}}})
			continue
		}
		c.next++
		c.proposals[c.next] = &proposal{to: to, id: cmd.Proposal, since: now, waits: waitsFor(cmd), effect: effectOf(cmd)}
		c.arrived(cmd)
		own := messages.CopyCommand(cmd)
		own.Origin, own.Proposal = string(ctx.Runtime().Node()), c.next
		if bytes += proto.Size(own); bytes > maxProposeBytes && len(out.Commands) > 0 {
			ctx.Request(ctx.Runtime().Local(c.cfg.LogPath), out)
			out, bytes = &messages.Propose{Header: &messages.Header{}}, 0
		}
		out.Commands = append(out.Commands, own)
	}
	if len(out.Commands) > 0 {
		ctx.Request(ctx.Runtime().Local(c.cfg.LogPath), out)
	}
}

// arrived takes content that is about to be committed off its volume's load.
func (c *Coordinator) arrived(cmd *messages.Command) {
	extents := slices.Concat(cmd.GetPutFile().GetExtents(), cmd.GetStageExtents().GetExtents())
	for _, m := range cmd.GetMoveExtents().GetMoves() {
		extents = append(extents, m.To)
	}
	for _, e := range extents {
		for _, open := range c.usable {
			for i := range open {
				if open[i].Volume == e.Volume {
					open[i].Outstanding = max(0, open[i].Outstanding-int64(e.BodyBytes))
				}
			}
		}
	}
}

// propose logs a command of the coordinator's own.
func (c *Coordinator) propose(ctx *runtime.Context, cmd *messages.Command, then func(*runtime.Context, *messages.CommitOutcome)) {
	c.next++
	c.proposals[c.next] = &proposal{since: ctx.Now(), then: then}
	cmd.Origin, cmd.Proposal = string(ctx.Runtime().Node()), c.next
	cmd.ProposedUnixMs = ctx.Now().UnixMilli()
	ctx.Request(ctx.Runtime().Local(c.cfg.LogPath), &messages.Propose{Header: &messages.Header{}, Commands: []*messages.Command{cmd}})
}

func (c *Coordinator) onDropped(ctx *runtime.Context, m *messages.ProposeReply) {
	outcomes := make([]*messages.CommitOutcome, 0, len(m.Proposals))
	for _, id := range m.Proposals {
		outcomes = append(outcomes, &messages.CommitOutcome{Proposal: id, Dropped: true})
	}
	c.deliver(ctx, outcomes)
}

// deliver hands outcomes to whoever asked, together as far as they fit.
func (c *Coordinator) deliver(ctx *runtime.Context, outcomes []*messages.CommitOutcome) {
	var replies []*messages.CommitReply
	var askers []*actor.PID
	for _, o := range outcomes {
		c.newest = max(c.newest, o.Index)
		p, ok := c.proposals[o.Proposal]
		if !ok {
			continue
		}
		c.settle(p, o)
		if c.mustWait(p, o) {
			c.held = append(c.held, o)
			continue
		}
		delete(c.proposals, o.Proposal)
		if p.then != nil {
			p.then(ctx, o)
			continue
		}
		i := slices.IndexFunc(askers, p.to.Equal)
		if i < 0 {
			i = len(askers)
			askers = append(askers, p.to)
			replies = append(replies, &messages.CommitReply{Header: &messages.Header{}})
		}
		replies[i].Outcomes = append(replies[i].Outcomes, &messages.CommitOutcome{
			Proposal: p.id, Result: o.Result, Index: o.Index, Dropped: o.Dropped,
		})
		if len(replies[i].Outcomes) == maxReplyItems {
			ctx.Send(p.to, replies[i])
			replies[i] = &messages.CommitReply{Header: &messages.Header{}}
		}
	}
	for i, to := range askers {
		if len(replies[i].Outcomes) > 0 {
			ctx.Send(to, replies[i])
		}
	}
}

// onCapacity takes a worker's word of its disk; what was granted before it counts
// no more, because by now it has arrived or was given up.
func (c *Coordinator) onCapacity(ctx *runtime.Context, m *messages.CapacityReport) {
	old := c.space[m.Node]
	c.space[m.Node] = &space{report: m, at: ctx.Now()}
	ctx.Send(ctx.Runtime().Local(c.cfg.ForemanPath), m)
	c.steward.cleared(m.Node, ctx.Now())
	for _, open := range c.usable {
		for i := range open {
			if slices.Contains(c.grants[open[i].Volume].members, m.Node) {
				open[i].Outstanding = 0
			}
		}
	}
	// A newcomer is looked at with the next tick, unless something waits for it.
	if old == nil && (!c.ready || len(c.short) > 0) || old != nil && old.report.AcceptsWrites != m.AcceptsWrites {
		c.reconcile(ctx)
	}
	c.judgeReady(ctx)
}
