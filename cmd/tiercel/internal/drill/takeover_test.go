package drill

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

func putFile(t *testing.T, n *procs.Node, path, content string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, n.URL()+"/files"+path, bytes.NewBufferString(content))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	answer, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	require.Less(t, resp.StatusCode, 300, "%s: %s", path, answer)
}

func requireFile(t *testing.T, n *procs.Node, path, content string) {
	t.Helper()
	resp, err := http.Get(n.URL() + "/files" + path)
	require.NoError(t, err)
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	require.NoError(t, err)
	require.Equal(t, content, string(got), "%s: %s", path, resp.Status)
}

// takeover runs the command and returns what it says.
func takeover(t *testing.T, n *procs.Node, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(build(t), append([]string{"takeover", "--data-dir", n.Dir()}, args...)...).CombinedOutput()
	return string(out), err
}

func TestTakeOver_TheStandbyOfTwoNodesGoesOnAndTheOldMasterComesBackAsANewNode(t *testing.T) {
	c := cluster(t, 2)
	old, standby := c.Nodes[0], c.Nodes[1]
	require.Eventually(t, func() bool {
		var w struct{ Workers []struct{ Role string } }
		return c.Get(old, "/cluster/workers", &w) == nil && len(w.Workers) == 2 && w.Workers[0].Role != "none" && w.Workers[1].Role != "none"
	}, procs.Patience, 50*time.Millisecond)
	require.Eventually(t, func() bool { // volumes of the time when the master was alone are sealed
		var v struct {
			Workers []struct {
				Volumes int
			}
		}
		return c.Get(old, "/cluster/workers", &v) == nil && v.Workers[0].Volumes > 0 && v.Workers[1].Volumes > 0
	}, procs.Patience, 50*time.Millisecond)
	for i := range 50 {
		putFile(t, old, fmt.Sprintf("/models/%d", i), fmt.Sprintf("content %d", i))
	}
	out, err := takeover(t, standby, "--yes")
	require.Error(t, err)
	require.Contains(t, out, "LOCK is held", "it still runs")
	old.Kill()
	require.NoError(t, standby.Stop(procs.Patience))

	out, err = takeover(t, standby)
	require.NoError(t, err, "the plan can be done")
	require.Contains(t, out, "nothing was changed; repeat with --yes")
	out, err = takeover(t, standby, "--yes")
	require.NoError(t, err, out)
	require.NoError(t, standby.Start())
	require.NoError(t, standby.WaitReady(procs.Patience), "%s", c.Logs(30))
	for i := range 50 {
		requireFile(t, standby, fmt.Sprintf("/models/%d", i), fmt.Sprintf("content %d", i))
	}
	putFile(t, standby, "/models/after", "alone")

	require.NoError(t, old.Start())
	status, err := old.WaitEnd(procs.Patience)
	require.NoError(t, err)
	assert.Equal(t, 1, status)
	assert.Contains(t, c.Logs(5), "start this node again with --join")
	old.Join = standby
	require.NoError(t, old.Start())
	require.NoError(t, old.WaitReady(procs.Patience), "%s", c.Logs(30))
	requireFile(t, old, "/models/after", "alone")
	requireFile(t, old, "/models/49", "content 49")
	putFile(t, old, "/models/both", "two copies")
	requireFile(t, standby, "/models/both", "two copies")
}
