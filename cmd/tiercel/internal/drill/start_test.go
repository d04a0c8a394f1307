package drill

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// run starts a server that is expected to end by itself.
func run(t *testing.T, args ...string) (status int, stderr string) {
	t.Helper()
	cmd := exec.Command(build(t), append([]string{"server", "--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Start())
	timer := time.AfterFunc(procs.Patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait() // its status is looked at below
	assert.Empty(t, out.String(), "nothing is ready")
	return cmd.ProcessState.ExitCode(), errs.String()
}

// used makes a data directory that a node has lived in.
func used(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := start(t, dir)
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, s.cmd.Wait(), "SIGTERM ends it with status 0; %s", s.logs.String())
	return dir
}

// flip changes one byte of the only file that matches.
func flip(t *testing.T, dir, pattern string, at int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	require.Len(t, names, 1, pattern)
	b, err := os.ReadFile(names[0])
	require.NoError(t, err)
	b[at] ^= 0x40
	require.NoError(t, os.WriteFile(names[0], b, 0o600))
}

func TestStart_RefusesADirectoryThatItCannotTrustAndSaysWhatToDo(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		says  []string
	}{
		{"another version", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "VERSION"), []byte("99\n"), 0o600))
		}, []string{"VERSION", "99", "invalid_argument"}},
		{"a damaged identity", func(t *testing.T, dir string) { flip(t, dir, "node.yaml", 90) }, []string{"node.yaml", "backup", "corrupt"}},
		{"a lost identity", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "node.yaml"))) },
			[]string{"node.yaml", "missing", "corrupt"}},
		{"a damaged snapshot, the only one", func(t *testing.T, dir string) { flip(t, dir, "snapshots/*.snap", 20) },
			[]string{"snapshot", "corrupt"}},
		{"no snapshot beside a log", func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, "snapshots/*"))
			require.NoError(t, err)
			for _, n := range names {
				require.NoError(t, os.Remove(n))
			}
		}, []string{"snapshots/", "restore", "corrupt"}},
		{"a log that is gone", func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, "log/*"))
			require.NoError(t, err)
			for _, n := range names {
				require.NoError(t, os.Remove(n))
			}
			// Only a node that has taken a snapshot of its own can tell.
			require.NoError(t, os.Link(filepath.Join(dir, "snapshots", filepath.Base(glob(t, dir, "snapshots/*.snap"))),
				filepath.Join(dir, "snapshots", "00000000000000000099.snap")))
		}, []string{"log/", "corrupt"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			dir := used(t)
			tc.spoil(t, dir)
			status, stderr := run(t, "--data-dir", dir)
			assert.Equal(t, 1, status, stderr)
			for _, word := range tc.says {
				assert.Contains(t, stderr, word)
			}
		})
	}
}

// names are all files and directories below dir.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		all = append(all, path)
		return err
	}))
	return all
}

func TestStart_ALostLogIsRefusedAgainAndEveryVerbSeesThatItIsLost(t *testing.T) {
	for _, lost := range [][]string{{"log"}, {"log/*"}, {"snapshots"}, {"snapshots/*"}, {"log", "snapshots"}} {
		t.Run(strings.Join(lost, " and "), func(t *testing.T) {
			dir := used(t)
			for _, pattern := range lost {
				paths, err := filepath.Glob(filepath.Join(dir, pattern))
				require.NoError(t, err)
				for _, path := range paths {
					require.NoError(t, os.RemoveAll(path))
				}
			}
			part := strings.TrimSuffix(lost[0], "/*")
			left := names(t, dir)
			for range 2 {
				status, stderr := run(t, "--data-dir", dir)
				assert.Equal(t, 1, status, stderr)
				assert.Contains(t, stderr, part+"/ is empty, but this node was a member")
				assert.Contains(t, stderr, "tiercel recover")
				assert.Equal(t, left, names(t, dir), "nothing is left behind")
			}
			out, err := runVerb(t, "takeover", "--data-dir", dir)
			require.Error(t, err, out)
			assert.Contains(t, out, "there is no log here to go on with")
			out, err = runVerb(t, "fsck", "--data-dir", dir)
			require.Error(t, err, out)
			assert.Contains(t, out, strings.TrimSuffix(part, "s")+": "+part+"/ is empty")
		})
	}
}

func glob(t *testing.T, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names[0]
}

func TestStart_RefusesWhatIsInUse(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	status, stderr := run(t, "--data-dir", dir)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "another process uses this data directory")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	status, stderr = run(t, "--data-dir", t.TempDir(), "--http", listener.Addr().String())
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "address already in use")
	assert.Contains(t, stderr, "--http")

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	status, stderr = run(t, "--data-dir", file)
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "directory")

	status, _, err = s.do(newWriter(0, 1).client, "PUT", "/files/models/still", []byte("works"))
	require.NoError(t, err)
	assert.Equal(t, 201, status, "the one that runs is not harmed")
}

// The examples are run as a newcomer would run them.
func TestExamples_Run(t *testing.T) {
	s := start(t, t.TempDir())
	server := strings.TrimSuffix(s.base, "/api/v1/storage")
	for _, args := range [][]string{
		{"tiercel/examples/quickstart", "-server", server},
		{"tiercel/examples/ingest", "-server", server, "-n", "500"},
		{"tiercel/examples/ingest", "-server", server, "-n", "505", "-batch", "100", "-workers", "2"},
		{"tiercel/examples/simulation", "-seed", "3"},
	} {
		out, err := exec.Command("go", append([]string{"run"}, args...)...).CombinedOutput()
		assert.NoError(t, err, "%s: %s", args[0], out)
	}
}
