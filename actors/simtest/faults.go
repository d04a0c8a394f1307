package simtest

import (
	"math/rand/v2"
	"time"

	"tiercel/actors/runtime/sim"
)

// fault is one kind of trouble. It draws its details from the world's own
// randomness, so a seed is a schedule.
type fault struct {
	name string
	do   func(s *story)
}

var faults = []fault{
	{"kill", func(s *story) { s.crash(false) }},
	{"power loss", func(s *story) { s.crash(true) }},
	{"kill in the middle of a disk operation", func(s *story) { s.crashWithin(false) }},
	{"power loss in the middle of a disk operation", func(s *story) { s.crashWithin(true) }},
	{"fsync of the log fails", func(s *story) { s.failSync("log/*") }},
	{"fsync of a volume fails", func(s *story) { s.failSync("volumes/*/*") }},
	{"disk full", func(s *story) { s.fillDisk() }},
	{"actor fails", func(s *story) { s.failActor() }},
	{"pause", func(s *story) { s.node.Pause(s.duration(20*time.Millisecond, 4*time.Second)) }},
	{"client cut off", func(s *story) { s.cutClient() }},
	{"messages lost and reordered", func(s *story) { s.chaos() }},
}

func (s *story) duration(low, high time.Duration) time.Duration {
	return low + time.Duration(s.world.Rand().Int64N(int64(high-low)))
}

// crash takes the node down; keepUp brings it back.
func (s *story) crash(powerLoss bool) {
	s.powerCut = s.powerCut || powerLoss
	s.node.Crash(powerLoss)
}

// crashWithin takes the node down in the middle of one of its next disk operations.
func (s *story) crashWithin(powerLoss bool) {
	s.powerCut = s.powerCut || powerLoss
	s.node.CrashAfter(1+s.world.Rand().IntN(15), powerLoss)
}

func (s *story) failSync(match string) {
	if s.node.Up() {
		s.node.FS().FailNextSync(match, 1)
	}
}

// fillDisk leaves a little room, then frees the disk again.
func (s *story) fillDisk() {
	if !s.node.Up() {
		return
	}
	total, free, err := s.node.FS().Usage()
	if err != nil {
		return
	}
	s.node.FS().SetCapacity(total - free + s.world.Rand().Int64N(20_000))
	s.world.At(s.duration(50*time.Millisecond, 2*time.Second), func() {
		s.node.FS().SetCapacity(0)
	})
}

// actorPaths are those that a failure is thrown into.
var actorPaths = []string{"node/log", "node/catalog", "node/worker", "node/gateway", "node/master/coordinator", "node/master"}

func (s *story) failActor() {
	if s.node.Up() {
		s.node.Fail(actorPaths[s.world.Rand().IntN(len(actorPaths))])
	}
}

func (s *story) cutClient() {
	c := s.clients[s.world.Rand().IntN(len(s.clients))]
	s.world.Cut(s.node.ID(), c.ID())
	if s.world.Rand().IntN(2) == 0 {
		s.world.Cut(c.ID(), s.node.ID())
	}
	s.world.At(s.duration(50*time.Millisecond, 6*time.Second), func() { s.world.Heal(s.node.ID(), c.ID()) })
}

func (s *story) chaos() {
	// Nothing doubles what a client says to its gateway, neither HTTP nor the edge:
	// a second Put is a second write. Lost and reordered are what can happen.
	s.world.SetChaos(sim.Chaos{Drop: 0.05, Reorder: 0.1})
	s.world.At(s.duration(100*time.Millisecond, 3*time.Second), func() { s.world.SetChaos(sim.Chaos{}) })
}

// schedule plans the faults of one run and how often each kind was fired.
func (s *story) schedule(random *rand.Rand, horizon time.Duration) {
	allowed := s.params.Faults
	for n := s.params.FaultCount; n > 0 && len(allowed) > 0; n-- {
		f := allowed[random.IntN(len(allowed))]
		s.world.At(time.Duration(random.Int64N(int64(horizon))), func() {
			if s.calm {
				return
			}
			s.count(f.name)
			f.do(s)
		})
	}
}
