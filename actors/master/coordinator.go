package master

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/messages"
)

// Config is what the master tree is told by the node.
type Config struct {
	Term        uint64
	Worker      *messages.WorkerRow
	LogPath     string
	CatalogPath string
	WorkerPath  string
	GatewayPath string
	// Bootstrap is logged once, by the first master of a cluster.
	Bootstrap     *messages.Bootstrap
	VolumesOpen   int           // usable volumes per tier
	HashEvery     uint64        // entries between two logged state hashes, at least
	ReconcileTick time.Duration // the longest time between two looks at the volumes
}

// proposalPatience is how long a proposal may stay without an outcome before its
// memory is dropped here; whoever asked has its own, shorter patience.
const (
	proposalPatience = 2 * time.Minute
	maxProposals     = 1 << 17
)

// Coordinator is the actor through which every write begins and commits.
type Coordinator struct {
	cfg       Config
	proposals map[uint64]*proposal // by our number
	next      uint64

	cluster  *messages.ClusterRow
	capacity *messages.CapacityReport
	granted  uint64 // bytes granted since that report
	steward  steward
	usable   map[model.Tier][]placement.Open
	grants   map[uint64]grant // volume -> what a grant of it says
	ready    bool
	reason   string
}

// proposal remembers who asked for a command.
type proposal struct {
	to    *actor.PID
	id    uint64 // the asker's number
	since time.Time
	then  func(*runtime.Context, *messages.CommitOutcome) // the coordinator's own
}

type grant struct{ generation uint64 }

type housekeeping struct{}

func newCoordinator(cfg Config) *Coordinator {
	return &Coordinator{
		cfg: cfg, proposals: make(map[uint64]*proposal), reason: "the master has just started",
		usable: make(map[model.Tier][]placement.Open), grants: make(map[uint64]grant), steward: newSteward(),
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
		c.onApplied(ctx, m)
	case *messages.CapacityReport:
		c.onCapacity(ctx, m)
	case *messages.LookupReply:
		c.onLookup(ctx, m)
	case *messages.ReportVolumesReply:
		c.onReport(ctx, m)
	case *messages.OpenVolumeReply:
		c.onVolumeOpened(ctx, m)
	case *messages.FenceVolumeReply:
		c.onFenced(ctx, m)
	case *messages.VolumeStopped:
		c.onVolumeStopped(ctx, m)
	case housekeeping:
		c.onHousekeeping(ctx)
	case *messages.MasterReady:
		c.announce(ctx) // a gateway asks again
	}
}

func (c *Coordinator) onStarted(ctx *runtime.Context) {
	c.next = ctx.Rand() >> 16 << 16 // a restarted coordinator must not take an old outcome for its own
	ctx.After(c.cfg.ReconcileTick, housekeeping{})
	c.reconcile(ctx)
}

// onBegin grants each item a volume: the less loaded of the best two.
func (c *Coordinator) onBegin(ctx *runtime.Context, m *messages.Begin) {
	reply := &messages.BeginReply{Header: messages.ReplyHeader(m.Header), Grants: make([]*messages.BeginGrant, 0, len(m.Items))}
	for _, item := range m.Items {
		reply.Grants = append(reply.Grants, c.grant(ctx, item))
	}
	ctx.Reply(reply)
}

func (c *Coordinator) grant(ctx *runtime.Context, item *messages.BeginItem) *messages.BeginGrant {
	g := &messages.BeginGrant{Item: item.Item}
	open := c.usable[model.Tier(item.Tier)]
	i, ok := placement.Gather(open, int64(item.Bytes), item.Avoid)
	if !ok {
		i, ok = placement.Choose(open, int64(item.Bytes), item.Avoid, ctx.Rand())
	}
	if !ok {
		// The volumes to avoid are all there are: one of them may be back, reopened.
		i, ok = placement.Choose(open, int64(item.Bytes), nil, ctx.Rand())
	}
	switch {
	case c.capacity != nil && c.granted+item.Bytes > c.capacity.WritableBytes:
		g.Error = messages.FromError(model.Errorf(model.CodeClusterFull, "begin",
			"the disk is full up to its reserve (%d bytes free); delete files or add space", c.capacity.FreeBytes))
	case !ok:
		g.Error = messages.FromError(model.Errorf(model.CodeUnavailable, "begin",
			"no volume of tier %d takes writes at the moment; one is being opened", item.Tier))
	default:
		open[i].Outstanding += int64(item.Bytes)
		c.granted += item.Bytes
		g.Volume, g.Generation = open[i].Volume, c.grants[open[i].Volume].generation
		g.Primary = string(ctx.Runtime().Node())
		g.Members = []string{g.Primary}
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
	to, now := ctx.Sender(), ctx.Now()
	for _, cmd := range m.Commands {
		c.next++
		c.proposals[c.next] = &proposal{to: to, id: cmd.Proposal, since: now}
		c.arrived(cmd)
		own := messages.CopyCommand(cmd)
		own.Origin, own.Proposal = string(ctx.Runtime().Node()), c.next
		out.Commands = append(out.Commands, own)
	}
	ctx.Request(ctx.Runtime().Local(c.cfg.LogPath), out)
}

// arrived takes content that is about to be committed off its volume's load.
func (c *Coordinator) arrived(cmd *messages.Command) {
	for _, e := range append(cmd.GetPutFile().GetExtents(), cmd.GetStageExtents().GetExtents()...) {
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

func (c *Coordinator) onApplied(ctx *runtime.Context, m *messages.CommandsApplied) {
	c.deliver(ctx, m.Outcomes)
}

// deliver hands outcomes to whoever asked, one reply per asker.
func (c *Coordinator) deliver(ctx *runtime.Context, outcomes []*messages.CommitOutcome) {
	var replies []*messages.CommitReply
	var askers []*actor.PID
	for _, o := range outcomes {
		p, ok := c.proposals[o.Proposal]
		if !ok {
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
	}
	for i, to := range askers {
		ctx.Send(to, replies[i])
	}
}

func (c *Coordinator) onCapacity(ctx *runtime.Context, m *messages.CapacityReport) {
	changed := c.capacity == nil || c.capacity.AcceptsWrites != m.AcceptsWrites
	c.capacity, c.granted = m, 0
	for _, open := range c.usable {
		for i := range open {
			open[i].Outstanding = 0 // the report stands for what has arrived by now
		}
	}
	if changed {
		c.reconcile(ctx)
	}
	c.judgeReady(ctx)
	c.announce(ctx)
}

func (c *Coordinator) onHousekeeping(ctx *runtime.Context) {
	ctx.After(c.cfg.ReconcileTick, housekeeping{})
	old := ctx.Now().Add(-proposalPatience)
	for _, id := range slices.Collect(maps.Keys(c.proposals)) {
		if c.proposals[id].since.Before(old) {
			delete(c.proposals, id)
		}
	}
	c.reconcile(ctx)
}

// judgeReady says whether this master can serve: its own term is in the catalog
// and every tier has a usable volume, or cannot have one because the disk is full.
func (c *Coordinator) judgeReady(ctx *runtime.Context) {
	ready, reason := true, ""
	if c.cluster.GetTerm() != c.cfg.Term || c.cluster.GetMaster() != string(ctx.Runtime().Node()) {
		ready, reason = false, "the master's start is not in the log yet"
	}
	full := c.capacity != nil && !c.capacity.AcceptsWrites
	for _, tier := range model.Tiers {
		if ready && !full && len(c.usable[tier]) == 0 {
			ready, reason = c.ready, "no volume of the "+tier.Name()+" tier is open yet"
		}
	}
	if full {
		reason = "the disk is full up to its reserve; deletes and reads go on"
	}
	if ready == c.ready && reason == c.reason {
		return
	}
	c.ready, c.reason = ready, reason
	c.announce(ctx)
}

func (c *Coordinator) announce(ctx *runtime.Context) {
	m := &messages.MasterReady{
		Node: string(ctx.Runtime().Node()), EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term,
		Ready: c.ready, Reason: c.reason, Cluster: c.cluster,
	}
	if c.capacity != nil {
		m.Capacity = append(m.Capacity, c.capacity)
	}
	ctx.Request(ctx.Runtime().Local(c.cfg.GatewayPath), m)
}
