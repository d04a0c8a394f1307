package master

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/volumes"
	"tiercel/messages"
)

// step is one volume being opened or sealed.
type step struct {
	action  volumes.Action
	since   time.Time
	waiting []string // members that have not answered
	primary bool     // opening: the followers are open, the primary is asked
	fenced  []*messages.FenceVolumeReply
	logging bool // sealing: the log has it
}

// Patience with members: an opening that takes longer is given up, a seal goes on
// without those that are silent, once anybody has answered.
const (
	openPatience  = 2 * time.Second
	fencePatience = 500 * time.Millisecond
	fenceGiveUp   = 10 * time.Second
)

type stepDue struct{ volume uint64 }

// act starts one action unless the same volume is being worked on.
func (c *Coordinator) act(ctx *runtime.Context, a *volumes.Action) {
	if a.Kind == volumes.Create {
		c.create(ctx, a)
		return
	}
	if c.steward.finished[a.Volume].look == c.steward.number {
		return // it was worked on during this look, which saw it as it was before
	}
	if s := c.steward.steps[a.Volume]; s != nil {
		if c.underWay(ctx, s.since) {
			return
		}
		delete(c.steward.steps, a.Volume)
	}
	s := &step{action: *a, since: ctx.Now()}
	c.steward.steps[a.Volume] = s
	switch a.Kind {
	case volumes.Open:
		delete(c.steward.fresh, a.Volume)
		c.open(ctx, s)
	case volumes.Reopen:
		c.reopen(ctx, a)
	case volumes.Seal:
		c.seal(ctx, s)
	}
}

func (c *Coordinator) create(ctx *runtime.Context, a *volumes.Action) {
	tier := a.Tier
	if c.steward.creating[tier] == nil {
		c.steward.creating[tier] = make(map[uint64]time.Time)
	}
	number := ctx.Rand()
	c.steward.creating[tier][number] = ctx.Now()
	cmd := &messages.CreateVolume{Tier: uint32(tier), Members: a.Members, Decision: a.Cause}
	c.propose(ctx, &messages.Command{Kind: &messages.Command_CreateVolume{CreateVolume: cmd}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) {
			delete(c.steward.creating[tier], number)
			if logged(ctx, "create volume", o) {
				c.steward.fresh[o.Result.Id] = true
				c.reconcile(ctx)
			}
		})
}

// open tells the followers first: a primary that is open has somebody to write to.
func (c *Coordinator) open(ctx *runtime.Context, s *step) {
	s.waiting = slices.Clone(s.action.Members[1:])
	if len(s.waiting) == 0 {
		c.openPrimary(ctx, s)
	} else {
		for _, node := range s.waiting {
			c.openOn(ctx, s, node)
		}
	}
	ctx.After(openPatience, stepDue{s.action.Volume})
}

func (c *Coordinator) openPrimary(ctx *runtime.Context, s *step) {
	s.primary, s.waiting = true, s.action.Members[:1]
	c.openOn(ctx, s, s.action.Members[0])
}

func (c *Coordinator) openOn(ctx *runtime.Context, s *step, node string) {
	a := &s.action
	m := &messages.OpenVolume{
		Header: c.header(), Volume: a.Volume, Tier: uint32(a.Tier), Generation: a.Generation, Start: a.Start, Members: a.Members,
	}
	m.ReplicaGen = c.replicaGen(a.Volume, node)
	ctx.Request(ctx.Runtime().Peer(model.NodeID(node), c.cfg.WorkerPath), m)
}

// replicaGen is that of a member, from the newest look.
func (c *Coordinator) replicaGen(volume uint64, node string) uint64 {
	return c.steward.replicaGens[memberKey{volume, node}]
}

func (c *Coordinator) reopen(ctx *runtime.Context, a *volumes.Action) {
	volume := a.Volume
	cmd := &messages.ReopenVolume{Volume: volume, Generation: a.Generation, RecoveredEnd: a.Recovered}
	c.propose(ctx, &messages.Command{Kind: &messages.Command_ReopenVolume{ReopenVolume: cmd}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) {
			// Should there be no file, the next look may make one at this generation.
			c.steward.fresh[volume] = !o.Dropped && o.Result.GetCode() == ""
			c.settled(ctx, volume, o)
		})
}

func (c *Coordinator) onVolumeOpened(ctx *runtime.Context, m *messages.OpenVolumeReply) {
	s := c.steward.steps[m.Volume]
	if s == nil || s.action.Kind != volumes.Open || s.action.Generation != m.Generation && m.Error == nil {
		return
	}
	if m.Error != nil {
		ctx.Log().Error("a volume could not be opened", "volume", m.Volume, "worker", m.Node, "code", m.Error.Code, "error", m.Error.Message)
		c.suspect(ctx, m.Node, "it could not open a volume")
		c.opened(ctx, m.Volume) // the next look judges what there is
		return
	}
	s.waiting = slices.DeleteFunc(slices.Clone(s.waiting), func(n string) bool { return n == m.Node })
	switch {
	case len(s.waiting) > 0:
	case !s.primary:
		c.openPrimary(ctx, s)
	default:
		c.opened(ctx, m.Volume)
	}
}

func (c *Coordinator) opened(ctx *runtime.Context, volume uint64) {
	c.finished(volume)
	c.reconcile(ctx)
}

// seal fences who can be reached, or logs the seal at once when nobody can.
func (c *Coordinator) seal(ctx *runtime.Context, s *step) {
	a := &s.action
	level := slog.LevelWarn
	if a.Cause == volumes.CauseFull {
		level = slog.LevelDebug
	}
	ctx.Log().Log(context.Background(), level, "a volume is being sealed", "volume", a.Volume, "cause", a.Cause)
	c.withdraw(a.Volume)
	s.waiting = slices.Clone(a.Reachable)
	if len(s.waiting) == 0 {
		c.logSeal(ctx, s)
		return
	}
	for _, node := range s.waiting {
		ctx.Request(ctx.Runtime().Peer(model.NodeID(node), c.cfg.WorkerPath), &messages.FenceVolume{
			Header: c.header(), Volume: a.Volume, Generation: a.Generation,
		})
	}
	ctx.After(fencePatience, stepDue{a.Volume})
}

// withdraw takes a volume out of what is granted.
func (c *Coordinator) withdraw(volume uint64) {
	for _, tier := range model.Tiers {
		kept := c.usable[tier][:0]
		for _, o := range c.usable[tier] {
			if o.Volume != volume {
				kept = append(kept, o)
			}
		}
		c.usable[tier] = kept
	}
}

func (c *Coordinator) onFenced(ctx *runtime.Context, m *messages.FenceVolumeReply) {
	s := c.steward.steps[m.Volume]
	if s == nil || s.action.Kind != volumes.Seal || s.action.Generation != m.Generation || s.logging {
		return
	}
	if m.Error != nil {
		ctx.Log().Error("a copy could not be fenced", "volume", m.Volume, "worker", m.Node, "error", m.Error.Message)
	} else {
		s.fenced = append(s.fenced, m)
	}
	s.waiting = slices.DeleteFunc(slices.Clone(s.waiting), func(n string) bool { return n == m.Node })
	if len(s.waiting) == 0 {
		c.logSeal(ctx, s)
	}
}

// onStepDue goes on without members that are silent.
func (c *Coordinator) onStepDue(ctx *runtime.Context, m stepDue) {
	s := c.steward.steps[m.volume]
	if s == nil || s.logging || len(s.waiting) == 0 {
		return
	}
	age := ctx.Now().Sub(s.since)
	switch {
	case s.action.Kind == volumes.Open && age >= openPatience:
		for _, node := range s.waiting {
			c.suspect(ctx, node, "it did not open a volume in time")
		}
		c.opened(ctx, m.volume)
	case s.action.Kind == volumes.Seal && (len(s.fenced) > 0 && age >= fencePatience || age >= fenceGiveUp):
		if len(s.fenced) == 0 {
			delete(c.steward.steps, m.volume) // the next look sees who is there
			c.reconcile(ctx)
			return
		}
		c.logSeal(ctx, s)
	default:
		ctx.After(fencePatience, stepDue{m.volume})
	}
}

// logSeal ends a volume at its longest intact fenced copy; the catalog sees to it
// that this is never below what was committed.
func (c *Coordinator) logSeal(ctx *runtime.Context, s *step) {
	s.logging = true
	seal := &messages.SealVolume{Volume: s.action.Volume, Generation: s.action.Generation, Cause: s.action.Cause}
	for _, f := range s.fenced {
		if f.Watermark > seal.SurvivorEnd || len(seal.Digest) == 0 {
			seal.SurvivorEnd, seal.Digest = f.Watermark, f.Digest
		}
	}
	for _, f := range s.fenced {
		seal.Fenced = append(seal.Fenced, &messages.FencedCopy{Node: f.Node, End: f.Watermark})
		if f.Watermark == seal.SurvivorEnd && bytes.Equal(f.Digest, seal.Digest) {
			seal.Intact = append(seal.Intact, f.Node)
		}
	}
	slices.Sort(seal.Intact)
	c.propose(ctx, &messages.Command{Kind: &messages.Command_SealVolume{SealVolume: seal}},
		func(ctx *runtime.Context, o *messages.CommitOutcome) {
			c.settled(ctx, seal.Volume, o)
		})
}

func (c *Coordinator) onVolumeStopped(ctx *runtime.Context, m *messages.VolumeStopped) {
	c.withdraw(m.Volume)
	if s := c.steward.steps[m.Volume]; s != nil && s.action.Kind == volumes.Seal {
		return // this is our own doing: its copies are being fenced
	}
	if !m.Full {
		c.suspect(ctx, m.Suspect, m.Cause)
	}
	c.reconcile(ctx)
}

// finished ends a step. A look that is under way began before that.
func (c *Coordinator) finished(volume uint64) {
	step := c.steward.steps[volume]
	delete(c.steward.steps, volume)
	if c.steward.look != nil && step != nil {
		c.steward.finished[volume] = ended{look: c.steward.look.number, kind: step.action.Kind}
	}
}

// settled ends a step that went through the log. What was done wants another look
// at once, what was refused only at the next tick: repeating it changes nothing.
func (c *Coordinator) settled(ctx *runtime.Context, volume uint64, o *messages.CommitOutcome) {
	c.finished(volume)
	if logged(ctx, "change volume", o) {
		c.reconcile(ctx)
	}
}

// logged reports whether a command took effect, and says so when it was refused.
func logged(ctx *runtime.Context, what string, o *messages.CommitOutcome) bool {
	if err := o.Result.Err(what); err != nil {
		ctx.Log().Error("a command of the master was refused", "error", err)
		return false
	}
	return !o.Dropped
}
