package sim

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/store"
)

// process is one incarnation of a node: its actor system and what it knows of
// its peers. It implements runtime.Host.
type process struct {
	world       *World
	node        *Node
	incarnation uint64
	dead        bool
	fs          *store.MemFS
	log         *slog.Logger
	system      *actor.ActorSystem
	root        *runtime.Root
	options     []actor.PropsOption
	counters    runtime.Counters
	heard       map[model.NodeID]uint64 // highest incarnation
	watches     map[model.NodeID][]watch
}

var _ runtime.Host = (*process)(nil)

func newProcess(n *Node) *process {
	p := &process{
		world: n.world, node: n, incarnation: n.incarnation, fs: n.fs,
		log:     n.world.options.Log.With(slog.String("node", string(n.id))),
		heard:   make(map[model.NodeID]uint64),
		watches: make(map[model.NodeID][]watch),
	}
	p.system = newSystem(string(n.id), n.incarnation, p.resolve)
	runtime.TakeOver(p.system, &p.counters, nil)
	p.root = runtime.NewRoot(p)
	p.options = []actor.PropsOption{
		actor.WithDispatcher(p),
		actor.WithMailbox(func() actor.Mailbox { return &mailbox{proc: p} }),
	}
	return p
}

// Node implements runtime.Runtime.
func (p *process) Node() model.NodeID { return p.node.identity }

// Incarnation implements runtime.Runtime.
func (p *process) Incarnation() uint64 { return p.incarnation }

// Now implements runtime.Runtime by the node's virtual clock.
func (p *process) Now() time.Time { return epoch.Add(p.node.elapsed()) }

// FS implements runtime.Runtime.
func (p *process) FS() store.FS { return p.fs }

// Log implements runtime.Runtime.
func (p *process) Log() *slog.Logger { return p.log }

// SpawnRoot implements runtime.Runtime.
func (p *process) SpawnRoot(name string, producer runtime.Producer) (*actor.PID, error) {
	return p.root.Spawn(name, producer)
}

// Local implements runtime.Runtime.
func (p *process) Local(path string) *actor.PID { return p.system.NewLocalPID(path) }

// Peer implements runtime.Runtime. A node's address is its name.
func (p *process) Peer(node model.NodeID, path string) *actor.PID {
	return actor.NewPID(string(node), path)
}

// Address implements runtime.Runtime: in simulation the node's id.
func (p *process) Address() string { return string(p.node.id) }

// SetPeer implements runtime.Runtime: here every address is an id.
func (p *process) SetPeer(model.NodeID, string) {}

// PeerAt implements runtime.Runtime.
func (p *process) PeerAt(address, path string) *actor.PID { return p.Peer(model.NodeID(address), path) }

// Halt implements runtime.Runtime: the node crashes, and the code that called
// does not go on.
func (p *process) Halt(reason error) {
	if !p.dead {
		p.log.Error("node halted", slog.Any("error", reason))
		p.node.halted = reason
		p.node.down(false)
	}
	if p.world.running == p {
		panic(runtime.Unwind{Node: p.node.id})
	}
}

// System implements runtime.Host.
func (p *process) System() *actor.ActorSystem { return p.system }

// Rand implements runtime.Host by the world's seed.
func (p *process) Rand() uint64 { return p.world.random.Uint64() }

// Counters implements runtime.Host.
func (p *process) Counters() *runtime.Counters { return &p.counters }

// PropsOptions implements runtime.Host.
func (p *process) PropsOptions() []actor.PropsOption { return p.options }

// StartTimer implements runtime.Host on the node's clock.
func (p *process) StartTimer(d time.Duration, fire func()) (cancel func()) {
	e := p.push(p.node.worldly(d), fire)
	return func() { p.world.cancel(e) }
}

// Offload implements runtime.Host: the work happens in one instant, some time
// after it was asked for and some time before its result arrives, so that a crash
// can fall before, after, or by Node.CrashAfter into it.
func (p *process) Offload(work func() any, done func(any, *runtime.WorkPanic)) {
	p.push(p.world.draw(p.world.options.Disk)+max(0, p.node.diskHangsUntil-p.world.now), func() {
		result, failure := runtime.RunWork(work)
		p.world.record(p, "", "offload", "", nil)
		p.push(p.world.draw(p.world.options.Disk), func() { done(result, failure) })
	})
}

// Admit implements runtime.Host.
func (p *process) Admit(origin model.NodeID, incarnation uint64) bool {
	if incarnation < p.heard[origin] {
		return false
	}
	p.heard[origin] = incarnation
	return true
}

// Schedule implements actor.Dispatcher: fn waits for a processor.
func (p *process) Schedule(fn func()) { p.push(p.world.draw(p.world.options.Step), fn) }

// Throughput implements actor.Dispatcher. The mailbox runs one message at a time.
func (p *process) Throughput() int { return 1 }

func (p *process) push(d time.Duration, fn func()) *event {
	return p.world.push(p, d, fn)
}
