package live_test

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/internal/conformance"
	"tiercel/actors/runtime/live"
	"tiercel/cluster/model"
	"tiercel/store"
)

// pair is a conformance cluster of two nodes over loopback.
type pair struct {
	t      *testing.T
	a, b   *live.Node
	halted atomic.Pointer[error]
}

func (p *pair) A() runtime.Host { return p.a }
func (p *pair) B() runtime.Host { return p.b }
func (p *pair) LoseB()          { p.b.Kill() }

func (p *pair) Halted() error {
	if reason := p.halted.Load(); reason != nil {
		return *reason
	}
	return nil
}

// patience is for a machine that stands still for seconds now and then.
const patience = time.Minute

func (p *pair) Until(cond func() bool) {
	p.t.Helper()
	require.Eventually(p.t, cond, patience, time.Millisecond)
}

// start starts a node on a free loopback port that is stopped with the test.
func start(t *testing.T, config live.Config) *live.Node {
	t.Helper()
	config.FS = store.NewMemFS(1)
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Incarnation == 0 {
		config.Incarnation = 1
	}
	if config.StopTimeout == 0 {
		config.StopTimeout = 20 * time.Second
	}
	n, err := live.New(config)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			require.Equal(t, model.CodeDeadlineExceeded, model.CodeOf(err))
		}
	})
	return n
}

func introduce(nodes ...*live.Node) {
	book := make(map[model.NodeID]string)
	for _, n := range nodes {
		book[n.Node()] = n.Address()
	}
	for _, n := range nodes {
		n.SetPeers(book)
	}
}

func startPair(t *testing.T) *pair {
	p := &pair{t: t}
	p.a = start(t, live.Config{Node: "n-a", RPC: "127.0.0.1:0", OnHalt: func(reason error) {
		if !p.halted.CompareAndSwap(nil, &reason) {
			panic(errors.New("halted twice"))
		}
	}})
	p.b = start(t, live.Config{Node: "n-b", RPC: "127.0.0.1:0"})
	introduce(p.a, p.b)
	return p
}

func TestLive_PassesTheConformanceSuite(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Cluster {
		t.Parallel() // what they wait for is mostly back-off
		return startPair(t)
	})
}
