package discovery

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
)

// The services that can be asked.
const (
	Etcd       = "etcd"
	Consul     = "consul"
	Kubernetes = "kubernetes"
)

// Config says which service is asked. Credentials come from where the service's own
// tools look for them: ETCDCTL_USER, ETCDCTL_PASSWORD, ETCDCTL_CACERT, ETCDCTL_CERT and
// ETCDCTL_KEY; CONSUL_HTTP_TOKEN, CONSUL_CACERT and so on; the service account of the pod.
type Config struct {
	Kind    string   // Etcd, Consul or Kubernetes
	Address []string // host:port or URL; of etcd any number, of Consul one; none: the service's default
	Name    string   // nodes that register under the same name find each other
	Log     *slog.Logger
	// API names the Kubernetes API server; nil: that of the pod this process runs in.
	API *rest.Config
}

// Times of asking.
const (
	repeatEvery = 10 * time.Second // what is known is told again
	retryEvery  = 5 * time.Second  // after a failed start
	slowStart   = 10 * time.Second // then it is said that nobody answers
	settleTime  = 2 * time.Second  // for others to show, once the service was reached
	stopTime    = 3 * time.Second
)

// maxAddresses bounds what is told: a few are enough to find the rest.
const maxAddresses = 64

// Finder is one node's use of a service.
type Finder struct {
	cfg     Config
	reached atomic.Bool // the service has answered
	stop    chan struct{}
	changed chan struct{} // holds one

	mu      sync.Mutex
	latest  []string
	known   bool // latest came from the service
	running *carrier
	looked  *carrier // of the last Look
}

// New checks cfg and the environment; nothing is asked yet. Errors: invalid_argument.
func New(cfg Config) (*Finder, error) {
	const op = "discovery"
	switch {
	case !slices.Contains([]string{Etcd, Consul, Kubernetes}, cfg.Kind):
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%q is none of etcd, consul and kubernetes", cfg.Kind)
	case cfg.Name == "":
		return nil, model.Errorf(model.CodeInvalidArgument, op, "a name is needed under which the nodes of one cluster register")
	case cfg.Kind == Consul && len(cfg.Address) > 1:
		return nil, model.Errorf(model.CodeInvalidArgument, op, "consul is asked at one agent, the local one; %d addresses were given", len(cfg.Address))
	case cfg.Kind == Kubernetes && len(cfg.Address) > 0:
		return nil, model.Errorf(model.CodeInvalidArgument, op, "kubernetes is asked as the pod's service account says; give no address")
	}
	cfg.Log = cfg.Log.With("discovery", cfg.Kind, "name", cfg.Name)
	f := &Finder{cfg: cfg, stop: make(chan struct{}), changed: make(chan struct{}, 1)}
	switch cfg.Kind {
	case Etcd:
		_, err := f.etcdConfig()
		return f, err
	case Consul:
		_, err := f.consulConfig()
		return f, err
	}
	var err error
	f.cfg.API, err = f.kubernetesConfig()
	return f, err
}

// Start registers address and calls tell with the addresses of others, on another
// goroutine: when they change, and again every ten seconds. It returns at once.
func (f *Finder) Start(address string, tell func(addresses []string)) {
	go f.run(address)
	go f.repeat(tell)
}

// run starts the provider, however long that takes.
func (f *Finder) run(address string) {
	if !f.lookIsOver() {
		return
	}
	var c *carrier
	for {
		var err error
		if c == nil {
			c, err = f.carry(address, f.found)
		}
		if err == nil {
			slow := time.AfterFunc(slowStart, func() {
				f.cfg.Log.Warn("discovery does not answer; nodes that know each other go on, newcomers wait", "address", f.cfg.Address)
			})
			err = c.provider.StartMember(c.cluster)
			slow.Stop()
		}
		if err == nil {
			c.started <- true
			f.mu.Lock()
			f.running = c
			f.mu.Unlock()
			return
		}
		f.cfg.Log.Warn("discovery could not be started; it is tried again", "error", err)
		select {
		case <-f.stop:
			return
		case <-time.After(retryEvery):
		}
	}
}

// lookIsOver waits until nothing of a Look can take back what is registered from now on;
// false when this node stops before.
func (f *Finder) lookIsOver() bool {
	f.mu.Lock()
	looked := f.looked
	f.mu.Unlock()
	if looked == nil {
		return true
	}
	select {
	case <-looked.ended:
		return true
	case <-f.stop:
		return false
	}
}

// found takes over who is registered.
func (f *Finder) found(addresses []string) {
	f.mu.Lock()
	same := f.known && slices.Equal(f.latest, addresses)
	f.latest, f.known = addresses, true
	f.mu.Unlock()
	if same {
		return
	}
	f.cfg.Log.Info("nodes were discovered", "count", len(addresses))
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *Finder) repeat(tell func([]string)) {
	ticks := time.NewTicker(repeatEvery)
	defer ticks.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-ticks.C:
		case <-f.changed:
		}
		f.mu.Lock()
		latest := slices.Clone(f.latest)
		f.mu.Unlock()
		if len(latest) > 0 {
			// Not everybody asks the same ones.
			rand.Shuffle(len(latest), func(i, j int) { latest[i], latest[j] = latest[j], latest[i] })
			tell(latest[:min(len(latest), maxAddresses)])
		}
	}
}

// Look asks once who is registered, without registering: none when the service
// answers and nobody has shown for two seconds. Errors: unavailable when it does not
// answer before ctx ends.
func (f *Finder) Look(ctx context.Context) ([]string, error) {
	found, failed := make(chan []string, 1), make(chan error, 1)
	c, err := f.carry("127.0.0.1:1", func(addresses []string) {
		select {
		case found <- addresses:
		default:
		}
	})
	if err != nil {
		return nil, f.unanswered(err)
	}
	// The Kubernetes provider takes the labels off the own pod, although nothing was
	// registered: that must be over before this node registers.
	f.mu.Lock()
	f.looked = c
	f.mu.Unlock()
	defer f.shutDown(c)
	go func() {
		err := c.provider.StartClient(c.cluster)
		if err == nil && f.cfg.Kind == Etcd {
			f.reached.Store(true) // the others return before they have asked
		}
		c.started <- err == nil
		failed <- err
	}()
	ticks := time.NewTicker(settleTime / 20)
	defer ticks.Stop()
	for quiet := time.Duration(0); quiet < settleTime; {
		select {
		case addresses := <-found:
			return addresses, nil
		case err := <-failed:
			if err != nil {
				return nil, f.unanswered(err)
			}
		case <-ctx.Done():
			return nil, f.unanswered(ctx.Err())
		case <-ticks.C:
			if f.reached.Load() {
				quiet += settleTime / 20
			}
		}
	}
	return nil, nil
}

func (f *Finder) unanswered(err error) error {
	where := "at its usual place"
	if len(f.cfg.Address) > 0 {
		where = "at " + strings.Join(f.cfg.Address, ", ")
	}
	return model.Errorf(model.CodeUnavailable, "discovery", "%s does not answer %s: %w", f.cfg.Kind, where, err)
}

// Stop takes the registration back, if that can be done within a few seconds.
func (f *Finder) Stop() {
	close(f.stop)
	f.mu.Lock()
	c := f.running
	f.mu.Unlock()
	if c != nil {
		f.shutDown(c)
	}
}

// shutDown ends a provider, and waits for that a few seconds. One that is still about to
// start is ended after that: those of etcd and Kubernetes panic before they have begun.
func (f *Finder) shutDown(c *carrier) {
	done := make(chan error, 1)
	go func() {
		defer close(c.ended)
		var err error
		if <-c.started {
			err = c.provider.Shutdown(true)
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			f.cfg.Log.Warn("the registration could not be taken back; it runs out by itself", "error", err)
		}
	case <-time.After(stopTime):
		f.cfg.Log.Warn("the registration could not be taken back in time; it runs out by itself")
	}
}

// quiet lets the libraries' lines through as debug: what matters is said here.
func (f *Finder) quiet() *slog.Logger { return slog.New(runtime.Demoted(f.cfg.Log.Handler())) }
