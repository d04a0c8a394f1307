package discovery

import (
	"net/http"
	"sync"
	"time"
)

// patient slows down requests to a service that is down: the providers repeat a
// failed one at once.
type patient struct {
	finder *Finder
	base   http.RoundTripper

	mu    sync.Mutex
	pause time.Duration // before the next request
	said  time.Time     // that it does not answer
}

// Bounds of the pause, and how often its cause is said.
const (
	minPause = 250 * time.Millisecond
	maxPause = 5 * time.Second
	sayAgain = time.Minute
)

// RoundTrip implements http.RoundTripper.
func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	pause := p.pause
	p.mu.Unlock()
	if pause > 0 {
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-p.finder.stop:
		case <-time.After(pause):
		}
	}
	resp, err := p.base.RoundTrip(r)
	switch {
	case err != nil:
		p.failed(err.Error())
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusTooManyRequests:
		p.failed(r.Method + " " + r.URL.Path + ": " + resp.Status)
	default:
		p.finder.reached.Store(true)
		p.mu.Lock()
		p.pause, p.said = 0, time.Time{}
		p.mu.Unlock()
	}
	return resp, err
}

func (p *patient) failed(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pause = min(max(2*p.pause, minPause), maxPause)
	if now := time.Now(); now.Sub(p.said) >= sayAgain {
		p.said = now
		p.finder.cfg.Log.Warn("discovery does not answer; nodes that know each other go on, newcomers wait", "why", why)
	}
}
