package member

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// saved is the result of keeping the peers' addresses.
type saved struct {
	addresses []string
	err       error
}

// silentIntervals without a master's word, and another is looked for.
const silentIntervals = 3

// serve is called every tick of a serving node.
func (m *Member) serve(ctx *runtime.Context) {
	now := ctx.Now()
	if m.silent(ctx) {
		if m.master.GetReady() {
			ctx.Send(ctx.Runtime().Local(m.cfg.GatewayPath), &messages.MasterReady{EpochTerm: m.master.EpochTerm, Reason: cmp.Or(m.why, "the master is silent")})
		}
		m.hunt(ctx)
	}
	if !now.Before(m.beatAt) {
		m.beat(ctx)
	}
	if addresses := m.addresses(); !m.saving && len(addresses) > 0 && !slices.Equal(addresses, m.saved) {
		m.saving = true
		update := m.cfg.UpdateNode
		ctx.Offload(func() any {
			return &saved{addresses: addresses, err: update(func(n *store.NodeFile) { n.Peers = addresses })}
		})
	}
}

// silent reports whether no master was heard for too long.
func (m *Member) silent(ctx *runtime.Context) bool {
	return ctx.Now().Sub(m.heard) >= silentIntervals*m.cfg.MasterInterval
}

func (m *Member) onSaved(ctx *runtime.Context, s *saved) {
	m.saving = false
	if s.err != nil {
		ctx.Log().Warn("the addresses of peers could not be kept; it is tried again", "error", s.err)
		return
	}
	m.saved = s.addresses
}

// hunt asks a few nodes, in turn, who is master.
func (m *Member) hunt(ctx *runtime.Context) {
	ctx.Request(ctx.Runtime().Local(m.cfg.CoordinatorPath), m.question())
	nodes := slices.Sorted(maps.Keys(m.peers))
	for range min(3, len(nodes)) {
		node := nodes[m.hunted%len(nodes)]
		m.hunted++
		ctx.Request(ctx.Runtime().Peer(model.NodeID(node), m.cfg.Path), m.greet(ctx))
		ctx.Request(ctx.Runtime().Peer(model.NodeID(node), m.cfg.CoordinatorPath), m.question())
	}
	m.greetUnmet(ctx)
}

// greetUnmet greets, in turn, where this node was told to ask and has met nobody: the
// greeting at the start, or its answer, may have been lost, and whoever is there may be
// the only one who knows a master.
func (m *Member) greetUnmet(ctx *runtime.Context) {
	met := m.addresses()
	unmet := slices.DeleteFunc(slices.Concat(m.asked, m.hints), func(address string) bool { return slices.Contains(met, address) })
	if len(unmet) > 0 {
		ctx.Request(ctx.Runtime().PeerAt(unmet[m.regreeted%len(unmet)], m.cfg.Path), m.greet(ctx))
		m.regreeted++
	}
}

// maxHints bounds what discovery may tell; a few are enough to find the rest.
const maxHints = 64

// onDiscovered takes over where discovery saw nodes. Whoever hears a master asks nobody;
// for the others all that they remember may be out of date.
func (m *Member) onDiscovered(ctx *runtime.Context, d *messages.DiscoveredPeers) {
	own := ctx.Runtime().Address()
	m.hints = m.hints[:0]
	for _, address := range d.Addresses {
		if address != own && len(m.hints) < maxHints {
			m.hints = append(m.hints, address)
		}
	}
	if m.phase != serving || m.silent(ctx) {
		m.greetAll(ctx)
	}
}

// Bounds of an interval that a master may ask for.
const (
	minBeatEvery = 10 * time.Millisecond
	maxBeatEvery = 10 * time.Minute
)

// beatEvery is the time between two heartbeats: the master's, who counts those that are
// missing in intervals of its own.
func (m *Member) beatEvery() time.Duration {
	if m.wanted > 0 {
		return m.wanted
	}
	return m.cfg.HeartbeatInterval
}

// keepInterval follows the master's interval. A node that is set to another one would be
// missed by it, or miss others when it leads itself.
func (m *Member) keepInterval(ctx *runtime.Context, wanted time.Duration) {
	if wanted < minBeatEvery || wanted > maxBeatEvery || wanted == m.beatEvery() {
		return
	}
	if wanted != m.cfg.HeartbeatInterval {
		ctx.Log().Warn("the master wants heartbeats at another interval than this node is set to; it gets them. Set heartbeat_interval alike on all nodes",
			"master", wanted, "own", m.cfg.HeartbeatInterval)
	}
	m.wanted = wanted
	if next := ctx.Now().Add(wanted); next.Before(m.beatAt) {
		m.beatAt = next
	}
}

// beat sends one heartbeat and measures the way to a few peers.
func (m *Member) beat(ctx *runtime.Context) {
	now := ctx.Now()
	m.beatAt = now.Add(m.beatEvery())
	m.ping(ctx)
	if m.master == nil {
		return
	}
	m.beats++
	id := m.cfg.Identity()
	beat := &messages.Heartbeat{
		Header: &messages.Header{}, Node: string(ctx.Runtime().Node()), Incarnation: ctx.Runtime().Incarnation(), Boot: m.cfg.Boot,
		Address: ctx.Runtime().Address(), Capacity: m.capacity, Worker: m.worker(ctx, &id), Sequence: m.beats, ClusterId: string(id.ClusterID),
	}
	for _, node := range slices.Sorted(maps.Keys(m.peers)) {
		if p := m.peers[node]; p.latency > 0 && len(beat.Latency) < 64 {
			beat.Latency = append(beat.Latency, &messages.PeerLatency{Node: node, Micros: p.latency.Microseconds()})
		}
	}
	ctx.Request(ctx.Runtime().Peer(model.NodeID(m.master.Node), m.cfg.ControllerPath), beat)
}

func (m *Member) ping(ctx *runtime.Context) {
	nodes := slices.Sorted(maps.Keys(m.peers))
	for range min(pingsPerBeat, len(nodes)) {
		node := nodes[m.pinged%len(nodes)]
		m.pinged++
		p := m.peers[node]
		p.ping, p.pingAt = ctx.Rand(), ctx.Now()
		ctx.Request(ctx.Runtime().Peer(model.NodeID(node), m.cfg.Path), &messages.AreYouThere{Header: &messages.Header{Request: p.ping}})
	}
}

// onMasterReady takes a master's word over, if no newer one is known; an empty one
// is a question of our own gateway.
func (m *Member) onMasterReady(ctx *runtime.Context, r *messages.MasterReady) {
	if r.Node == "" && r.Reason == "" {
		if m.master != nil && m.phase == serving {
			ctx.Reply(m.master)
		}
		return
	}
	if r.Node == "" { // our log: nobody leads
		m.why = r.Reason
		ctx.Send(ctx.Runtime().Local(m.cfg.GatewayPath), r)
		return
	}
	epoch := model.Epoch{Generation: r.EpochGeneration, Term: r.EpochTerm}
	if epoch.Less(m.epoch()) || clusterOf(r) == string(m.cfg.Identity().ClusterID) && m.newer(ctx, r.EpochGeneration, r.Node) {
		return
	}
	fresh := m.master == nil || m.epoch().Less(epoch) || m.master.Node != r.Node
	m.master, m.heard, m.why = r, ctx.Now(), ""
	if r.Address != "" {
		m.meet(ctx, r.Node, r.Address, 0, 0)
	}
	m.learn(ctx, r)
	m.passSettings(ctx, r.Cluster)
	ctx.Send(ctx.Runtime().Local(m.cfg.GatewayPath), r)
	if fresh && m.phase == serving {
		m.beat(ctx)
	}
}

// onHeartbeatAck learns how the master ranks the candidates; an error is the end.
func (m *Member) onHeartbeatAck(ctx *runtime.Context, a *messages.HeartbeatAck) {
	if err := a.Error.Err("heartbeat"); err != nil {
		if code := model.CodeOf(err); code == model.CodeConflict {
			ctx.Runtime().Halt(err)
		}
		return
	}
	m.meetAll(ctx, a.Peers)
	m.keepInterval(ctx, time.Duration(a.IntervalMs)*time.Millisecond)
	if len(a.Candidates) > 0 {
		ctx.Send(ctx.Runtime().Local(m.cfg.LogPath), &messages.CandidateRanks{
			Candidates: a.Candidates, EpochGeneration: a.EpochGeneration, EpochTerm: a.EpochTerm,
		})
	}
}
