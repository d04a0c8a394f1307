package master

import (
	"context"
	"log/slog"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/cluster/volumes"
	"tiercel/messages"
)

// steward keeps the volumes usable: look at the catalog and at the worker, let
// volumes.Plan compare, do what it says, look again. It is driven by levels, not
// edges: whatever was lost on the way is found at the next look.
type steward struct {
	again    bool // something changed during a look
	rows     []*messages.VolumeRow
	hashedAt uint64 // index of the newest state hash that was logged
	fresh    map[uint64]bool
	// What is under way, each with its beginning: the answer may be lost with a
	// restarted actor, so none of them is waited for longer than actionPatience.
	looking  time.Time
	starting time.Time
	working  map[uint64]time.Time
	creating map[model.Tier]time.Time
}

// actionPatience bounds the wait for one step; repeating a step is harmless.
const actionPatience = 10 * time.Second

func newSteward() steward {
	return steward{fresh: make(map[uint64]bool), working: make(map[uint64]time.Time), creating: make(map[model.Tier]time.Time)}
}

// reconcile begins a look, or notes that another is wanted after this one.
func (c *Coordinator) reconcile(ctx *runtime.Context) {
	if c.underWay(ctx, c.steward.looking) {
		c.steward.again = true
		return
	}
	c.steward.looking = ctx.Now()
	ctx.Request(ctx.Runtime().Local(c.cfg.CatalogPath), &messages.Lookup{
		Header: &messages.Header{}, Items: []*messages.LookupItem{{Kind: &messages.LookupItem_Status{Status: &messages.ClusterStatus{}}}},
	})
}

func (c *Coordinator) underWay(ctx *runtime.Context, since time.Time) bool {
	return !since.IsZero() && ctx.Now().Sub(since) < actionPatience
}

func (c *Coordinator) onLookup(ctx *runtime.Context, m *messages.LookupReply) {
	if len(m.Answers) != 1 || m.Answers[0].GetStatus() == nil {
		return
	}
	status := m.Answers[0].GetStatus()
	c.cluster, c.steward.rows = status.Cluster, status.Volumes
	c.logStateHash(ctx, status)
	if c.introduce(ctx) {
		c.steward.looking = time.Time{}
		return
	}
	ctx.Request(ctx.Runtime().Local(c.cfg.WorkerPath), &messages.ReportVolumes{Header: &messages.Header{}})
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
// of a new cluster, this worker, and the start of this master.
func (c *Coordinator) introduce(ctx *runtime.Context) (busy bool) {
	node := string(ctx.Runtime().Node())
	if c.underWay(ctx, c.steward.starting) {
		return true
	}
	done := func(ctx *runtime.Context, o *messages.CommitOutcome) {
		c.steward.starting = time.Time{}
		if o.Dropped {
			return // the log takes nothing now; the next tick tries again
		}
		if err := o.Result.Err("start master"); err != nil && model.CodeOf(err) != model.CodeConflict {
			ctx.Log().Warn("the start of this master was refused", "error", err)
			return // a newer master exists; the log will tell
		}
		c.reconcile(ctx)
	}
	var cmd *messages.Command
	switch {
	case c.cluster.GetClusterId() == "":
		cmd = &messages.Command{Kind: &messages.Command_Bootstrap{Bootstrap: c.cfg.Bootstrap}}
	case c.cluster.GetTerm() != c.cfg.Term || c.cluster.GetMaster() != node:
		c.propose(ctx, &messages.Command{Kind: &messages.Command_RegisterWorker{
			RegisterWorker: &messages.RegisterWorker{Node: node, Worker: c.cfg.Worker},
		}}, func(*runtime.Context, *messages.CommitOutcome) {})
		cmd = &messages.Command{Kind: &messages.Command_MasterStarted{
			MasterStarted: &messages.MasterStarted{Node: node, Term: c.cfg.Term},
		}}
	default:
		return false
	}
	c.steward.starting = ctx.Now()
	c.propose(ctx, cmd, done)
	return true
}

func (c *Coordinator) onReport(ctx *runtime.Context, m *messages.ReportVolumesReply) {
	c.steward.looking = time.Time{}
	if m.Capacity != nil && c.capacity == nil {
		c.capacity = m.Capacity
	}
	usable, actions := volumes.Plan(volumes.Input{
		Node: m.Node, Rows: c.steward.rows, Reports: m.Volumes, Fresh: c.steward.fresh,
		PerTier: c.cfg.VolumesOpen, Accepts: c.capacity == nil || c.capacity.AcceptsWrites,
	})
	c.setUsable(ctx, usable)
	for i := range actions {
		c.act(ctx, &actions[i])
	}
	c.judgeReady(ctx)
	if c.steward.again {
		c.steward.again = false
		c.reconcile(ctx)
	}
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
		if c.underWay(ctx, c.steward.working[u.Volume]) {
			continue
		}
		c.usable[u.Tier] = append(c.usable[u.Tier], placement.Open{
			Volume: u.Volume, Tier: u.Tier, Outstanding: load[u.Volume], End: int64(u.End),
		})
		c.grants[u.Volume] = grant{generation: u.Generation}
	}
}

// act starts one action unless the same volume or tier is being worked on.
func (c *Coordinator) act(ctx *runtime.Context, a *volumes.Action) {
	if a.Kind == volumes.Create {
		c.create(ctx, a.Tier)
		return
	}
	if c.underWay(ctx, c.steward.working[a.Volume]) {
		return
	}
	c.steward.working[a.Volume] = ctx.Now()
	switch a.Kind {
	case volumes.Open:
		delete(c.steward.fresh, a.Volume)
		c.openOnWorker(ctx, a.Volume, a.Tier, a.Generation, a.ReplicaGen, a.Start)
	case volumes.Reopen:
		c.reopen(ctx, a)
	case volumes.Seal:
		level := slog.LevelWarn
		if a.Cause == volumes.CauseFull {
			level = slog.LevelDebug
		}
		ctx.Log().Log(context.Background(), level, "a volume is being sealed", "volume", a.Volume, "cause", a.Cause)
		if !a.Survivor {
			c.logSeal(ctx, &messages.SealVolume{Volume: a.Volume, Generation: a.Generation, Cause: a.Cause})
			return
		}
		ctx.Request(ctx.Runtime().Local(c.cfg.WorkerPath), &messages.FenceVolume{
			Header: &messages.Header{}, Volume: a.Volume, Generation: a.Generation,
		})
	}
}

func (c *Coordinator) create(ctx *runtime.Context, tier model.Tier) {
	if c.underWay(ctx, c.steward.creating[tier]) {
		return
	}
	c.steward.creating[tier] = ctx.Now()
	cmd := &messages.CreateVolume{Tier: uint32(tier), Members: []string{string(ctx.Runtime().Node())}, Decision: "the only worker"}
	c.propose(ctx, &messages.Command{Kind: &messages.Command_CreateVolume{CreateVolume: cmd}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) {
			delete(c.steward.creating, tier)
			if logged(ctx, "create volume", o) {
				c.steward.fresh[o.Result.Id] = true
				c.reconcile(ctx)
			}
		})
}

func (c *Coordinator) reopen(ctx *runtime.Context, a *volumes.Action) {
	cmd := &messages.ReopenVolume{Volume: a.Volume, Generation: a.Generation, RecoveredEnd: a.Recovered}
	c.propose(ctx, &messages.Command{Kind: &messages.Command_ReopenVolume{ReopenVolume: cmd}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) {
			// Should there be no file, the next look may make one at this generation.
			c.steward.fresh[a.Volume] = !o.Dropped && o.Result.GetCode() == ""
			c.settled(ctx, a.Volume, o)
		})
}

func (c *Coordinator) openOnWorker(ctx *runtime.Context, volume uint64, tier model.Tier, generation, replicaGen, start uint64) {
	ctx.Request(ctx.Runtime().Local(c.cfg.WorkerPath), &messages.OpenVolume{
		Header: &messages.Header{}, Volume: volume, Tier: uint32(tier), Generation: generation, ReplicaGen: replicaGen, Start: start,
	})
}

func (c *Coordinator) onVolumeOpened(ctx *runtime.Context, m *messages.OpenVolumeReply) {
	if m.Error != nil {
		ctx.Log().Error("a volume could not be opened", "volume", m.Volume, "code", m.Error.Code, "error", m.Error.Message)
		delete(c.steward.working, m.Volume)
		return // the next look, a tick later, tries again
	}
	c.done(ctx, m.Volume)
}

func (c *Coordinator) onFenced(ctx *runtime.Context, m *messages.FenceVolumeReply) {
	seal := &messages.SealVolume{
		Volume: m.Volume, Generation: m.Generation, SurvivorEnd: m.Watermark, Digest: m.Digest, Cause: "fenced by the master",
	}
	if m.Error != nil {
		ctx.Log().Error("a volume could not be fenced; it is sealed where the catalog stands", "volume", m.Volume, "error", m.Error.Message)
		seal.SurvivorEnd, seal.Digest = 0, nil
	}
	c.logSeal(ctx, seal)
}

func (c *Coordinator) logSeal(ctx *runtime.Context, seal *messages.SealVolume) {
	c.propose(ctx, &messages.Command{Kind: &messages.Command_SealVolume{SealVolume: seal}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) { c.settled(ctx, seal.Volume, o) })
}

func (c *Coordinator) onVolumeStopped(ctx *runtime.Context, m *messages.VolumeStopped) {
	for _, tier := range model.Tiers {
		kept := c.usable[tier][:0]
		for _, o := range c.usable[tier] {
			if o.Volume != m.Volume {
				kept = append(kept, o)
			}
		}
		c.usable[tier] = kept
	}
	c.reconcile(ctx)
}

// settled ends a step that went through the log. What was done wants another look
// at once, what was refused only at the next tick: repeating it changes nothing.
func (c *Coordinator) settled(ctx *runtime.Context, volume uint64, o *messages.CommitOutcome) {
	if logged(ctx, "change volume", o) {
		c.done(ctx, volume)
		return
	}
	delete(c.steward.working, volume)
}

// logged reports whether a command took effect, and says so when it was refused.
func logged(ctx *runtime.Context, what string, o *messages.CommitOutcome) bool {
	if err := o.Result.Err(what); err != nil {
		ctx.Log().Error("a command of the master was refused", "error", err)
		return false
	}
	return !o.Dropped
}

func (c *Coordinator) done(ctx *runtime.Context, volume uint64) {
	delete(c.steward.working, volume)
	c.reconcile(ctx)
}
