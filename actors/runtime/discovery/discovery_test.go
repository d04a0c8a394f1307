package discovery

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/cluster"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"tiercel/cluster/model"
)

// told gathers what a node is told.
type told struct {
	mu        sync.Mutex
	addresses []string
}

func (t *told) tell(addresses []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addresses = addresses
}

func (t *told) now() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addresses
}

func newFinder(t *testing.T, cfg Config) *Finder {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	f, err := New(cfg)
	require.NoError(t, err)
	return f
}

// start starts a node of a service and ends it with the test.
func start(t *testing.T, cfg Config, address string) (*Finder, *told) {
	t.Helper()
	f, heard := newFinder(t, cfg), &told{}
	f.Start(address, heard.tell)
	return f, heard
}

// patience is for a machine on which a sync of the disk takes seconds.
const patience = 2 * time.Minute

func look(t *testing.T, cfg Config) ([]string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return newFinder(t, cfg).Look(ctx)
}

// findEachOther is what every service must do; address gives each node its config.
func findEachOther(t *testing.T, config func(node int) Config) {
	t.Helper()
	others, err := look(t, config(0))
	require.NoError(t, err)
	assert.Empty(t, others, "nobody is registered yet")

	a, heardA := start(t, config(0), "127.0.0.1:7001")
	b, heardB := start(t, config(1), "127.0.0.1:7002")
	defer a.Stop()
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, []string{"127.0.0.1:7002"}, heardA.now())
		assert.Equal(c, []string{"127.0.0.1:7001"}, heardB.now())
	}, patience, 50*time.Millisecond)
	// After a pause their registrations may have run out for a moment.
	for others = nil; len(others) == 0; {
		others, err = look(t, config(2))
		require.NoError(t, err)
		assert.Subset(t, []string{"127.0.0.1:7001", "127.0.0.1:7002"}, others)
	}

	b.Stop()
	_, heardC := start(t, config(1), "127.0.0.1:7003")
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, []string{"127.0.0.1:7003"}, heardA.now(), "who left is not told any more, who came is")
		assert.Equal(c, []string{"127.0.0.1:7001"}, heardC.now())
	}, patience, 50*time.Millisecond)
}

func TestEtcd_NodesFindEachOtherAndAnOutageHarmsNobody(t *testing.T) {
	program, err := exec.LookPath("etcd")
	if err != nil {
		t.Log("NOT RUN: there is no etcd on this machine (Debian: etcd-server)")
		return
	}
	client, peer, dir := freeAddress(t), freeAddress(t), t.TempDir()
	up := func() (kill func()) {
		cmd := exec.Command(program, "--data-dir", dir, "--listen-client-urls", "http://"+client, "--advertise-client-urls", "http://"+client,
			"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "default=http://"+peer)
		require.NoError(t, cmd.Start())
		asked := connected(t, client)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			_, err := asked.Get(t.Context(), "x")
			assert.NoError(c, err)
		}, patience, 100*time.Millisecond)
		return func() {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
		}
	}
	kill := up()
	defer func() { kill() }()
	config := func(int) Config { return Config{Kind: Etcd, Address: []string{client}, Name: "ml"} }
	findEachOther(t, config)

	// Another name that begins alike is another cluster.
	others, err := look(t, Config{Kind: Etcd, Address: []string{client}, Name: "m"})
	require.NoError(t, err)
	assert.Empty(t, others)

	// A node that starts during an outage finds the others when it is over, and those
	// that were there before, whose registrations ran out, are found by it.
	_, before := start(t, config(0), "127.0.0.1:7011")
	assert.EventuallyWithT(t, func(c *assert.CollectT) { assert.NotEmpty(c, before.now()) }, patience, 50*time.Millisecond)
	kill()
	_, during := start(t, config(0), "127.0.0.1:7012")
	assert.Never(t, func() bool { return len(during.now()) > 0 }, 5*time.Second, 100*time.Millisecond)
	kill = up()
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Contains(c, during.now(), "127.0.0.1:7011")
		assert.Contains(c, before.now(), "127.0.0.1:7012")
	}, patience, 100*time.Millisecond)

	// Registrations that run out, under a pause of their nodes say, return.
	asked := connected(t, client)
	var first int64
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		first = registered(c, asked, "127.0.0.1:7012")
		assert.NotZero(c, first)
	}, patience, 50*time.Millisecond)
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		// Not asked whether anybody has seen it away: it is back within a moment.
		if !assert.Greater(c, registered(c, asked, "127.0.0.1:7012"), first) {
			revokeAll(t, asked)
		}
	}, patience, 500*time.Millisecond)
	assert.EventuallyWithT(t, func(c *assert.CollectT) { assert.Contains(c, before.now(), "127.0.0.1:7012") }, patience, 50*time.Millisecond)
}

// connected is a client of an etcd.
func connected(t *testing.T, address string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// revokeAll ends the leases of an etcd. One that has run out meanwhile is no error, and
// one that was granted meanwhile is left.
func revokeAll(t *testing.T, client *clientv3.Client) {
	leases, err := client.Leases(t.Context())
	if err != nil {
		return // asked again
	}
	for _, l := range leases.Leases {
		_, _ = client.Revoke(t.Context(), l.ID)
	}
}

// registered is the revision at which the entry of a node was made; 0: there is none.
func registered(c *assert.CollectT, client *clientv3.Client, node string) (revision int64) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all, err := client.Get(ctx, "", clientv3.WithPrefix())
	require.NoError(c, err)
	_, port, err := net.SplitHostPort(node)
	require.NoError(c, err)
	for _, kv := range all.Kvs {
		if bytes.Contains(append(kv.Key, kv.Value...), []byte(port)) {
			revision = max(revision, kv.CreateRevision)
		}
	}
	return revision
}

func TestConsul_NodesFindEachOtherAndAForgottenOneIsToldAgain(t *testing.T) {
	agent := newFakeConsul(t)
	config := func(int) Config { return Config{Kind: Consul, Address: []string{agent.address()}, Name: "ml"} }
	t.Setenv("CONSUL_HTTP_TOKEN", "secret")
	findEachOther(t, config)
	assert.Zero(t, agent.withoutToken(), "requests without the token")

	agent.forget()
	_, heard := start(t, config(0), "127.0.0.1:7009")
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Contains(c, heard.now(), "127.0.0.1:7003", "the agent had forgotten it")
	}, patience, 50*time.Millisecond)
}

func TestKubernetes_NodesFindEachOther(t *testing.T) {
	cluster := newFakeKubernetes(t)
	findEachOther(t, func(node int) Config {
		// A node that has been stopped may still take its labels off. The provider lets
		// those that it finds on its pod stand, with the port of the node before.
		assert.Eventually(t, func() bool { return len(cluster.labels(node)) == 0 }, patience, 10*time.Millisecond)
		return Config{Kind: Kubernetes, Name: "ml", API: &rest.Config{Host: cluster.address(node)}}
	})
}

func TestPatient_AServiceThatIsDownIsNotAskedInALoop(t *testing.T) {
	agent := newFakeConsul(t)
	agent.break500()
	f, _ := start(t, Config{Kind: Consul, Address: []string{agent.address()}, Name: "ml"}, "127.0.0.1:7001")
	assert.Never(t, func() bool { return agent.requests() > 20 }, 3*time.Second, 100*time.Millisecond)
	assert.Eventually(t, func() bool { return agent.requests() > 0 }, patience, 50*time.Millisecond)
	began := time.Now()
	f.Stop()
	assert.Less(t, time.Since(began), stopTime+20*time.Second)
}

func TestLook_SaysThatNobodyAnswers(t *testing.T) {
	for _, kind := range []string{Etcd, Consul} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := newFinder(t, Config{Kind: kind, Address: []string{freeAddress(t)}, Name: "ml"}).Look(ctx)
		cancel()
		assert.Equal(t, model.CodeUnavailable, model.CodeOf(err), "%s: %v", kind, err)
		assert.ErrorContains(t, err, kind+" does not answer at 127.0.0.1:")
	}
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	t.Setenv("ETCDCTL_CACERT", "/nowhere/ca.pem")
	for _, cfg := range []Config{
		{Kind: "zookeeper", Name: "ml"}, {Kind: Etcd}, {Kind: Consul, Name: "ml", Address: []string{"a:1", "b:2"}},
		{Kind: Kubernetes, Name: "ml", Address: []string{"a:1"}}, {Kind: Kubernetes, Name: "ml"}, {Kind: Etcd, Name: "ml"},
	} {
		cfg.Log = slog.New(slog.DiscardHandler)
		_, err := New(cfg)
		assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err), "%+v: %v", cfg, err)
	}
}

func TestAddressesOf_LeavesOutWhatIsNone(t *testing.T) {
	assert.Equal(t, []string{"a:1", "b:65535"}, addressesOf([]*cluster.Member{
		{Host: "b", Port: 65535}, {Host: "a", Port: 1}, {Host: "a", Port: 1}, {Host: "", Port: 1}, {Host: "a", Port: 0}, {Host: "a", Port: 65536}, {Host: "own", Port: 9},
	}, "own:9"))
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
