package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun_TheRealControllerHearsSimulatedWorkersAndMissesTheDead(t *testing.T) {
	o := Options{Workers: 60, Seed: 3, Interval: 2 * time.Second, Killed: 3}
	parts := 0
	o.Measuring = func(string) func() { return func() { parts++ } }
	first, err := Run(o)
	require.NoError(t, err)
	assert.Equal(t, 2, parts)
	for i, missed := range []float64{3, 5, 10} {
		d := first.Detected[i]
		// Judged four times an interval at least, and logged at once.
		assert.GreaterOrEqual(t, d.Least, missed)
		assert.LessOrEqual(t, d.Most, missed+0.3)
	}
	assert.Zero(t, first.False)
	assert.Zero(t, first.Oversize)
	// One that is under way at an end of the span may be on either side.
	assert.InDelta(t, intervalsMeasured*(o.Workers+voters), first.Heartbeat.Count, 3)
	assert.Positive(t, first.Controller)
	assert.Positive(t, first.JoinNode)
	again, err := Run(o)
	require.NoError(t, err)
	assert.Equal(t, first.Detected, again.Detected, "the same seed is the same run")
	assert.Equal(t, first.JoinTook, again.JoinTook)
}

func TestWrite_SaysWhetherCostsGrewWithTheSize(t *testing.T) {
	cost := func(workers int, heartbeat time.Duration) Result {
		return Result{
			Workers: workers, Heartbeat: turns{Count: 1, Processor: heartbeat}, Controller: 1000, Coordinator: 1000, Node: 1000,
			JoinController: 1000, JoinNode: 1000, NodeBytes: 1000,
		}
	}
	var out strings.Builder
	require.NoError(t, Write(&out, []Result{cost(1000, 10_000), cost(10_000, 12_000)}))
	assert.Contains(t, out.String(), "| workers | 1000 | 10000 |")
	assert.Contains(t, out.String(), "\nlinear: with 10 times the workers")
	assert.Contains(t, out.String(), "a heartbeat ×1.20")
	out.Reset()
	require.NoError(t, Write(&out, []Result{cost(1000, 10_000), cost(10_000, 100_000)}))
	assert.Contains(t, out.String(), "\nNOT linear")
	out.Reset()
	require.NoError(t, Write(&out, []Result{cost(1000, 10_000)}), "one size tells nothing about growth")
	assert.NotContains(t, out.String(), "linear")
}
