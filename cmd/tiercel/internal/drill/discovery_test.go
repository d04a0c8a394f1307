package drill

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// etcd is a real one, or nil where there is none.
type etcd struct {
	t             *testing.T
	program, dir  string
	client, peers string
	cmd           *exec.Cmd
}

func startEtcd(t *testing.T) *etcd {
	t.Helper()
	program, err := exec.LookPath("etcd")
	if err != nil {
		t.Log("NOT RUN: there is no etcd on this machine (Debian: etcd-server)")
		return nil
	}
	ports, err := procs.FreePorts(2)
	require.NoError(t, err)
	e := &etcd{t: t, program: program, dir: t.TempDir(), client: fmt.Sprintf("127.0.0.1:%d", ports[0]), peers: fmt.Sprintf("http://127.0.0.1:%d", ports[1])}
	t.Cleanup(e.kill)
	e.start()
	return e
}

func (e *etcd) start() {
	e.t.Helper()
	url := "http://" + e.client
	e.cmd = exec.Command(e.program, "--data-dir", e.dir, "--listen-client-urls", url, "--advertise-client-urls", url,
		"--listen-peer-urls", e.peers, "--initial-advertise-peer-urls", e.peers, "--initial-cluster", "default="+e.peers)
	require.NoError(e.t, e.cmd.Start())
	require.True(e.t, procs.Until(procs.Patience, func() bool {
		resp, err := http.Get(url + "/health")
		if err != nil {
			return false
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode == http.StatusOK
	}), "etcd does not get healthy")
}

func (e *etcd) kill() {
	if e.cmd != nil {
		_ = e.cmd.Process.Kill() // it may have ended
		_ = e.cmd.Wait()
	}
}

func TestDiscovery_NodesFindEachOtherThroughEtcdAndDoNotNeedItAfterwards(t *testing.T) {
	e := startEtcd(t)
	if e == nil {
		return
	}
	c, err := procs.Start(procs.Options{
		Binary: build(t), Dir: t.TempDir(), Nodes: 3, Unjoined: true,
		Args:    []string{"--heartbeat-interval", "500ms", "--discovery", "etcd", "--discovery-address", e.client, "--discovery-name", "ml"},
		Founder: []string{"--found"},
	})
	require.NoError(t, err)
	t.Cleanup(c.Kill)
	load := procs.StartLoad(c, 4, uint64(time.Now().UnixNano()))
	load.For(time.Second)

	// Without etcd the cluster goes on, a restarted node included; a newcomer waits.
	e.kill()
	load.For(time.Second)
	victim := c.Nodes[2]
	victim.Kill()
	require.NoError(t, victim.Start())
	require.NoError(t, c.WaitFormed(procs.Patience), "%s", c.Logs(30))
	late, err := c.Add()
	require.NoError(t, err)
	assert.Error(t, late.WaitReady(5*time.Second), "it knows nobody")
	e.start()
	require.NoError(t, late.WaitReady(procs.Patience), "%s", c.Logs(30))
	settled(t, c, load)

	// Everybody is told to found, and nobody founds a second time: one that lost its
	// disk joins.
	lost := c.Nodes[0]
	require.NoError(t, lost.Stop(procs.Patience))
	require.NoError(t, os.Rename(lost.Dir(), lost.Dir()+".lost"))
	require.NoError(t, lost.Start())
	require.NoError(t, lost.WaitReady(procs.Patience), "%s", c.Logs(30))
	var status struct {
		ClusterID string `json:"cluster_id"`
	}
	ids := map[string]bool{}
	for _, n := range c.Nodes {
		require.NoError(t, c.Soon(n, "/cluster/status", &status))
		ids[status.ClusterID] = true
	}
	assert.Len(t, ids, 1, "one cluster: %v", ids)
	require.NoError(t, c.Stop())
}

func TestDiscovery_NobodyFoundsAClusterWithoutHavingLooked(t *testing.T) {
	ports, err := procs.FreePorts(1)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "data")
	cmd := exec.Command(build(t), "server", "--data-dir", dir, "--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0",
		"--found", "--discovery", "consul", "--discovery-address", fmt.Sprintf("127.0.0.1:%d", ports[0]))
	timer := time.AfterFunc(50*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "%s", out)
	assert.Contains(t, string(out), "consul does not answer at 127.0.0.1:")
	names, err := filepath.Glob(filepath.Join(dir, "node.yaml"))
	require.NoError(t, err)
	assert.Empty(t, names, "no node was made")
}
