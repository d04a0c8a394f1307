package procs

import "net/http"

func (o *Options) scheme() string {
	if o.TLS != nil {
		return "https"
	}
	return "http"
}

// transport speaks to nodes as Token and TLS say; nil: the default.
func (o *Options) transport() http.RoundTripper {
	if o.Token == "" && o.TLS == nil {
		return nil
	}
	return &bearer{o.Token, &http.Transport{TLSClientConfig: o.TLS}}
}

// bearer adds a token to requests.
type bearer struct {
	token string
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token != "" && r.Header.Get("Authorization") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(r)
}
