package simtest

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// storm is the standard run: every fault, a few at a time.
func storm(seed uint64) Params {
	return Params{Seed: seed, Log: replayLog(), Trace: replayTrace(), Clients: 3, Operations: 25, Horizon: 6 * time.Second, Faults: mustFaults(1), FaultCount: int(seed % 7)}
}

// The number of fresh seeds is TIERCEL_SEEDS (default 200) from TIERCEL_SEED
// (default 1); each is run twice and must give the same trace.
func TestSeeds(t *testing.T) {
	first, n := envInt(t, "TIERCEL_SEED", 1), envInt(t, "TIERCEL_SEEDS", 200)
	fired := map[string]int{}
	for seed := first; seed < first+n; seed++ {
		a := Run(storm(seed))
		require.Empty(t, a.Violations, replay(seed))
		b := Run(storm(seed))
		require.Equal(t, a.Hash, b.Hash, "the same seed gave two traces; %s", replay(seed))
		for name, k := range a.Fired {
			fired[name] += k
		}
	}
	t.Logf("seeds %d to %d; fired: %v", first, first+n-1, fired)
	if n >= 200 {
		assert.NotZero(t, fired["volume dropped"], "compaction never dropped a volume")
		assert.NotZero(t, fired["refused by a quota"], "no limit was ever met")
		for _, f := range mustFaults(1) {
			assert.NotZero(t, fired[f.Name], "the fault %q never fired", f.Name)
		}
	}
}

// replayLog shows what the actors log when TIERCEL_LOG is set.
func mustFaults(nodes int) []Fault {
	out, err := FaultsNamed(nil, nodes)
	if err != nil {
		panic(err)
	}
	return out
}

// cluster are the parameters of a seed with many nodes: most with three or five,
// now and then a large one.
func cluster(seed uint64) Params {
	nodes := [...]int{3, 5, 3, 4, 2, 5, 3, 7}[seed%8]
	if seed%101 == 0 {
		nodes = 20
	}
	return Params{
		Seed: seed, Nodes: nodes, Log: replayLog(), Trace: replayTrace(), Clients: 4, Operations: 25, Horizon: 12 * time.Second,
		Faults: mustFaults(nodes), FaultCount: int(seed % 9),
	}
}

func TestClusterSeeds(t *testing.T) {
	first, n := envInt(t, "TIERCEL_SEED", 1), envInt(t, "TIERCEL_SEEDS", 60)
	fired := map[string]int{}
	for seed := first; seed < first+n; seed++ {
		a := Run(cluster(seed))
		require.Empty(t, a.Violations, replayCluster(seed))
		b := Run(cluster(seed))
		require.Equal(t, a.Hash, b.Hash, "the same seed gave two traces; %s", replayCluster(seed))
		for name, k := range a.Fired {
			fired[name] += k
		}
	}
	t.Logf("seeds %d to %d; fired: %v", first, first+n-1, fired)
	if n >= 200 {
		assert.NotZero(t, fired["refused item of a batch"], "no batch was ever refused in part")
		for _, f := range faults {
			assert.NotZero(t, fired[f.Name], "the fault %q never fired", f.Name)
		}
	}
}

func replayCluster(seed uint64) string {
	return fmt.Sprintf("replay with: TIERCEL_SEED=%d TIERCEL_SEEDS=1 go test ./actors/simtest -run TestClusterSeeds -v", seed)
}

func replayLog() *slog.Logger {
	if os.Getenv("TIERCEL_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// replayTrace shows every event when TIERCEL_TRACE is set.
func replayTrace() io.Writer {
	if os.Getenv("TIERCEL_TRACE") == "" {
		return nil
	}
	return os.Stderr
}

func replay(seed uint64) string {
	return fmt.Sprintf("replay with: TIERCEL_SEED=%d TIERCEL_SEEDS=1 go test ./actors/simtest -run TestSeeds -v", seed)
}

func envInt(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

func TestStory_WithoutFaultsEveryOperationIsAnswered(t *testing.T) {
	out := Run(Params{Seed: 7, Clients: 3, Operations: 60, Horizon: 10 * time.Second})
	require.Empty(t, out.Violations)
	require.GreaterOrEqual(t, len(out.History), 180)
	for _, o := range out.History {
		assert.False(t, o.out.unknown, "%+v", o)
		assert.False(t, refusedForGood(o.out), "%+v", o)
	}
}
