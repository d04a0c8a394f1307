package drill

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bearer is somebody who calls a cluster that asks for tokens.
type bearer struct {
	name, token string
	role        string // empty: nobody known
	tenant      string // empty: bound to the cluster
}

// roles from the least to the one that includes the others.
var roles = []string{"read-only", "read-write", "admin"}

// refusedWith is what the document says that b is answered, 0: b may.
func (o *operation) refusedWith(b bearer) int {
	switch {
	case o.Role == "":
		return 0
	case b.role == "":
		return http.StatusUnauthorized
	case slices.Index(roles, b.role) < slices.Index(roles, o.Role), o.Scope == "cluster" && b.tenant != "":
		return http.StatusForbidden
	}
	return 0
}

// aboutATenant reports whether X-Tenant-ID means something to the operation.
func (o *operation) aboutATenant() bool {
	return slices.ContainsFunc(o.parameters, func(p parameter) bool { return p.Name == "X-Tenant-ID" })
}

func TestContract_UnderTLSAndTokensEachIsAnsweredAsTheDocumentSays(t *testing.T) {
	f := newFortress(t)
	callers := []bearer{
		{name: "nobody"},
		{name: "somebody unknown", token: "tiercel_" + strings.Repeat("A", 43)},
		{"a reader of a tenant", f.reader, "read-only", "acme"},
		{"a writer of a tenant", f.acme, "read-write", "acme"},
		{"an admin of a tenant", f.boss, "admin", "acme"},
		{"who watches the cluster", f.watcher, "read-only", ""},
		{"who runs the cluster", f.admin, "admin", ""},
	}
	w := &contract{t: t, c: f.Cluster, base: f.Nodes[0].Server(), via: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.roots, MinVersion: tls.VersionTLS12}}}
	// Examples are prepared by who may do everything, in the default tenant, and sent by
	// the least of those who may send them there.
	w.token = func(o *operation) string {
		if o == nil || o.aboutATenant() && o.Role != "read-only" {
			return f.admin
		}
		i := slices.IndexFunc(callers, func(b bearer) bool { return o.refusedWith(b) == 0 && (b.tenant == "" || !o.aboutATenant()) })
		return callers[i].token
	}
	operations := w.read()
	w.refuse(operations, callers)
	w.hideOtherTenants(operations, f.other)
	w.walk(operations)
}

// refuse sends every operation as each of those who may not, to each node in turn.
func (w *contract) refuse(operations []*operation, callers []bearer) {
	t, seen := w.t, map[int]int{}
	for i, o := range operations {
		for k, b := range callers {
			want := o.refusedWith(b)
			if want == 0 {
				continue
			}
			t.Run(o.OperationID+" by "+b.name, func(t *testing.T) {
				w.t = t
				req, resp, body := w.exampleOf(o, b.token, w.c.Nodes[(i+k)%len(w.c.Nodes)].Server(), "")
				require.Equal(t, want, resp.StatusCode, "%s", body)
				assert.Contains(t, o.Responses, strconv.Itoa(want), "a status that the document does not name")
				w.hold(req, resp, body)
				seen[want]++
				if want == http.StatusUnauthorized {
					assert.Equal(t, b.token != "", strings.Contains(resp.Header.Get("WWW-Authenticate"), "invalid_token"))
				}
				valid, _ := w.validator.ValidateHttpRequest(req)
				assert.Equal(t, b.token != "", valid, "the document wants a token with this request")
			})
		}
	}
	w.t = t
	assert.Greater(t, seen[http.StatusUnauthorized], 60)
	assert.Greater(t, seen[http.StatusForbidden], 60)
}

// hideOtherTenants sends what is about files as another tenant than it names.
func (w *contract) hideOtherTenants(operations []*operation, token string) {
	t, seen := w.t, 0
	for _, o := range operations {
		if !o.aboutATenant() {
			continue
		}
		seen++
		t.Run(o.OperationID+" of another tenant", func(t *testing.T) {
			w.t = t
			req, resp, body := w.exampleOf(o, token, w.base, "acme")
			assert.Equal(t, http.StatusNotFound, resp.StatusCode, "%s", body)
			w.hold(req, resp, body)
		})
	}
	w.t = t
	assert.Greater(t, seen, 8)
}

// exampleOf sends an operation's example as it stands.
func (w *contract) exampleOf(o *operation, token, base, tenant string) (*http.Request, *http.Response, []byte) {
	w.t.Helper()
	return w.send(0, func() *http.Request {
		req, err := o.request(base, true, strings.NewReplacer())
		require.NoError(w.t, err)
		bear(req, token)
		if tenant != "" {
			req.Header.Set("X-Tenant-ID", tenant)
		}
		return req
	})
}
