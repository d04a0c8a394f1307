package master

import (
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/cluster/volumes"
	"tiercel/messages"
)

// steward keeps the volumes usable: look at the catalog and at the workers, let
// volumes.Plan compare, do what it says, look again. It is driven by levels, not
// edges: whatever was lost on the way is found at the next look.
type steward struct {
	look     *look
	number   uint64
	again    bool   // something changed during a look
	hashedAt uint64 // index of the newest state hash that was logged
	fresh    map[uint64]bool
	silent   map[string]bool // did not answer the last look: not waited for
	suspects map[string]suspicion
	// What is under way, each with its beginning: the answer may be lost with a
	// restarted actor, so none of them is waited for longer than actionPatience.
	starting time.Time
	creating map[model.Tier]map[uint64]time.Time
	steps    map[uint64]*step
	finished map[uint64]ended // steps that ended during the look under way, by volume
	widened  time.Time        // a volume was given up for one with more copies
	last     *look            // the newest that was finished
	// replicaGens are those of open volumes' members, from the newest look.
	replicaGens map[memberKey]uint64
}

// look is one round: the catalog's open rows, then the reports of the workers that
// hold something and of those that have not been heard lately.
type look struct {
	number   uint64
	since    time.Time
	rows     []*messages.VolumeRow
	most     bool // most workers have answered
	expected map[string]bool
	reports  map[string]map[uint64]*messages.VolumeReport
	heard    map[string]bool // by its report of its disk: not asked, for it holds nothing that matters
}

// ended is a step that is over.
type ended struct {
	look uint64 // during which
	kind volumes.Kind
}

// suspicion keeps a worker from new placements for a while (DESIGN "Suspicion").
type suspicion struct {
	since  time.Time
	reason string
}

const (
	// actionPatience bounds the wait for one step; repeating a step is harmless.
	actionPatience = 10 * time.Second
	// lookPatience bounds the wait for workers that do not answer.
	lookPatience = 300 * time.Millisecond
	// lookLinger is what is left for the others once most have answered.
	lookLinger = 100 * time.Millisecond
	// suspectFor is the least time of a suspicion; then the next report ends it.
	suspectFor = 3 * time.Second
	// widenEvery lets the workers of a forming cluster come in before volumes are given up
	// for ones with more copies.
	widenEvery = 5 * time.Second
	// heardTicks is how long a worker's report of its disk says that it is there: a
	// worker reports once a tick.
	heardTicks = 2
)

type lookDue struct{ number uint64 }

func newSteward() steward {
	return steward{
		fresh: make(map[uint64]bool), silent: make(map[string]bool), suspects: make(map[string]suspicion),
		creating: make(map[model.Tier]map[uint64]time.Time), steps: make(map[uint64]*step), finished: make(map[uint64]ended),
	}
}

// cleared ends a suspicion when its worker is heard of again.
func (s *steward) cleared(node string, now time.Time) {
	if x, ok := s.suspects[node]; ok && now.Sub(x.since) >= suspectFor {
		delete(s.suspects, node)
	}
}

func (c *Coordinator) suspect(ctx *runtime.Context, node, reason string) {
	if node == "" || !c.known(node) {
		return
	}
	if _, already := c.steward.suspects[node]; !already {
		ctx.Log().Warn("a worker is suspected and gets no new volumes for now", "worker", node, "reason", reason)
	}
	c.steward.suspects[node] = suspicion{since: ctx.Now(), reason: reason}
}

// reconcile begins a look, or notes that another is wanted after this one.
func (c *Coordinator) reconcile(ctx *runtime.Context) {
	s := &c.steward
	if s.look != nil && c.underWay(ctx, s.look.since) {
		s.again = true
		return
	}
	s.number++
	clear(s.finished)
	s.look = &look{number: s.number, since: ctx.Now()}
	ctx.Request(ctx.Runtime().Local(c.cfg.CatalogPath), &messages.Lookup{
		Header: &messages.Header{Request: s.number}, Items: []*messages.LookupItem{{Kind: &messages.LookupItem_Status{
			Status: &messages.ClusterStatus{OpenVolumesOnly: true},
		}}},
	})
}

func (c *Coordinator) underWay(ctx *runtime.Context, since time.Time) bool {
	return !since.IsZero() && ctx.Now().Sub(since) < actionPatience
}

func (c *Coordinator) onLookup(ctx *runtime.Context, m *messages.LookupReply) {
	s := &c.steward
	if len(m.Answers) == 1 && m.Answers[0].GetQuotaStand() != nil {
		c.onQuotaStand(ctx, m.Header.GetRequest(), m.Answers[0].GetQuotaStand())
		return
	}
	if s.look == nil || m.Header.GetRequest() != s.look.number || len(m.Answers) != 1 || m.Answers[0].GetStatus() == nil {
		return
	}
	status := m.Answers[0].GetStatus()
	c.cluster, c.nodes, c.rows = status.Cluster, status.WorkerNodes, status.Workers
	c.newest = max(c.newest, status.Applied)
	c.enroll()
	c.logStateHash(ctx, status)
	if c.introduce(ctx) {
		s.look = nil
		return
	}
	c.learnLimits(ctx)
	s.look.rows = status.Volumes
	s.replicaGens = make(map[memberKey]uint64)
	c.askWorkers(ctx)
}

// askWorkers asks those whose word is needed. A new master has heard nobody, and asks all.
func (c *Coordinator) askWorkers(ctx *runtime.Context) {
	s := &c.steward
	s.look.expected, s.look.reports, s.look.heard = make(map[string]bool), make(map[string]map[uint64]*messages.VolumeReport), make(map[string]bool)
	ask := &messages.ReportVolumes{Header: c.header()}
	ask.Header.Request = s.look.number
	for _, row := range s.look.rows {
		if row.State == messages.VolumeState_OPEN {
			ask.Volumes = append(ask.Volumes, row.Id)
			for _, m := range row.Members {
				s.replicaGens[memberKey{row.Id, m.Node}] = m.ReplicaGen
			}
		}
	}
	if len(ask.Volumes) == 0 {
		ask.Volumes = []uint64{0} // no volume has this id: only the capacity is wanted
	}
	holders, asked := volumes.Holders(s.look.rows), 0
	for i, node := range c.nodes {
		if c.rows[i].State == messages.WorkerState_LEFT {
			continue
		}
		if !holders[node] && c.heardLately(ctx, node) {
			s.look.heard[node] = true
			continue
		}
		if !s.silent[node] {
			s.look.expected[node] = true
		}
		asked++
		ctx.Request(ctx.Runtime().Peer(model.NodeID(node), c.cfg.WorkerPath), ask)
	}
	if asked == 0 {
		c.finishLook(ctx)
		return
	}
	ctx.After(lookPatience, lookDue{s.look.number})
}

// heardLately reports whether a worker has told of its disk within the last ticks.
func (c *Coordinator) heardLately(ctx *runtime.Context, node string) bool {
	s := c.space[node]
	return s != nil && ctx.Now().Sub(s.at) < heardTicks*c.cfg.ReconcileTick
}

// logStateHash puts the hash of the state into the log now and then. Whoever
// applies the entry compares: other voters, and this node when it replays.
func (c *Coordinator) logStateHash(ctx *runtime.Context, status *messages.ClusterStatusReply) {
	if status.Applied < c.steward.hashedAt+c.cfg.HashEvery {
		return
	}
	c.steward.hashedAt = status.Applied
	c.propose(ctx, &messages.Command{Kind: &messages.Command_CheckStateHash{
		CheckStateHash: &messages.CheckStateHash{AtIndex: status.Applied, Hash: status.StateHash},
	}}, func(*runtime.Context, *messages.CommitOutcome) {})
}

// introduce logs what must be in the catalog before anything else: the defaults
// of a new cluster, a raised generation, this worker, and the start of this master.
func (c *Coordinator) introduce(ctx *runtime.Context) (busy bool) {
	if c.underWay(ctx, c.steward.starting) {
		return true
	}
	node := string(ctx.Runtime().Node())
	var cmd *messages.Command
	switch {
	case c.cluster == nil:
		cmd = &messages.Command{Kind: &messages.Command_Bootstrap{Bootstrap: c.cfg.Bootstrap}}
	case c.cluster.Generation < c.cfg.Generation:
		cmd = &messages.Command{Kind: &messages.Command_RaiseGeneration{
			RaiseGeneration: &messages.RaiseGeneration{Generation: c.cfg.Generation, Fork: c.cfg.Fork, Node: node, Superseded: c.cfg.Superseded},
		}}
	case c.cluster.Term != c.cfg.Term || c.cluster.Master != node:
		c.propose(ctx, &messages.Command{Kind: &messages.Command_RegisterWorker{
			RegisterWorker: &messages.RegisterWorker{Node: node, Worker: c.cfg.Worker},
		}}, func(*runtime.Context, *messages.CommitOutcome) {})
		cmd = &messages.Command{Kind: &messages.Command_MasterStarted{
			MasterStarted: &messages.MasterStarted{Node: node, Term: c.cfg.Term, Generation: c.cluster.Generation},
		}}
	default:
		return false
	}
	c.steward.starting = ctx.Now()
	c.propose(ctx, cmd, func(ctx *runtime.Context, o *messages.CommitOutcome) {
		c.steward.starting = time.Time{}
		if o.Dropped {
			return // the log takes nothing now; the next tick tries again
		}
		if err := o.Result.Err("start master"); err != nil && model.CodeOf(err) != model.CodeConflict {
			ctx.Log().Warn("the start of this master was refused", "error", err)
			return // a newer master exists; the log will tell
		}
		c.reconcile(ctx)
	})
	return true
}

func (c *Coordinator) onReport(ctx *runtime.Context, m *messages.ReportVolumesReply) {
	s := &c.steward
	if m.Error != nil {
		ctx.Log().Warn("a worker did not report", "worker", m.Node, "error", m.Error.Message)
		return
	}
	delete(s.silent, m.Node)
	if m.Capacity != nil && c.space[m.Node] == nil {
		c.space[m.Node] = &space{report: m.Capacity, at: ctx.Now()}
	}
	if s.look == nil || s.look.reports == nil || m.Header.GetRequest() != s.look.number {
		return
	}
	reports := make(map[uint64]*messages.VolumeReport, len(m.Volumes))
	for _, r := range m.Volumes {
		reports[r.Volume] = r
	}
	s.look.reports[m.Node] = reports
	delete(s.look.expected, m.Node)
	switch answered := len(s.look.reports); {
	case len(s.look.expected) == 0:
		c.finishLook(ctx)
	case !s.look.most && answered > len(s.look.expected):
		// Most have answered: the rest should be near, or is not there.
		s.look.most = true
		ctx.After(lookLinger, lookDue{s.look.number})
	}
}

// onLookDue goes on without those that did not answer.
func (c *Coordinator) onLookDue(ctx *runtime.Context, m lookDue) {
	s := &c.steward
	if s.look == nil || s.look.number != m.number || s.look.reports == nil {
		return
	}
	for node := range s.look.expected {
		s.silent[node] = true
	}
	c.finishLook(ctx)
}

// finishLook compares and acts.
func (c *Coordinator) finishLook(ctx *runtime.Context) {
	s := &c.steward
	l := s.look
	s.look = nil
	usable, actions, short := volumes.Plan(volumes.Input{
		Rows: l.rows, Workers: c.workers(l), Fresh: s.fresh, Opening: c.opening(ctx, l), Widen: ctx.Now().Sub(s.widened) >= widenEvery, PerTier: c.cfg.VolumesOpen,
		ReplicationFactor: int(c.cluster.GetReplicationFactor()), Tiers: c.cluster.GetTiers(), Coming: c.coming(ctx), Single: singles(c.cluster), Weights: weightsOf(c.cluster.GetSettings()),
	})
	s.last = l
	c.short = short
	c.setUsable(ctx, usable)
	for i := range actions {
		if actions[i].Cause == volumes.CauseMoreCopies {
			s.widened = ctx.Now()
		}
		c.act(ctx, &actions[i])
	}
	c.tellLag(ctx, l)
	c.judgeReady(ctx)
	if s.again {
		s.again = false
		c.reconcile(ctx)
	}
}

// workers is what Plan looks at, in the catalog's order.
func (c *Coordinator) workers(l *look) []volumes.Worker {
	out := make([]volumes.Worker, 0, len(c.nodes))
	for i, node := range c.nodes {
		w := volumes.Worker{Worker: c.candidate(i, node), Reports: l.reports[node]}
		w.Reached = l.reports[node] != nil || l.heard[node]
		out = append(out, w)
	}
	return out
}

// candidate is a worker as placement judges it.
func (c *Coordinator) candidate(i int, node string) placement.Worker {
	w := candidate(node, c.rows[i], c.space[node], c.cluster)
	w.Suspect = c.steward.suspects[node].reason
	w.Latency, w.HasLatency = c.latency[node]
	return w
}

// opening are the volumes of which this look cannot know yet how they are.
func (c *Coordinator) opening(ctx *runtime.Context, l *look) map[uint64]bool {
	out := make(map[uint64]bool)
	for volume, step := range c.steward.steps {
		if step.action.Kind != volumes.Seal && c.underWay(ctx, step.since) {
			out[volume] = true
		}
	}
	for volume, e := range c.steward.finished {
		if e.look == l.number && e.kind != volumes.Seal {
			out[volume] = true
		}
	}
	return out
}

// coming counts the volumes whose creation is in the log's hands.
func (c *Coordinator) coming(ctx *runtime.Context) map[model.Tier]int {
	out := make(map[model.Tier]int)
	for tier, creating := range c.steward.creating {
		for _, since := range creating {
			if c.underWay(ctx, since) {
				out[tier]++
			}
		}
	}
	return out
}

// setUsable takes over the new set, keeping the load of volumes that stay.
func (c *Coordinator) setUsable(ctx *runtime.Context, usable []volumes.Usable) {
	load := make(map[uint64]int64)
	for _, tier := range model.Tiers {
		for _, o := range c.usable[tier] {
			load[o.Volume] = o.Outstanding
		}
	}
	clear(c.usable)
	clear(c.grants)
	for _, u := range usable {
		if c.steward.steps[u.Volume] != nil {
			continue
		}
		c.usable[u.Tier] = append(c.usable[u.Tier], placement.Open{
			Volume: u.Volume, Tier: u.Tier, Outstanding: load[u.Volume], End: int64(u.End),
		})
		c.grants[u.Volume] = grant{generation: u.Generation, members: u.Members}
	}
}

// memberKey names one copy.
type memberKey struct {
	volume uint64
	node   string
}
