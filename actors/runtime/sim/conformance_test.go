package sim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/internal/conformance"
	"tiercel/actors/runtime/sim"
)

// simulated is a conformance cluster in a world.
type simulated struct {
	t     *testing.T
	world *sim.World
	a, b  *sim.Node
}

func (s *simulated) A() runtime.Host { return s.a.Runtime().(runtime.Host) }
func (s *simulated) B() runtime.Host { return s.b.Runtime().(runtime.Host) }
func (s *simulated) LoseB()          { s.b.Crash(true) }
func (s *simulated) Halted() error   { return s.a.Halted() }

func (s *simulated) Until(cond func() bool) {
	s.t.Helper()
	require.True(s.t, s.world.RunUntil(cond, time.Minute), "within a virtual minute")
}

func TestSim_PassesTheConformanceSuite(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Cluster {
		w := sim.NewWorld(1, sim.Options{})
		return &simulated{t: t, world: w, a: w.Client("n-a"), b: w.Client("n-b")}
	})
}
