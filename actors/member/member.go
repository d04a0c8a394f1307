package member

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Config is what the member is told by the tree.
type Config struct {
	Path            string // of this actor, on every node
	NodePath        string
	GatewayPath     string
	WorkerPath      string
	LogPath         string
	ControllerPath  string // on the master's node
	CoordinatorPath string // on the master's node
	Join            []string
	Discovers       bool                // more addresses will come, as DiscoveredPeers
	Worker          *messages.WorkerRow // what heartbeats say of this worker
	Boot            uint64              // random per process
	// MaxClusterVersion is what this program understands.
	MaxClusterVersion uint64
	HeartbeatInterval time.Duration
	MasterInterval    time.Duration // of the master's word
	Identity          func() store.NodeFile
	UpdateNode        func(func(*store.NodeFile)) error
	// HoldsLog asks the disk whether this node was ever a member of the log.
	HoldsLog func() (bool, error)
}

// Patience of the first round of greetings, and limits.
const (
	greetPatience = time.Second            // when nobody has answered
	greetLinger   = 300 * time.Millisecond // for the others, when somebody has
	greetAgain    = 500 * time.Millisecond
	maxPeers      = 100_000
	pingsPerBeat  = 3
)

type phase uint8

const (
	greeting phase = iota
	joining
	serving
)

// Member is the actor.
type Member struct {
	cfg      Config
	phase    phase
	began    time.Time
	asked    []string // addresses that were greeted: named by the operator, or remembered
	hints    []string // addresses that discovery found
	answered map[string]bool
	first    time.Time // of the first answer

	peers  map[string]*peer // by node, this one excluded
	master *messages.MasterReady
	heard  time.Time // of a master
	why    string    // nobody leads, by the word of our log
	beats  uint64
	beatAt time.Time     // when the next heartbeat is due
	wanted time.Duration // between two of them, by the master's word; 0: it has not said
	hunted int           // peers asked for the master so far
	// regreeted counts the greetings of addresses where nobody was met.
	regreeted int
	pinged    int
	capacity  *messages.CapacityReport
	saved     []string // addresses in node.yaml
	saving    bool
	adopting  uint64 // a higher generation that is being judged
	checks    map[uint64]*check
	places    places
	settings  sentSettings
}

// peer is another node, as far as it was heard of.
type peer struct {
	address     string
	incarnation uint64
	boot        uint64
	raftID      uint64
	heard       time.Time // by its own word
	latency     time.Duration
	pingAt      time.Time
	ping        uint64
}

// New makes the actor.
func New(cfg Config) *Member {
	return &Member{cfg: cfg, answered: make(map[string]bool), peers: make(map[string]*peer), checks: make(map[uint64]*check)}
}

type tick struct{}

// Receive handles one message; each case is one line.
func (m *Member) Receive(ctx *runtime.Context, msg any) {
	switch msg := msg.(type) {
	case *actor.Started:
		m.onStarted(ctx)
	case tick:
		m.onTick(ctx)
	case *messages.Greet:
		m.onGreet(ctx, msg)
	case *messages.GreetReply:
		m.onGreetReply(ctx, msg)
	case *messages.AreYouThere:
		m.onAreYouThere(ctx, msg)
	case *messages.IAmHere:
		m.onIAmHere(ctx, msg)
	case checkDue:
		m.onCheckDue(ctx, msg)
	case *notedStale:
		m.onNotedStale(ctx, msg)
	case *taken:
		m.onTaken(ctx, msg)
	case *messages.MasterReady:
		m.onMasterReady(ctx, msg)
	case *messages.HeartbeatAck:
		m.onHeartbeatAck(ctx, msg)
	case *messages.DiscoveredPeers:
		m.onDiscovered(ctx, msg)
	case *messages.CapacityReport:
		m.capacity = msg
	case *adopted:
		m.onAdopted(ctx, msg)
	case *saved:
		m.onSaved(ctx, msg)
	}
}

func (m *Member) onTick(ctx *runtime.Context) {
	ctx.After(m.tickEvery(), tick{})
	if m.phase == serving {
		m.serve(ctx)
	} else {
		m.comeIn(ctx)
	}
}

// tickEvery is short while coming in, and the master's interval afterwards.
func (m *Member) tickEvery() time.Duration {
	if m.phase == serving {
		return min(m.cfg.MasterInterval, m.beatEvery())
	}
	return min(50*time.Millisecond, m.cfg.MasterInterval)
}

// meet notes what is known of a node, and tells the network its address.
func (m *Member) meet(ctx *runtime.Context, node, address string, incarnation, raftID uint64) *peer {
	if node == "" || node == string(ctx.Runtime().Node()) {
		return nil
	}
	p := m.peers[node]
	if p == nil {
		if len(m.peers) >= maxPeers {
			return nil
		}
		p = &peer{}
		m.peers[node] = p
	}
	if incarnation >= p.incarnation && address != "" && address != p.address {
		p.address = address
		ctx.Runtime().SetPeer(model.NodeID(node), address)
	}
	if incarnation > p.incarnation {
		p.incarnation, p.boot = incarnation, 0
	}
	if raftID != 0 {
		p.raftID = raftID
	}
	return p
}

func (m *Member) meetAll(ctx *runtime.Context, peers []*messages.Peer) {
	for _, p := range peers {
		m.places.roster.Put(p)
		m.meet(ctx, p.Node, p.Address, p.Incarnation, p.RaftId)
	}
}

func (m *Member) epoch() model.Epoch {
	return model.Epoch{Generation: m.master.GetEpochGeneration(), Term: m.master.GetEpochTerm()}
}
