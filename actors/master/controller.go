package master

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/election"
	"tiercel/cluster/health"
	"tiercel/cluster/voters"
	"tiercel/messages"
)

// Controller hears heartbeats, judges health, ranks the candidates for the next
// master and looks after the voters. What it knows is soft, except the transitions.
type Controller struct {
	cfg     Config
	tracker *health.Tracker
	brake   health.Brake
	beats   map[string]*messages.Heartbeat // newest of each node
	heardAt map[string]time.Time

	cluster    *messages.ClusterRow
	nodes      []string // in order
	rows       []*messages.WorkerRow
	volumes    []*messages.VolumeRow
	log        *messages.DescribeLogReply
	conf       *raftpb.ConfState
	workers    []election.Candidate  // everybody, as of the newest look
	candidates []*messages.Candidate // those that vote, the best first
	logMembers []*messages.Peer      // voters and learners
	lookup     uint64                // number of the newest lookup
	full       []waiting
	describes  []masterQuestion
	installs   []installing
	lag        map[string]*messages.FollowerLag // of the workers whose copies are behind

	committer
	deciding  map[string]time.Time // transitions and registrations under way, by node
	greets    map[string]*greeting
	claims    map[string]*claimant // by node
	changing  time.Time            // of voters
	better    int                  // looks at which somebody was better by class
	restUntil time.Time            // no hand-over before
	handing   *handOver
	braking   time.Time // since when a change of the brake is under way
}

// greeting is a node that waits to be taken in.
type greeting struct {
	to *actor.PID
	m  *messages.Greet
}

// waiting is a question that waits for the next look at the catalog.
type waiting struct {
	to *actor.PID
	m  *messages.ListWorkers
}

// masterQuestion is a question about the master that waits for the same.
type masterQuestion struct {
	to *actor.PID
	m  *messages.DescribeMaster
}

// handOver is a lead on its way to another node.
type handOver struct {
	to    *actor.PID // nil: by our own decision
	m     *messages.PromoteWorker
	node  string
	since time.Time
}

type judgeDue struct{}

const (
	judgesPerInterval = 4
	decisionPatience  = 5 * time.Second
	maxGreets         = 1 << 14 // whoever does not fit greets again, which costs, too
	maxQuestions      = 1000
)

func newController(cfg Config) *Controller {
	return &Controller{
		cfg: cfg, beats: make(map[string]*messages.Heartbeat), heardAt: make(map[string]time.Time), conf: &raftpb.ConfState{},
		committer: newCommitter(cfg.CoordinatorPath), deciding: make(map[string]time.Time),
		greets: make(map[string]*greeting), claims: make(map[string]*claimant), brake: health.Brake{Share: cfg.BrakeShare, Window: health.DecommissionedAt * cfg.HeartbeatInterval},
	}
}

// Receive handles one message; each case is one line.
func (c *Controller) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *actor.Started:
		c.onStarted(ctx)
	case judgeDue:
		c.onJudgeDue(ctx)
	case *messages.Heartbeat:
		c.onHeartbeat(ctx, m)
	case *messages.Greet:
		c.onGreet(ctx, m)
	case *messages.IAmHere:
		c.onIAmHere(ctx, m)
	case claimDue:
		c.onClaimDue(ctx, m)
	case *messages.LookupReply:
		c.onLookup(ctx, m)
	case *messages.DescribeLogReply:
		c.onLog(ctx, m)
	case *messages.CommitReply:
		c.onOutcomes(ctx, m)
	case *messages.ChangeVotersReply:
		c.onVotersChanged(ctx, m)
	case *messages.TransferLeadershipReply:
		c.onTransferred(ctx, m)
	case *messages.ListWorkers:
		c.onListWorkers(ctx, m)
	case *messages.DescribeMaster:
		c.onDescribeMaster(ctx, m)
	case *messages.PromoteWorker:
		c.onPromote(ctx, m)
	case *messages.RemoveNode:
		c.onRemove(ctx, m)
	case *messages.ReleaseBrake:
		c.onReleaseBrake(ctx, m)
	case *messages.InstallLicense:
		c.onInstallLicense(ctx, m)
	case *messages.DescribeReplicationReply:
		c.lag = lagByNode(m)
	}
}

func (c *Controller) onStarted(ctx *runtime.Context) {
	c.begin(ctx)
	c.tracker = health.NewTracker(c.cfg.HeartbeatInterval, ctx.Now())
	c.onJudgeDue(ctx)
}

// judgeEvery is a part of the interval, so that a transition is seen in time.
func (c *Controller) judgeEvery() time.Duration {
	return min(c.cfg.HeartbeatInterval/judgesPerInterval, time.Second)
}

// onJudgeDue looks at the catalog and the log; heartbeats that have arrived by now
// lie before the answers in the mailbox, and are heard first.
func (c *Controller) onJudgeDue(ctx *runtime.Context) {
	ctx.After(c.judgeEvery(), judgeDue{})
	c.look(ctx, len(c.full) > 0)
	ctx.Request(ctx.Runtime().Local(c.cfg.LogPath), &messages.DescribeLog{Header: &messages.Header{}})
}

func (c *Controller) look(ctx *runtime.Context, full bool) {
	c.lookup++
	ctx.Request(ctx.Runtime().Local(c.cfg.CatalogPath), &messages.Lookup{
		Header: &messages.Header{Request: c.lookup}, Items: []*messages.LookupItem{{Kind: &messages.LookupItem_Status{
			Status: &messages.ClusterStatus{OpenVolumesOnly: !full},
		}}},
	})
}

func (c *Controller) onLookup(ctx *runtime.Context, m *messages.LookupReply) {
	if m.Header.GetRequest() != c.lookup || len(m.Answers) != 1 || m.Answers[0].GetStatus() == nil {
		return
	}
	s := m.Answers[0].GetStatus()
	c.cluster, c.nodes, c.rows, c.volumes = s.Cluster, s.WorkerNodes, s.Workers, s.Volumes
	now := ctx.Now()
	c.sweep(now)
	for i, node := range c.nodes {
		c.tracker.Follow(node, c.rows[i].State, now)
		if heard, ok := c.heardAt[node]; ok && c.tracker.LastHeard(node).IsZero() {
			c.tracker.Heard(node, heard) // it spoke before its row was read
		}
	}
	c.rank()
	if c.started() {
		c.judge(ctx, now)
		c.judgeBrake(ctx, now)
		c.judgeVoters(ctx)
		c.judgeHandOver(ctx, now)
		c.judgeLicense(ctx, now)
		c.install(ctx)
	}
	if c.log != nil {
		c.answerLists(ctx) // with the roles
		if c.started() {
			c.answerDescribes(ctx)
		}
	}
}

func (c *Controller) onLog(_ *runtime.Context, m *messages.DescribeLogReply) {
	conf := &raftpb.ConfState{}
	if err := proto.Unmarshal(m.ConfState, conf); err != nil {
		return // it comes from this node's own encoder
	}
	c.log, c.conf = m, conf
}

// judge proposes the transitions of workers' states.
func (c *Controller) judge(ctx *runtime.Context, now time.Time) {
	for _, t := range c.tracker.Tick(now) {
		if t.Node == string(ctx.Runtime().Node()) && t.To != messages.WorkerState_HEALTHY {
			continue // whoever judges lives
		}
		if c.underDecision(t.Node, now) {
			continue
		}
		c.deciding[t.Node] = now
		node := t.Node
		ctx.Log().Warn("a worker changes its state", "worker", node, "from", t.From.String(), "to", t.To.String(), "missed", t.Missed, "cause", t.Cause)
		c.commit(ctx, &messages.Command{Kind: &messages.Command_ChangeWorkerState{ChangeWorkerState: &messages.ChangeWorkerState{
			Node: node, From: t.From, To: t.To, Missed: uint32(t.Missed), Cause: t.Cause,
		}}}, func(ctx *runtime.Context, o *messages.CommitOutcome) {
			delete(c.deciding, node)
			logged(ctx, "change a worker's state", o)
		})
	}
}

func (c *Controller) underDecision(node string, now time.Time) bool {
	since, ok := c.deciding[node]
	return ok && now.Sub(since) < decisionPatience
}

// judgeBrake engages the storm brake when many go missing at once, and releases it
// when they are back.
func (c *Controller) judgeBrake(ctx *runtime.Context, now time.Time) {
	var missing []string
	n, bytes := 0, uint64(0)
	for i, node := range c.nodes {
		switch c.rows[i].State {
		case messages.WorkerState_LEFT:
			continue
		case messages.WorkerState_HEALTHY:
		case messages.WorkerState_DECOMMISSIONED:
			if !c.brake.Held {
				continue // evacuated before: neither one nor the other
			}
			fallthrough
		default:
			missing = append(missing, node)
			if t := c.rows[i].Transitions; len(t) > 0 {
				c.brake.Seed(node, time.UnixMilli(t[len(t)-1].AtUnixMs))
			}
			bytes += c.beats[node].GetCapacity().GetUsedBytes()
		}
		n++
	}
	c.brake.Held = c.cluster.GetBrake().GetEngaged()
	engaged, reason := c.brake.Judge(missing, n, now)
	if engaged == c.cluster.GetBrake().GetEngaged() || now.Sub(c.braking) < decisionPatience || c.cluster == nil {
		return
	}
	c.setBrake(ctx, &messages.StormBrake{Engaged: engaged, Reason: reason, WouldMoveBytes: bytes}, nil)
}

func (c *Controller) setBrake(ctx *runtime.Context, b *messages.StormBrake, then func(*runtime.Context, *messages.CommitOutcome)) {
	c.braking = ctx.Now()
	ctx.Log().Warn("the storm brake changes", "engaged", b.Engaged, "reason", b.Reason, "would_move_bytes", b.WouldMoveBytes)
	c.commit(ctx, &messages.Command{Kind: &messages.Command_SetStormBrake{SetStormBrake: &messages.SetStormBrake{Brake: b}}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) {
			c.braking = time.Time{}
			if logged(ctx, "set the storm brake", o); then != nil {
				then(ctx, o)
			}
		})
}

// rank orders the candidates for the next master: only who votes can be.
func (c *Controller) rank() {
	c.workers = c.asCandidates()
	c.candidates = election.Rank(slices.DeleteFunc(slices.Clone(c.workers), func(w election.Candidate) bool { return !w.Voter }))
	c.logMembers = c.logMembers[:0:0]
	for i, row := range c.rows {
		if c.holdsLog(row) {
			c.logMembers = append(c.logMembers, peerOf(c.nodes[i], row))
		}
	}
}

// holdsLog reports whether a worker votes or learns.
func (c *Controller) holdsLog(row *messages.WorkerRow) bool {
	id := row.GetRaftId()
	return slices.Contains(c.conf.Voters, id) || slices.Contains(c.conf.Learners, id)
}

// asCandidates is every worker as the ranking and the choice of voters see it.
func (c *Controller) asCandidates() []election.Candidate {
	out := make([]election.Candidate, 0, len(c.nodes))
	for i, node := range c.nodes {
		row, capacity := c.rows[i], c.beats[node].GetCapacity()
		if row.State == messages.WorkerState_LEFT && !c.holdsLog(row) {
			continue
		}
		out = append(out, election.Candidate{
			Node: node, RaftID: row.RaftId, State: row.State, Licensed: true, // who votes may lead, and goes on so when the licence ends
			Voter: slices.Contains(c.conf.Voters, row.RaftId), DiskType: row.DiskType,
			Free: capacity.GetFreeBytes(), Total: capacity.GetTotalBytes(),
		})
	}
	return out
}

// judgeVoters moves one step towards the right set of voters.
func (c *Controller) judgeVoters(ctx *runtime.Context) {
	if c.log == nil || !c.log.Leading || ctx.Now().Sub(c.changing) < c.judgeEvery()*2 {
		return
	}
	progress := make(map[uint64]*messages.LogProgress)
	for _, p := range c.log.Progress {
		progress[p.RaftId] = p
	}
	change := voters.Plan(voters.Input{
		Workers: c.workers, Voters: c.conf.Voters, Learners: c.conf.Learners, Joint: len(c.conf.VotersOutgoing) > 0,
		Self: c.cfg.RaftID, Failover: c.licensedFailover(), Progress: progress,
	})
	if change == nil {
		return
	}
	c.changing = ctx.Now()
	ctx.Request(ctx.Runtime().Local(c.cfg.LogPath), &messages.ChangeVoters{
		Header: &messages.Header{}, Voters: change.Voters, Learners: change.Learners, AllowFewer: change.AllowFewer, Cause: change.Cause,
	})
}

func (c *Controller) onVotersChanged(ctx *runtime.Context, m *messages.ChangeVotersReply) {
	if m.Error != nil {
		ctx.Log().Info("the voters could not be changed yet", "reason", m.Error.Message)
	}
}

// row of a worker, nil when the catalog has none.
func (c *Controller) row(node string) *messages.WorkerRow {
	if i, known := slices.BinarySearch(c.nodes, node); known {
		return c.rows[i]
	}
	return nil
}
