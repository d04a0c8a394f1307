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

func TestUsage_WrongCallsEndWithStatus2AndAHint(t *testing.T) {
	cases := []struct {
		line string
		want string
	}{
		{"", "a verb is missing"},
		{"frobnicate", `unknown command "frobnicate"`},
		{"pit", "put"},
		{"put", "SRC and DST wanted, no argument given"},
		{"put a", "SRC and DST wanted, 1 argument given"},
		{"put a dst", `must start with "/"`},
		{"put --teir 1 a /b", "unknown flag: --teir; did you mean --tier?"},
		{"put --tier 9 a /b", `--tier "9" is not 1 (critical), 2 (important) or 3 (rebuildable)`},
		{"put --meta novalue a /b", "is not NAME=VALUE"},
		{"put --meta bad:name=x a /b", "is not NAME=VALUE"},
		{"put --meta a=1 --meta A=2 a /b", "--meta a is given twice"},
		{"put --jobs 0 a /b", "--jobs 0 is not between 1 and 1024"},
		{"put --timeout 0s a /b", "--timeout 0s must be more than nothing"},
		{"put --timeout soon a /b", "soon"},
		{"put a b /c", "need a DST that ends in /"},
		{"get /a", "SRC and DST wanted"},
		{"get /a b c", `"c" is too much: only SRC and DST wanted`},
		{"get /a - -o json", "cannot take both"},
		{"ls relative", `"relative" is no path`},
		{"ls --limit -1", "less than nothing"},
		{"ls a b", `"b" is too much`},
		{"rm", "at least one PATH wanted"},
		{"rm /a/", "add -r"},
		{"rm -r /", "add --all"},
		{"mv /a", "FROM and TO wanted"},
		{"mv -r /a /a/b", "one is inside the other"},
		{"status now", `"now" is too much: no arguments are taken`},
		{"status --output xml", `--output "xml" is neither table nor json`},
		{"status --server ftp://x", "must begin with http:// or https://"},
		{"status --tenant Bad", "the tenant must be"},
		{"version --output xml", "neither table nor json"},
		{"fsck --jobs 0", "--jobs 0"},
		{"rebalance now", `"now" is too much`},
		{"rebalance --limit 50Q", `--limit: "50Q" is not a size`},
		{"rebalance --limit 0", "--limit must be more than nothing"},
		{"rebalance --dry-run --watch", "--dry-run starts nothing"},
		{"rebalance --watch --every 1ms", "--every 1ms is too often"},
		{"rebalance --output xml", "neither table nor json"},
		{"jobs --kind foo", "--kind \"foo\" is none of repair"},
		{"jobs --state finished", "running, paused, done, cancelled"},
		{"jobs abc", "'tiercel jobs' lists them"},
		{"jobs pause 0", "is not the number of a job"},
		{"dev --nodes abc", "--nodes \"abc\" is not a number"},
		{"quota set A_ 10", "TENANT \"A_\": the tenant must"},
		{"scrub --limt 5", "unknown flag: --limt; did you mean --limit?"},
		{"drain", "one WORKER wanted, no argument given"},
		{"drain n-1 --dry-run --cancel", "only one of --dry-run, --cancel and --watch"},
		{"drain n-1 --cancel --watch", "only one of --dry-run, --cancel and --watch"},
		{"jobs 1 2", `"2" is too much`},
		{"jobs 1 --kind repair", "--kind and --state choose from the list"},
		{"jobs pause", "one ID wanted, no argument given"},
		{"tier show 4", `TIER "4" is not 1 (critical)`},
		{"tier set 1", "nothing to change: give --copies"},
		{"tier set 1 --copies many", `--copies "many" is neither a number nor the word default`},
		{"tier set x --copies 1", `TIER "x" is not 1`},
		{"explain", "one PATH wanted"},
		{"explain a", `must start with "/"`},
		{"explain /a --size big", `--size: "big" is not a size`},
		{"explain /a --tier 9", `--tier "9" is not 1 (critical)`},
		{"config set", "at least one KEY=VALUE wanted"},
		{"config set automatic", `"automatic" is not KEY=VALUE`},
		{"config set a=1 a=2", "a is given twice"},
		{"config set a.b=1 a=2", "a and a key below it cannot both be set"},
		{"config set a=1 a.b=2", "a.b and a key above it cannot both be set"},
		{"config set scrub_bytes_per_second=fast", `"fast" is not a size`},
		{"bench pit", `"pit" is no workload; did you mean put?`},
		{"bench everything", `"everything" is no workload; there are put, get, mixed, delete`},
		{"bench --size big", `--size: "big" is not a size`},
		{"bench --size 6TiB", "--size 6TiB is more than a file may have"},
		{"bench --tier 9", `--tier "9" is not 1 (critical)`},
		{"bench --connections 0", "--connections 0 is not between 1 and 1024"},
		{"bench --connections 2000", "--connections 2000 is not between 1 and 1024"},
		{"bench --duration 0s", "--duration 0s must be more than nothing"},
		{"bench --duration 1s --requests 5", "only one of --duration and --requests"},
		{"bench --requests 0", "--requests 0 must be at least 1"},
		{"bench --files -1", "--files -1 must be at least 1"},
		{"bench --prefix tmp", `--prefix "tmp" is no directory: the path must start with "/"`},
		{"bench --prefix /a/../b", `--prefix "/a/../b" is no directory`},
		{"bench --tenant Bad", "the tenant must be"},
		{"bench --output xml", "neither table nor json"},
		{"bench --tls-cert nowhere", "--tls-cert and --tls-key: give both or none"},
		{"server extra", `"extra" is too much`},
		{"server --joined a:1", "unknown flag: --joined"},
		{"server --join a", "is not host:port"},
		{"sim --nodes 99", "it must be 1 to 50"},
		{"sim --faults earthquake", "there are: kill"},
		{"server --tls-cert f", "tls-cert and tls-key: give both or none"},
		{"server --tls-ca f", "give --tls-cert and --tls-key"},
		{"server --http 0.0.0.0:80", "without authentication (--auth-tokens FILE"},
		{"server --http 0.0.0.0:80 --auth-tokens f", "without TLS (--tls-cert and --tls-key FILE"},
		{"server --http 0.0.0.0:80 --tls-cert f --tls-key f", "without authentication (--auth-tokens FILE"},
		{"server --rpc 0.0.0.0:80 --tls-cert f --tls-key f", "without mutual TLS (--tls-cert, --tls-key and --tls-ca FILE"},
		{"token", "a verb is missing"},
		{"token create --name a --role root --cluster", `"root" is not one of read-only`},
		{"token create --name a --role admin", "give either --tenant TENANT"},
		{"token create --name a --role admin --cluster --tenant b", "or --cluster"},
		{"token create --name a --role admin --cluster --expires yesterday", "nor how long from now"},
		{"token create --name a --role admin --cluster --expires 2001-01-01", "is over already"},
		{"token revoke", "one NAME wanted"},
		{"certs", "a verb is missing"},
		{"certs node", "one NAME wanted"},
		{"certs node a/b", `the name "a/b" must be`},
		{"certs node a --days 9999", "1 to 825 are allowed"},
		{"certs node a --names https://x", "is neither an address nor a host name"},
		{"certs node a --names ,", "0 host names and addresses are given"},
		{"status --tls-ca nowhere", "--tls-ca: "},
		{"status --tls-cert nowhere", "--tls-cert and --tls-key: give both or none"},
		{"status --tls-cert nowhere --tls-key nowhere", "nowhere and nowhere cannot be used"},
		{"server --tls-client-auth require", "require needs --tls-ca"},
		{"certs client", "one NAME wanted"},
		{"server --datadir x", "unknown flag: --datadir; did you mean --data-dir?"},
		{"server --http nowhere --disk-type tape", "2 problems in the configuration"},
		{"server --http 0.0.0.0:80", "add --insecure"},
		{"server --pprof 0.0.0.0:80", "profiles are served on 127.0.0.1"},
	}
	for _, c := range cases {
		t.Run(c.line, func(t *testing.T) {
			cli := newCLI(t)
			o := cli.run(strings.Fields(c.line)...)
			assert.Equal(t, exitUsage, o.status)
			assert.Contains(t, o.stderr, c.want)
			assert.Contains(t, o.stderr, "--help", "a hint")
			assert.True(t, strings.HasPrefix(o.stderr, "tiercel: "), o.stderr)
			assert.NotContains(t, o.stderr, "wrong usage")
			assert.Empty(t, o.stdout)
			assert.Empty(t, cli.server.Requests)
		})
	}
}

func TestHelp_EveryVerbShowsAnExample(t *testing.T) {
	c := newCLI(t)
	verbs := []string{"server", "put", "get", "ls", "rm", "mv", "cp", "status", "fsck", "version",
		"rebalance", "jobs", "drain", "scrub", "replication", "tier", "config", "explain", "token", "certs", "bench"}
	overview := c.must("--help")
	for _, verb := range verbs {
		assert.Contains(t, overview, "\n  "+verb+" ")
		help := c.must(verb, "--help")
		assert.Contains(t, help, "Examples:\n  ", verb)
		assert.Contains(t, help, "tiercel "+verb, verb)
	}
	assert.Contains(t, c.must("completion", "bash"), "tiercel")
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
	o := c.run("status", "--timeout", "1s", "--quiet")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "the last: injected (no_master, request r-1)")
}

func TestPrintWorkers_SaysHowFarTheirCopiesAreBehind(t *testing.T) {
	var out strings.Builder
	behind, equal := int64(3<<19), int64(0)
	require.NoError(t, printWorkers(&out, []worker{
		{ID: "n-1", State: "healthy", LagBytes: &behind, LagMs: 1250}, {ID: "n-2", State: "degraded", Missed: 3, LagBytes: &equal}, {ID: "n-3"},
	}))
	assert.Regexp(t, `n-1 +healthy .* 1\.5 MiB, 1\.2 s `, out.String())
	assert.Regexp(t, `n-2 +degraded \(3 missed\) .* none `, out.String())
	assert.Regexp(t, `n-3 .* unknown `, out.String())
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
