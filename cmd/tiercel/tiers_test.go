package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/client/clienttest"
)

const tierOne = `{"id":1,"name":"critical","replication":"sync","copies":3,"consistency":"strong","min_copies":2,"disk_preference":"ssd","prefixes":["/models/"],"suffixes":[".emm"]}`

func TestTier_ShowsAndSets(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /tiers", said(`{"tiers":[`+tierOne+`,{"id":3,"name":"rebuildable","copies":1}]}`))
	const header = "TIER NAME COPIES LEAST REPLICATION CONSISTENCY DISK PATHS"
	assert.Equal(t, header+"\n1 critical 3 2 sync strong ssd /models/ *.emm\n3 rebuildable 1 0", lines(c.must("tier")))
	assert.Equal(t, header+"\n1 critical 3 2 sync strong ssd /models/ *.emm", lines(c.must("tier", "show", "1")))
	assert.JSONEq(t, tierOne, c.must("tier", "show", "1", "-o", "json"))

	c.server.Say("PUT /tiers/3/config", said(`{"id":3,"name":"rebuildable","copies":2,"job_id":"21"}`))
	assert.Contains(t, c.must("tier", "set", "3", "--copies", "2", "--min-copies", "default", "--disk", "default", "--prefix", "/a/", "--prefix", "/b/", "--suffix", ""), "job 21 adapts the copies")
	asked := c.server.Asked
	assert.JSONEq(t, `{"copies":2,"min_copies":null,"disk_preference":null,"prefixes":["/a/","/b/"],"suffixes":[]}`, asked[len(asked)-1].Body)
}

func TestTierSet_ARefusalNamesTheFlags(t *testing.T) {
	c := newCLI(t)
	c.server.Say("PUT /tiers/1/config",
		clienttest.Answer{Status: 400, Body: "invalid_argument", Details: map[string]any{"min_copies": "must be whole", "copies": "is 0", "disk_preference": "is no disk"}},
		clienttest.Answer{Status: 400, Body: "invalid_argument", Details: map[string]any{"prefixes": "\"tmp\": a prefix begins with \"/\""}},
		clienttest.Answer{Status: 400, Body: "invalid_argument", Details: map[string]any{"copies": "is 0", "strange": "x"}},
		clienttest.Answer{Status: 403, Body: "license_denied"})
	set := []string{"tier", "set", "1", "--copies", "0", "--min-copies", "1", "--disk", "tape"}
	for _, want := range []string{
		"tiercel: 3 problems, nothing was changed: --copies: is 0; --min-copies: must be whole; --disk: is no disk\nSee 'tiercel tier set --help'.\n",
		"tiercel: --prefix: \"tmp\": a prefix begins with \"/\"\nSee 'tiercel tier set --help'.\n",
		"tiercel: tier 1: refused by the test (invalid_argument)\nSee 'tiercel tier set --help'.\n",
	} {
		o := c.run(set...)
		assert.Equal(t, exitUsage, o.status, "as of config set")
		assert.Equal(t, want, o.stderr)
	}
	assert.Equal(t, exitFailed, c.run(set...).status, "what the licence lacks is no wrong usage")
}

func TestConfigSet_ListsEveryProblemAndAsksForNothing(t *testing.T) {
	c := newCLI(t)
	o := c.run("config", "set", "nokey=1", "scrub_bytes_per_second=fast", "placement.weights.io_load=7", "word", "rebalance.automatic=maybe", "version=3",
		"compaction.merge_below_bytes=1MiB/s", "scrub_bytes_per_second=1", "rebalance.spread=default")
	assert.Equal(t, exitUsage, o.status)
	assert.Empty(t, c.server.Requests)
	assert.Contains(t, o.stderr, "tiercel: 8 problems, nothing was changed: ")
	for _, problem := range []string{
		`scrub_bytes_per_second: "fast" is not a size; write bytes, or a number with KiB, MiB, GiB, TiB, kB, MB, GB or TB, for each second: 50MiB/s`,
		`placement.weights.io_load: "7" is not a number from 0 to 1`, `"word" is not KEY=VALUE`, `rebalance.automatic: "maybe" is neither true nor false`,
		"--if-version says which one is meant", `compaction.merge_below_bytes: "1MiB/s" is not a size; write bytes, or a number with KiB, MiB, GiB, TiB, kB, MB, GB or TB;`,
		"scrub_bytes_per_second is given twice", `there is no key "nokey"; 'tiercel config keys' lists them`,
	} {
		assert.Contains(t, o.stderr, problem)
	}
	assert.Contains(t, o.stderr, "\n'tiercel config keys' lists the keys; see 'tiercel config set --help'.\n")
}

func TestConfigSet_GoesBackToDefaultsAndTakesAVersion(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/config", said(`{"version":12}`))
	c.server.Say("PUT /cluster/config", said(`{"version":13}`))
	c.must("config", "set", "scrub_bytes_per_second=default", "rebalance.automatic=default", "disk.warn_used_share=default", "--if-version", "7")
	require.Len(t, c.server.Asked, 1, "the version need not be asked for")
	assert.Equal(t, "7", c.server.Asked[0].IfMatch)
	assert.JSONEq(t, `{"scrub_bytes_per_second":8388608,"rebalance":{"automatic":true},"disk":{"warn_used_share":0.8}}`, c.server.Asked[0].Body)
}

func TestConfig_GetsAndSets(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/config", said(`{"version":12,"background_bytes_per_second":0,"scrub_bytes_per_second":8388608,"compaction":{"merge_below_bytes":67108864},"rebalance":{"spread":0.1,"automatic":true}}`))
	assert.Equal(t, `background_bytes_per_second 0 (no limit)
compaction.merge_below_bytes 64.0 MiB
rebalance.automatic true
rebalance.spread 0.1
scrub_bytes_per_second 8.0 MiB/s
version 12`, lines(c.must("config")))
	assert.Equal(t, "8388608\n", c.must("config", "get", "scrub_bytes_per_second"), "exact, for a script")
	assert.JSONEq(t, `{"rebalance.spread":0.1}`, c.must("config", "get", "rebalance.spread", "-o", "json"))
	o := c.run("config", "get", "rebalance.spred")
	assert.Equal(t, exitUsage, o.status)
	assert.Contains(t, o.stderr, "did you mean rebalance.spread?")
	for key, hint := range map[string]string{
		"rebalance": "did you mean rebalance.automatic or rebalance.spread?", "rebalance.sp": "did you mean rebalance.spread?",
		"spread": "did you mean rebalance.spread?", "colour": "'tiercel config keys' lists them",
	} {
		o := c.run("config", "get", key)
		assert.Equal(t, exitUsage, o.status, key)
		assert.Contains(t, o.stderr, hint, key)
	}

	c.server.Say("PUT /cluster/config", said(`{"version":13}`), clienttest.Answer{Status: 412, Body: "precondition_failed"}, clienttest.Answer{Status: 400, Body: "invalid_argument"})
	set := []string{"config", "set", "scrub_bytes_per_second=20MiB/s", "rebalance.spread=0.2", "rebalance.automatic=false", "compaction.merge_below_bytes=1KiB", "x.y=odd"}
	assert.Equal(t, "version 13", lines(c.must(set...)))
	last := c.server.Asked[len(c.server.Asked)-1]
	assert.Equal(t, "12", last.IfMatch, "what somebody else has changed is not overwritten")
	assert.JSONEq(t, `{"scrub_bytes_per_second":20971520,"rebalance":{"spread":0.2,"automatic":false},"compaction":{"merge_below_bytes":1024},"x":{"y":"odd"}}`, last.Body)
	assert.Equal(t, exitFailed, c.run(set...).status)
	o = c.run(set...)
	assert.Equal(t, exitUsage, o.status)
	assert.Contains(t, o.stderr, "'tiercel config keys' lists the keys")
}

func TestConfig_SaysWhatHasNoEffectByTheLicence(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/config", said(`{"version":12,"rebalance":{"automatic":true},
	 "without_effect":[{"key":"rebalance.automatic","feature":"auto_rebalancing","level":"enterprise","current_level":"free"}]}`))
	const why = "auto rebalancing needs the licence level enterprise, and this cluster has free"
	assert.Equal(t, "rebalance.automatic true (no effect: "+why+")\nversion 12", lines(c.must("config", "show")))
	o := c.run("config", "get", "rebalance.automatic")
	assert.Equal(t, exitDone, o.status)
	assert.Equal(t, "true\n", o.stdout, "exact, for a script")
	assert.Equal(t, "note: rebalance.automatic is true and has no effect: "+why+"\n", o.stderr)
	assert.Equal(t, exitUsage, c.run("config", "get", "without_effect").status, "it is no setting")
}

func TestExplain_ShowsScoresRefusalsAndWhereTheFileIs(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/placement/explain", said(`{"path":"/models/a","tier":1,"tier_reason":"the path begins with /models/","copies":3,"min_copies":2,
	 "weights":{"free_capacity":0.4,"disk_type":0.3,"io_load":0.2,"latency":0.1},
	 "workers":[{"worker_id":"n-1","terms":{"free_capacity":1,"disk_type":0.5,"io_load":0.25,"latency":0.75},"score":0.6,"open_volumes":2,"refusal":null,"chosen":true,"place":1},
	  {"worker_id":"n-2","terms":{},"score":0,"refusal":"draining","detail":"it is being drained","place":null}],
	 "open_volumes":[{"volume_id":5,"state":"open","members":[{"worker_id":"n-1"}],"decision":"n-1 0.60"},{"volume_id":6,"members":[{"worker_id":"n-2"},{"worker_id":"n-1"}]},{"volume_id":7,"members":[{"worker_id":"n-1"}]}],
	 "current":{"version":4,"size_bytes":2048,"tier":2,"tier_reason":"asked for when it was stored","members":["n-3"],"volumes":[{"volume_id":2,"state":"sealed","members":[{"worker_id":"n-3"}],"decision":"n-3 0.50"}]}}`),
		said(`{"path":"/x","tier":1,"current":null}`))
	assert.Equal(t, `tier 1: the path begins with /models/
copies 3 wanted, 2 at least

WORKER FREE ×0.40 DISK ×0.30 LOAD ×0.20 LATENCY ×0.10 OPEN SCORE CHOSEN
n-1 1.00 0.50 0.25 0.75 2 0.60 1
n-2 0.00 0.00 0.00 0.00 0 0.00 no: draining, it is being drained

a write goes now to one of
volume 5, 7 on n-1
volume 6 on n-2, n-1

the file at /models/a, version 4, 2.0 KiB, is in tier 2: asked for when it was stored
it lies on n-3
volume 2, sealed, on n-3
because: n-3 0.50`, lines(c.must("explain", "/models/a", "--size", "2GiB", "--tier", "2", "--from", "n-3")))
	assert.Equal(t, "GET /cluster/placement/explain?from=n-3&path=%2Fmodels%2Fa&size=2147483648&tier=2", c.server.Asked[0].Line)
	assert.Contains(t, c.must("explain", "/x"), "there is no file at /x")
}

func TestReplication_ShowsDebtAndLag(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/replication", said(`{"pending_operations":2,"tiers":[
	 {"tier":1,"name":"critical","volumes":{"open":1,"sealed":2,"retiring":0,"degraded":1,"stranded":0,"lost":0},"debt_bytes":2048,"oldest_debt_seconds":7.4,"followers":[]},
	 {"tier":2,"name":"important","volumes":{"open":1},"followers":[{"worker_id":"n-2","lag_bytes":512,"lag_ms":6},{"worker_id":"n-3"}]}]}`))
	assert.Equal(t, `TIER NAME OPEN SEALED RETIRING DEGRADED STRANDED LOST DEBT OLDEST
1 critical 1 2 0 1 0 0 2.0 KiB 7s
2 important 1 0 0 0 0 0 0 B -
tier 2: n-2 is 512 B behind, by 6 ms
2 operations under way or wanted`, lines(c.must("replication")))
}

func TestStatus_ShowsDebtByTierAndAge(t *testing.T) {
	s := clusterStatus{}
	assert.Contains(t, s.table(), "debt       unknown")
	c := newCLI(t)
	c.server.Say("GET /cluster/status", said(`{"replication":{"debt_bytes":{"1":2048,"2":0,"3":1},"oldest_debt_seconds":7.4},"workers":{"total":2,"healthy":2,"draining":1}}`), said(`{"replication":{"debt_bytes":{"1":0}}}`))
	table := c.must("status")
	assert.Contains(t, table, "debt       2.0 KiB of tier 1, 1 B of tier 3, for 7s at most")
	assert.Contains(t, table, "workers    2: 2 healthy, 1 draining")
	assert.Contains(t, c.must("status"), "debt       none")
}
