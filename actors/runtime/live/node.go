package live

import (
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/store"
)

// Node is a running node. It implements runtime.Runtime.
type Node struct {
	config   Config
	log      *slog.Logger
	system   *actor.ActorSystem
	root     *runtime.Root
	counters runtime.Counters
	edge     *Edge
	offloads *offloads
	heard    sync.Map // model.NodeID to *atomic.Uint64: the highest incarnation

	remote     *remote.Remote // nil: no network
	peers      atomic.Pointer[map[model.NodeID]string]
	links      sync.Map // address to *link
	queueLimit int64    // bytes that may wait for one peer
	watches    watches
	bulks      bulks
	silent     atomic.Bool // nothing is sent any more
	halted     atomic.Bool
	closing    atomic.Bool // the edge takes no more questions
	haltOnce   sync.Once
	stopOnce   sync.Once
	stopErr    error
}

var _ runtime.Host = (*Node)(nil)

// New starts a node without actors. Errors: invalid_argument for a config that
// cannot work, unavailable when the RPC address cannot be bound.
func New(config Config) (*Node, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	n := &Node{
		config:     config,
		log:        config.Log.With(slog.String("node", string(config.Node))),
		offloads:   newOffloads(),
		queueLimit: maxQueuedBytes,
	}
	n.peers.Store(&map[model.NodeID]string{})
	n.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(runtime.Demoted(n.log.Handler())) }))
	n.system.ID = string(config.Node)
	n.system.ProcessRegistry.Address = string(config.Node)
	// So that no generated name is one of an earlier incarnation.
	n.system.ProcessRegistry.SequenceID = config.Incarnation << 32
	n.edge = newEdge(n)
	runtime.TakeOver(n.system, &n.counters, n.edge.onDeadLetter)
	n.root = runtime.NewRoot(n)
	// First in the list and for every address, so that remote's own is never asked.
	n.system.ProcessRegistry.RegisterAddressResolver(n.resolve)
	if config.RPC != "" {
		if err := n.startRemote(); err != nil {
			n.system.Shutdown()
			return nil, err
		}
	}
	// After the address is known: PIDs carry it.
	if err := n.edge.register(); err != nil {
		return nil, err
	}
	return n, nil
}

// Node implements runtime.Runtime.
func (n *Node) Node() model.NodeID { return n.config.Node }

// Incarnation implements runtime.Runtime.
func (n *Node) Incarnation() uint64 { return n.config.Incarnation }

// Now implements runtime.Runtime by the wall clock.
func (n *Node) Now() time.Time { return time.Now() }

// FS implements runtime.Runtime.
func (n *Node) FS() store.FS { return n.config.FS }

// Log implements runtime.Runtime.
func (n *Node) Log() *slog.Logger { return n.log }

// SpawnRoot implements runtime.Runtime.
func (n *Node) SpawnRoot(name string, p runtime.Producer) (*actor.PID, error) {
	return n.root.Spawn(name, p)
}

// Local implements runtime.Runtime.
func (n *Node) Local(path string) *actor.PID { return n.system.NewLocalPID(path) }

// Address is the host:port at which peers reach this node, or its id when it
// has no network.
func (n *Node) Address() string { return n.system.Address() }

// SetPeers replaces the address book of Peer: the host:port of each node.
func (n *Node) SetPeers(addresses map[model.NodeID]string) {
	book := make(map[model.NodeID]string, len(addresses))
	for id, address := range addresses {
		book[id] = address
	}
	n.peers.Store(&book)
}

// SetPeer implements runtime.Runtime.
func (n *Node) SetPeer(node model.NodeID, address string) {
	for {
		old := n.peers.Load()
		if (*old)[node] == address {
			return
		}
		book := maps.Clone(*old)
		if address == "" {
			delete(book, node)
		} else {
			book[node] = address
		}
		if n.peers.CompareAndSwap(old, &book) {
			return
		}
	}
}

// PeerAt implements runtime.Runtime.
func (n *Node) PeerAt(address, path string) *actor.PID {
	if address == n.Address() {
		return n.Local(path)
	}
	return actor.NewPID(address, path)
}

// Peer implements runtime.Runtime by the address book. The PID of a node that
// is not in it loses what it is sent; ask again once the book has changed.
func (n *Node) Peer(node model.NodeID, path string) *actor.PID {
	if node == n.config.Node {
		return n.Local(path)
	}
	return actor.NewPID((*n.peers.Load())[node], path)
}

// Halt implements runtime.Runtime: nothing more is sent, the reason is logged,
// and the process ends. It does not return: when OnHalt does, the goroutine that
// called Halt ends.
func (n *Node) Halt(reason error) {
	n.haltOnce.Do(func() {
		n.halted.Store(true)
		n.silent.Store(true)
		n.closing.Store(true)
		n.log.Error("node halted", slog.Any("error", reason))
		if n.config.OnHalt == nil {
			os.Exit(1)
		}
		n.config.OnHalt(reason)
	})
	goruntime.Goexit()
}

// Edge is how code outside actors asks them.
func (n *Node) Edge() *Edge { return n.edge }

// System implements runtime.Host.
func (n *Node) System() *actor.ActorSystem { return n.system }

// Rand implements runtime.Host.
func (n *Node) Rand() uint64 { return rand.Uint64() }

// Counters implements runtime.Host.
func (n *Node) Counters() *runtime.Counters { return &n.counters }

// PropsOptions implements runtime.Host: protoactor's own dispatcher, and its mailbox
// behind a gate.
func (n *Node) PropsOptions() []actor.PropsOption {
	return []actor.PropsOption{actor.WithMailbox(newMailbox)}
}

// StartTimer implements runtime.Host.
func (n *Node) StartTimer(d time.Duration, fire func()) (cancel func()) {
	t := time.AfterFunc(d, fire)
	return func() { t.Stop() }
}

// Admit implements runtime.Host.
func (n *Node) Admit(origin model.NodeID, incarnation uint64) bool {
	if address := (*n.peers.Load())[origin]; address != "" {
		n.isBack(address)
	}
	v, ok := n.heard.Load(origin)
	if !ok {
		v, _ = n.heard.LoadOrStore(origin, new(atomic.Uint64))
	}
	highest := v.(*atomic.Uint64)
	for {
		known := highest.Load()
		if incarnation <= known {
			return incarnation == known
		}
		if highest.CompareAndSwap(known, incarnation) {
			return true
		}
	}
}
