package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// tiercel runs the command line against a node.
func tiercel(t *testing.T, n *procs.Node, args ...string) string {
	t.Helper()
	out, err := exec.Command(build(t), append(args, "--server", "http://"+n.HTTP)...).CombinedOutput()
	require.NoError(t, err, "tiercel %v: %s", args, out)
	return string(out)
}

// quotaRace is what the writers of a tenant were told.
type quotaRace struct {
	c      *procs.Cluster
	tenant string
	limit  int64

	// held: the master of this phase is not killed yet, and enough is stored for that.
	held func() bool

	mu      sync.Mutex
	stored  map[string]int64
	refused map[string]bool
	odd     []string
}

// write runs one writer until it was refused a few times: files of its own, each under
// an Idempotency-Key, repeated on any node until it is answered for good.
func (q *quotaRace) write(ctx context.Context, number int) {
	random := rand.New(rand.NewPCG(uint64(number), 5))
	client := &http.Client{Timeout: time.Minute}
	for n, refusals := 0, 0; n < 80 && refusals < 4 && ctx.Err() == nil; n++ {
		for q.held() && ctx.Err() == nil {
			pause(ctx, 20*time.Millisecond)
		}
		path := fmt.Sprintf("/models/race/w%d/f%d", number, n)
		size := 1 + random.IntN(64<<10)
		if q.tenant == "blue" && number < 3 && n == 2 {
			size = 9 << 20 // in parts, and it does not say how long it is
		}
		status, answer := q.put(ctx, client, random, path, bytes.Repeat([]byte{byte(number)}, size))
		q.mu.Lock()
		switch status {
		case http.StatusCreated, http.StatusOK:
			q.stored[path] = int64(size)
		case http.StatusInsufficientStorage:
			q.refused[path] = true
			refusals++
			if !bytes.Contains(answer, []byte(fmt.Sprintf(`"limit_bytes":"%d"`, q.limit))) {
				q.odd = append(q.odd, string(answer))
			}
		default:
			q.odd = append(q.odd, fmt.Sprintf("%s: %d %.300s", path, status, answer))
		}
		q.mu.Unlock()
		pause(ctx, time.Duration(random.Int64N(int64(200*time.Millisecond))))
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (q *quotaRace) storedNow() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.stored)
}

func (q *quotaRace) put(ctx context.Context, client *http.Client, random *rand.Rand, path string, body []byte) (status int, answer []byte) {
	for ctx.Err() == nil {
		n := q.c.Nodes[random.IntN(len(q.c.Nodes))]
		if !n.Running() {
			continue
		}
		var content io.Reader = bytes.NewReader(body)
		if len(body) > 1<<20 {
			content = io.MultiReader(content) // of unknown length
		}
		req, err := http.NewRequest(http.MethodPut, n.URL()+"/files"+path, content)
		if err != nil {
			return 0, []byte(err.Error())
		}
		req.Header.Set("X-Tenant-ID", q.tenant)
		req.Header.Set("Idempotency-Key", path)
		resp, err := client.Do(req)
		if err != nil {
			continue // its node was killed
		}
		answer, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode != http.StatusServiceUnavailable {
			return resp.StatusCode, answer
		}
	}
	return 0, []byte("no answer in time")
}

type tenantStand struct {
	Limit    int64 `json:"limit_bytes"`
	Used     int64 `json:"used_bytes"`
	Reserved int64 `json:"reserved_bytes"`
	Files    int64
}

func (q *quotaRace) stand(n *procs.Node) (s tenantStand, err error) {
	var page struct{ Quotas []tenantStand }
	if err = q.c.Get(n, "/quotas?tenant="+q.tenant, &page); err == nil && len(page.Quotas) == 1 {
		s = page.Quotas[0]
	}
	return s, err
}

// watch looks at the usage all the time, through every node.
func (q *quotaRace) watch(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		n := q.c.Nodes[i%len(q.c.Nodes)]
		if s, err := q.stand(n); n.Running() && err == nil && s.Used > q.limit {
			q.mu.Lock()
			q.odd = append(q.odd, fmt.Sprintf("%s uses %d of %d", q.tenant, s.Used, q.limit))
			q.mu.Unlock()
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// check compares what the writers were told with what there is.
func (q *quotaRace) check(t *testing.T, n *procs.Node) {
	assert.Empty(t, q.odd, q.tenant)
	sum := int64(0)
	for _, size := range q.stored {
		sum += size
	}
	var s tenantStand
	require.True(t, procs.Until(procs.Patience, func() bool {
		var err error
		s, err = q.stand(n)
		return err == nil && s.Reserved == 0
	}), "%s: %d bytes are still reserved", q.tenant, s.Reserved)
	assert.Equal(t, sum, s.Used, "%s: what was acknowledged is what is counted", q.tenant)
	assert.EqualValues(t, len(q.stored), s.Files, q.tenant)
	assert.LessOrEqual(t, s.Used, q.limit, q.tenant)
	assert.Greater(t, s.Used, q.limit-q.limit/8, "%s: the race went to the limit", q.tenant)
	assert.NotEmpty(t, q.refused, q.tenant)
	var page struct {
		Files []struct{ Path string }
	}
	require.NoError(t, q.c.Do(n, http.MethodGet, "/files?prefix=/models/race/&limit=1000", http.Header{"X-Tenant-Id": {q.tenant}}, "", &page))
	for _, f := range page.Files {
		assert.False(t, q.refused[f.Path], "%s was refused and is there", f.Path)
	}
	t.Logf("%s: %d of %d bytes in %d files, %d writes refused", q.tenant, s.Used, q.limit, s.Files, len(q.refused))
}

func TestQuota_32WritersPerTenantRaceToTheLimitThroughKilledMasters(t *testing.T) {
	c := cluster(t, 3)
	races := []*quotaRace{{c: c, tenant: "red", limit: 6 << 20}, {c: c, tenant: "blue", limit: 40 << 20}}
	assert.Contains(t, tiercel(t, c.Nodes[0], "quota", "set", "red", "6MiB"), "tenant red may store 6.0 MiB (6291456 bytes)")
	tiercel(t, c.Nodes[1], "quota", "set", "blue", "40MiB")
	ctx, cancel := context.WithTimeout(t.Context(), 3*procs.Patience)
	defer cancel()
	watching, rest := context.WithCancel(ctx)
	// About 600 files fit. So many are stored before the first kill and before the second, at
	// most, but for those under way.
	most := []int{250, 420, math.MaxInt}
	var phase atomic.Int64
	stored := func() int { return races[0].storedNow() + races[1].storedNow() }
	var writers, watchers sync.WaitGroup
	for _, q := range races {
		q.stored, q.refused = map[string]int64{}, map[string]bool{}
		q.held = func() bool { return stored() >= most[phase.Load()] }
	}
	for _, q := range races {
		watchers.Go(func() { q.watch(watching) })
		for number := range 32 {
			writers.Go(func() { q.write(ctx, number) })
		}
	}
	before := make([]int, 2)
	for i := range before {
		enough := 100
		if i > 0 {
			require.NoError(t, c.WaitFormed(procs.Patience), "%s", c.Logs(20)) // another one may be lost again
			enough = before[0] + 30
		}
		require.True(t, procs.Until(procs.Patience, func() bool { return stored() >= enough }), "%s", c.Logs(20))
		master := masterOf(t, c)
		master.Kill()
		before[i] = stored()
		phase.Add(1)
		require.NoError(t, master.Start())
	}
	writers.Wait()
	rest()
	watchers.Wait()
	require.NoError(t, ctx.Err(), "the writers were answered in time")
	require.NoError(t, c.WaitFormed(procs.Patience), "%s", c.Logs(20))

	for _, q := range races {
		q.check(t, c.Nodes[0])
	}
	assert.Greater(t, stored(), before[1]+20, "the race went on after the second kill")
	t.Logf("%d writes were stored before a master was killed, %d before another was, %d in all", before[0], before[1], stored())
	assert.Contains(t, tiercel(t, c.Nodes[0], "quota", "verify"), "2 tenants were added up")
	var listed struct{ Quotas []struct{ Tenant string } }
	require.NoError(t, json.Unmarshal([]byte(tiercel(t, c.Nodes[2], "quota", "list", "--output", "json")), &listed))
	assert.Len(t, listed.Quotas, 2)
	assert.Contains(t, tiercel(t, c.Nodes[1], "quota", "remove", "red"), "tenant red has no limit")
	require.NoError(t, c.Do(c.Nodes[0], http.MethodPut, "/files/models/more", http.Header{"X-Tenant-Id": {"red"}}, string(make([]byte, 1<<20)), nil))
}
