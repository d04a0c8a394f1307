package master

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/messages"
)

func TestCoordinator_SaysUpToWhatTheDisksAreFull(t *testing.T) {
	full := func(free uint64) *space {
		return &space{report: &messages.CapacityReport{TotalBytes: 100, FreeBytes: free}}
	}
	c := &Coordinator{
		cluster: &messages.ClusterRow{Settings: &messages.Settings{ReadOnlyUsedShare: 0.5}},
		nodes:   []string{"a", "b", "c"}, space: map[string]*space{"a": full(40), "b": full(30)},
	}
	assert.Equal(t, "up to disk.read_only_used_share (0.5)", c.fullUpTo())
	c.space["c"] = full(60)
	assert.Equal(t, "up to disk.read_only_used_share (0.5) or up to the reserve", c.fullUpTo())
	assert.InDelta(t, 0.5, candidate("a", &messages.WorkerRow{}, c.space["a"], c.cluster).ReadOnlyShare, 0, "explain says the same")
}
