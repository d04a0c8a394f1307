package simtest

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"tiercel/actors"
	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/cluster/license"
)

// Params of one run. The zero Faults is a run without any.
type Params struct {
	Seed       uint64
	Nodes      int           // 0: one
	Still      bool          // nothing is rebalanced or compacted by itself
	License    license.Level // that the cluster is founded with; empty: enterprise
	NoFailover bool          // one voter and a standby, whatever the number of nodes
	NoArchive  bool          // nothing but what the test does is written
	// ArchiveEvery is the pause between two pieces of the journal; 0: a short one.
	ArchiveEvery time.Duration
	Clients      int
	Operations   int // of each client
	Horizon      time.Duration
	Faults       []Fault
	FaultCount   int
	Log          *slog.Logger
	Trace        io.Writer // every event, for a replay; nil: none
}

// Outcome of one run.
type Outcome struct {
	Hash       uint64
	Events     int
	Elapsed    time.Duration // virtual
	History    []operation
	Fired      map[string]int
	Violations []string
}

// story is one run: nodes, their clients and what they saw.
type story struct {
	params  Params
	world   *sim.World
	hosts   []*host
	clients []*sim.Node
	random  *rand.Rand // for the disks' identities

	values   values
	history  []operation
	fired    map[string]int
	bad      []string
	seen     map[string]bool // violations told already
	working  int
	calm     bool              // no more faults
	powerCut bool              // unsynced data may be gone: tier 3 may have lost some
	replaced bool              // a disk is gone for good: so may single copies be
	limited  bool              // the cluster has a background limit
	added    int               // machines, beside those that replace others
	drained  []string          // nodes
	lied     map[uint64]string // whose disk lies about a volume
	scrubbed bool              // nobody's does any more
	operator runtime.Runtime
	calmAt   uint64 // log index at which the faults had ended
	batches  bool   // clients send some of their puts together
	quotas   bool   // an operator limits the clients' tenant
	flipped  bool   // bytes of a copy were changed under its worker
	watch    watched
}

// Run plays one seed to its end and checks it.
func Run(p Params) Outcome {
	defer sim.DeterministicRand(p.Seed)()
	p.Nodes = max(1, p.Nodes)
	s := newStory(p)
	for range p.Nodes {
		s.addHost()
	}
	if p.Nodes > 1 && !s.world.RunUntil(func() bool { return s.formed(p.Nodes) }, 2*time.Minute) {
		s.violate("the cluster did not form: %s", s.state())
	}
	s.keepWatch()
	s.working = p.Clients
	for i := range p.Clients {
		s.addClient(i)
	}
	s.schedule(rand.New(rand.NewPCG(p.Seed, 0x6661756c)), p.Horizon)
	s.scheduleQuotas(p.Horizon)
	s.world.Run(p.Horizon)
	s.settle()
	return Outcome{
		Hash: s.world.TraceHash(), Events: s.world.Events(), Elapsed: s.world.Elapsed(),
		History: s.history, Fired: s.fired, Violations: s.bad,
	}
}

// newStory makes an empty world.
func newStory(p Params) *story {
	s := &story{
		params: p, fired: make(map[string]int), values: values{byContent: make(map[contentKey]string)}, seen: make(map[string]bool), lied: make(map[uint64]string),
		random: rand.New(rand.NewPCG(p.Seed, 0x6e6f6465)), watch: newWatched(),
	}
	var log slog.Handler = slog.DiscardHandler
	if p.Log != nil {
		log = p.Log.Handler()
	}
	s.world = sim.NewWorld(p.Seed, sim.Options{Log: slog.New(panics{log, s})})
	s.limited = p.Seed%2 == 0
	s.batches = p.Seed%3 == 0
	s.watchBandwidth()
	if p.Trace != nil {
		s.world.TraceTo(p.Trace)
	}
	return s
}

func (s *story) addClient(i int) {
	n := s.world.Client(fmt.Sprintf("client-%d", i))
	s.clients = append(s.clients, n)
	rt := n.Runtime()
	_, err := rt.SpawnRoot("client", func() runtime.Actor {
		return &client{
			story: s, number: i, random: rand.New(rand.NewPCG(s.params.Seed, uint64(i)+1)), at: i % len(s.hosts),
			left: s.params.Operations, seen: make(map[string]uint64), shown: make(map[string]uint64),
		}
	})
	if err != nil {
		s.violate("the client did not start: %v", err)
	}
}

func (s *story) clientDone() { s.working-- }

func (s *story) record(o operation) { s.history = append(s.history, o) }

func (s *story) count(what string) { s.fired[what]++ }

// violate notes a violation, each text once.
func (s *story) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(s.bad) >= 10 || s.seen[text] {
		return
	}
	s.seen[text] = true
	s.bad = append(s.bad, fmt.Sprintf("at %v: ", s.world.Elapsed())+text)
}

// settle ends the faults and checks what must hold then (invariants 1, 11, 12):
// every node serves again, everybody gets an answer, and after one more power
// loss of all nodes everything acknowledged is there.
func (s *story) settle() {
	s.calm = true
	s.heal()
	if !s.world.RunUntil(func() bool { return s.working == 0 && s.serving() && !s.hanging() }, 5*time.Minute) {
		s.violate("no progress: %d clients still wait; %s", s.working, s.state())
		return
	}
	if !s.checkAgreement() {
		return
	}
	s.checkReserved()
	s.scrubAll()
	s.checkCopies()
	s.checkState()
	for _, h := range s.living() {
		h.node.Crash(true)
	}
	s.powerCut = true
	if !s.world.RunUntil(s.serving, 5*time.Minute) {
		s.violate("not serving after the last restart; %s", s.state())
		return
	}
	if !s.checkAgreement() {
		return
	}
	s.checkCopies()
	s.checkState()
	s.countDropped()
	s.readAll()
	s.bad = append(s.bad, checkLinear(s.history)...)
}

// hanging reports whether a disk still does: that ends by itself.
func (s *story) hanging() bool {
	return slices.ContainsFunc(s.living(), func(h *host) bool { return h.node.DiskHangs() })
}

// heal ends every lasting fault.
func (s *story) heal() {
	s.world.SetChaos(sim.Chaos{})
	s.world.HealAll()
	for _, h := range s.living() {
		h.node.SetClockRate(1)
		h.node.FS().CrashAfter(0, nil)
		h.node.FS().FailNextSync("", 0)
		h.node.FS().SetCapacity(0)
		for _, other := range s.living() {
			if h != other {
				s.world.SetDelay(h.name, other.name, ordinaryDelay)
			}
		}
	}
}

// readAll lets a fresh client read every path once.
func (s *story) readAll() {
	rt := s.world.Client("reader").Runtime()
	s.working = 1
	_, err := rt.SpawnRoot("reader", func() runtime.Actor {
		return &reader{client: client{
			story: s, number: s.params.Clients, seen: make(map[string]uint64), shown: make(map[string]uint64),
			random: rand.New(rand.NewPCG(s.params.Seed, 0x72656164)),
		}}
	})
	if err != nil || !s.world.RunUntil(func() bool { return s.working == 0 }, time.Minute) {
		s.violate("the last reads were not answered (%v)", err)
	}
}

// reader is a client that reads every path in turn.
type reader struct {
	client
	next int
}

// Receive drives the reads; the answers are the client's business.
func (r *reader) Receive(ctx *runtime.Context, msg any) {
	if _, due := msg.(nextDue); !due {
		r.client.Receive(ctx, msg)
		return
	}
	if r.next == 2*len(groups) {
		r.story.clientDone()
		return
	}
	r.now = &step{op: operation{client: r.number, in: input{kind: opGet, group: r.next / 2, path: r.next % 2}, call: int64(r.story.world.Elapsed())}}
	r.next++
	r.send(ctx)
}

// gatewayPath is where clients speak to a node.
const gatewayPath = actors.GatewayPath
