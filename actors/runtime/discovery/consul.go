package discovery

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/consul"
	"github.com/hashicorp/consul/api"

	"tiercel/cluster/model"
)

// consul registers a service of the cluster's name at the local agent, with a check
// that runs out after three seconds.
func (f *Finder) consul() (cluster.ClusterProvider, string, error) {
	conf, err := f.consulConfig()
	if err != nil {
		return nil, "", err
	}
	provider, err := consul.NewWithConfig(conf)
	if err != nil {
		return nil, "", model.Errorf(model.CodeInvalidArgument, "discovery", "consul cannot be asked at %q: %w", conf.Address, err)
	}
	return provider, f.cfg.Name, nil
}

func (f *Finder) consulConfig() (*api.Config, error) {
	conf := api.DefaultConfig() // with what the CONSUL_ variables say
	if len(f.cfg.Address) > 0 {
		conf.Address = f.cfg.Address[0]
	}
	client, err := api.NewHttpClient(conf.Transport, conf.TLSConfig)
	if err != nil {
		return nil, model.Errorf(model.CodeInvalidArgument, "discovery", "the CONSUL_ variables for TLS cannot be used: %w", err)
	}
	client.Transport = &patient{finder: f, base: &lasting{base: client.Transport, token: conf.Token}}
	conf.HttpClient = client
	return conf, nil
}

// lasting mends two ways in which the provider does not last: an agent that has
// forgotten the service (it removes one that was critical for a minute, after a long
// pause say) is told again, and the watch, which goes without the token, gets it.
type lasting struct {
	base  http.RoundTripper
	token string

	mu           sync.Mutex
	registration *http.Request
	body         []byte
}

// RoundTrip implements http.RoundTripper.
func (l *lasting) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.token != "" && r.Header.Get("X-Consul-Token") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("X-Consul-Token", l.token)
	}
	if strings.HasPrefix(r.URL.Path, "/v1/agent/service/register") {
		if err := l.keep(r); err != nil {
			return nil, err
		}
	}
	resp, err := l.base.RoundTrip(r)
	if err == nil && resp.StatusCode >= 400 && strings.HasPrefix(r.URL.Path, "/v1/agent/check/update/") {
		l.again(r)
	}
	return resp, err
}

// keep remembers a registration.
func (l *lasting) keep(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.registration, l.body = r.Clone(r.Context()), body
	return nil
}

// again repeats the registration; when it fails, the next update of the check brings
// the next try.
func (l *lasting) again(update *http.Request) {
	l.mu.Lock()
	kept, body := l.registration, l.body
	l.mu.Unlock()
	if kept == nil {
		return
	}
	r := kept.Clone(update.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	if resp, err := l.base.RoundTrip(r); err == nil {
		_ = resp.Body.Close() // nothing of it is wanted
	}
}
