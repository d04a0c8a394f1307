package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/client/clienttest"
)

// outcome is what one command line came to.
type outcome struct {
	status         int
	stdout, stderr string
}

// cli runs command lines against a server, as a user's shell does.
type cli struct {
	t       *testing.T
	server  *clienttest.Server
	environ []string
	stdin   string
}

func newCLI(t *testing.T) *cli {
	s := clienttest.New(t)
	return &cli{t: t, server: s, environ: []string{"TIERCEL_SERVER=" + s.URL}}
}

func (c *cli) run(args ...string) outcome {
	c.t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{stdin: strings.NewReader(c.stdin), stdout: &stdout, stderr: &stderr, environ: c.environ}
	status := a.run(c.t.Context(), args)
	return outcome{status, stdout.String(), stderr.String()}
}

// must runs a command line that has to succeed, and returns its output.
func (c *cli) must(args ...string) string {
	c.t.Helper()
	o := c.run(args...)
	require.Equal(c.t, exitDone, o.status, "%v: %s%s", args, o.stdout, o.stderr)
	return o.stdout
}

func TestPutAndGet_SayWhatTheyDid(t *testing.T) {
	c := newCLI(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("hello"), 0o600))
	require.NoError(t, os.Symlink("f", filepath.Join(dir, "link")))

	o := c.run("put", dir+"/", "/d", "--tier", "2", "--meta", "Owner=me")
	assert.Equal(t, exitDone, o.status, o.stderr)
	assert.Regexp(t, `^stored 1 file, 5 B in \S+ \([0-9.]+ MB/s\)\n$`, o.stdout)
	assert.Equal(t, "tiercel: skipped 1 symlink; --follow stores what they point to\n", o.stderr)
	f := c.server.Tenants["default"]["/d/f"]
	assert.Equal(t, "2", f.Tier)
	assert.Equal(t, "me", f.Meta.Get("X-Meta-Owner"))

	o = c.run("put", "--quiet", dir+"/", "/d")
	assert.Equal(t, outcome{}, o, "quiet means quiet")

	var sum struct {
		Files   int64
		Bytes   int64
		Failed  []struct{ Path, Code, Error string }
		Receipt struct{ Path, ETag string }
	}
	require.NoError(t, json.Unmarshal([]byte(c.must("put", filepath.Join(dir, "f"), "/g", "-o", "json")), &sum))
	assert.Equal(t, int64(5), sum.Bytes)
	assert.Equal(t, "/g", sum.Receipt.Path)

	out := filepath.Join(t.TempDir(), "out")
	assert.Contains(t, c.must("get", "/d/f", out), "fetched 1 file, 5 B")
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(content))
	assert.Equal(t, "hello", c.must("get", "/d/f", "-"), "standard output is the file's alone")

	c.stdin = "from a pipe"
	c.must("put", "-", "/piped")
	assert.Equal(t, "from a pipe", c.server.Files()["/piped"])
}

func TestFailures_EndWithStatus1AndNameTheFile(t *testing.T) {
	c := newCLI(t)
	c.server.Store("/there", "x")
	dir := t.TempDir()
	o := c.run("put", filepath.Join(dir, "missing"), "/d/")
	assert.Equal(t, exitFailed, o.status)
	assert.Equal(t, "tiercel: "+filepath.Join(dir, "missing")+": there is no such file or directory\n", o.stderr)
	assert.Contains(t, o.stdout, "stored no file, 0 B")
	assert.Contains(t, o.stdout, "1 failed")

	o = c.run("rm", "/there", "/nothing")
	assert.Equal(t, exitFailed, o.status)
	assert.Equal(t, "tiercel: /nothing: there is no such file (not_found)\n", o.stderr)
	assert.Empty(t, c.server.Files(), "the other one is deleted all the same")

	o = c.run("get", "/nothing", dir)
	assert.Equal(t, exitFailed, o.status)
	assert.Equal(t, "tiercel: get /nothing: there is no file of this name, and none below it (not_found)\n", o.stderr)

	c.server.Store("/a", "1")
	c.server.Store("/b", "2")
	o = c.run("mv", "/a", "/b")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "--overwrite replaces what is at TO")
	c.must("mv", "/a", "/b", "--overwrite")
	assert.Equal(t, map[string]string{"/b": "1"}, c.server.Files())

	c.server.Fault = func(*http.Request) clienttest.Fault {
		return clienttest.Fault{Status: 507, Code: "quota_exceeded"}
	}
	o = c.run("status")
	assert.Equal(t, exitFailed, o.status)
	assert.Equal(t, "tiercel: status: injected (quota_exceeded, request r-1)\n", o.stderr)
}

func TestServer_FromTheFlagBeatsTheEnvironment(t *testing.T) {
	c := newCLI(t)
	c.environ = []string{"TIERCEL_SERVER=http://127.0.0.1:1", "TIERCEL_TENANT=acme"}
	c.must("put", "main.go", "/x", "--server", strings.TrimPrefix(c.server.URL, "http://"))
	assert.Contains(t, c.server.Tenants["acme"], "/x")
	o := c.run("status")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "nothing listens at http://127.0.0.1:1; is the server running, and is --server right?")
}

func TestRetries_AreSaidOnStandardErrorUnlessQuiet(t *testing.T) {
	c := newCLI(t)
	for _, quiet := range []bool{false, true} {
		failed := false
		c.server.Fault = func(*http.Request) clienttest.Fault {
			if failed {
				return clienttest.Fault{}
			}
			failed = true
			return clienttest.Fault{Status: 503, Code: "no_master"}
		}
		args := []string{"status"}
		if quiet {
			args = append(args, "--quiet")
		}
		o := c.run(args...)
		assert.Equal(t, exitDone, o.status)
		assert.Equal(t, !quiet, strings.Contains(o.stderr, "tiercel: status: injected (no_master, request r-1); trying again in "), o.stderr)
	}
}

func TestWorkersAndMaster_ThatThereIsNoMasterIsAnAnswer(t *testing.T) {
	c := newCLI(t)
	asked := 0
	c.server.Fault = func(*http.Request) clienttest.Fault {
		asked++
		return clienttest.Fault{Status: 503, Code: "no_master"}
	}
	for i, verb := range []string{"workers", "master"} {
		o := c.run(verb)
		assert.Equal(t, exitFailed, o.status)
		assert.Equal(t, "tiercel: "+verb+": injected (no_master, request r-1)\n", o.stderr)
		assert.Equal(t, i+1, asked, "asked once")
	}
}

func TestStatus_WhenTheTimeRunsOutTheLastRefusalIsTheReason(t *testing.T) {
	c := newCLI(t)
	c.server.Fault = func(*http.Request) clienttest.Fault {
		return clienttest.Fault{Status: 503, Code: "no_master"}
	}
	o := c.run("status", "--timeout", "5s", "--quiet")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "the last: injected (no_master, request r-1)")
}

func TestPrintWorkers_SaysHowFarTheirCopiesAreBehind(t *testing.T) {
	var out strings.Builder
	behind, equal := int64(3<<19), int64(0)
	require.NoError(t, printWorkers(&out, []worker{
		{ID: "n-1", State: "healthy", LagBytes: &behind, LagMs: 1250, Total: &behind}, {ID: "n-2", State: "degraded", Missed: 3, LagBytes: &equal}, {ID: "n-3"},
		{ID: "n-4", State: "healthy", LagBytes: &equal},
	}))
	assert.Regexp(t, `n-1 +healthy .* 1\.5 MiB, 1\.2 s `, out.String())
	assert.Regexp(t, `n-2 +degraded \(3 missed\) .* none `, out.String())
	assert.Regexp(t, `n-3 .* unknown `, out.String())
	assert.Regexp(t, `n-4 +healthy, not heard of .* none `, out.String(), "its row says so, and nothing has come from it")
}

func TestLs_ListsWhatIsMeant(t *testing.T) {
	c := newCLI(t)
	c.server.PageLimit = 2
	for _, p := range []string{"/a", "/a/1", "/a/b/2", "/ab", "/c d/ü"} {
		c.server.Store(p, p)
	}
	for _, l := range []struct{ args, want string }{
		{"", "/a /a/ /ab /c d/"},
		{"/", "/a /a/ /ab /c d/"},
		{"/a", "/a /a/1 /a/b/"},
		{"/a/", "/a/1 /a/b/"},
		{"-r /a", "/a /a/1 /a/b/2"},
		{"/a*", "/a /a/ /ab"},
		{"-r /a*", "/a /a/1 /a/b/2 /ab"},
		{"--limit 2 -r /", "/a /a/1"},
		{"/ab", "/ab"},
		{"/nothing/", ""},
	} {
		got := strings.ReplaceAll(strings.TrimSuffix(c.must(append([]string{"ls"}, strings.Fields(l.args)...)...), "\n"), "\n", " ")
		assert.Equal(t, l.want, got, l.args)
	}
	o := c.run("ls", "/nothing")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "not_found")

	assert.Regexp(t, `(?m)^1 +2 2023-11-14 22:13:20 +1  /a$`, c.must("ls", "-l", "/a"))
	lines := strings.Split(strings.TrimSpace(c.must("ls", "/a", "-o", "json")), "\n")
	require.Len(t, lines, 3)
	assert.Contains(t, lines[0], `{"path":"/a","size_bytes":2,"tier":1,"version":1,`)
	assert.Equal(t, `{"prefix":"/a/b/"}`, lines[2])
}

func TestStatus_ShowsWhatIsKnown(t *testing.T) {
	c := newCLI(t)
	table := c.must("status")
	for _, want := range []string{
		"state      healthy", "master     n-1 at 127.0.0.1:8892, epoch 1.2", "workers    1: 1 healthy",
		"capacity   1.0 TiB free of 1.0 TiB, 1.0 MiB used", "files      3, 12 B of content, 512 B on disk", "warning    tier 1 has one copy only",
	} {
		assert.Contains(t, table, want)
	}
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(c.must("status", "--output", "json")), &answer))
	assert.Equal(t, map[string]any{"field": true}, answer["future"], "JSON is passed on whole")

	unknown := clusterStatus{}.table()
	assert.Contains(t, unknown, "state      unknown")
	assert.Contains(t, unknown, "capacity   unknown")
	assert.Contains(t, unknown, "master     none")
}

func TestVersion_PrintsBothForms(t *testing.T) {
	c := newCLI(t)
	assert.True(t, strings.HasPrefix(c.must("version"), "tiercel "))
	var info map[string]any
	require.NoError(t, json.Unmarshal([]byte(c.must("version", "-o", "json")), &info))
	assert.NotEmpty(t, info["version"])
}

func TestFsck_RefusesWhatIsNoDataDirectory(t *testing.T) {
	c := newCLI(t)
	o := c.run("fsck", "--data-dir", t.TempDir())
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "this is no data directory")
}

func TestSignals_TheFirstStopsTheSecondForces(t *testing.T) {
	signals := make(chan os.Signal)
	exited := make(chan int)
	var stderr bytes.Buffer
	ctx := stopOnSignal(signals, &stderr, func(status int) { exited <- status })
	require.NoError(t, ctx.Err())
	signals <- syscall.SIGTERM
	<-ctx.Done()
	signals <- syscall.SIGTERM
	assert.Equal(t, exitFailed, <-exited)
	assert.Contains(t, stderr.String(), "second signal")
}

// lockedBuffer is a buffer that a bar may write to while a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestBar_ShowsHowFarATransferIs(t *testing.T) {
	var out lockedBuffer
	b := newBar(&out, "storing")
	b.Found(2, 4<<20)
	b.Moved(1 << 20)
	b.Done()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "storing 1/2 files") }, 10*time.Second, time.Millisecond)
	b.Moved(-1 << 20) // an attempt that failed
	b.finish()
	assert.Contains(t, out.String(), "1.0/4.0 MiB")
}

func TestServe_EndsCleanlyWhenItIsTold(t *testing.T) {
	var stdout, stderr lockedBuffer
	a := &app{stdout: &stdout, stderr: &stderr}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		ended <- a.run(ctx, []string{"server", "--data-dir", filepath.Join(t.TempDir(), "data"), "--http", "127.0.0.1:0",
			"--rpc", "127.0.0.1:0", "--pprof", "127.0.0.1:0", "--log-format", "json"})
	}()
	require.Eventually(t, func() bool { return strings.HasPrefix(stdout.String(), "ready http=127.0.0.1:") }, 30*time.Second, 10*time.Millisecond)
	var line struct{ Msg, Address string }
	require.NoError(t, json.Unmarshal([]byte(strings.SplitN(stderr.String(), "\n", 2)[0]), &line), stderr.String())
	assert.Equal(t, "profiles are served", line.Msg)
	resp, err := http.Get("http://" + line.Address + "/debug/pprof/cmdline")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	cancel()
	assert.Equal(t, exitDone, <-ended, stderr.String())
}
