package sim

import (
	"io"
	"math"
	"math/rand/v2"
	"time"

	"github.com/cespare/xxhash/v2"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/store"
)

// epoch is the wall clock of every node at the beginning of a world.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// World is one simulated cluster. It is not safe for concurrent use: one
// goroutine makes it and steps it.
type World struct {
	options Options
	random  *rand.Rand
	queue   queue
	now     time.Duration
	seq     uint64
	events  int
	running *process // whose event is being executed
	nodes   []*Node  // in the order they were added
	byID    map[model.NodeID]*Node
	links   map[route]*link
	chaos   Chaos
	hash    *xxhash.Digest
	trace   io.Writer
	tap     func(from, to model.NodeID, message string, bytes int)
	scratch []byte
}

// NewWorld makes an empty world in which all chance comes from seed.
func NewWorld(seed uint64, options Options) *World {
	options.fill()
	return &World{
		options: options,
		random:  rand.New(rand.NewPCG(seed, 0x73696d)),
		byID:    make(map[model.NodeID]*Node),
		links:   make(map[route]*link),
		hash:    xxhash.New(),
	}
}

// Tap lets somebody see what goes over the network between nodes: sender, receiver,
// the full name of the message and its size on the wire. It must change nothing.
func (w *World) Tap(see func(from, to model.NodeID, message string, bytes int)) { w.tap = see }

// AddNode adds a node and boots it: boot spawns its top-level actors, now and
// at every Restart, on the world's goroutine. An error of boot crashes the node,
// see Node.Halted. A name that is taken panics.
func (w *World) AddNode(id model.NodeID, fs *store.MemFS, incarnation uint64, boot func(rt runtime.Runtime) error) *Node {
	return w.addNode(&Node{id: id, identity: id, fs: fs, incarnation: incarnation, boot: boot})
}

func (w *World) addNode(n *Node) *Node {
	if w.byID[n.id] != nil {
		panic("sim: the node " + string(n.id) + " already exists")
	}
	n.world, n.rate = w, 1
	w.nodes = append(w.nodes, n)
	w.byID[n.id] = n
	n.start()
	return n
}

// AddCopy adds a node at an address of its own that says it is another one, as one does
// that was started on a copy of the other's disk. Who sends to the node sends to the other.
func (w *World) AddCopy(address, of model.NodeID, fs *store.MemFS, incarnation uint64, boot func(rt runtime.Runtime) error) *Node {
	return w.addNode(&Node{id: address, identity: of, fs: fs, incarnation: incarnation, boot: boot})
}

// Client adds a node with an empty disk and no actors: the place for a test's
// own actors, by its Runtime.
func (w *World) Client(name string) *Node {
	return w.AddNode(model.NodeID(name), store.NewMemFS(w.random.Uint64()), 1, func(runtime.Runtime) error { return nil })
}

// Node returns the node of that name, or nil.
func (w *World) Node(id model.NodeID) *Node { return w.byID[id] }

// Nodes lists all nodes in the order they were added.
func (w *World) Nodes() []*Node { return append([]*Node(nil), w.nodes...) }

// Rand is the world's source of chance, for the test's own decisions.
func (w *World) Rand() *rand.Rand { return w.random }

// Now is the world's time; node clocks agree with it unless their rate was set.
func (w *World) Now() time.Time { return epoch.Add(w.now) }

// Elapsed is how much virtual time has passed.
func (w *World) Elapsed() time.Duration { return w.now }

// Events counts what has happened.
func (w *World) Events() int { return w.events }

// At calls fn after d, between two events of the nodes. Calls for the same
// instant come in the order they were asked for.
func (w *World) At(d time.Duration, fn func()) { w.push(nil, d, fn) }

// Step executes the next event; false when there is none.
func (w *World) Step() bool { return w.step(math.MaxInt64) }

// step executes the next event that is due by end. Events of processes that
// have ended are void, those of paused ones wait.
func (w *World) step(end time.Duration) bool {
	for {
		e := w.queue.peek()
		if e == nil || e.at > end {
			return false
		}
		w.queue.remove(e)
		if e.proc != nil && e.proc.dead {
			continue
		}
		w.now = e.at
		if e.proc != nil && e.proc.node.pausedUntil > w.now {
			e.proc.node.parked = append(e.proc.node.parked, e)
			continue
		}
		w.events++
		w.execute(e)
		return true
	}
}

// Run executes everything due within d and moves the time there.
func (w *World) Run(d time.Duration) {
	w.RunUntil(func() bool { return false }, d)
}

// RunUntil steps until cond holds, or until limit has passed or nothing is left
// to happen; it reports whether cond holds.
func (w *World) RunUntil(cond func() bool, limit time.Duration) bool {
	end := w.now + limit
	for !cond() {
		if !w.step(end) {
			w.now = end
			return false
		}
	}
	return true
}

// execute runs an event. A Halt leaves the code that called it by a panic,
// which ends here at the latest.
func (w *World) execute(e *event) {
	w.running = e.proc
	defer func() {
		w.running = nil
		if r := recover(); r != nil {
			if _, ok := r.(runtime.Unwind); !ok {
				panic(r)
			}
		}
	}()
	e.fn()
}

func (w *World) push(p *process, d time.Duration, fn func()) *event {
	w.seq++
	e := &event{at: w.now + max(0, d), seq: w.seq, proc: p, fn: fn}
	if p != nil {
		e.tie = w.random.Uint64()
	}
	w.queue.push(e)
	return e
}

func (w *World) cancel(e *event) {
	e.cancelled = true
	if e.index != notQueued {
		w.queue.remove(e)
	}
}

func (w *World) draw(s Span) time.Duration {
	return s.Min + time.Duration(w.random.Int64N(int64(s.Max-s.Min)+1))
}
