package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startFake serves a fake from this process and returns its host:port.
func startFake(t *testing.T, f fake) string {
	t.Helper()
	f.dir = t.TempDir()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func countLoop(addr string, count uint64, op operation) loop {
	return loop{name: "x", addr: addr, connections: 3, count: count, timeout: time.Minute, op: op}
}

func TestLoop_CountsExactlyWhatItWasAskedFor(t *testing.T) {
	addr := startFake(t, fake{})
	set := newFileSet("/b/", 100, 1, 4)
	m, err := countLoop(addr, 50, put(set)).run()
	require.NoError(t, err)
	assert.Equal(t, uint64(50), m.Operations)
	assert.Equal(t, int64(5000), m.Moved)
	assert.Empty(t, m.Failures)
	assert.Len(t, m.stored, 50)
	assert.Positive(t, m.P50)

	for name, op := range map[string]operation{
		"get": get(set, m.stored, 1), "mixed": mixed(set, m.stored, 1), "list": list(set, m.stored),
	} {
		l := countLoop(addr, 30, op)
		l.first = 1000
		read, err := l.run()
		require.NoError(t, err)
		assert.Equal(t, uint64(30), read.Operations, name)
		assert.Empty(t, read.Failures, name)
	}
	gone, err := countLoop(addr, 50, remove(set, m.stored)).run()
	require.NoError(t, err)
	assert.Equal(t, uint64(50), gone.Operations)
	again, err := countLoop(addr, 50, remove(set, m.stored)).run()
	require.NoError(t, err)
	assert.Equal(t, map[string]uint64{"status_404": 50}, again.Failures)
}

func TestLoop_EndsWhenItsTimeIsUp(t *testing.T) {
	l := countLoop(startFake(t, fake{}), 0, put(newFileSet("/b/", 10, 0, 1)))
	l.warmUp, l.duration = 20*time.Millisecond, 50*time.Millisecond
	m, err := l.run()
	require.NoError(t, err)
	assert.Positive(t, m.Operations)
	assert.Greater(t, len(m.stored), int(m.Operations)-1, "warm-up stores but is not measured")
	assert.GreaterOrEqual(t, m.Seconds, 0.05)
}

func TestLoop_NamesFailuresByTheServersCode(t *testing.T) {
	set := newFileSet("/b/", 100, 1, 1)
	m, err := countLoop(startFake(t, fake{overload: true}), 10, put(set)).run()
	require.NoError(t, err)
	assert.Equal(t, map[string]uint64{"overloaded": 10}, m.Failures)
	assert.Zero(t, m.Operations, "a failure is not an operation")

	m, err = countLoop("127.0.0.1:1", 3, put(set)).run()
	require.NoError(t, err)
	assert.Equal(t, map[string]uint64{codeNoAnswer: 3}, m.Failures)
}

func TestGet_NoticesWrongContent(t *testing.T) {
	set := newFileSet("/b/", 100, 1, 1)
	addr := startFake(t, fake{corrupt: true})
	m, err := countLoop(addr, 5, put(set)).run()
	require.NoError(t, err)
	m, err = countLoop(addr, 10, get(set, m.stored, 1)).run()
	require.NoError(t, err)
	assert.Equal(t, map[string]uint64{codeWrongContent: 10}, m.Failures)
}

func TestFileSet_VerifyTellsFilesApart(t *testing.T) {
	set := newFileSet("/b/", 100, 1, 1)
	content := bytes.Clone(set.block)
	set.stamp(content, 7)
	assert.NoError(t, set.verify(content, 7))
	assert.ErrorContains(t, set.verify(content, 8), "another")
	assert.ErrorContains(t, set.verify(content[:99], 7), "99 bytes")
	content[50]++
	assert.ErrorContains(t, set.verify(content, 7), "crc32c")

	tiny := newFileSet("/b/", 3, 1, 1) // shorter than a stamp
	content = bytes.Clone(tiny.block)
	tiny.stamp(content, 7)
	assert.NoError(t, tiny.verify(content, 7))
}

// runAgainstChild runs a command with this test binary as the server program.
func runAgainstChild(t *testing.T, arguments ...string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, append(arguments, "--binary", self, "--data-dir", t.TempDir())))
	return out.String()
}

func TestSuite_ReportsEveryWorkloadBesideTheBaselines(t *testing.T) {
	out := runAgainstChild(t, "suite", "--duration", "30ms", "--warm-up", "5ms")
	for _, row := range []string{
		"| baseline: HTTP alone (fasthttp), 4 KiB | none | 64 |",
		"| baseline: group commit alone, 4 KiB | fdatasync a batch | 64 |",
		"| put 4 KiB | tier 1: data and log fsynced | 16 |",
		"| put 4 KiB | tier 1: data and log fsynced | 64 |",
		"| put 4 KiB | tier 1: data and log fsynced | 256 |",
		"| put 4 KiB | tier 3: log fsynced, data not | 64 |",
		"| get 4 KiB |", "| mixed 3 get : 1 put, 4 KiB |", "| list, pages of 100 |", "| delete 4 KiB |",
		"| put 8 MiB | tier 1: data and log fsynced | 4 |", "| get 8 MiB |",
	} {
		assert.Contains(t, out, row)
	}
}

func TestMillion_ReportsCostsAndReadsBackAfterBothRestarts(t *testing.T) {
	out := runAgainstChild(t, "million", "--files", "200", "--size", "1KiB", "--connections", "4")
	for _, line := range []string{
		"stored: 200 files, 0 failed", "disk after a clean end:", "restart after a kill: ready in", "verified after a kill: 200 files",
	} {
		assert.Contains(t, out, line)
	}
}

func TestLargeFile_ComparesChecksums(t *testing.T) {
	out := runAgainstChild(t, "largefile", "--size", "3MiB")
	assert.Contains(t, out, "server peak")
	assert.Contains(t, out, "verified: crc32c")

	err := exchangeLargeFile(&bytes.Buffer{}, startFake(t, fake{corrupt: true}), nil, largeFileOptions{size: 3 << 20})
	require.ErrorContains(t, err, "came back with crc32c")
}

func TestWorkloads_RunOnAServerThatRunsAlready(t *testing.T) {
	addr := startFake(t, fake{})
	for _, name := range []string{"put", "get", "mixed", "delete", "list"} {
		var out bytes.Buffer
		arguments := []string{name, "--server", "http://" + addr, "--size", "100", "--connections", "2", "--prepare", "20", "--count", "20", "--output", "json"}
		require.NoError(t, run(t.Context(), &out, arguments))
		var m measurement
		require.NoError(t, json.Unmarshal(out.Bytes(), &m))
		assert.Equal(t, uint64(20), m.Operations, name)
		assert.Empty(t, m.Failures, name)
		assert.NotEmpty(t, m.Sync, name)
	}
}

func TestRun_RefusesWrongUsage(t *testing.T) {
	for _, arguments := range [][]string{
		{},
		{"fly"},
		{"put", "--size", "big"},
		{"put", "--server", "localhost"},
		{"put", "--connections", "0"},
		{"put", "--tier", "4"},
		{"put", "--output", "xml"},
		{"get", "--prepare", "0"},
		{"put", "--duration", "0s"},
		{"suite", "extra"},
		{"suite", "--duration", "0s"},
		{"million", "--files", "0"},
	} {
		require.ErrorIs(t, run(t.Context(), &bytes.Buffer{}, arguments), errUsage, "%q", arguments)
	}
}

func TestProfile_IsFetchedWhileTheLoopRuns(t *testing.T) {
	profiles := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "profile of %s seconds", r.FormValue("seconds"))
	}))
	defer profiles.Close()
	name := filepath.Join(t.TempDir(), "cpu.pprof")
	arguments := []string{
		"put", "--server", "http://" + startFake(t, fake{}), "--size", "10", "--duration", "20ms", "--warm-up", "1ms",
		"--pprof", strings.TrimPrefix(profiles.URL, "http://"), "--profile", name,
	}
	require.NoError(t, run(t.Context(), &bytes.Buffer{}, arguments))
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, "profile of 1 seconds", string(text))

	err = fetchProfile(t.Context(), "", time.Second, name)
	require.ErrorContains(t, err, "--pprof")
}

func TestController_RefusesSizesThatTellNothing(t *testing.T) {
	for _, arguments := range [][]string{
		{"--workers", "100,none"}, {"--workers", "0"}, {"--workers", "100", "--killed", "11"}, {"--killed", "0"}, {"--interval", "0s"},
	} {
		err := run(t.Context(), io.Discard, append([]string{"controller"}, arguments...))
		assert.ErrorIs(t, err, errUsage, "%v", arguments)
	}
}

func TestController_PrintsSizesSideBySide(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{"controller", "--workers", "20,40", "--killed", "2", "--interval", "1s"}))
	for _, row := range []string{"| workers | 20 | 40 |", "| a heartbeat at the controller, CPU |", "| decommissioned after |", "with 2 times the workers"} {
		assert.Contains(t, out.String(), row)
	}
}
