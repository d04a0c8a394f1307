package discovery

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"tiercel/cluster/model"
)

// A provider that is shut down before it has begun to start panics, on a goroutine where
// nobody can catch it.
func TestLook_WhoseTimeIsOverAtOnceEndsInGoodOrder(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	cluster := newFakeKubernetes(t)
	configs := []Config{{Kind: Etcd, Address: []string{freeAddress(t)}, Name: "ml"}, {Kind: Consul, Address: []string{freeAddress(t)}, Name: "ml"}}
	for range 30 { // which goroutine comes first is chance
		configs = append(configs, Config{Kind: Kubernetes, Name: "ml", API: &rest.Config{Host: cluster.address(0)}})
	}
	for _, cfg := range configs {
		_, err := newFinder(t, cfg).Look(over)
		assert.Equal(t, model.CodeUnavailable, model.CodeOf(err), "%s: %v", cfg.Kind, err)
	}
}

// The end of a Look takes the labels off the pod. Where that is slow, a registration
// waits for it: it would be lost otherwise.
func TestStart_WaitsForTheEndOfALook(t *testing.T) {
	cluster := newFakeKubernetes(t)
	var count atomic.Int32 // of changes; the first is that of the Look
	begun, release := make(chan struct{}), make(chan struct{})
	api := &rest.Config{Host: cluster.address(0), Transport: patched(func() {
		if count.Add(1) == 1 {
			close(begun)
			<-release
		}
	})}
	f := newFinder(t, Config{Kind: Kubernetes, Name: "ml", API: api})
	others, err := f.Look(t.Context())
	require.NoError(t, err)
	require.Empty(t, others)
	<-begun
	heard := &told{}
	f.Start("127.0.0.1:7001", heard.tell)
	defer f.Stop()
	assert.Never(t, func() bool { return len(cluster.labels(0)) > 0 }, stopTime/10, stopTime/100)
	close(release)
	assert.Eventually(t, func() bool { return len(cluster.labels(0)) > 0 }, patience, stopTime/100)
	assert.Never(t, func() bool { return len(cluster.labels(0)) == 0 }, stopTime/10, stopTime/100)
}

// patched calls a function before each request that changes something.
type patched func()

func (p patched) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPatch {
		p()
	}
	return http.DefaultTransport.RoundTrip(r)
}
