package master

import (
	"math"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// judgeReady says whether this master can serve: its own term is in the catalog
// and every tier has a usable volume, or cannot have one for a reason that is told
// to whoever writes there.
func (c *Coordinator) judgeReady(ctx *runtime.Context) {
	ready, reason := true, ""
	if c.cluster.GetTerm() != c.cfg.Term || c.cluster.GetMaster() != string(ctx.Runtime().Node()) {
		ready, reason = false, "the master's start is not in the log yet"
	}
	full := c.allFull()
	for _, tier := range model.Tiers {
		if ready && !full && len(c.usable[tier]) == 0 && c.short[tier] == "" {
			ready, reason = c.ready, "no volume of the "+tier.Name()+" tier is open yet"
		}
	}
	for _, tier := range model.Tiers {
		if ready && reason == "" && len(c.usable[tier]) == 0 && c.short[tier] != "" {
			reason = c.short[tier]
		}
	}
	if full {
		reason = "every disk is full " + c.fullUpTo() + "; reads and deletes go on"
	}
	if ready == c.ready && reason == c.reason {
		return
	}
	c.ready, c.reason = ready, reason
	c.announce(ctx)
}

// word is what this master says of itself to somebody who knows all changes of peers
// up to an index, with at most so many of them.
func (c *Coordinator) word(ctx *runtime.Context, after uint64, limit int) *messages.MasterReady {
	m := &messages.MasterReady{
		Node: string(ctx.Runtime().Node()), EpochGeneration: c.cluster.GetGeneration(), EpochTerm: c.cfg.Term,
		Ready: c.ready, Reason: c.reason, Cluster: c.cluster, Address: ctx.Runtime().Address(),
	}
	m.Capacity, m.Roster, m.RosterAfter = c.capacity(), c.roster.Newest(), after
	m.Silent, m.SilentWorkers = c.silent(ctx.Now())
	var upTo uint64
	if m.Peers, upTo = c.roster.After(after, limit); upTo < m.Roster {
		m.Peers, m.RosterAfter = nil, m.Roster // too much for one word: other members know it
	}
	return m
}

// silentFor is how long a worker that tells of its disk every second may say nothing.
const silentFor = 5 * time.Second

// maxWarned workers of a sum are named as beyond the warning share, and as failing.
const maxWarned = 16

// capacity sums what the workers said of their disks, by type and by whether they
// take new content.
func (c *Coordinator) capacity() []*messages.CapacityReport {
	type kind struct {
		diskType string
		accepts  bool
	}
	sums := make(map[kind]*messages.CapacityReport)
	var out []*messages.CapacityReport
	for i, node := range c.nodes {
		s := c.space[node]
		if s == nil || c.rows[i].State == messages.WorkerState_LEFT {
			continue
		}
		k := kind{s.report.DiskType, s.report.AcceptsWrites}
		sum := sums[k]
		if sum == nil {
			sum = &messages.CapacityReport{DiskType: k.diskType, AcceptsWrites: k.accepts}
			sums[k] = sum
			out = append(out, sum)
		}
		sum.TotalBytes += s.report.TotalBytes
		sum.UsedBytes += s.report.UsedBytes
		sum.FreeBytes += s.report.FreeBytes
		sum.WritableBytes += s.report.WritableBytes
		sum.Volumes += s.report.Volumes
		full := !s.report.AcceptsWrites && s.report.Failing == ""
		if full && len(sum.FullDisks) < maxWarned {
			sum.FullDisks = append(sum.FullDisks, node)
		}
		if warn := c.cluster.GetSettings().GetWarnUsedShare(); warn > 0 && !full && s.report.TotalBytes > 0 && len(sum.BeyondWarning) < maxWarned &&
			1-float64(s.report.FreeBytes)/float64(s.report.TotalBytes) >= warn {
			sum.BeyondWarning = append(sum.BeyondWarning, node)
		}
		if s.report.Failing != "" && len(sum.FailingDisks) < maxWarned {
			sum.FailingDisks = append(sum.FailingDisks, node+" ("+s.report.Failing+")")
		}
	}
	return out
}

// silent names workers that have not told of their disk for long, as far as this master
// has been there to hear them: each tells every second, so it is known of them long before
// they have missed heartbeats enough to change their state.
func (c *Coordinator) silent(now time.Time) (named []string, count uint32) {
	if now.Sub(c.since) < silentFor {
		return nil, 0
	}
	for i, node := range c.nodes {
		if c.rows[i].State == messages.WorkerState_LEFT || c.space[node] != nil && now.Sub(c.space[node].at) < silentFor {
			continue
		}
		if count++; len(named) < maxWarned {
			named = append(named, node)
		}
	}
	return named, count
}

// announce tells the member of every node, this one first.
func (c *Coordinator) announce(ctx *runtime.Context) {
	m := c.word(ctx, c.told[0], maxWordPeers)
	own := m
	if m.RosterAfter != c.told[0] {
		own = c.word(ctx, c.told[0], math.MaxInt) // on this node it costs nothing, and somebody must know
	}
	ctx.Request(ctx.Runtime().Local(c.cfg.MemberPath), own)
	for _, p := range c.roster.All() {
		if p.Node != m.Node {
			ctx.Request(ctx.Runtime().Peer(model.NodeID(p.Node), c.cfg.MemberPath), m)
		}
	}
}

func (c *Coordinator) onAnnounceDue(ctx *runtime.Context) {
	ctx.After(c.cfg.MasterInterval, announceDue{})
	copy(c.told[:], c.told[1:])
	c.told[len(c.told)-1] = c.roster.Newest()
	c.announce(ctx)
}

// onAsked answers a member that looks for the master.
func (c *Coordinator) onAsked(ctx *runtime.Context, m *messages.MasterReady) {
	from := ctx.Sender()
	if from == nil {
		return
	}
	limit := maxWordPeers
	if from.Address == ctx.Self().Address {
		limit = math.MaxInt
	}
	ctx.Request(actor.NewPID(from.Address, c.cfg.MemberPath), c.word(ctx, m.Roster, limit))
}

// known reports whether a node is a worker that has not left.
func (c *Coordinator) known(node string) bool {
	i, found := slices.BinarySearch(c.nodes, node)
	return found && c.rows[i].State != messages.WorkerState_LEFT
}
