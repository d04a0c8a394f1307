package member

import (
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/health"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// taken is the result of making a cluster's id durable.
type taken struct {
	cluster string
	err     error
}

func (m *Member) onStarted(ctx *runtime.Context) {
	id := m.cfg.Identity()
	m.began, m.saved = ctx.Now(), id.Peers
	own := ctx.Runtime().Address()
	for _, address := range slices.Concat(m.cfg.Join, id.Peers) {
		if address != "" && address != own && !slices.Contains(m.asked, address) {
			m.asked = append(m.asked, address)
		}
	}
	switch {
	case id.StaleAt != 0:
		ctx.Runtime().Halt(stale(&id))
		return
	case id.SupersededBy != 0:
		ctx.Runtime().Halt(superseded(id.SupersededBy, "another node"))
		return
	case id.ClusterID == "" && len(m.asked) == 0 && !m.cfg.Discovers:
		ctx.Runtime().Halt(model.Errorf(model.CodeInvalidArgument, "join", "this node was made to join a cluster and knows no node of it; name one with --join"))
		return
	}
	ctx.After(m.tickEvery(), tick{})
	m.greetAll(ctx)
	m.comeIn(ctx)
}

func (m *Member) greet(ctx *runtime.Context) *messages.Greet {
	id := m.cfg.Identity()
	return &messages.Greet{
		Header: &messages.Header{}, ClusterId: string(id.ClusterID), Node: string(ctx.Runtime().Node()), Incarnation: ctx.Runtime().Incarnation(),
		Address: ctx.Runtime().Address(), RaftId: id.RaftID, MaxClusterVersion: m.cfg.MaxClusterVersion, Generation: id.Generation,
		Boot: m.cfg.Boot, Worker: m.worker(ctx, &id), Roster: m.places.known,
	}
}

// worker is this worker's row as it should stand in the catalog.
func (m *Member) worker(ctx *runtime.Context, id *store.NodeFile) *messages.WorkerRow {
	w := m.cfg.Worker
	return &messages.WorkerRow{
		Address: ctx.Runtime().Address(), DiskType: w.DiskType, Dc: w.Dc, Rack: w.Rack, Host: w.Host, Version: w.Version,
		Incarnation: ctx.Runtime().Incarnation(), RaftId: id.RaftID, MaxClusterVersion: m.cfg.MaxClusterVersion,
	}
}

func (m *Member) greetAll(ctx *runtime.Context) {
	for _, address := range slices.Concat(m.asked, m.hints) {
		ctx.Request(ctx.Runtime().PeerAt(address, m.cfg.Path), m.greet(ctx))
	}
	if m.phase == joining && m.master.GetAddress() != "" {
		ctx.Request(ctx.Runtime().PeerAt(m.master.Address, m.cfg.ControllerPath), m.greet(ctx))
	}
}

// comeIn goes on when everybody has answered or was waited for long enough. A node
// that has a cluster starts even if nobody answers: all of them may be starting.
func (m *Member) comeIn(ctx *runtime.Context) {
	now := ctx.Now()
	if m.phase == joining {
		if now.Sub(m.began) >= greetAgain {
			m.began = now
			m.greetAll(ctx)
		}
		return
	}
	if m.adopting != 0 {
		return
	}
	waited := now.Sub(m.began) >= greetPatience || !m.first.IsZero() && now.Sub(m.first) >= greetLinger
	if !waited && len(m.answered) < len(m.asked) || len(m.checks) > 0 {
		return
	}
	if m.cfg.Identity().ClusterID == "" {
		m.phase, m.began = joining, time.Time{}
		return
	}
	m.admitted(ctx)
}

func (m *Member) admitted(ctx *runtime.Context) {
	if m.phase == serving {
		return
	}
	m.phase = serving
	m.heard = ctx.Now()
	ctx.Send(ctx.Runtime().Local(m.cfg.NodePath), &messages.Admitted{})
}

// onGreetReply learns from who was there before, and ends this process when it may
// not take part.
func (m *Member) onGreetReply(ctx *runtime.Context, r *messages.GreetReply) {
	if err := r.Error.Err("join"); err != nil {
		m.refused(ctx, r, err)
		return
	}
	if r.ClusterId == string(m.cfg.Identity().ClusterID) && m.newer(ctx, r.Generation, r.Node) {
		return
	}
	m.meet(ctx, r.Node, r.Address, r.Incarnation, 0)
	m.meetAll(ctx, r.Peers)
	m.caughtUp(ctx, r)
	m.follow(ctx, r)
	if m.first.IsZero() {
		m.first = ctx.Now()
	}
	m.answered[r.Address] = true
	if m.phase != serving && m.cfg.Identity().ClusterID == "" && r.Accepted && r.ClusterId != "" {
		m.takeIn(ctx, r)
		return
	}
	if m.phase == joining && r.Master != "" {
		// Whoever is master registers newcomers.
		ctx.Request(ctx.Runtime().Peer(model.NodeID(r.Master), m.cfg.ControllerPath), m.greet(ctx))
	}
}

// stranger reports whether an answer comes from a node of another cluster that has
// moved into an address which was remembered or discovered. Where the operator sent
// this node, a foreign cluster is an error.
func (m *Member) stranger(r *messages.GreetReply) bool {
	id := m.cfg.Identity()
	return id.ClusterID != "" && r.ClusterId != "" && r.ClusterId != string(id.ClusterID) && !slices.Contains(m.cfg.Join, r.Address) &&
		(slices.Contains(m.hints, r.Address) || slices.Contains(id.Peers, r.Address))
}

// refused ends the process for what time does not mend.
func (m *Member) refused(ctx *runtime.Context, r *messages.GreetReply, err error) {
	if m.stranger(r) {
		ctx.Log().Warn("a node of another cluster was met at a discovered or remembered address; it is left alone", "address", r.Address, "cluster", r.ClusterId)
		m.answered[r.Address] = true
		return
	}
	if n, _ := strconv.ParseUint(r.Error.GetDetails()[health.StartedTimes], 10, 64); n > 0 {
		m.noteStale(ctx, n, err)
		return
	}
	switch model.CodeOf(err) {
	case model.CodeConflict, model.CodeInvalidArgument, model.CodeStaleEpoch, model.CodeLicenseDenied:
		ctx.Runtime().Halt(err)
	default:
		ctx.Log().Warn("not taken in yet", "by", r.Node, "error", err)
	}
}

// follow takes over who the other believes to be master, if that is newer.
func (m *Member) follow(ctx *runtime.Context, r *messages.GreetReply) {
	epoch := model.Epoch{Generation: r.EpochGeneration, Term: r.EpochTerm}
	if r.Master == "" || epoch.Less(m.epoch()) || m.master != nil && m.master.Ready && epoch == m.epoch() {
		return
	}
	address := ""
	if p := m.peers[r.Master]; p != nil {
		address = p.address
	}
	if m.phase == serving {
		// Its own word counts; this only says whom to ask.
		ctx.Request(ctx.Runtime().Peer(model.NodeID(r.Master), m.cfg.CoordinatorPath), m.question())
		return
	}
	m.master = &messages.MasterReady{Node: r.Master, Address: address, EpochGeneration: r.EpochGeneration, EpochTerm: r.EpochTerm}
}

// takeIn makes the cluster's id durable before this node takes part.
func (m *Member) takeIn(ctx *runtime.Context, r *messages.GreetReply) {
	update, addresses := m.cfg.UpdateNode, m.addresses()
	ctx.Offload(func() any {
		return &taken{cluster: r.ClusterId, err: update(func(n *store.NodeFile) {
			if n.ClusterID == "" {
				n.ClusterID, n.Generation, n.Peers = model.ClusterID(r.ClusterId), max(n.Generation, r.Generation), addresses
			}
		})}
	})
}

func (m *Member) onTaken(ctx *runtime.Context, t *taken) {
	if t.err != nil {
		ctx.Runtime().Halt(t.err)
		return
	}
	ctx.Log().Info("joined the cluster", "cluster", t.cluster)
	m.admitted(ctx)
}

// addresses of all known peers, in order.
func (m *Member) addresses() []string {
	var out []string
	for _, node := range m.someNodes(store.MaxPeerHints) {
		if p := m.peers[node]; p != nil && p.address != "" {
			out = append(out, p.address)
		}
	}
	return out
}

// check is a newcomer under an identity that is known elsewhere: the old place is
// asked before it is let in.
type check struct {
	from  *actor.PID
	greet *messages.Greet
}

type checkDue struct{ number uint64 }

// checkPatience bounds the wait for the old place to answer.
const checkPatience = 200 * time.Millisecond

// onGreet judges another node's start.
func (m *Member) onGreet(ctx *runtime.Context, g *messages.Greet) {
	if err := m.judge(ctx, g); err != nil {
		ctx.Reply(m.greetReply(ctx, g, err))
		return
	}
	p := m.peers[g.Node]
	if p != nil && p.address != "" && p.address != g.Address && (p.boot == 0 || p.boot != g.Boot) {
		number := ctx.Rand() | 1
		m.checks[number] = &check{from: ctx.Sender(), greet: g}
		ctx.Request(ctx.Runtime().PeerAt(p.address, m.cfg.Path), &messages.AreYouThere{Header: &messages.Header{Request: number}})
		ctx.After(checkPatience, checkDue{number})
		return
	}
	m.welcome(ctx, ctx.Sender(), g)
}

// judge refuses what cannot take part; nil: it may.
func (m *Member) judge(ctx *runtime.Context, g *messages.Greet) error {
	const op = "join"
	id, p := m.cfg.Identity(), m.peers[g.Node]
	switch {
	case g.Node == "" || g.Address == "":
		return model.Errorf(model.CodeInvalidArgument, op, "a node must say its id and its address")
	case g.Node == string(ctx.Runtime().Node()) && g.Boot != m.cfg.Boot:
		return model.Errorf(model.CodeConflict, op, "the node id %s is in use at %s: the data directory was copied; start with an empty one", g.Node, ctx.Runtime().Address())
	case g.ClusterId != "" && id.ClusterID != "" && g.ClusterId != string(id.ClusterID):
		return model.Errorf(model.CodeConflict, op, "%s belongs to cluster %s, and %s to cluster %s; a node cannot change clusters, start it with an empty data directory",
			g.Node, g.ClusterId, ctx.Runtime().Node(), id.ClusterID)
	case p != nil && g.Incarnation < p.incarnation || p != nil && g.Incarnation == p.incarnation && p.boot != 0 && p.boot != g.Boot:
		return model.Errorf(model.CodeConflict, op, "%s was started %d times already, this directory only %d times: it is a copy or an old backup; start with an empty one",
			g.Node, p.incarnation, g.Incarnation).With(health.StartedTimes, strconv.FormatUint(p.incarnation, 10))
	}
	return nil
}

func (m *Member) welcome(ctx *runtime.Context, to *actor.PID, g *messages.Greet) {
	// The boot is noted for those of this cluster only: a newcomer is met when the
	// master has taken it in.
	if p := m.meet(ctx, g.Node, g.Address, g.Incarnation, g.RaftId); p != nil {
		p.boot, p.heard = g.Boot, ctx.Now()
	}
	ctx.Send(to, m.greetReply(ctx, g, nil))
}

func (m *Member) greetReply(ctx *runtime.Context, g *messages.Greet, err error) *messages.GreetReply {
	id := m.cfg.Identity()
	r := &messages.GreetReply{
		Header: messages.ReplyHeader(g.Header), Error: messages.FromError(err), ClusterId: string(id.ClusterID), Generation: id.Generation, Fork: id.Fork,
		Node: string(ctx.Runtime().Node()), Address: ctx.Runtime().Address(), Incarnation: ctx.Runtime().Incarnation(),
		Master: m.master.GetNode(), EpochGeneration: m.master.GetEpochGeneration(), EpochTerm: m.master.GetEpochTerm(),
	}
	r.Peers, r.Roster = m.tellPeers(g)
	return r
}

func (m *Member) onAreYouThere(ctx *runtime.Context, a *messages.AreYouThere) {
	ctx.Reply(&messages.IAmHere{
		Header: messages.ReplyHeader(a.Header), Node: string(ctx.Runtime().Node()), Incarnation: ctx.Runtime().Incarnation(), Boot: m.cfg.Boot,
	})
}

// onIAmHere ends a check, or measures the way to a peer.
func (m *Member) onIAmHere(ctx *runtime.Context, i *messages.IAmHere) {
	number := i.Header.GetRequest()
	if c := m.checks[number]; c != nil {
		delete(m.checks, number)
		if i.Node == c.greet.Node && i.Boot != c.greet.Boot {
			ctx.Send(c.from, m.greetReply(ctx, c.greet, model.Errorf(model.CodeConflict, "join",
				"the node id %s is in use at %s: the data directory was copied; start with an empty one", i.Node, m.peers[i.Node].address)))
			return
		}
		m.welcome(ctx, c.from, c.greet)
		return
	}
	if p := m.peers[i.Node]; p != nil && p.ping == number {
		p.latency, p.ping, p.heard = ctx.Now().Sub(p.pingAt), 0, ctx.Now()
	}
}

func (m *Member) onCheckDue(ctx *runtime.Context, d checkDue) {
	if c := m.checks[d.number]; c != nil {
		delete(m.checks, d.number)
		m.welcome(ctx, c.from, c.greet)
	}
}
