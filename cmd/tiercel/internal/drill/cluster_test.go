package drill

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// cluster starts n nodes with short heartbeats.
func cluster(t *testing.T, n int, args ...string) *procs.Cluster {
	t.Helper()
	return clusterIn(t, t.TempDir(), n, args...)
}

// clusterIn is cluster with the data below dir, where some nodes may have disks already.
func clusterIn(t *testing.T, dir string, n int, args ...string) *procs.Cluster {
	t.Helper()
	args = append([]string{"--heartbeat-interval", "500ms", "--log-level", "info"}, args...)
	c, err := procs.Start(procs.Options{Binary: build(t), Dir: dir, Nodes: n, Args: args})
	require.NoError(t, err)
	t.Cleanup(c.Kill)
	return c
}

func rounds(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

func masterOf(t *testing.T, c *procs.Cluster) *procs.Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), procs.Patience)
	defer cancel()
	m, err := c.Master(ctx)
	require.NoError(t, err, "%s", c.Logs(10))
	return m
}

// settled stops the load and requires that it saw nothing wrong.
func settled(t *testing.T, c *procs.Cluster, l *procs.Load) {
	t.Helper()
	l.Stop()
	if !assert.Empty(t, l.Failures()) || !assert.NoError(t, l.Verify()) {
		keep := filepath.Join(os.TempDir(), "tiercel-drill-failed.log")
		_ = os.WriteFile(keep, []byte(c.Logs(400)), 0o644)
		t.Fatalf("after %d acknowledged writes; logs in %s", l.Acknowledged.Load(), keep)
	}
}

// DRILL_FAILOVERS sets how often the master is killed (default 4).
func TestFailover_KillingTheMasterLosesAndFailsNoWrite(t *testing.T) {
	c := cluster(t, 5)
	load := procs.StartLoad(c, 8, uint64(time.Now().UnixNano()))
	var took []time.Duration
	for range rounds(t, "DRILL_FAILOVERS", 4) {
		load.For(500 * time.Millisecond)
		master := masterOf(t, c)
		load.Mark()
		master.Kill()
		d, err := load.FirstAck(procs.Patience)
		require.NoError(t, err, "%s", c.Logs(30))
		took = append(took, d)
		require.NoError(t, master.Start())
		require.NoError(t, c.WaitFormed(procs.Patience))
		require.Empty(t, load.Failures())
	}
	settled(t, c, load)
	slices.Sort(took)
	t.Logf("%d acknowledged writes, none lost; kill to first new one: p50 %v, p99 %v, worst %v; slowest request %v",
		load.Acknowledged.Load(), took[len(took)/2], took[len(took)*99/100], took[len(took)-1], load.Slowest())
}

func TestFailover_APausedMasterAcknowledgesNothingAfterTheNewOneHasStarted(t *testing.T) {
	c := cluster(t, 3)
	load := procs.StartLoad(c, 4, uint64(time.Now().UnixNano()))
	load.For(time.Second)
	old := masterOf(t, c)
	old.Pause()
	load.For(20 * time.Second)
	old.Resume()
	require.NoError(t, c.WaitFormed(procs.Patience), "%s", c.Logs(30))
	load.For(time.Second)
	settled(t, c, load)
}

func TestRollingRestart_FailsNoRequest(t *testing.T) {
	c := cluster(t, 5)
	load := procs.StartLoad(c, 8, uint64(time.Now().UnixNano()))
	for _, n := range c.Nodes {
		require.NoError(t, n.Stop(procs.Patience))
		require.NoError(t, n.Start())
		require.NoError(t, c.WaitFormed(procs.Patience), "%s", c.Logs(30))
		require.Empty(t, load.Failures())
	}
	settled(t, c, load)
	t.Logf("%d acknowledged writes; slowest request %v", load.Acknowledged.Load(), load.Slowest())
	require.NoError(t, c.Stop())
}
