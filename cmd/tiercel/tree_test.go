package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/client/clienttest"
)

// tree lists every verb there is, those below others too.
func tree(t *testing.T) []*command {
	t.Helper()
	var out []*command
	walkCommands((&app{}).rootCommand(), func(c *command) {
		if c.HasParent() && c.Name() != "help" {
			out = append(out, c)
		}
	})
	require.Greater(t, len(out), 30)
	return out
}

func TestTree_EveryVerbSaysWhatItDoesAndShowsAnExample(t *testing.T) {
	for _, c := range tree(t) {
		assert.NotEmpty(t, c.Short, c.CommandPath())
		assert.NotEmpty(t, c.Long, "%s has no Long", c.CommandPath())
		assert.Contains(t, c.Example, c.CommandPath(), "%s has no Example with itself in it", c.CommandPath())
		c.Flags().VisitAll(func(f *pflag.Flag) { assert.NotEmpty(t, f.Usage, "%s --%s", c.CommandPath(), f.Name) })
	}
}

// exampleCall finds one call of tiercel in a line of an example, up to where the
// shell or a comment goes on.
var exampleCall = regexp.MustCompile(`\btiercel ([^|&>#<)]*)`)

// words of a line as a shell would split it, without escapes, which no example has.
func words(line string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		out = append(out, m[1]+m[2]+m[3])
	}
	return out
}

func TestTree_EveryExampleIsACallThatIsUnderstood(t *testing.T) {
	tried := 0
	for _, c := range tree(t) {
		for _, line := range strings.Split(c.Example, "\n") {
			for _, call := range exampleCall.FindAllStringSubmatch(strings.ReplaceAll(line, "2>", ">"), -1) {
				args := words(call[1])
				if len(args) == 0 || strings.HasPrefix(args[0], "tiercel") {
					continue
				}
				root := (&app{}).rootCommand() // flags keep what they were given
				found, rest, err := root.Find(args)
				if !assert.NoError(t, err, line) || !assert.NoError(t, found.ParseFlags(rest), line) {
					continue
				}
				assert.NoError(t, found.ValidateArgs(found.Flags().Args()), line)
				tried++
			}
		}
	}
	assert.Greater(t, tried, 50)
}

func TestTree_EveryVerbThatPrintsAResultTakesOutputJSON(t *testing.T) {
	// Why the others do not: they run until they are stopped, what they print is a file or
	// one word for a pipe, or they only name their verbs.
	without := []string{"tiercel server", "tiercel dev", "tiercel config example",
		"tiercel license issue", "tiercel license keygen", "tiercel token hash", "tiercel license", "tiercel token", "tiercel certs"}
	for _, c := range tree(t) {
		path := c.CommandPath()
		if !c.Runnable() || strings.HasPrefix(path, "tiercel completion") || slices.Contains(without, path) {
			continue
		}
		f := c.Flags().Lookup("output")
		if assert.NotNil(t, f, "%s has no --output", path) {
			assert.Equal(t, "table", f.DefValue, path)
		}
	}
}

func TestTree_ASlipInAFlagOfAnyVerbIsWrongUsageWithTheNearest(t *testing.T) {
	for _, c := range tree(t) {
		path := strings.Fields(c.CommandPath())[1:]
		if !c.Runnable() || path[0] == "completion" {
			continue
		}
		var flag string
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if flag == "" && len(f.Name) >= 5 {
				flag = f.Name
			}
		})
		o := newCLI(t).run(append(path, "--"+flag+"q")...)
		assert.Equal(t, exitUsage, o.status, c.CommandPath())
		if flag != "" {
			assert.Contains(t, o.stderr, "did you mean --"+flag, c.CommandPath())
		}
	}
}

func TestTree_ASlipInAVerbIsWrongUsageWithTheNearest(t *testing.T) {
	for line, want := range map[string]string{
		"stauts": "status", "workers shwo n-1": "show", "config ste a=1": "set", "config exmaple": "example", "jobs puase 1": "pause",
		"tier sett 1": "set", "master promot n-1": "promote",
	} {
		o := newCLI(t).run(strings.Fields(line)...)
		assert.Equal(t, exitUsage, o.status, line)
		assert.Contains(t, o.stderr, want, line)
		assert.Contains(t, o.stderr, "unknown command", line)
	}
}

func TestTree_CompletionIsThereForEveryShellAndKnowsValues(t *testing.T) {
	c := newCLI(t)
	for _, shell := range []string{"bash", "zsh", "fish"} {
		assert.Contains(t, c.must("completion", shell), "tiercel", shell)
	}
	assert.Contains(t, c.must("__complete", "status", "--output", ""), "json")
	assert.Contains(t, c.must("__complete", "server", "--disk-type", ""), "nvme")
	assert.Contains(t, c.must("__complete", "config", "get", ""), "placement.weights.io_load")
	assert.Contains(t, c.must("__complete", "config", "set", ""), "rebalance.automatic=")
}

func TestTree_CompletionKnowsTiersAndAsksTheServerForWorkers(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/workers", clienttest.Answer{Body: `{"workers":[{"worker_id":"n-aa","address":"h:1","state":"healthy","role":"master"},{"worker_id":"n-bb","address":"i:1","state":"degraded","role":"voter"}]}`})
	for _, line := range []string{"tier set", "tier show", "tier move"} {
		assert.Equal(t, "1\tcritical\n2\timportant\n3\trebuildable\n:4\n", c.must(append(append([]string{"__complete"}, strings.Fields(line)...), "")...), line)
		assert.Equal(t, ":4\n", c.must(append(append([]string{"__complete"}, strings.Fields(line)...), "1", "")...), "what follows is no file of this machine")
	}
	for _, line := range []string{"drain", "workers show", "workers remove", "master promote"} {
		args := append(append([]string{"__complete"}, strings.Fields(line)...), "--token", "x", "")
		assert.Equal(t, "n-aa\tmaster, healthy, h:1\nn-bb\tvoter, degraded, i:1\n:4\n", c.must(args...), line)
	}
	// No server, one that refuses, one that is silent: nothing is offered, and nothing said.
	c.server.Say("GET /cluster/workers", clienttest.Answer{Status: 403, Body: "permission_denied"})
	nowhere := newCLI(t)
	nowhere.environ = []string{"TIERCEL_SERVER=http://127.0.0.1:1"}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	mute := newCLI(t)
	mute.environ = []string{"TIERCEL_SERVER=http://" + silent.Addr().String(), "TIERCEL_TOKEN=x"}
	for name, c := range map[string]*cli{"refused": c, "nowhere": nowhere, "silent": mute} {
		o := c.run("__complete", "drain", "")
		assert.Equal(t, exitDone, o.status, name)
		assert.Equal(t, ":4\n", o.stdout, name)
		assert.NotContains(t, o.stderr, "tiercel:", name)
	}
}

func TestConfigKeys_ListsEveryKeyAndAsksNoServer(t *testing.T) {
	c := newCLI(t)
	table := c.must("config", "keys")
	for _, f := range configFields() {
		assert.Regexp(t, `(?m)^`+regexp.QuoteMeta(f.Key)+` +`+regexp.QuoteMeta(f.Kind)+` +`+regexp.QuoteMeta(defaultOf(f))+` +`+regexp.QuoteMeta(f.About)+`$`, table)
	}
	assert.Regexp(t, `(?m)^scrub_bytes_per_second +whole number +8\.0 MiB/s +Bytes`, table)
	assert.Regexp(t, `(?m)^disk.warn_used_share +share, 0 to 1 +0\.8 +Used`, table)
	var keys []struct{ Key, Kind, About string }
	require.NoError(t, json.Unmarshal([]byte(c.must("config", "keys", "-o", "json")), &keys))
	assert.Len(t, keys, len(configFields()))
	assert.Empty(t, c.server.Requests)
}

func TestServerCheck_ShowsEverySettingWithItsSourceOrAllProblems(t *testing.T) {
	c := newCLI(t)
	c.environ = []string{"TIERCEL_RACK=r-7"}
	table := c.must("server", "--check", "--http", "127.0.0.1:1")
	assert.Regexp(t, `(?m)^http +127.0.0.1:1 +--http$`, table)
	assert.Regexp(t, `(?m)^rack +r-7 +TIERCEL_RACK$`, table)
	assert.Regexp(t, `(?m)^advertise +- +default$`, table)
	var list []struct{ Name, Value, Source string }
	require.NoError(t, json.Unmarshal([]byte(c.must("server", "--check", "-o", "json")), &list))
	assert.Greater(t, len(list), 15)

	c.environ = []string{"TIERCEL_RAK=r-7"}
	o := c.run("server", "--check", "--disk-type", "tape", "--htpp", "x")
	assert.Equal(t, exitUsage, o.status)
	for _, want := range []string{"3 problems", "did you mean --http?", "did you mean TIERCEL_RACK?", `"tape" is not one of`} {
		assert.Contains(t, o.stderr, want)
	}
	assert.Empty(t, o.stdout)
}

func TestServerCheck_ReadsTheFilesThatAreNamed(t *testing.T) {
	c := newCLI(t)
	dir := t.TempDir()
	wrong := filepath.Join(dir, "wrong")
	require.NoError(t, os.WriteFile(wrong, []byte("no: [such"), 0o600))
	missing := func(name string) string { return filepath.Join(dir, name) }
	for _, args := range [][]string{
		{"--license", wrong, "--auth-tokens", missing("tokens"), "--tls-ca", missing("ca"), "--tls-cert", missing("crt"), "--tls-key", missing("key")},
		{"--license", missing("license"), "--auth-tokens", wrong, "--tls-ca", wrong, "--tls-cert", wrong, "--tls-key", wrong},
	} {
		for _, start := range []bool{false, true} {
			all := append([]string{"server", "--data-dir", missing("data")}, args...)
			if !start {
				all = append(all, "--check")
			}
			o := c.run(all...)
			assert.Equal(t, exitUsage, o.status, "%v", all)
			for i := 1; i < len(args); i += 2 {
				if args[i-1] != "--tls-key" { // a pair is read together
					assert.Contains(t, o.stderr, args[i], "%v", all)
				}
			}
			assert.Empty(t, o.stdout)
		}
	}
	assert.NoDirExists(t, missing("data"), "nothing was started")
	o := c.run("server", "--check", "--disk-type", "tape", "--license", missing("license"))
	assert.Equal(t, exitUsage, o.status)
	for _, want := range []string{`"tape" is not one of`, missing("license")} {
		assert.Contains(t, o.stderr, want, "all problems at once")
	}
}

func TestVerbs_RefuseAVariableThatIsNearlyTheirs(t *testing.T) {
	c := newCLI(t)
	c.environ = []string{"TIERCEL_SEVER=http://127.0.0.1:1"}
	o := c.run("status")
	assert.Equal(t, exitUsage, o.status)
	assert.Contains(t, o.stderr, "did you mean TIERCEL_SERVER?")
	assert.Empty(t, c.server.Requests)
}

func TestTierMove_GoesOnBehindWhatTheServerReached(t *testing.T) {
	c := newCLI(t)
	c.server.Say("POST /retier",
		said(`{"moved":2,"unchanged":1,"moved_bytes":10,"failed":[],"next":"/a/m"}`),
		said(`{"moved":1,"unchanged":0,"moved_bytes":5,"failed":[{"path":"/a/z","code":"cluster_full","message":"no room"}],"next":""}`))
	o := c.run("tier", "move", "3", "-r", "/a/")
	assert.Equal(t, exitFailed, o.status)
	assert.Equal(t, "moved 3 files, 15 B, to tier 3; 1 were there already\n", o.stdout)
	assert.Equal(t, "tiercel: /a/z: no room (cluster_full)\n", o.stderr)
	require.Len(t, c.server.Asked, 2)
	assert.JSONEq(t, `{"prefix":"/a/","tier":3}`, c.server.Asked[0].Body)
	assert.JSONEq(t, `{"prefix":"/a/","tier":3,"after":"/a/m"}`, c.server.Asked[1].Body)

	c.server.Say("POST /retier", said(`{"moved":1,"unchanged":0,"moved_bytes":5,"failed":[],"next":""}`))
	assert.Equal(t, "moved 1 file, 5 B, to tier 1; 0 were there already\n", c.must("tier", "move", "1", "/a/b"))
	c.server.Say("POST /retier", clienttest.Answer{Status: 404, Body: "not_found"})
	assert.Contains(t, c.run("tier", "move", "1", "/a/none").stderr, "tiercel: move to tier 1: ", "in the words of the verb")
	for line, want := range map[string]string{"tier move 4 /a": "is not 1", "tier move 1": "at least one PATH", "tier move 1 a": "is no path", "tier move 1 /a/": "is no path"} {
		o := c.run(strings.Fields(line)...)
		assert.Equal(t, exitUsage, o.status, line)
		assert.Contains(t, o.stderr, want)
	}
}

func TestReleaseBrake_SaysThatItIsReleasedOrWhyNot(t *testing.T) {
	c := newCLI(t)
	c.server.Say("POST /cluster/storm-brake/release", said(`{}`), clienttest.Answer{Status: 409, Body: "conflict"})
	assert.Equal(t, "mass repair goes on\n", c.must("workers", "release-brake"))
	assert.Equal(t, exitFailed, c.run("workers", "release-brake").status)
}

func TestTierMove_OfADirectorySaysWhatTakesIt(t *testing.T) {
	c := newCLI(t)
	c.server.Store("/a/b", "1")
	c.server.Say("POST /retier", clienttest.Answer{Status: 404, Body: "not_found"})
	o := c.run("tier", "move", "3", "/a")
	assert.Equal(t, exitFailed, o.status)
	assert.Equal(t, "tiercel: tier move: there is no file /a, but there are files below it; -r /a/ takes them all (not_found)\n", o.stderr)
	assert.Equal(t, "tiercel: move to tier 3: refused by the test (not_found)\n", c.run("tier", "move", "3", "/b").stderr)
}
