package edge_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"hash/crc32"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/actors"
	"tiercel/actors/edge"
	"tiercel/actors/runtime/live"
	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// node is a live node in this process.
type node struct {
	*edge.Client
	data  *actors.Data
	stats atomic.Int64 // asked of the gateway
}

// counting counts what the client asks.
type counting struct {
	edge.Asker
	stats *atomic.Int64
}

func (c counting) Ask(ctx context.Context, to *actor.PID, msg live.AskMessage) (proto.Message, error) {
	if _, ok := msg.(*messages.Stat); ok {
		c.stats.Add(1)
	}
	return c.Asker.Ask(ctx, to, msg)
}

// Times for a machine on which a sync of the disk takes seconds. A node syncs about ten
// times, one after the other, before it is ready.
const (
	readyIn = 2 * time.Minute
	stepIn  = time.Minute
	stopIn  = time.Minute
	// A volume that has only one copy is given up after four times this.
	appendIn = 15 * time.Second
)

// awaited asks until there is an answer: a node that has no master for some seconds
// rightly refuses to say how things stand.
func awaited[T any](t *testing.T, ask func(context.Context) (T, error)) (answer T) {
	t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < readyIn; {
		if answer, err = ask(t.Context()); err == nil {
			return answer
		}
	}
	require.NoError(t, err)
	return answer
}

// start runs a node on dir; stop ends it cleanly.
func start(t *testing.T, dir string, credit int64, change ...func(*actors.Options)) (n *node, stop func()) {
	t.Helper()
	return startOn(t, dir, credit, func(fs store.FS) store.FS { return fs }, change...)
}

// startOn is start with something between the node and its disk.
func startOn(t *testing.T, dir string, credit int64, between func(store.FS) store.FS, change ...func(*actors.Options)) (n *node, stop func()) {
	t.Helper()
	disk, err := store.NewDirFS(dir)
	require.NoError(t, err)
	fs := between(disk)
	data, err := actors.OpenData(fs, rand.Reader, false)
	require.NoError(t, err)
	rt, err := live.New(live.Config{
		Node: data.Dir.Identity().NodeID, Incarnation: data.Dir.Identity().Incarnation, FS: fs, Log: slog.New(slog.DiscardHandler),
		StopTimeout: stopIn, OnHalt: func(reason error) { t.Errorf("the node halted: %v", reason) },
	})
	require.NoError(t, err)
	opt := actors.DefaultOptions()
	opt.ReserveBytes, opt.AppendPatience = 0, appendIn
	opt.License = signed.DevelopmentSet(license.Enterprise, time.Now())
	for _, c := range change {
		c(&opt)
	}
	ready := make(chan struct{})
	var once sync.Once
	opt.Announced = func(ok bool, _ string) {
		if ok {
			once.Do(func() { close(ready) })
		}
	}
	_, err = actors.Start(rt, data, opt)
	require.NoError(t, err)
	n = &node{data: data}
	n.Client = edge.New(edge.Config{
		Node: string(rt.Node()), Worker: func(id model.NodeID) *actor.PID { return rt.Peer(id, actors.WorkerPath) },
		Asker: counting{rt.Edge(), &n.stats}, Gateway: rt.Local(actors.GatewayPath), Volumes: data.Volumes, BodyCredit: credit,
		StepTimeout: stepIn, Ready: func() (bool, string) { return true, "" },
	})
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			assert.NoError(t, rt.Stop())
			assert.NoError(t, data.Close())
		}
	}
	t.Cleanup(stop)
	select {
	case <-ready:
	case <-time.After(readyIn):
		t.Fatal("the node does not get ready")
	}
	return n, stop
}

func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// read returns a whole file.
func (n *node) read(t *testing.T, path string) []byte {
	t.Helper()
	s, err := n.Stat(t.Context(), "default", path, false)
	require.NoError(t, err)
	extents, err := n.Extents(t.Context(), "default", path, s.Row)
	require.NoError(t, err)
	out := []byte{}
	for _, e := range extents {
		out, err = n.ReadExtent(t.Context(), e, 0, e.BodyBytes, out)
		require.NoError(t, err)
	}
	require.Equal(t, s.Row.Crc32C, crc(out))
	return out
}

func put(path string, body []byte, change ...func(*model.PutRequest)) *model.PutRequest {
	r := &model.PutRequest{Tenant: "default", Path: path, Size: int64(len(body)), Body: bytes.NewReader(body)}
	for _, c := range change {
		c(r)
	}
	return r
}

func unknownSize(r *model.PutRequest) { r.Size = -1 }
