package discovery

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// fakeConsul is an agent as far as the provider uses it: services with a TTL check,
// and the blocking query for their health.
type fakeConsul struct {
	server *httptest.Server

	mu       sync.Mutex
	changed  *sync.Cond
	index    int
	services map[string]*api.AgentServiceRegistration
	passing  map[string]bool
	bare     int // requests without a token
	count    int
	broken   bool
}

func newFakeConsul(t *testing.T) *fakeConsul {
	c := &fakeConsul{index: 1, services: make(map[string]*api.AgentServiceRegistration), passing: make(map[string]bool)}
	c.changed = sync.NewCond(&c.mu)
	c.server = httptest.NewServer(c)
	t.Cleanup(c.server.CloseClientConnections)
	return c
}

func (c *fakeConsul) address() string { return strings.TrimPrefix(c.server.URL, "http://") }

func (c *fakeConsul) do(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	c.index++
	c.changed.Broadcast()
}

func (c *fakeConsul) forget() {
	c.do(func() { clear(c.services); clear(c.passing) })
}

func (c *fakeConsul) break500() { c.do(func() { c.broken = true }) }

func (c *fakeConsul) withoutToken() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bare
}

func (c *fakeConsul) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// ServeHTTP implements http.Handler.
func (c *fakeConsul) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.count++
	if r.Header.Get("X-Consul-Token") == "" {
		c.bare++
	}
	broken := c.broken
	c.mu.Unlock()
	id := strings.TrimPrefix(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], "service:")
	switch {
	case broken:
		http.Error(w, "no leader", http.StatusInternalServerError)
	case strings.HasPrefix(r.URL.Path, "/v1/agent/service/register"):
		var s api.AgentServiceRegistration
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.do(func() { c.services[s.ID] = &s })
	case strings.HasPrefix(r.URL.Path, "/v1/agent/service/deregister/"):
		c.do(func() { delete(c.services, id) })
	case strings.HasPrefix(r.URL.Path, "/v1/agent/check/update/"):
		c.update(w, id)
	case strings.HasPrefix(r.URL.Path, "/v1/health/service/"):
		c.health(w, r, id)
	default:
		http.NotFound(w, r)
	}
}

func (c *fakeConsul) update(w http.ResponseWriter, id string) {
	c.mu.Lock()
	known, passing := c.services[id] != nil, c.passing[id]
	c.mu.Unlock()
	if !known {
		http.Error(w, "Unknown check ID", http.StatusNotFound)
	} else if !passing {
		c.do(func() { c.passing[id] = true })
	}
}

func (c *fakeConsul) health(w http.ResponseWriter, r *http.Request, name string) {
	wait, _ := strconv.Atoi(r.URL.Query().Get("index")) // none: at once
	ends := time.AfterFunc(2*time.Second, func() { c.do(func() {}) })
	defer ends.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.index <= wait {
		c.changed.Wait()
	}
	entries := []*api.ServiceEntry{}
	for id, s := range c.services {
		if s.Name != name {
			continue
		}
		status := api.HealthCritical
		if c.passing[id] {
			status = api.HealthPassing
		}
		entries = append(entries, &api.ServiceEntry{
			Service: &api.AgentService{ID: id, Service: s.Name, Address: s.Address, Port: s.Port, Meta: s.Meta},
			Checks:  api.HealthChecks{{CheckID: "service:" + id, Status: status}},
		})
	}
	w.Header().Set("X-Consul-Index", strconv.Itoa(c.index))
	_ = json.NewEncoder(w).Encode(entries) // the client may be gone
}
