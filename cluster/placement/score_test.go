package placement_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/messages"
)

func worker(node string, change ...func(*placement.Worker)) placement.Worker {
	w := placement.Worker{
		Node: node, State: messages.WorkerState_HEALTHY, Reached: true, Known: true, Writable: 1 << 40, Free: 50, Total: 100,
		DiskType: "ssd", Host: "host of " + node, IOLoad: 0, HasLatency: true,
	}
	for _, f := range change {
		f(&w)
	}
	return w
}

func TestScore_IsTheWeightedSumOfItsTerms(t *testing.T) {
	by := placement.DefaultWeights()
	require.NoError(t, by.Check())
	w := worker("a", func(w *placement.Worker) {
		w.Free, w.Total, w.DiskType, w.IOLoad, w.Latency = 25, 100, "hdd", 0.5, 10*time.Millisecond
	})
	terms, score := placement.Score(model.TierRebuildable, "", &w, by)
	assert.Equal(t, placement.Terms{Free: 0.25, Disk: 1, Load: 0.5, Latency: 0.5}, terms)
	assert.InDelta(t, 0.4*0.25+0.3*1+0.2*0.5+0.1*0.5, score, 1e-9)
	terms, _ = placement.Score(model.TierCritical, "", &w, by)
	assert.Zero(t, terms.Disk, "what is critical does not go onto a hard disk while anything else is there")
	w.IOLoad, w.HasLatency, w.DiskType = -1, false, ""
	terms, _ = placement.Score(model.TierCritical, "", &w, by)
	assert.Equal(t, placement.Terms{Free: 0.25, Disk: 0.5, Load: 0.5, Latency: 0.5}, terms, "what was never measured is neither good nor bad")
}

func TestWeights_AreSharesOfOneWhole(t *testing.T) {
	assert.Error(t, placement.Weights{Free: 1, Disk: 1}.Check())
	assert.Error(t, placement.Weights{Free: 1.2, Disk: -0.2}.Check())
	assert.NoError(t, placement.Weights{Load: 1}.Check())
}

func TestPick_EveryFilterHasItsName(t *testing.T) {
	for _, c := range []struct {
		why    placement.Refusal
		change func(*placement.Worker)
	}{
		{placement.NotHealthy, func(w *placement.Worker) { w.State = messages.WorkerState_DEGRADED }},
		{placement.Drained, func(w *placement.Worker) { w.Draining = true }},
		{placement.Unreached, func(w *placement.Worker) { w.Reached = false }},
		{placement.Unreached, func(w *placement.Worker) { w.Known = false }},
		{placement.Suspected, func(w *placement.Worker) { w.Suspect = "its link broke" }},
		{placement.Full, func(w *placement.Worker) { w.Writable = 0 }},
		{placement.TooSmall, func(w *placement.Worker) { w.Writable = 5 }},
		{placement.SameHost, func(w *placement.Worker) { w.Host = "host of b" }},
	} {
		workers := []placement.Worker{worker("a", c.change, func(w *placement.Worker) { w.Free = 1 }), worker("b")}
		members, judged := placement.Pick(placement.Request{Tier: 1, Bytes: 10, Copies: 2}, workers, placement.DefaultWeights())
		assert.Equal(t, []string{"b"}, members, c.why)
		assert.Equal(t, "b", judged[0].Node)
		assert.Equal(t, c.why, judged[1].Refusal)
		assert.NotEmpty(t, judged[1].Detail)
	}
}

func TestPick_SpreadsOverDatacentersThenRacksThenHosts(t *testing.T) {
	at := func(dc, rack string, free uint64) func(*placement.Worker) {
		return func(w *placement.Worker) { w.DC, w.Rack, w.Free = dc, rack, free }
	}
	workers := []placement.Worker{
		worker("a", at("x", "r1", 90)), worker("b", at("x", "r1", 80)), worker("c", at("x", "r2", 30)), worker("d", at("y", "r1", 10)),
	}
	for copies, want := range [][]string{{}, {"a"}, {"a", "d"}, {"a", "d", "c"}, {"a", "d", "c", "b"}} {
		members, _ := placement.Pick(placement.Request{Tier: 1, Copies: copies}, workers, placement.DefaultWeights())
		assert.ElementsMatch(t, want, members)
	}
	members, _ := placement.Pick(placement.Request{Tier: 1, Copies: 1, Beside: []string{"a"}}, workers, placement.DefaultWeights())
	assert.Equal(t, []string{"d"}, members, "a further copy goes away from those that stay")

	_, judged := placement.Pick(placement.Request{Tier: 1, Copies: 2}, workers, placement.DefaultWeights())
	for _, j := range judged {
		assert.Equal(t, j.Node == "b" || j.Node == "c", j.Detail != "", "%s: who is passed over for a lower score hears why", j.Node)
	}
	_, judged = placement.Pick(placement.Request{Tier: 1, Copies: 4}, append(workers, worker("left", func(w *placement.Worker) { w.State = messages.WorkerState_LEFT })), placement.DefaultWeights())
	assert.Len(t, judged, 4, "who has left is nobody's worker")
}

func TestPick_OpenVolumesTakeTurnsAndSetsAreDistinct(t *testing.T) {
	var workers []placement.Worker
	for i := range 6 {
		workers = append(workers, worker(fmt.Sprintf("w%d", i)))
	}
	var taken [][]string
	load := map[string]int{}
	for range 8 {
		for i := range workers {
			workers[i].Open = load[workers[i].Node]
		}
		members, _ := placement.Pick(placement.Request{Tier: 1, Copies: 3, Taken: taken}, workers, placement.DefaultWeights())
		require.Len(t, members, 3)
		for _, m := range members {
			load[m]++
		}
		taken = append(taken, members)
	}
	for node, n := range load {
		assert.Equal(t, 4, n, "%s: 8 volumes of 3 copies on 6 equals", node)
	}
	// Three workers have one set only: it is used again rather than nothing.
	few := workers[:3]
	members, _ := placement.Pick(placement.Request{Tier: 1, Copies: 3, Taken: [][]string{{"w2", "w1", "w0"}}}, few, placement.DefaultWeights())
	assert.Len(t, members, 3)
	// With a fourth there is another.
	members, _ = placement.Pick(placement.Request{Tier: 1, Copies: 3, Taken: [][]string{{"w2", "w1", "w0"}}}, workers[:4], placement.DefaultWeights())
	assert.Contains(t, members, "w3")
}

func TestPick_AnSSDIsPreferredToAHardDiskHoweverManyVolumesAreOpen(t *testing.T) {
	workers := []placement.Worker{
		worker("ssd", func(w *placement.Worker) { w.Open = 4 }),
		worker("hdd", func(w *placement.Worker) { w.DiskType, w.Free = "hdd", 60 }),
	}
	members, _ := placement.Pick(placement.Request{Tier: 1, Copies: 1}, workers, placement.DefaultWeights())
	assert.Equal(t, []string{"ssd"}, members)
	members, _ = placement.Pick(placement.Request{Tier: 3, Copies: 1}, workers, placement.DefaultWeights())
	assert.Equal(t, []string{"hdd"}, members)
}

// Whatever the workers are like: never two copies on a host, never a worker that a
// filter keeps out, never fewer copies than there are hosts for, and always the same.
func TestPick_PropertiesOverManyClusters(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	for range 3000 {
		var workers []placement.Worker
		hosts := map[string]bool{}
		for i := range 1 + rng.IntN(12) {
			w := worker(fmt.Sprintf("w%d", i), func(w *placement.Worker) {
				w.Host, w.Rack, w.DC = fmt.Sprint("h", rng.IntN(8)), fmt.Sprint("r", rng.IntN(3)), fmt.Sprint("d", rng.IntN(2))
				w.Free, w.DiskType = uint64(rng.IntN(100)), []string{"nvme", "ssd", "hdd", ""}[rng.IntN(4)]
				w.IOLoad, w.Open = rng.Float64(), rng.IntN(4)
				w.Draining = rng.IntN(6) == 0
			})
			if !w.Draining {
				hosts[w.Host] = true
			}
			workers = append(workers, w)
		}
		req := placement.Request{Tier: model.Tier(1 + rng.IntN(3)), Copies: 1 + rng.IntN(4)}
		members, judged := placement.Pick(req, workers, placement.DefaultWeights())
		require.Len(t, members, min(req.Copies, len(hosts)))
		require.Len(t, judged, len(workers))
		on := map[string]bool{}
		for _, w := range workers {
			for _, m := range members {
				if m == w.Node {
					require.False(t, on[w.Host], "two copies on %s", w.Host)
					require.False(t, w.Draining)
					on[w.Host] = true
				}
			}
		}
		rng.Shuffle(len(workers), func(i, j int) { workers[i], workers[j] = workers[j], workers[i] })
		again, _ := placement.Pick(req, workers, placement.DefaultWeights())
		require.Equal(t, members, again, "the order of the workers decides nothing")
	}
}
