package drill

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// workerView, jobView and volumeView are what these drills look at.
type workerView struct {
	ID         string       `json:"worker_id"`
	Address    string       `json:"address"`
	State      string       `json:"state"`
	Role       string       `json:"role"`
	Total      uint64       `json:"total_bytes"`
	Free       uint64       `json:"free_bytes"`
	DiskType   string       `json:"disk_type"`
	VolumeList []volumeView `json:"volume_list"`
}

type volumeView struct {
	ID       uint64 `json:"volume_id"`
	Tier     int    `json:"tier"`
	State    string `json:"state"`
	Verified bool   `json:"verified"`
	Total    uint64 `json:"total_bytes"`
}

type jobView struct {
	ID       string `json:"job_id"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Subject  string `json:"subject"`
	Cause    string `json:"cause"`
	Progress struct {
		Done  uint64 `json:"done_bytes"`
		Total uint64 `json:"total_bytes"`
	} `json:"progress"`
	Blockers  []string  `json:"blockers"`
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at"`
}

// healing is a cluster of unequal workers with data in it.
type healing struct {
	t      *testing.T
	c      *procs.Cluster
	via    *procs.Node // asked
	sums   map[string][32]byte
	begins map[string][]byte // the first bytes of each
	bytes  int
}

const mib = 1 << 20

// startHealing makes six workers of three capacities and two types of disk.
func startHealing(t *testing.T) *healing {
	t.Helper()
	c, err := procs.Start(procs.Options{
		Binary: build(t), Dir: t.TempDir(), Nodes: 6, Args: []string{"--heartbeat-interval", "500ms", "--log-level", "info"},
		ArgsOf: func(n int) []string {
			return []string{"--capacity", []string{"3GiB", "4GiB", "6GiB"}[n%3], "--disk-type", []string{"ssd", "hdd"}[n/4]}
		},
	})
	require.NoError(t, err)
	t.Cleanup(c.Kill)
	return &healing{t: t, c: c, via: c.Nodes[0], sums: make(map[string][32]byte)}
}

// fill stores files of 8 MiB in every tier.
func (h *healing) fill(perTier int) {
	h.t.Helper()
	h.fillIn(perTier, "models", "sessions", "cache")
}

func (h *healing) fillIn(perTier int, dirs ...string) {
	h.t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	body := make([]byte, 8*mib)
	for i := range perTier {
		for _, dir := range dirs {
			_, _ = random.Read(body)
			path := fmt.Sprintf("/%s/big-%d", dir, i)
			h.put(path, body)
			if h.begins == nil {
				h.begins = make(map[string][]byte)
			}
			h.begins[path] = bytes.Clone(body[:64])
			h.sums[path], h.bytes = sha256.Sum256(body), h.bytes+len(body)
		}
	}
}

func (h *healing) put(path string, body []byte) {
	h.t.Helper()
	req, err := http.NewRequest(http.MethodPut, h.via.URL()+"/files"+path, bytes.NewReader(body))
	require.NoError(h.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(h.t, err)
	answer, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	require.Less(h.t, resp.StatusCode, 300, "PUT %s: %s", path, answer)
}

// patient is a client that does not wait for ever.
var patient = &http.Client{Timeout: time.Minute}

// readAll reads everything of fill through a node; missing are paths that may be unreadable.
func (h *healing) readAll(n *procs.Node, excused func(path string) bool) {
	h.t.Helper()
	for path, want := range h.sums {
		var resp *http.Response
		sum, cut := sha256.New(), false
		procs.Until(procs.Patience, func() (answered bool) {
			var err error
			resp, err = patient.Get(n.URL() + "/files" + path)
			require.NoError(h.t, err)
			sum.Reset()
			_, err = io.Copy(sum, resp.Body)
			_ = resp.Body.Close()
			if cut = err != nil && excused != nil && excused(path); cut {
				return true
			}
			require.NoError(h.t, err, path)
			// Its only copy may be on a worker that is slow.
			return resp.StatusCode != http.StatusServiceUnavailable || excused != nil && excused(path)
		})
		if cut || resp.StatusCode != http.StatusOK && excused != nil && excused(path) {
			continue
		}
		require.Equal(h.t, http.StatusOK, resp.StatusCode, path)
		require.Equal(h.t, want[:], sum.Sum(nil), "%s has other bytes", path)
	}
}

func (h *healing) workers() (out []workerView) {
	h.t.Helper()
	var list struct{ Workers []workerView }
	require.NoError(h.t, h.c.Soon(h.via, "/cluster/workers", &list))
	return list.Workers
}

func (h *healing) worker(n *procs.Node) (w workerView) {
	h.t.Helper()
	for _, x := range h.workers() {
		if x.Address == n.RPC {
			require.NoError(h.t, h.c.Soon(h.via, "/cluster/workers/"+x.ID, &w))
		}
	}
	return w
}

// jobs lists those of a kind; empty: of every kind.
func (h *healing) jobs(kind string) (out []jobView) {
	h.t.Helper()
	var list struct{ Jobs []jobView }
	require.NoError(h.t, h.c.Soon(h.via, "/cluster/jobs", &list))
	for _, j := range list.Jobs {
		if kind == "" || j.Kind == kind {
			out = append(out, j)
		}
	}
	return out
}

// until looks until it is so.
func (h *healing) until(what string, within time.Duration, so func() bool) {
	h.t.Helper()
	require.True(h.t, procs.Until(within, so), "it never came: %s\n%s", what, h.c.Logs(30))
}

// quiet: no job is at work and nothing is owed.
func (h *healing) quiet() bool {
	var r struct {
		Pending uint64 `json:"pending_operations"`
		Tiers   []struct {
			Debt uint64 `json:"debt_bytes"`
		}
	}
	if h.c.Get(h.via, "/cluster/replication", &r) != nil || r.Pending > 0 {
		return false
	}
	var list struct{ Jobs []jobView }
	require.NoError(h.t, h.c.Soon(h.via, "/cluster/jobs", &list))
	return !slices.ContainsFunc(list.Jobs, func(j jobView) bool { return j.State == "running" || j.State == "paused" })
}

func (h *healing) configure(patch string) {
	h.t.Helper()
	var now struct{ Version uint64 }
	require.NoError(h.t, h.c.Soon(h.via, "/cluster/config", &now))
	require.NoError(h.t, h.c.Do(h.via, http.MethodPut, "/cluster/config", http.Header{"If-Match": {fmt.Sprint(now.Version)}, "Content-Type": {"application/json"}}, patch, nil))
}

// victim is a node that is neither asked nor master.
func (h *healing) victim() *procs.Node {
	m := masterOf(h.t, h.c)
	for _, n := range slices.Backward(h.c.Nodes) {
		if n != m && n != h.via {
			return n
		}
	}
	return nil
}

// copied is what the jobs for a worker have moved together. Others may have jobs at any
// time, when this machine is slow.
func (h *healing) copied(worker string) (sum uint64) {
	for _, j := range h.jobs("") {
		if j.Subject == worker {
			sum += j.Progress.Done
		}
	}
	return sum
}

// rested waits until nothing has been copied for a worker for a while, and returns how much
// was. Jobs may be there still: for what has its only copy on a dead worker.
func (h *healing) rested(worker string) (sum uint64) {
	h.t.Helper()
	var since time.Time
	h.until("the copying to come to rest", procs.Patience, func() bool {
		if now := h.copied(worker); now != sum || since.IsZero() {
			sum, since = now, time.Now()
		}
		return time.Since(since) > 4*time.Second
	})
	return sum
}

// explained compares where a file is with what explain says of it.
func (h *healing) explained(path string) {
	h.t.Helper()
	var e struct {
		Tier    int
		Copies  int
		Workers []struct {
			ID      string `json:"worker_id"`
			Score   float64
			Refusal string
		}
		Choice []string
	}
	require.NoError(h.t, h.c.Soon(h.via, "/cluster/placement/explain?path="+path, &e))
	require.NotEmpty(h.t, e.Choice, path)
	var r struct {
		Tier struct {
			Achieved int
			Wanted   int `json:"copies_wanted"`
			Durable  int `json:"copies_durable"`
		}
		Replicas []struct {
			ID string `json:"worker_id"`
		}
	}
	require.NoError(h.t, h.c.Soon(h.via, "/files"+path+"?receipt", &r))
	assert.Equal(h.t, e.Tier, r.Tier.Achieved, path)
	assert.Equal(h.t, e.Copies, r.Tier.Wanted, path)
	if r.Tier.Achieved == 1 {
		assert.GreaterOrEqual(h.t, r.Tier.Durable, 3, "tier 1 is on N+1 disks")
	}
	refused := map[string]string{}
	for _, w := range e.Workers {
		refused[w.ID] = w.Refusal
	}
	for _, replica := range r.Replicas {
		assert.Contains(h.t, []string{"", "same_host"}, refused[replica.ID], "%s is on %s", path, replica.ID)
	}
}
