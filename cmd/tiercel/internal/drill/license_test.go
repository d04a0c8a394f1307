package drill

import (
	"encoding/json"
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

// rungs are what each level has of what shows from outside.
type rung struct {
	level                       string
	sync, async, disks, balance bool
	workers                     string
}

// check tries each row of the table that shows.
func (l *ladder) check(r rung) {
	l.t.Helper()
	var shown struct {
		Level    string
		Workers  int
		Features map[string]any
	}
	require.NoError(l.t, json.Unmarshal([]byte(l.must("license", "show", "--output", "json")), &shown))
	assert.Equal(l.t, r.level, shown.Level)
	assert.Contains(l.t, l.must("license", "show"), "of "+r.workers)
	assert.Contains(l.t, l.must("status"), "license    "+r.level)
	dir := "/" + r.level
	l.tries(r.sync, "synchronous replication (tier 1)", "professional", "put", "-q", "--tier", "1", l.local, dir+"/asked-1")
	l.tries(r.async, "tiered replication", "standard", "put", "-q", "--tier", "2", l.local, dir+"/asked-2")
	l.tries(true, "", "", "put", "-q", "--tier", "3", l.local, dir+"/asked-3")
	l.tries(true, "", "", "put", "-q", l.local, "/models"+dir)
	l.tries(r.disks, "SSD/HDD-aware placement", "professional", "tier", "set", "2", "--disk", "ssd")
	if r.disks {
		l.must("tier", "set", "2", "--disk", "default")
	}
	l.tries(r.balance, "auto rebalancing", "enterprise", "rebalance", "--dry-run")
	l.tries(r.balance, "auto rebalancing", "enterprise", "rebalance")
	l.tries(r.balance, "auto rebalancing", "enterprise", "config", "set", "rebalance.automatic=true") // as it is by default
	l.must("config", "set", "rebalance.spread=0.1")
	assert.Equal(l.t, r.balance, !strings.Contains(l.must("config", "show"), "no effect"))
	l.tries(r.level != "free", "per-tenant quotas", "standard", "quota", "set", "somebody", "1GiB")
	l.must("quota", "remove", "somebody")
	l.tries(r.sync, "synchronous replication (tier 1)", "professional", "tier", "set", "1", "--copies", "3")
	l.must("tier", "set", "1", "--copies", "default")
	assert.Equal(l.t, r.sync, shown.Features["synchronous_replication"])
	assert.Equal(l.t, r.sync, shown.Features["master_failover"])
	assert.Equal(l.t, r.balance, shown.Features["cross_datacenter_replication"])
	assert.Equal(l.t, r.level != "free", shown.Features["tenant_quotas"])
}

// copies waits until a new file of the default tier says how many copies it has.
func (l *ladder) copies(path string, wanted int, limited bool) {
	l.t.Helper()
	var tier struct {
		Wanted  int    `json:"copies_wanted"`
		Durable int    `json:"copies_durable"`
		Limited string `json:"limited_by"`
	}
	ok := procs.Until(procs.Patience, func() bool {
		var receipt struct{ Tier json.RawMessage }
		tier.Limited = ""
		if l.c.Do(l.c.Nodes[0], "PUT", "/files"+path, nil, "content", &receipt) != nil || json.Unmarshal(receipt.Tier, &tier) != nil {
			return false
		}
		return tier.Durable == wanted && (tier.Limited == "license") == limited
	})
	assert.True(l.t, ok, "%s: %+v", path, tier)
}

func TestLicense_EachRowOfTheTableAtEachLevelFromTheCommandLine(t *testing.T) {
	l := newLadder(t)
	l.check(rung{level: "free", workers: "1"})
	second := l.refused("storage clustering", "the licence level free of this cluster (there is no licence) allows 1 data worker, and the cluster has 1; the level standard allows more")

	l.install("--level", "standard")
	l.joins(second)
	l.check(rung{level: "standard", workers: "2", async: true})
	l.copies("/models/standard", 1, true)
	l.copies("/sessions/standard", 1, false) // of two: the follower catches up
	l.tries(false, "master failover", "professional", "master", "promote", l.followers(1)[0])
	third := l.refused("data workers", "allows 2 data workers, and the cluster has 2; the level professional allows more")
	assert.Equal(t, 1, l.roles(), "one votes and one stands by")
	l.noFailover(second)

	var status struct {
		Cluster string `json:"cluster_id"`
	}
	require.NoError(t, l.c.Soon(l.c.Nodes[0], "/cluster/status", &status))
	l.install("--level", "professional", "--cluster", status.Cluster)
	assert.Contains(t, l.must("license", "show"), "cluster      "+status.Cluster+", the only one that may use it")
	l.joins(third)
	l.joins(nil)
	fifth := l.refused("the node is in datacenter west and the cluster in east", "cross-datacenter replication", "enterprise")
	l.joins(nil)
	l.check(rung{level: "professional", workers: "5", async: true, sync: true, disks: true})
	l.copies("/models/professional", 3, false)
	assert.True(t, procs.Until(procs.Patience, func() bool { return l.roles() == 5 }), "five vote: %d", l.roles())
	l.refused("allows 5 data workers, and the cluster has 5; the level enterprise allows more", "(enterprise) allows it, but a node installs its licence only once it is in the cluster",
		"own.txt --server http://HOST:PORT")
	l.failsOver(second, 5)
	l.lands()
	l.staysIn(third)
	l.begunLater()

	l.install("--level", "enterprise")
	l.moved(third)
	l.joins(fifth)
	l.failsOver(second, 6)
	l.check(rung{level: "enterprise", workers: "unlimited", async: true, sync: true, disks: true, balance: true})

	l.install("--level", "free")
	assert.True(t, procs.Until(procs.Patience, func() bool { return len(l.diskTerms()) == 1 }), "all disks are alike to placement where they are not licensed")
	l.goesOn("downgrade", 6)
	l.installEnding()
	require.True(t, procs.Until(procs.Patience, func() bool { return strings.Contains(l.must("license", "show"), "state        expired") }))
	assert.Contains(t, l.must("status"), "expired on")
	assert.Contains(t, l.must("status"), "6 data workers are there and the licence level free allows 1: they stay")
	l.goesOn("expiry", 6)
	l.repairs("/models/professional")
}

// noFailover kills the master of two nodes: the other one does not take its place.
func (l *ladder) noFailover(other *procs.Node) {
	l.t.Helper()
	l.c.Nodes[0].Kill()
	state := func() (s struct{ State string }) {
		_ = l.c.Get(other, "/cluster/status", &s) // it may answer with an error at first
		return s
	}
	require.True(l.t, procs.Until(procs.Patience, func() bool { return state().State == "no_master" }))
	assert.False(l.t, procs.Until(5*time.Second, func() bool { return state().State == "healthy" }), "nobody takes over by itself")
	require.NoError(l.t, l.c.Nodes[0].Start())
	require.NoError(l.t, l.c.Nodes[0].WaitReady(procs.Patience))
}

// failsOver kills the master of so many nodes: writes go on, and it comes back.
func (l *ladder) failsOver(other *procs.Node, nodes int) {
	l.t.Helper()
	master := masterOf(l.t, l.c)
	through := l.c.Nodes[0]
	if master == through {
		through = other
	}
	master.Kill()
	assert.True(l.t, procs.Until(procs.Patience, func() bool {
		return l.c.Do(through, "PUT", "/files/models/after-failover", nil, "content", nil) == nil
	}), "another one is master now")
	require.NoError(l.t, master.Start())
	require.NoError(l.t, master.WaitReady(procs.Patience))
	l.followers(nodes - 1)
}

// staysIn starts a worker again with the label of another datacenter: it stays where it
// was, and its data with it.
func (l *ladder) staysIn(n *procs.Node) {
	l.t.Helper()
	n.Kill()
	west[n.Number()] = true
	l.joins(n)
	delete(west, n.Number())
	// Its row is healthy all the time; that the master has seen it again is known from the log.
	require.True(l.t, procs.Until(procs.Patience, func() bool {
		return strings.Contains(l.c.Logs(400), "which the licence does not allow; it stays where it was")
	}), "the master says why the label did not count")
	l.followers(4)
	for _, line := range strings.Split(l.must("workers", "--output", "json"), "\n") {
		assert.NotContains(l.t, line, "west")
	}
	assert.Contains(l.t, l.must("status"), "started with --dc west and kept in datacenter east: ")
}

// goesOn does what no licence is ever in the way of.
func (l *ladder) goesOn(when string, workers int) {
	l.t.Helper()
	l.tries(false, "synchronous replication (tier 1)", "professional", "put", "-q", "--tier", "1", l.local, "/"+when+"/asked-1")
	l.must("put", "-q", l.local, "/models/"+when)
	assert.Equal(l.t, "content", l.must("get", "-q", "/models/professional", "-"))
	l.must("cp", "/professional/asked-1", "/models/copy-"+when)
	l.must("mv", "/models/"+when, "/models/moved-"+when)
	l.must("rm", "-q", "/models/moved-"+when)
	ids := l.followers(workers - 1) // nobody was thrown out
	l.must("drain", ids[0])
	held := func(id string) []any {
		var w struct {
			Volumes []any `json:"volume_list"`
		}
		require.NoError(l.t, l.c.Soon(l.c.Nodes[0], "/cluster/workers/"+id, &w))
		return w.Volumes
	}
	require.True(l.t, procs.Until(procs.Patience, func() bool { return len(held(ids[0])) == 0 }), "it is drained to its end")
	l.must("drain", ids[0], "--cancel")
	l.must("scrub")
	l.must("backup", filepath.Join(l.t.TempDir(), "backup"))
}

func TestLicense_AFileThatIsNoLicenceIsToldAtTheStartAndOneThatHasEndedIsNot(t *testing.T) {
	issue := func(args ...string) string {
		out, err := exec.Command(build(t), append([]string{"license", "issue"}, args...)...).Output()
		require.NoError(t, err)
		return string(out)
	}
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "license.txt")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	good := issue("--level", "standard", "--valid-for", "1s")
	status, log := run(t, "--data-dir", t.TempDir(), "--license", file(strings.Replace(good, "level: standard", "level: enterprise", 1)))
	assert.Equal(t, 2, status)
	assert.Contains(t, log, "changed after it was signed")
	status, log = run(t, "--data-dir", t.TempDir(), "--license", filepath.Join(t.TempDir(), "none"))
	assert.Equal(t, 2, status)
	assert.Contains(t, log, "cannot be read")

	require.True(t, procs.Until(procs.Patience, func() bool { return exec.Command(build(t), "license", "verify", file(good)).Run() != nil }))
	dir := t.TempDir()
	level := func(license, want string) {
		s := start(t, dir, "--license", file(license))
		assert.True(t, procs.Until(procs.Patience, func() bool {
			out, _ := exec.Command(build(t), "license", "show", "--server", strings.TrimSuffix(s.base, "/api/v1/storage")).Output()
			return strings.Contains(string(out), "level        "+want)
		}), "%s; %s", want, s.logs.String())
		s.kill()
	}
	level(good, "free")                             // a node starts all the same
	level(issue("--level", "standard"), "standard") // proposed, because it is newer
	level(good, "standard")                         // an older one changes nothing
	level(issue("--level", "enterprise", "--valid-from", "2099-01-01"), "standard")
	issued := time.Now().Unix() // of the newest licence, or later
	require.True(t, procs.Until(procs.Patience, func() bool { return time.Now().Unix() > issued }), "the next second")
	level(issue("--level", "professional"), "professional")
}
