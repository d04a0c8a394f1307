package drill

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// placement is what explain says of rebuildable content.
type placement struct {
	Workers []struct {
		ID    string `json:"worker_id"`
		Terms struct {
			Disk float64 `json:"disk_type"`
		}
	}
	Open []struct {
		Members []struct {
			ID string `json:"worker_id"`
		}
	} `json:"open_volumes"`
}

func (l *ladder) explain() (p placement) {
	_ = l.c.Get(l.c.Nodes[0], "/cluster/placement/explain?path=/cache/x", &p) // asked again
	return p
}

// diskTerms are the distinct terms of the workers' disks in the choice of one.
func (l *ladder) diskTerms() []float64 {
	var terms []float64
	for _, w := range l.explain().Workers {
		terms = append(terms, w.Terms.Disk)
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

// workers are those of the cluster by their id.
func (l *ladder) workers() map[string]*procs.Node {
	l.t.Helper()
	var list struct{ Workers []workerView }
	require.NoError(l.t, l.c.Soon(l.c.Nodes[0], "/cluster/workers", &list))
	out := make(map[string]*procs.Node)
	for _, w := range list.Workers {
		for _, n := range l.c.All() {
			if n.RPC == w.Address {
				out[w.ID] = n
			}
		}
		require.NotNil(l.t, out[w.ID], "%+v", w)
	}
	return out
}

// replicas are the workers that hold a file, or those that hold it durably.
func (l *ladder) replicas(path string, durably bool) (ids []string) {
	var receipt struct {
		Replicas []struct {
			ID      string `json:"worker_id"`
			Durable bool
		}
	}
	_ = l.c.Get(l.c.Nodes[0], "/files"+path+"?receipt", &receipt) // asked again
	for _, r := range receipt.Replicas {
		if r.Durable || !durably {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// lands stores rebuildable content in a cluster of two hard disks and three others, where
// placement by the type of disk is licensed: the volumes that are still open elsewhere,
// from before, are closed by drains, new ones are opened on the hard disks, and so writes
// land there.
func (l *ladder) lands() {
	l.t.Helper()
	require.True(l.t, procs.Until(procs.Patience, func() bool { return len(l.diskTerms()) == 2 }), "hard disks count for more than others")
	nodes, drained := l.workers(), map[string]bool{}
	require.True(l.t, procs.Until(procs.Patience, func() bool {
		open, elsewhere := l.explain().Open, 0
		for _, v := range open {
			for _, m := range v.Members {
				if n := nodes[m.ID]; !hard[n.Number()] {
					elsewhere++
					if !drained[m.ID] {
						drained[m.ID] = true
						l.must("drain", m.ID)
					}
				}
			}
		}
		return len(open) > 0 && elsewhere == 0
	}), "new volumes are opened on the hard disks: %+v", l.explain())
	assert.Less(l.t, len(drained), 3, "one of the others would have taken it")
	for i := range 5 {
		path := fmt.Sprintf("/cache/lands-%d", i)
		l.must("put", "-q", l.local, path)
		held := l.replicas(path, false) // content of this tier is synced a moment later
		require.NotEmpty(l.t, held, path)
		for _, id := range held {
			assert.True(l.t, hard[nodes[id].Number()], "%s lies on %s", path, nodes[id])
		}
	}
	for id := range drained {
		l.must("drain", id, "--cancel")
	}
}

// begunLater offers a licence whose time has not come.
func (l *ladder) begunLater() {
	l.t.Helper()
	text := l.must("license", "issue", "--level", "enterprise", "--valid-from", "2099-01-01")
	status, _, errs := l.run(text, "license", "install", "-")
	assert.NotZero(l.t, status)
	assert.Contains(l.t, errs, "is valid from 2099-01-01T00:00:00Z on")
	assert.Contains(l.t, l.must("license", "show"), "level        professional")
}

// moved waits for a worker to be where it said to be when that was not licensed.
func (l *ladder) moved(n *procs.Node) {
	l.t.Helper()
	for id, of := range l.workers() {
		if of == n {
			assert.True(l.t, procs.Until(procs.Patience, func() bool {
				var w struct{ DC string }
				return l.c.Get(l.c.Nodes[0], "/cluster/workers/"+id, &w) == nil && w.DC == "west"
			}), "the label that waited counts now")
		}
	}
	assert.NotContains(l.t, l.must("status"), "started with --dc")
}

// repairs kills a worker for good that holds a file: others get its copy, whatever has
// become of the licence.
func (l *ladder) repairs(path string) {
	l.t.Helper()
	nodes, master := l.workers(), masterOf(l.t, l.c)
	victim := ""
	require.True(l.t, procs.Until(procs.Patience, func() bool {
		held := l.replicas(path, true)
		for _, id := range held {
			if n := nodes[id]; n != master && n != l.c.Nodes[0] {
				victim = id
			}
		}
		return len(held) == 3 && victim != ""
	}), "%s has its three copies: %v", path, l.replicas(path, true))
	nodes[victim].Kill()
	require.True(l.t, procs.Until(procs.Patience, func() bool {
		held := l.replicas(path, true)
		return len(held) == 3 && !slices.Contains(held, victim)
	}), "three others hold it: %v\n%s", l.replicas(path, true), l.c.Logs(20))
	assert.Contains(l.t, l.must("license", "show"), "state        expired")
	assert.Equal(l.t, "content", l.must("get", "-q", path, "-"))
	var list struct{ Jobs []jobView }
	require.NoError(l.t, l.c.Soon(l.c.Nodes[0], "/cluster/jobs", &list))
	assert.True(l.t, slices.ContainsFunc(list.Jobs, func(j jobView) bool {
		return (j.Kind == "repair" || j.Kind == "evacuation") && j.Subject == victim
	}), "%+v", list.Jobs)
}

func TestLicense_DisksAreEvenedOutByThemselvesAtEnterpriseAndNotBelow(t *testing.T) {
	c, err := procs.Start(procs.Options{
		Binary: build(t), Dir: t.TempDir(), Nodes: 1, License: "professional",
		Args: []string{"--heartbeat-interval", "300ms", "--log-level", "info", "--capacity", "1GiB"},
	})
	require.NoError(t, err)
	t.Cleanup(c.Kill)
	l := &ladder{t: t, c: c}
	l.must("config", "set", "rebalance.spread=0.03")
	h := &healing{t: t, c: c, via: c.Nodes[0]}
	body := bytes.Repeat([]byte("x"), 8*mib)
	for i := range 17 { // more than two volumes of 64 MiB take, so one is sealed and can be moved
		h.put(fmt.Sprintf("/cache/big-%d", i), body)
	}
	sealed := func(n *procs.Node) (count int) {
		for _, v := range h.worker(n).VolumeList {
			if v.Tier == 3 && v.State == "sealed" {
				count++
			}
		}
		return count
	}
	h.until("a volume to be full", procs.Patience, func() bool { return sealed(c.Nodes[0]) > 0 })
	empty, err := c.Add()
	require.NoError(t, err)
	require.NoError(t, empty.WaitReady(procs.Patience))
	h.until("the report of the empty disk", procs.Patience, func() bool { return h.worker(empty).Total > 0 })
	// Disks are compared every three seconds.
	assert.False(t, procs.Until(6*time.Second, func() bool { return len(h.jobs("rebalance")) > 0 }), "nothing begins by itself at professional")
	assert.Zero(t, sealed(empty))
	assert.Contains(t, l.must("config", "show"), "no effect: auto rebalancing needs the licence level enterprise, and this cluster has professional")

	l.install("--level", "enterprise")
	h.until("a rebalance that begins by itself and ends", procs.Patience, func() bool {
		return slices.ContainsFunc(h.jobs("rebalance"), func(j jobView) bool { return j.State == "done" }) && sealed(empty) > 0
	})
	for _, j := range h.jobs("rebalance") {
		assert.True(t, strings.Contains(j.Cause, "% full"), "nobody has asked: %s", j.Cause)
	}
	assert.NotContains(t, l.must("config", "show"), "no effect")
}
