package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"tiercel/cluster/model"
)

const (
	basePath = "/api/v1/storage"

	// expectContinueBytes: from this size on the server may refuse by the headers
	// alone, before the body is sent.
	expectContinueBytes = 8 << 20
	copyBufferBytes     = 256 << 10
	maxAnswerBytes      = 16 << 20 // of JSON; a page of 1,000 files has well under 2 MiB
)

// Options says where the server is and how patient to be.
type Options struct {
	Server string // http://host:port, or host:port
	Tenant string // empty: the server's default
	Token  string // bearer token; empty: none
	// Authorities are whose certificates the server may show; nil: those of the system.
	Authorities *x509.CertPool
	Certificate *tls.Certificate // of this client, for servers that ask; nil: none
	Timeout     time.Duration    // see the package comment; zero: DefaultTimeout
	Conns       int              // connections kept for reuse; zero: 16
	// OnRetry hears of each attempt that failed and will be repeated after wait.
	// It may be called concurrently.
	OnRetry func(err error, wait time.Duration)
	// BackOff is the first pause between attempts; zero: 100 ms.
	BackOff time.Duration
}

// DefaultTimeout is how long a call without progress is kept up.
const DefaultTimeout = time.Minute

// Client is safe for concurrent use.
type Client struct {
	base    *url.URL
	tenant  string
	token   string
	timeout time.Duration
	backOff time.Duration
	onRetry func(error, time.Duration)
	http    *http.Client
	met     atomic.Bool // the server has answered at least once
}

// New checks the options and makes a client; it does not connect. The error is
// about the options, for a person.
func New(o Options) (*Client, error) {
	base, err := parseServer(o.Server)
	if err != nil {
		return nil, err
	}
	if o.Tenant != "" {
		if err := model.CheckTenant(o.Tenant); err != nil {
			return nil, err
		}
	}
	o.Token = strings.TrimSpace(o.Token)
	if err := checkToken(o.Token); err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.BackOff <= 0 {
		o.BackOff = 100 * time.Millisecond
	}
	if o.Conns <= 0 {
		o.Conns = 16
	}
	if o.OnRetry == nil {
		o.OnRetry = func(error, time.Duration) {}
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialConn,
		MaxIdleConns:          o.Conns,
		MaxIdleConnsPerHost:   o.Conns,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		DisableCompression:    true, // lengths and checksums are those of the content
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}
	if o.Authorities != nil || o.Certificate != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: o.Authorities, MinVersion: tls.VersionTLS12}
	}
	if o.Certificate != nil {
		transport.TLSClientConfig.Certificates = []tls.Certificate{*o.Certificate}
	}
	return &Client{
		base: base, tenant: o.Tenant, token: o.Token, timeout: o.Timeout, backOff: o.BackOff, onRetry: o.OnRetry,
		http: &http.Client{
			Transport: transport,
			// The API never redirects; following one would send data somewhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Server is the address the client speaks to.
func (c *Client) Server() string { return c.base.String() }

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// checkToken refuses what no request could carry. Whether it is one, the server says.
func checkToken(token string) error {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return model.Errorf(model.CodeInvalidArgument, "read the token",
				"character %d of --token (or TIERCEL_TOKEN) can be in no token; give it as 'tiercel token create' printed it, on one line and without quotes", i+1)
		}
	}
	return nil
}

func parseServer(text string) (*url.URL, error) {
	const op = "read the server's address"
	full := text
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	switch {
	case err != nil || u.Host == "":
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%q is not an address such as http://127.0.0.1:8880", text)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%q must begin with http:// or https://", text)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%q must be only scheme, host and port", text)
	}
	u.Path = ""
	return u, nil
}

// A call is one request that may be sent several times.
type call struct {
	op     string // "put /a/b", begins every error
	method string
	path   string // below basePath, percent-decoded
	query  url.Values
	header http.Header
	// body makes the content afresh for each attempt; nil: none.
	body   func() (io.Reader, error)
	length int64 // of the body; -1: unknown
	// noMaster: that there is none answers the question, and is not asked again.
	noMaster bool
}

// send makes one attempt. The answer's body is open unless err is set; a
// status of 300 and above becomes an error.
func (c *Client) send(ctx context.Context, k *call) (*http.Response, error) {
	var body io.Reader
	if k.body != nil {
		var err error
		if body, err = k.body(); err != nil {
			return nil, err
		}
	}
	u := *c.base
	u.Path, u.RawPath = basePath+k.path, basePath+escapePath(k.path)
	u.RawQuery = k.query.Encode()
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), body)
	if err != nil {
		return nil, model.Errorf(model.CodeInvalidArgument, k.op, "cannot make the request: %w", err)
	}
	for name, values := range k.header {
		req.Header[name] = values
	}
	if c.tenant != "" {
		req.Header.Set("X-Tenant-ID", c.tenant)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("User-Agent", "tiercel-cli")
	if k.body != nil {
		req.ContentLength = k.length
		if k.length == 0 {
			req.Body = http.NoBody // else net/http sends it chunked
		}
		if k.length >= expectContinueBytes {
			req.Header.Set("Expect", "100-continue")
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.transportError(ctx, k.op, err)
	}
	c.met.Store(true)
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, c.answerError(k, resp)
	}
	return resp, nil
}

// escapePath percent-encodes every byte but unreserved ones and slashes, so
// that what arrives is byte for byte what was meant.
func escapePath(path string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		ch := path[i]
		switch {
		case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9', strings.IndexByte("-._~/", ch) >= 0:
			b.WriteByte(ch)
		default:
			b.Write([]byte{'%', hex[ch>>4], hex[ch&15]})
		}
	}
	return b.String()
}
