package drill

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// tiercel runs a command and returns what it says.
func runVerb(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(build(t), args...).CombinedOutput()
	return string(out), err
}

// request asks a node and returns status and content.
func request(t *testing.T, n *procs.Node, method, path, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, n.URL()+path, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err, "%s %s: %s", method, path, resp.Status)
	return resp.StatusCode, content
}

// contents reads every file that is listed: sha256 of its content by path.
func contents(t *testing.T, n *procs.Node) map[string]string {
	t.Helper()
	sums := make(map[string]string)
	for cursor := ""; ; {
		status, page := request(t, n, http.MethodGet, "/files?limit=500&cursor="+url.QueryEscape(cursor), "")
		require.Equal(t, 200, status, "%s", page)
		var listing struct {
			Files      []struct{ Path string }
			NextCursor string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal(page, &listing))
		for _, f := range listing.Files {
			var status int
			var content []byte
			procs.Until(procs.Patience, func() bool { // the only copy may be on a worker that is slow
				status, content = request(t, n, http.MethodGet, "/files"+(&url.URL{Path: f.Path}).EscapedPath(), "")
				return status != http.StatusServiceUnavailable
			})
			require.Equal(t, 200, status, "%s: %s", f.Path, content)
			sums[f.Path] = fmt.Sprintf("%x", sha256.Sum256(content))
		}
		if cursor = listing.NextCursor; cursor == "" {
			return sums
		}
	}
}

// change writes files of every tier and sizes up to several extents, replaces, renames
// and deletes some.
func change(t *testing.T, n *procs.Node, round string) {
	t.Helper()
	for i := range 24 {
		dir := []string{"/models", "/vectors", "/cache"}[i%3]
		path := fmt.Sprintf("%s/%s-%d", dir, round, i)
		size := 1000 + i
		if i == 0 {
			size = 20 << 20 // three extents
		}
		putFile(t, n, path, strings.Repeat(round, size/len(round)))
		switch i % 8 {
		case 1, 2:
			putFile(t, n, path, "another "+path)
		case 3, 4:
			status, answer := request(t, n, http.MethodPost, "/move", fmt.Sprintf(`{"from":%q,"to":%q}`, path, path+".renamed"))
			require.Equal(t, 200, status, "%s", answer)
		case 5:
			status, answer := request(t, n, http.MethodDelete, "/files"+path, "")
			require.Equal(t, 204, status, "%s", answer)
		}
	}
}

// quiet waits until everything that was written before is journaled.
func quiet(t *testing.T, c *procs.Cluster, n *procs.Node) {
	t.Helper()
	since := time.Now()
	require.Eventually(t, func() bool {
		var s struct {
			Archive *struct {
				Checkpoint uint64  `json:"checkpoint_index"`
				Lag        float64 `json:"lag_seconds"`
			}
		}
		passed := time.Since(since).Seconds() // when it is asked, not when it has answered
		return c.Get(n, "/cluster/status", &s) == nil && s.Archive != nil && s.Archive.Checkpoint > 0 && passed > s.Archive.Lag+0.2
	}, procs.Patience, 100*time.Millisecond)
}

func TestRecover_AClusterThatLostEveryLogHasEveryFileAgain(t *testing.T) {
	c := cluster(t, 3, "--journal-interval", "500ms")
	load := procs.StartLoad(c, 4, uint64(time.Now().UnixNano()))
	change(t, c.Nodes[0], "first")
	quiet(t, c, c.Nodes[0])
	change(t, c.Nodes[1], "second")
	settled(t, c, load)
	quiet(t, c, c.Nodes[0])
	want := contents(t, c.Nodes[2])
	var before struct{ Epoch string }
	require.NoError(t, c.Soon(c.Nodes[0], "/cluster/status", &before))
	for _, n := range c.Nodes {
		n.Kill()
	}
	var dirs []string
	for _, n := range c.Nodes {
		dirs = append(dirs, "--data-dir", n.Dir())
	}
	out, err := runVerb(t, append([]string{"recover"}, dirs...)...)
	require.Error(t, err)
	require.Contains(t, out, "3 of 3 voters, enough for a majority. Start these nodes", "a log that is intact is not given up")
	out, err = runVerb(t, append([]string{"recover"}, dirs[:2]...)...)
	require.Error(t, err)
	require.Contains(t, out, "`tiercel takeover --data-dir "+c.Nodes[0].Dir()+"`", "one of three cannot go on as it is")
	for _, n := range c.Nodes {
		for _, dir := range []string{"log", "snapshots"} {
			require.NoError(t, os.RemoveAll(filepath.Join(n.Dir(), dir)))
		}
	}
	out, err = runVerb(t, append([]string{"recover"}, dirs...)...)
	require.NoError(t, err, "the plan can be done")
	require.Contains(t, out, "nothing was changed; repeat with --yes")
	require.Contains(t, out, fmt.Sprintf("%d of 1 tenant with", len(want)))
	out, err = runVerb(t, append([]string{"recover", "--yes"}, dirs...)...)
	require.NoError(t, err, out)
	require.NotContains(t, out, "lost+found")
	require.Contains(t, out, "1. start "+c.Nodes[0].Dir()+" first")
	require.Contains(t, out, "2. when it is ready, start "+c.Nodes[1].Dir()+" and "+c.Nodes[2].Dir()+" (in any order) with --join HOST:PORT")
	require.Contains(t, out, fmt.Sprintf("files       %d of 1 tenant with", len(want)))
	requireSameCount(t, out, c.Nodes[0])
	for _, n := range c.Nodes {
		require.NoError(t, n.Start())
	}
	for _, n := range c.Nodes {
		require.NoError(t, n.WaitReady(procs.Patience), "%s\n%s", out, c.Logs(30))
	}
	assert.Equal(t, want, contents(t, c.Nodes[1]), "%s", out)
	var after struct{ Epoch string }
	require.NoError(t, c.Soon(c.Nodes[0], "/cluster/status", &after))
	assert.NotEqual(t, strings.Split(before.Epoch, ".")[0], strings.Split(after.Epoch, ".")[0], "the generation is another one")
	require.NoError(t, load.Verify(), "what was acknowledged to the load is there")
	require.NoError(t, c.WaitFormed(procs.Patience), "it has its voters again")
	change(t, c.Nodes[2], "third")
	assert.Greater(t, len(contents(t, c.Nodes[0])), len(want))
}

// requireSameCount requires that a check of a directory counts the files as the report did
// by which it was made.
func requireSameCount(t *testing.T, report string, n *procs.Node) {
	t.Helper()
	counted := regexp.MustCompile(`files +(\d+ of 1 tenant with .*; and \d+ of Tiercel itself)`)
	made := counted.FindStringSubmatch(report)
	require.NotNil(t, made, report)
	out, err := runVerb(t, "fsck", "--data-dir", n.Dir())
	require.NoError(t, err, out)
	found := counted.FindStringSubmatch(out)
	require.NotNil(t, found, out)
	require.Equal(t, made[1], found[1], "the same words and numbers")
}

// requireToldToBeAWorker starts an old voter, which holds the log of a life that is over,
// beside the recovered cluster: it ends, and says what to do.
func requireToldToBeAWorker(t *testing.T, c *procs.Cluster, old, recovered *procs.Node) {
	t.Helper()
	old.Join = recovered
	require.NoError(t, old.Start())
	require.True(t, procs.Until(procs.Patience, func() bool { return !old.Running() }), "it goes on: %s", c.Logs(20))
	log, err := os.ReadFile(filepath.Join(filepath.Dir(old.Dir()), old.String()+".log"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	require.Contains(t, lines[len(lines)-1], "tiercel recover --worker")
}

func TestRestore_ABackupInAnEmptyDirectoryHasTheFilesOfItsMoment(t *testing.T) {
	c := cluster(t, 3)
	change(t, c.Nodes[0], "first")
	want := contents(t, c.Nodes[1])
	load := procs.StartLoad(c, 2, uint64(time.Now().UnixNano())) // it is taken while writes go on
	file := filepath.Join(t.TempDir(), "catalog.backup")
	out, err := runVerb(t, "backup", "--server", "http://"+c.Nodes[1].HTTP, file)
	require.NoError(t, err, out)
	settled(t, c, load)
	change(t, c.Nodes[0], "later")
	for _, n := range c.Nodes {
		n.Kill()
	}

	damaged := filepath.Join(t.TempDir(), "damaged.backup")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	text[len(text)/2] ^= 1
	require.NoError(t, os.WriteFile(damaged, text, 0o600))
	out, err = runVerb(t, "restore", damaged, "--data-dir", filepath.Join(t.TempDir(), "d"))
	require.Error(t, err)
	require.Contains(t, out, "damaged")
	require.Contains(t, out, "tiercel: restore: ", "in the words of the verb")
	out, err = runVerb(t, "restore", file, "--data-dir", c.Nodes[0].Dir())
	require.Error(t, err)
	require.Contains(t, out, "recover --catalog")
	require.Contains(t, out, "tiercel: restore: ")

	n, err := c.Add()
	require.NoError(t, err)
	n.Kill()
	require.NoError(t, os.RemoveAll(n.Dir()))
	out, err = runVerb(t, "restore", file, "--data-dir", n.Dir())
	require.NoError(t, err, out)
	for _, says := range []string{
		"absent      3 workers of the catalog", "1. start this node: tiercel server --data-dir " + n.Dir(), "2. start the workers of the old cluster",
		"tiercel recover --worker --discard-log --data-dir ITS-DIR --yes", "3. a worker of the catalog that never comes back: 'tiercel workers remove WORKER'",
	} {
		require.Contains(t, out, says)
	}
	for _, old := range c.Nodes[:3] {
		node, err := os.ReadFile(filepath.Join(old.Dir(), "node.yaml"))
		require.NoError(t, err)
		require.Contains(t, out, regexp.MustCompile(`n-[0-9a-f]{16}`).FindString(string(node)))
	}
	requireSameCount(t, out, n)
	n.Join = n // nobody else is there
	require.NoError(t, n.Start())
	require.NoError(t, n.WaitReady(procs.Patience), "%s\n%s", out, c.Logs(30))
	status, answer := request(t, n, http.MethodGet, "/files/models/first-6", "")
	assert.Equal(t, 503, status, "its content is on workers that are away: %s", answer)
	requireToldToBeAWorker(t, c, c.Nodes[0], n)
	for _, old := range c.Nodes[:3] {
		out, err := runVerb(t, "recover", "--worker", "--discard-log", "--yes", "--data-dir", old.Dir())
		require.NoError(t, err, out)
		require.Contains(t, out, "2. start "+old.Dir()+" with --join HOST:PORT")
		out, err = runVerb(t, "fsck", "--data-dir", old.Dir())
		require.NoError(t, err, "a worker that holds no log is sound: %s", out)
		require.Contains(t, out, "none: a worker that holds no log")
		old.Join = n
		require.NoError(t, old.Start())
	}
	for _, old := range c.Nodes[:3] {
		require.NoError(t, old.WaitReady(procs.Patience), "%s", c.Logs(30))
	}
	got := contents(t, c.Nodes[0])
	for path, sum := range want {
		assert.Equal(t, sum, got[path], path)
	}
	for path := range got {
		assert.NotContains(t, path, "later")
	}
	putFile(t, c.Nodes[2], "/models/after", "after")
	requireFile(t, n, "/models/after", "after")
}
