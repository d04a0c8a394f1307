package drill

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// must sends a request that has to succeed.
func (s *server) must(t *testing.T, method, path, body string) []byte {
	t.Helper()
	status, content, err := s.do(http.DefaultClient, method, path, []byte(body))
	require.NoError(t, err)
	require.Less(t, status, 300, "%s %s: %s", method, path, content)
	return content
}

// statusOf is what a drill looks at of /cluster/status.
type statusOf struct {
	Epoch    string
	Warnings []any
	Workers  struct{ Total, Healthy, Degraded, Unreachable, Decommissioned int }
	Archive  struct {
		Checkpoint uint64 `json:"checkpoint_index"`
		Journal    uint64 `json:"journal_index"`
	}
}

func (s *server) status(t *testing.T) (out statusOf) {
	t.Helper()
	require.NoError(t, json.Unmarshal(s.must(t, http.MethodGet, "/cluster/status", ""), &out))
	return out
}

func TestRestore_BesideALiveClusterLeavesItAlone(t *testing.T) {
	c := cluster(t, 3)
	change(t, c.Nodes[0], "first")
	file := filepath.Join(t.TempDir(), "catalog.backup")
	out, err := runVerb(t, "backup", "--server", c.Nodes[1].Server(), file)
	require.NoError(t, err, out)
	var before statusOf
	require.NoError(t, c.Soon(c.Nodes[0], "/cluster/status", &before))
	load := procs.StartLoad(c, 2, uint64(time.Now().UnixNano()))

	dir := filepath.Join(t.TempDir(), "restored")
	out, err = runVerb(t, "restore", file, "--data-dir", dir)
	require.NoError(t, err, out)
	require.Contains(t, out, "ends all that voted", "it is said what becomes of nodes that come here")
	// It has looked for the old workers long enough to give all of them up.
	for range 2 {
		s := start(t, dir, "--heartbeat-interval", "500ms")
		require.Eventually(t, func() bool { return s.status(t).Workers.Decommissioned == 3 }, procs.Patience, 100*time.Millisecond, "%s", s.logs)
		s.kill()
	}
	load.For(time.Second)
	settled(t, c, load)
	for _, n := range c.Nodes {
		require.True(t, n.Running(), "%s", c.Logs(20))
	}
	var after statusOf
	require.True(t, procs.Until(procs.Patience, func() bool {
		return c.Get(c.Nodes[2], "/cluster/status", &after) == nil && after.Workers.Healthy == 3
	}), "%+v", after)
	generation := func(epoch string) string { return strings.Split(epoch, ".")[0] }
	assert.Equal(t, generation(before.Epoch), generation(after.Epoch), "the live cluster has not noticed")
}

func TestRestore_ABackupOfAFreeClusterTakesWritesAndSaysWhatTheLicenceAllows(t *testing.T) {
	old, dir := filepath.Join(t.TempDir(), "old"), filepath.Join(t.TempDir(), "new")
	s := startUnlicensed(t, old)
	s.must(t, http.MethodPut, "/files/models/a", "a")
	file := filepath.Join(t.TempDir(), "catalog.backup")
	out, err := runVerb(t, "backup", "--server", strings.TrimSuffix(s.base, "/api/v1/storage"), file)
	require.NoError(t, err, out)
	s.kill()
	out, err = runVerb(t, "restore", file, "--data-dir", dir)
	require.NoError(t, err, out)
	s = startUnlicensed(t, dir)
	for _, path := range []string{"/models/b", "/vectors/b", "/cache/b"} {
		s.must(t, http.MethodPut, "/files"+path, "b")
		assert.Equal(t, "b", string(s.must(t, http.MethodGet, "/files"+path, "")))
	}
	assert.Contains(t, fmt.Sprint(s.status(t).Warnings), "2 data workers are there and the licence level free allows 1")
}

func TestRestore_RefusesWhatIsNoBackupAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "license.txt")
	require.NoError(t, os.WriteFile(text, []byte("tiercel-license-1 and so on"), 0o600))
	for file, says := range map[string]string{
		filepath.Join(dir, "none"): "cannot be read",
		text:                       "is no backup of a catalog",
		dir:                        "is not a file",
	} {
		target := filepath.Join(dir, "target")
		out, err := runVerb(t, "restore", file, "--data-dir", target)
		require.Error(t, err)
		assert.Contains(t, out, says)
		assert.NoDirExists(t, target)
	}
}

// unjournaled is a node with files that are in no checkpoint or journal, killed, and
// without its log.
func unjournaled(t *testing.T, run func(*testing.T, string, ...string) *server, journaled, then func(s *server)) (dir string, late map[string]string) {
	t.Helper()
	for range 5 {
		dir = filepath.Join(t.TempDir(), "node")
		s := run(t, dir, "--journal-interval", "15s")
		journaled(s)
		var known struct{ Version uint64 }
		require.NoError(t, json.Unmarshal(s.must(t, http.MethodPut, "/files/models/a", "known"), &known))
		require.Eventually(t, func() bool {
			a := s.status(t).Archive
			return a.Checkpoint > 0 && a.Journal >= known.Version
		}, procs.Patience, 50*time.Millisecond)
		before := s.status(t).Archive.Journal
		then(s)
		late = make(map[string]string)
		for _, path := range []string{"/models/b", "/vectors/b", "/cache/b"} {
			late[path] = strings.Repeat("late "+path, 100)
			s.must(t, http.MethodPut, "/files"+path, late[path])
		}
		after := s.status(t).Archive.Journal
		s.kill()
		if after == before {
			for _, name := range []string{"log", "snapshots"} {
				require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
			}
			return dir, late
		}
		t.Log("the writes took so long that they were journaled; once more")
	}
	require.Fail(t, "every time the writes were journaled before the node could be killed")
	return "", nil
}

// requireFound requires that each of late is under /lost+found, and not at its old path.
func requireFound(t *testing.T, s *server, late map[string]string) {
	t.Helper()
	var listing struct{ Files []struct{ Path string } }
	require.NoError(t, json.Unmarshal(s.must(t, http.MethodGet, "/files?prefix=/lost%2Bfound/", ""), &listing))
	for path, content := range late {
		found := ""
		for _, f := range listing.Files {
			if strings.Contains(f.Path, path+"~") {
				found = string(s.must(t, http.MethodGet, "/files"+strings.ReplaceAll(f.Path, "+", "%2B"), ""))
			}
		}
		assert.Equal(t, content, found, "%s: %v", path, listing.Files)
		status, _, err := s.do(http.DefaultClient, http.MethodGet, "/files"+path, nil)
		require.NoError(t, err)
		assert.Equal(t, 404, status, "%s is not back at its old path", path)
	}
}

func TestRecover_KeepsWhatWasNotJournaledAtEveryLevel(t *testing.T) {
	for level, run := range map[string]func(*testing.T, string, ...string) *server{"free": startUnlicensed, "enterprise": start} {
		t.Run(level, func(t *testing.T) {
			dir, late := unjournaled(t, run, func(*server) {}, func(*server) {})
			out, err := runVerb(t, "recover", "--data-dir", dir, "--yes")
			require.NoError(t, err, out)
			require.Contains(t, out, "lost+found")
			s := run(t, dir)
			assert.Equal(t, "known", string(s.must(t, http.MethodGet, "/files/models/a", "")))
			requireFound(t, s, late)
		})
	}
}

func TestRecover_WhatDoesNotFitALimitIsLeftOutOnlyWhenToldSo(t *testing.T) {
	dir, late := unjournaled(t, start, func(s *server) {
		s.must(t, http.MethodPost, "/quotas", `{"tenant":"default","limit_bytes":10000}`)
		s.must(t, http.MethodPut, "/files/models/full", strings.Repeat("x", 7000))
	}, func(s *server) { s.must(t, http.MethodDelete, "/files/models/full", "") })
	// The delete was not journaled, so the limit leaves no room for all that came after it.
	for _, more := range [][]string{{}, {"--yes"}} {
		out, err := runVerb(t, append([]string{"recover", "--data-dir", dir}, more...)...)
		require.Error(t, err, "a plan fails as what it plans would")
		require.Contains(t, out, "nothing was changed: ")
		require.Contains(t, out, "--no-quota default", "%s", out)
		require.NotContains(t, out, "repeat with --yes")
	}
	for _, way := range [][]string{{"--no-quota", "default"}, {"--leave-out"}} {
		out, err := runVerb(t, append([]string{"recover", "--data-dir", dir}, way...)...)
		require.NoError(t, err, "it can be done: %s", out)
		require.Contains(t, out, "repeat with --yes")
	}
	snapshots, globErr := filepath.Glob(filepath.Join(dir, "snapshots", "*"))
	require.NoError(t, globErr)
	require.Empty(t, snapshots, "nothing was recovered yet")
	out, err := runVerb(t, "recover", "--data-dir", dir, "--yes", "--no-quota", "default")
	require.NoError(t, err, out)
	requireFound(t, start(t, dir), late)
}
