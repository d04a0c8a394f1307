package drill

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// ladder is a cluster that climbs the levels of the licence, driven from the command line.
type ladder struct {
	t     *testing.T
	c     *procs.Cluster
	local string // a file to store
}

// west are the nodes that stand in another datacenter, hard those with a hard disk.
var west, hard = map[int]bool{5: true}, map[int]bool{2: true, 3: true}

// stranger is the node that comes with a licence of its own to a cluster that is full.
const stranger = 7

func newLadder(t *testing.T) *ladder {
	own := filepath.Join(t.TempDir(), "own.txt")
	require.NoError(t, procs.IssueLicense(build(t), "enterprise", own))
	c, err := procs.Start(procs.Options{
		Binary: build(t), Dir: t.TempDir(), Nodes: 1, License: procs.Unlicensed, Args: []string{"--heartbeat-interval", "1s", "--log-level", "info"},
		ArgsOf: func(n int) []string {
			args := []string{"--dc", "east", "--disk-type", "ssd"}
			if west[n] {
				args[1] = "west"
			}
			if hard[n] {
				args[3] = "hdd"
			}
			if n == stranger {
				args = append(args, "--license", own)
			}
			return args
		},
	})
	require.NoError(t, err)
	t.Cleanup(c.Kill)
	local := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(local, []byte("content"), 0o600))
	return &ladder{t: t, c: c, local: local}
}

// run runs the command line against the first node.
func (l *ladder) run(stdin string, args ...string) (status int, stdout, stderr string) {
	l.t.Helper()
	cmd := exec.Command(build(l.t), args...)
	cmd.Env = append(os.Environ(), "TIERCEL_SERVER=http://"+l.c.Nodes[0].HTTP)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	_ = cmd.Run() // its status is what counts
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func (l *ladder) must(args ...string) string {
	l.t.Helper()
	status, out, errs := l.run("", args...)
	require.Equal(l.t, 0, status, "%v: %s%s", args, out, errs)
	return out
}

// tries runs something that is licensed at this level, or must be denied by the names of
// the feature and the level that has it.
func (l *ladder) tries(licensed bool, feature, level string, args ...string) {
	l.t.Helper()
	status, out, errs := l.run("", args...)
	if licensed {
		assert.Equal(l.t, 0, status, "%v: %s%s", args, out, errs)
		return
	}
	assert.Equal(l.t, 1, status, "%v: %s%s", args, out, errs)
	assert.Contains(l.t, errs, feature+" is not part of the licence level", "%v", args)
	assert.Contains(l.t, errs, "the level "+level+" has it", "%v", args)
	assert.Contains(l.t, errs, "license_denied", "%v", args)
}

// install issues a development licence and installs it.
func (l *ladder) install(args ...string) {
	l.t.Helper()
	text := l.must(append([]string{"license", "issue"}, args...)...)
	status, out, errs := l.run(text, "license", "install", "-")
	require.Equal(l.t, 0, status, "%s%s", out, errs)
}

// installEnding installs a licence that ends soon. On a machine that is slow one may have
// ended before it is judged.
func (l *ladder) installEnding() {
	l.t.Helper()
	var out, errs string
	for valid := 2 * time.Second; valid < procs.Patience; valid *= 2 {
		var status int
		text := l.must("license", "issue", "--level", "enterprise", "--valid-for", valid.String())
		if status, out, errs = l.run(text, "license", "install", "-"); status == 0 {
			return
		}
	}
	require.Fail(l.t, "no licence is installed before it ends", "%s%s", out, errs)
}

// joins adds a node, or starts one that was refused before.
func (l *ladder) joins(n *procs.Node) *procs.Node {
	l.t.Helper()
	var err error
	if n == nil {
		n, err = l.c.Add()
	} else {
		err = n.Start()
	}
	require.NoError(l.t, err)
	require.NoError(l.t, n.WaitReady(procs.Patience))
	return n
}

// refused adds a node that the licence has no place for: it ends, and its log says why.
func (l *ladder) refused(says ...string) *procs.Node {
	l.t.Helper()
	n, err := l.c.Add()
	require.NoError(l.t, err)
	status, err := n.WaitEnd(procs.Patience)
	require.NoError(l.t, err)
	assert.Equal(l.t, 1, status)
	log, err := os.ReadFile(n.Dir() + ".log")
	require.NoError(l.t, err)
	for _, text := range append(says, "license_denied") {
		assert.Contains(l.t, string(log), text)
	}
	return n
}

func (l *ladder) roles() (voters int) {
	var list struct{ Workers []struct{ Role string } }
	if l.c.Get(l.c.Nodes[0], "/cluster/workers", &list) != nil {
		return 0
	}
	for _, w := range list.Workers {
		if w.Role == "master" || w.Role == "voter" {
			voters++
		}
	}
	return voters
}

func (l *ladder) workerIDs() (ids []string) {
	var list struct {
		Workers []struct {
			ID    string `json:"worker_id"`
			State string
			Role  string
		}
	}
	require.NoError(l.t, l.c.Soon(l.c.Nodes[0], "/cluster/workers", &list))
	for _, w := range list.Workers {
		if w.Role != "master" && w.State == "healthy" {
			ids = append(ids, w.ID)
		}
	}
	return ids
}

// followers waits for so many healthy workers beside the master.
func (l *ladder) followers(n int) (ids []string) {
	l.t.Helper()
	require.True(l.t, procs.Until(procs.Patience, func() bool {
		ids = l.workerIDs()
		return len(ids) == n
	}), "%d healthy workers beside the master: %v", n, ids)
	return ids
}
