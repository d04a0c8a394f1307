//go:build partitions

package drill

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// These drills cut the network between real processes with a packet filter. They
// need root, iptables and a network namespace of their own, `make drill-partitions`
// makes one; nothing outside it is touched.

const firstUID = 21000

// partitionable starts a cluster of which each node is a user of its own.
func partitionable(t *testing.T, n int) *procs.Cluster {
	t.Helper()
	rules(t, "-F OUTPUT")
	binary := build(t)
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = d[:strings.LastIndexByte(d, '/')] {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	require.NoError(t, os.Chmod(binary[:strings.LastIndexByte(binary, '/')], 0o755))
	c, err := procs.Start(procs.Options{
		Binary: binary, Dir: dir, Nodes: n, FirstUID: firstUID, Args: []string{"--heartbeat-interval", "500ms", "--log-level", "info"},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Kill()
		rules(t, "-F OUTPUT")
	})
	return c
}

// rules changes the packet filter.
func rules(t *testing.T, args string) {
	t.Helper()
	out, err := exec.Command("iptables", strings.Fields(args)...).CombinedOutput()
	require.NoError(t, err, "iptables %s: %s", args, out)
}

// cutFrom drops what one node sends to another.
func cutFrom(t *testing.T, from, to *procs.Node) {
	t.Helper()
	_, port, err := net.SplitHostPort(to.RPC)
	require.NoError(t, err)
	rules(t, fmt.Sprintf("-A OUTPUT -p tcp --dport %s -m owner --uid-owner %d -j DROP", port, from.UID()))
	// What a node had still to send over a connection that it has closed is nobody's any
	// more, and the kernel goes on trying: it would be a hole in the cut.
	rules(t, fmt.Sprintf("-A OUTPUT -p tcp --dport %s -m owner ! --socket-exists -j DROP", port))
}

// cutOff lets writers go on through both sides for a while, once they are cut off from
// each other. Through the side without a quorum nothing that is sent from now on may be
// acknowledged; what was sent before may, late, for it may have been done before.
func cutOff(t *testing.T, c *procs.Cluster, load *procs.Load, waits, goesOn []*procs.Node) (took time.Duration) {
	t.Helper()
	waiting, going := load.Through(waits, 4), load.Through(goesOn, 4)
	began := time.Now()
	took, err := going.FirstAck(procs.Patience)
	require.NoError(t, err, "%s", c.Logs(40))
	going.For(8*time.Second - time.Since(began))
	assert.Zero(t, waiting.Acknowledged.Load(), "writes were acknowledged by %v, which hear no quorum", waits)
	rules(t, "-F OUTPUT")
	require.NoError(t, c.WaitFormed(procs.Patience), "%s", c.Logs(40))
	settled(t, c, waiting) // each writer's first write was queued, and is done now
	assert.GreaterOrEqual(t, waiting.Acknowledged.Load(), int64(4))
	settled(t, c, going)
	return took
}

func TestPartition_NeverTwoMastersAcknowledge(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  func(t *testing.T, master, other *procs.Node)
	}{
		{"two ways", func(t *testing.T, m, o *procs.Node) { cutFrom(t, m, o); cutFrom(t, o, m) }},
		{"what the master sends", func(t *testing.T, m, o *procs.Node) { cutFrom(t, m, o) }},
		{"what the master is sent", func(t *testing.T, m, o *procs.Node) { cutFrom(t, o, m) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster := partitionable(t, 5)
			load := procs.StartLoad(cluster, 8, uint64(time.Now().UnixNano()))
			for range rounds(t, "DRILL_PARTITIONS", 1) {
				load.For(2 * time.Second)
				old := masterOf(t, cluster)
				var others []*procs.Node
				for _, n := range cluster.Nodes {
					if n != old {
						c.cut(t, old, n)
						others = append(others, n)
					}
				}
				took := cutOff(t, cluster, load, []*procs.Node{old}, others)
				t.Logf("%s: first new write acknowledged after %v", c.name, took)
			}
			settled(t, cluster, load)
			t.Logf("%d acknowledged writes, none lost; slowest request %v", load.Acknowledged.Load(), load.Slowest())
		})
	}
}

func TestPartition_AMinorityWithItsMasterWaitsAndAMajorityGoesOn(t *testing.T) {
	cluster := partitionable(t, 5)
	load := procs.StartLoad(cluster, 8, uint64(time.Now().UnixNano()))
	load.For(2 * time.Second)
	old := masterOf(t, cluster)
	minority := []*procs.Node{old}
	var majority []*procs.Node
	for _, n := range cluster.Nodes {
		switch {
		case n == old:
		case len(minority) < 2:
			minority = append(minority, n)
		default:
			majority = append(majority, n)
		}
	}
	for _, a := range minority {
		for _, b := range majority {
			cutFrom(t, a, b)
			cutFrom(t, b, a)
		}
	}
	cutOff(t, cluster, load, minority, majority)
	settled(t, cluster, load)
}
