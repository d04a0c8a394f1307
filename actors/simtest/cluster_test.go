package simtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStory_AClusterWithoutFaultsAnswersEveryOperation(t *testing.T) {
	for _, nodes := range []int{2, 3, 5, 7} {
		out := Run(Params{Seed: uint64(nodes), Nodes: nodes, Clients: 3, Operations: 40, Horizon: 10 * time.Second, Log: replayLog(), Trace: replayTrace()})
		require.Empty(t, out.Violations, "%d nodes", nodes)
		require.GreaterOrEqual(t, len(out.History), 120)
		for _, o := range out.History {
			assert.False(t, o.out.unknown, "%d nodes: %+v", nodes, o)
			assert.False(t, refusedForGood(o.out), "%d nodes: %+v", nodes, o)
		}
	}
}
