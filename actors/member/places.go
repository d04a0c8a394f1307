package member

import (
	"maps"
	"slices"
	"time"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/roster"
	"tiercel/messages"
)

// places is what this node knows of who is where, and how it catches up: the master's
// word says up to which change of the log there is something to know, and other
// members tell what was missed, so that the master need not tell everybody everything.
type places struct {
	roster     roster.Roster
	known      uint64 // every change up to this one has been taken over
	newest     uint64 // that there is
	generation uint64 // to whose log the indexes belong
	asking     uint64 // number of the question that is under way, 0: none
	askedAt    time.Time
	fruitless  int // questions in a row that brought nothing
}

// When many change at once nobody but the master knows it, so now and then somebody
// must ask there: one question in masterShare, and whoever has asked in vain so often.
const (
	masterShare  = 16
	maxFruitless = 8
)

// greetPage bounds the peers of one answer to a greeting.
const greetPage = 1000

// learn takes over what a master's word says about peers.
func (m *Member) learn(ctx *runtime.Context, r *messages.MasterReady) {
	if m.places.generation != r.EpochGeneration {
		m.places = places{generation: r.EpochGeneration} // another log has other indexes
	}
	p := &m.places
	m.meetAll(ctx, r.Peers)
	p.newest = max(p.newest, r.Roster)
	if r.RosterAfter <= p.known && r.Roster > p.known {
		p.known, p.fruitless = r.Roster, 0
	}
	m.catchUp(ctx)
}

// catchUp asks some other member for what was missed, one at a time.
func (m *Member) catchUp(ctx *runtime.Context) {
	p := &m.places
	if p.known >= p.newest || p.asking != 0 && ctx.Now().Sub(p.askedAt) < m.cfg.MasterInterval {
		return
	}
	p.fruitless++
	if m.master.GetNode() == string(ctx.Runtime().Node()) {
		p.asking, p.askedAt = 0, ctx.Now()
		ctx.Request(ctx.Runtime().Local(m.cfg.CoordinatorPath), m.question())
		return
	}
	m.askPeers(ctx, m.teller(ctx))
}

// askPeers asks a node's member.
func (m *Member) askPeers(ctx *runtime.Context, node string) {
	p := &m.places
	p.asking, p.askedAt = ctx.Rand()|1, ctx.Now()
	g := m.greet(ctx)
	g.Header.Request = p.asking
	ctx.Request(ctx.Runtime().Peer(model.NodeID(node), m.cfg.Path), g)
}

// teller is a member to ask: any, but the master seldom.
func (m *Member) teller(ctx *runtime.Context) string {
	master := m.master.GetNode()
	if p := &m.places; p.fruitless > maxFruitless || p.fruitless > 1 && ctx.Rand()%masterShare == 0 {
		return master
	}
	known := m.places.roster.All()
	for range min(8, len(known)) {
		if node := known[ctx.Rand()%uint64(len(known))].Node; node != master && m.peers[node] != nil {
			return node
		}
	}
	for _, node := range m.someNodes(len(m.peers)) {
		if node != master && m.peers[node] != nil {
			return node
		}
	}
	return master
}

// caughtUp takes over an answer to catchUp, and asks on while there is more.
func (m *Member) caughtUp(ctx *runtime.Context, r *messages.GreetReply) {
	p := &m.places
	if p.asking == 0 || r.Header.GetRequest() != p.asking {
		return
	}
	if r.Roster <= p.known {
		return // it knows no more; another is asked after the next word
	}
	p.asking, p.known, p.fruitless = 0, r.Roster, 0
	if p.known < p.newest {
		m.askPeers(ctx, r.Node) // it may know more
	}
}

// tellPeers answers a greeting with what changed after what the other knows, a page
// at a time, and up to where it is whole.
func (m *Member) tellPeers(g *messages.Greet) (peers []*messages.Peer, upTo uint64) {
	p := &m.places
	peers, upTo = p.roster.After(g.Roster, greetPage)
	if len(peers) < greetPage {
		upTo = max(upTo, p.known)
	}
	if p.newest != 0 {
		return peers, min(upTo, p.known)
	}
	// No master has spoken yet: by hearsay.
	for _, node := range slices.Sorted(maps.Keys(m.peers)) {
		if o := m.peers[node]; o.address != "" && node != g.Node && len(peers) < greetPage && !p.roster.Knows(node, 1) {
			peers = append(peers, &messages.Peer{Node: node, Address: o.address, Incarnation: o.incarnation, RaftId: o.raftID})
		}
	}
	return peers, 0
}

// someNodes are peers, always the same ones while nothing changes: from the roster,
// where the first to join come first, or by hearsay.
func (m *Member) someNodes(limit int) []string {
	var out []string
	for _, p := range m.places.roster.All() {
		if len(out) == limit {
			return out
		}
		if m.peers[p.Node] != nil {
			out = append(out, p.Node)
		}
	}
	if len(out) == 0 {
		out = slices.Sorted(maps.Keys(m.peers))
		out = out[:min(limit, len(out))]
	}
	return out
}

// question asks a coordinator for its word.
func (m *Member) question() *messages.MasterReady {
	return &messages.MasterReady{Roster: m.places.known}
}
