package simtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tiercel/actors/runtime/sim"
	"tiercel/cluster/model"
)

// Fault is one kind of trouble.
type Fault struct {
	Name string
	many bool // needs more than one node
	do   func(s *story)
}

var faults = []Fault{
	{"kill", false, func(s *story) { s.crash(s.anyHost(), false) }},
	{"power loss", false, func(s *story) { s.crash(s.anyHost(), true) }},
	{"kill in the middle of a disk operation", false, func(s *story) { s.crashWithin(false) }},
	{"power loss in the middle of a disk operation", false, func(s *story) { s.crashWithin(true) }},
	{"fsync of the log fails", false, func(s *story) { s.failSync("log/*") }},
	{"fsync of a volume fails", false, func(s *story) { s.failSync("volumes/*/*") }},
	{"disk full", false, func(s *story) { s.fillDisk() }},
	{"actor fails", false, func(s *story) { s.failActor() }},
	{"pause", false, func(s *story) { s.anyHost().node.Pause(s.duration(20*time.Millisecond, 4*time.Second)) }},
	{"client cut off", false, func(s *story) { s.cutClient() }},
	{"messages lost and reordered", false, func(s *story) { s.chaos() }},
	{"master killed", true, func(s *story) { s.crash(s.masterOrAny(), s.world.Rand().IntN(2) == 0) }},
	{"master paused", true, func(s *story) { s.masterOrAny().node.Pause(s.duration(200*time.Millisecond, 6*time.Second)) }},
	{"master cut off", true, func(s *story) { s.cutOff(s.masterOrAny()) }},
	{"node cut off", true, func(s *story) { s.cutOff(s.anyHost()) }},
	{"one direction cut", true, func(s *story) { s.cutOneWay() }},
	{"cluster cut in two", true, func(s *story) { s.cutInTwo() }},
	{"slow link", true, func(s *story) { s.slowLink() }},
	{"clock runs wrong", true, func(s *story) { s.skewClock() }},
	{"all nodes lose power", true, func(s *story) { s.everybody(true) }},
	{"node replaced by an empty one", true, func(s *story) { s.replace() }},
	{"empty node added", true, func(s *story) { s.enlarge() }},
	{"node drained", true, func(s *story) { s.drain() }},
	{"rebalance asked for", true, func(s *story) { s.rebalance() }},
	{"bytes of a copy flipped", true, func(s *story) { s.flip() }},
	{"disk hangs", false, func(s *story) { s.anyHost().node.HangDisk(s.duration(100*time.Millisecond, 8*time.Second)) }},
}

// FaultNames lists the kinds of faults.
func FaultNames() []string {
	names := make([]string, len(faults))
	for i, f := range faults {
		names[i] = f.Name
	}
	return names
}

// FaultsNamed returns the faults of which each name is part, all for none.
func FaultsNamed(names []string, nodes int) ([]Fault, error) {
	var out []Fault
	for _, f := range faults {
		match := len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(f.Name, n) })
		if match && (nodes > 1 || !f.many) {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return nil, model.Errorf(model.CodeInvalidArgument, "simulate",
			"no fault for %d nodes is named like that; there are: %s", nodes, strings.Join(FaultNames(), ", "))
	}
	return out, nil
}

func (s *story) duration(low, high time.Duration) time.Duration {
	return low + time.Duration(s.world.Rand().Int64N(int64(high-low)))
}

// masterOrAny is the master's host, or any while there is none.
func (s *story) masterOrAny() *host {
	if m := s.master(); m != nil && !m.gone {
		return m
	}
	return s.anyHost()
}

func (s *story) crash(h *host, powerLoss bool) {
	s.powerCut = s.powerCut || powerLoss
	h.node.Crash(powerLoss)
}

func (s *story) crashWithin(powerLoss bool) {
	s.powerCut = s.powerCut || powerLoss
	s.anyHost().node.CrashAfter(1+s.world.Rand().IntN(15), powerLoss)
}

func (s *story) everybody(powerLoss bool) {
	for _, h := range s.living() {
		s.crash(h, powerLoss)
	}
}

func (s *story) failSync(match string) {
	if h := s.anyHost(); h.node.Up() {
		h.node.FS().FailNextSync(match, 1)
	}
}

// fillDisk leaves a few bytes free for a while.
func (s *story) fillDisk() {
	h := s.anyHost()
	if !h.node.Up() {
		return
	}
	total, free, err := h.node.FS().Usage()
	if err != nil {
		return
	}
	h.node.FS().SetCapacity(total - free + s.world.Rand().Int64N(20_000))
	s.world.At(s.duration(50*time.Millisecond, 2*time.Second), func() { h.node.FS().SetCapacity(0) })
}

// actorPaths are those that may fail: their supervisor restarts them.
var actorPaths = []string{
	"node/log", "node/catalog", "node/worker", "node/gateway", "node/member",
	"node/master/coordinator", "node/master/controller", "node/master/compactor", "node/master/bursar", "node/master",
}

func (s *story) failActor() {
	h, path := s.anyHost(), actorPaths[s.world.Rand().IntN(len(actorPaths))]
	if strings.HasPrefix(path, "node/master") {
		h = s.masterOrAny()
	}
	if h.node.Up() {
		h.node.Fail(path)
	}
}

func (s *story) cutClient() {
	c := s.clients[s.world.Rand().IntN(len(s.clients))]
	h := s.anyHost()
	s.world.Cut(h.name, c.ID())
	if s.world.Rand().IntN(2) == 0 {
		s.world.Cut(c.ID(), h.name)
	}
	s.world.At(s.duration(50*time.Millisecond, 6*time.Second), func() { s.world.Heal(h.name, c.ID()) })
}

func (s *story) chaos() {
	// Nothing doubles what a client says to its gateway, neither HTTP nor the edge:
	// a second Put is a second write. Lost and reordered are what can happen.
	s.world.SetChaos(sim.Chaos{Drop: 0.05, Reorder: 0.1})
	s.world.At(s.duration(100*time.Millisecond, 3*time.Second), func() { s.world.SetChaos(sim.Chaos{}) })
}

// cutFor cuts directions between nodes and heals them later.
func (s *story) cutFor(pairs [][2]*host, d time.Duration) {
	for _, p := range pairs {
		s.world.Cut(p[0].name, p[1].name)
	}
	s.world.At(d, func() {
		for _, p := range pairs {
			s.world.Heal(p[0].name, p[1].name)
		}
	})
}

// partitionSpan is how long a cut lasts: from a blink to an evacuation.
func (s *story) partitionSpan() time.Duration { return s.duration(100*time.Millisecond, 8*time.Second) }

// cutOff parts a node from all others; its clients still reach it.
func (s *story) cutOff(h *host) {
	var pairs [][2]*host
	for _, other := range s.living() {
		if other != h {
			pairs = append(pairs, [2]*host{h, other}, [2]*host{other, h})
		}
	}
	s.cutFor(pairs, s.partitionSpan())
}

// cutOneWay lets a node hear others and not be heard, or the other way round.
func (s *story) cutOneWay() {
	h, hears := s.masterOrAny(), s.world.Rand().IntN(2) == 0
	var pairs [][2]*host
	for _, other := range s.living() {
		switch {
		case other == h || s.world.Rand().IntN(3) == 0:
		case hears:
			pairs = append(pairs, [2]*host{h, other})
		default:
			pairs = append(pairs, [2]*host{other, h})
		}
	}
	s.cutFor(pairs, s.partitionSpan())
}

func (s *story) cutInTwo() {
	living := s.living()
	s.world.Rand().Shuffle(len(living), func(i, j int) { living[i], living[j] = living[j], living[i] })
	at := 1 + s.world.Rand().IntN(max(1, len(living)-1))
	var pairs [][2]*host
	for _, a := range living[:at] {
		for _, b := range living[at:] {
			pairs = append(pairs, [2]*host{a, b}, [2]*host{b, a})
		}
	}
	s.cutFor(pairs, s.partitionSpan())
}

// slowLink gives one node's links the delay of another continent.
func (s *story) slowLink() {
	h := s.anyHost()
	set := func(span sim.Span) {
		for _, other := range s.living() {
			if other != h {
				s.world.SetDelay(h.name, other.name, span)
			}
		}
	}
	low := s.duration(5*time.Millisecond, 100*time.Millisecond)
	set(sim.Span{Min: low, Max: 2 * low})
	s.world.At(s.partitionSpan(), func() { set(ordinaryDelay) })
}

func (s *story) skewClock() {
	h := s.anyHost()
	h.node.SetClockRate([...]float64{0.5, 0.9, 1.1, 2}[s.world.Rand().IntN(4)])
	s.world.At(s.partitionSpan(), func() { h.node.SetClockRate(1) })
}

// replace takes a machine away for good, once in a run and only where a quorum
// and a second copy remain, and adds an empty one under a new identity.
func (s *story) replace() {
	if s.replaced || len(s.living()) < 4 {
		s.crash(s.anyHost(), false)
		return
	}
	s.replaced = true
	h := s.anyHost()
	h.gone = true
	h.node.Crash(true)
	s.world.At(s.duration(100*time.Millisecond, 2*time.Second), func() { s.addHost() })
}

// schedule draws what goes wrong, and when.
func (s *story) schedule(random *rand.Rand, horizon time.Duration) {
	allowed := s.params.Faults
	for n := s.params.FaultCount; n > 0 && len(allowed) > 0; n-- {
		f := allowed[random.IntN(len(allowed))]
		s.world.At(time.Duration(random.Int64N(int64(horizon))), func() {
			if s.calm {
				return
			}
			s.count(f.Name)
			f.do(s)
		})
	}
}

// DescribeFired lists what fired how often, in the order of the faults.
func DescribeFired(fired map[string]int) string {
	var b strings.Builder
	for _, f := range faults {
		if n := fired[f.Name]; n > 0 {
			fmt.Fprintf(&b, "%s %d, ", f.Name, n)
		}
	}
	return strings.TrimSuffix(b.String(), ", ")
}
