package drill

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// loadReport is what the drill looks at of `tiercel bench --output json`.
type loadReport struct {
	Stopped   string
	Workloads []struct {
		Workload   string
		Requests   int64
		Verified   int64 `json:"verified_reads"`
		Errors     []any `json:"errors"`
		Durability []struct {
			Tier    int `json:"tier_achieved"`
			Durable int `json:"copies_durable"`
			Writes  int64
		}
	}
}

func TestBench_OnARealServer(t *testing.T) {
	s := start(t, t.TempDir())
	server := strings.TrimSuffix(s.base, "/api/v1/storage")
	bench := func(args ...string) *exec.Cmd {
		cmd := exec.Command(build(t), append([]string{"bench", "--server", server, "--output", "json"}, args...)...)
		return cmd
	}
	parse := func(out []byte) (r loadReport) {
		require.NoError(t, json.Unmarshal(out, &r), string(out))
		return r
	}
	left := func() string {
		out, err := exec.Command(build(t), "ls", "-r", "/", "--server", server).Output()
		require.NoError(t, err)
		return string(out)
	}

	out, err := bench("--requests", "100", "--tier", "1").Output()
	require.NoError(t, err, string(out))
	r := parse(out)
	require.Len(t, r.Workloads, 4)
	for _, w := range r.Workloads {
		assert.Equal(t, int64(100), w.Requests, w.Workload)
		assert.Empty(t, w.Errors, w.Workload)
		for _, d := range w.Durability {
			assert.Equal(t, 1, d.Tier)
			assert.Equal(t, 1, d.Durable, "there is one worker")
		}
	}
	assert.Equal(t, int64(100), r.Workloads[1].Verified)
	assert.Empty(t, left())

	// Above 1 MiB content goes as a stream, in several extents.
	out, err = bench("put", "get", "--requests", "4", "--connections", "2", "--size", "9MiB").Output()
	require.NoError(t, err, string(out))
	r = parse(out)
	assert.Equal(t, 3, r.Workloads[0].Durability[0].Tier, "the tier of /tmp/")
	assert.Zero(t, r.Workloads[0].Durability[0].Durable, "tier 3 is not synced before the answer")
	assert.Equal(t, int64(4), r.Workloads[1].Verified)

	cmd := bench("put", "--duration", "1h")
	notes, err := cmd.StderrPipe()
	require.NoError(t, err)
	var stdout strings.Builder
	cmd.Stdout = &stdout
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(notes)
	for lines.Scan() && lines.Text() != "tiercel: put: 1h0m0s" {
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	late := false
	for lines.Scan() {
		late = late || strings.Contains(lines.Text(), "take effect later")
	}
	assert.Error(t, cmd.Wait())
	assert.Equal(t, 1, cmd.ProcessState.ExitCode())
	assert.Contains(t, parse([]byte(stdout.String())).Stopped, "interrupted")
	if !late { // a write without an answer may be done after the cleaning, as was said
		assert.Empty(t, left(), "cleaned up after the interruption")
	}
}
