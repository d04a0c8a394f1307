package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// bearers are the tokens of the tests.
type bearers map[string]*model.Principal

func (b bearers) Identify(secret string, _ time.Time) (*model.Principal, error) {
	if p := b[secret]; p != nil {
		return p, nil
	}
	return nil, model.Errorf(model.CodeUnauthenticated, "authenticate", "not known")
}

var testBearers = bearers{
	"acme-ro":    {Name: "acme-ro", Role: model.RoleReadOnly, Tenant: "acme"},
	"acme-rw":    {Name: "acme-rw", Role: model.RoleReadWrite, Tenant: "acme"},
	"acme-admin": {Name: "acme-admin", Role: model.RoleAdmin, Tenant: "acme"},
	"all-ro":     {Name: "all-ro", Role: model.RoleReadOnly},
	"all-rw":     {Name: "all-rw", Role: model.RoleReadWrite},
	"all-admin":  {Name: "all-admin", Role: model.RoleAdmin},
	"umbrella":   {Name: "umbrella", Role: model.RoleReadWrite, Tenant: "umbrella"},
}

// allowed says who may call a route, by the letters of the columns below.
//
//   - without a token
//     r w a  of a tenant: read-only, read-write, admin
//     R W A  of the cluster
var allowed = map[string]string{
	"GET /healthz": "-rwaRWA", "HEAD /healthz": "-rwaRWA", "GET /readyz": "-rwaRWA", "HEAD /readyz": "-rwaRWA",
	"GET /": "-rwaRWA",

	"GET /openapi.json": "rwaRWA", "GET /metrics": "RWA",

	"GET /api/v1/storage/files": "rwaRWA", "GET /api/v1/storage/files/{path}": "rwaRWA", "HEAD /api/v1/storage/files/{path}": "rwaRWA",
	"PUT /api/v1/storage/files/{path}": "waWA", "DELETE /api/v1/storage/files/{path}": "waWA",
	"POST /api/v1/storage/move": "waWA", "POST /api/v1/storage/copy": "waWA", "POST /api/v1/storage/retier": "waWA",
	"POST /api/v1/storage/batch": "waWA", "POST /api/v1/storage/batch/read": "rwaRWA",
	"GET /api/v1/storage/cluster/placement/explain": "rwaRWA", "GET /api/v1/storage/tiers": "rwaRWA",
	"GET /api/v1/storage/quotas": "rwaRWA",

	"GET /api/v1/storage/cluster/status": "RWA", "GET /api/v1/storage/cluster/workers": "RWA", "GET /api/v1/storage/cluster/workers/{id}": "RWA",
	"GET /api/v1/storage/cluster/master": "RWA", "GET /api/v1/storage/cluster/rebalance": "RWA", "GET /api/v1/storage/cluster/jobs": "RWA",
	"GET /api/v1/storage/cluster/jobs/{id}": "RWA", "GET /api/v1/storage/cluster/replication": "RWA", "GET /api/v1/storage/cluster/config": "RWA",

	"DELETE /api/v1/storage/cluster/workers/{id}": "A", "POST /api/v1/storage/cluster/workers/{id}/drain": "A",
	"DELETE /api/v1/storage/cluster/workers/{id}/drain": "A", "POST /api/v1/storage/cluster/master/promote": "A",
	"POST /api/v1/storage/cluster/storm-brake/release": "A", "POST /api/v1/storage/cluster/rebalance": "A",
	"POST /api/v1/storage/cluster/scrub": "A", "POST /api/v1/storage/cluster/jobs/{id}/pause": "A",
	"POST /api/v1/storage/cluster/jobs/{id}/resume": "A", "POST /api/v1/storage/cluster/jobs/{id}/cancel": "A",
	"PUT /api/v1/storage/cluster/config": "A", "PUT /api/v1/storage/tiers/{id}/config": "A",
	"GET /api/v1/storage/cluster/backup": "A", "GET /api/v1/storage/cluster/replication/files": "A",
	"GET /api/v1/storage/license": "RWA", "PUT /api/v1/storage/license": "A",
	"POST /api/v1/storage/quotas": "A", "POST /api/v1/storage/quotas/verify": "A",
}

var callers = []struct{ letter, secret string }{
	{"-", ""}, {"-", "nobody-made-this"}, {"r", "acme-ro"}, {"w", "acme-rw"}, {"a", "acme-admin"}, {"R", "all-ro"}, {"W", "all-rw"}, {"A", "all-admin"},
}

func guarded(t *testing.T, cfg Config) *world {
	cfg.Tokens = testBearers
	w := inMemory(t, cfg)
	w.gw.status = func() (*messages.ClusterStatusReply, error) { return &messages.ClusterStatusReply{}, nil }
	return w
}

func TestAccess_EveryRouteLetsInExactlyTheRolesOfTheTable(t *testing.T) {
	w := guarded(t, Config{})
	var served []string
	for _, rt := range w.server.routes {
		key := rt.method + " " + plainPattern(rt.pattern)
		served = append(served, key)
		_, declared := needs[accessKey(rt.method, rt.pattern)]
		assert.True(t, declared, "%s has no entry in access.go: say who may call it", key)
		who, known := allowed[key]
		if !assert.True(t, known, "%s is not in the table of this test: say who may call it", key) {
			continue
		}
		url := "http://tiercel" + strings.NewReplacer("{path}", "a", "{id}", "1").Replace(plainPattern(rt.pattern))
		for _, caller := range callers {
			var headers []string
			if caller.secret != "" {
				headers = []string{"Authorization: Bearer " + caller.secret}
			}
			r := w.do(rt.method, url, nil, headers...)
			name := key + " by " + caller.letter + caller.secret
			switch {
			case strings.Contains(who, caller.letter):
				assert.NotContains(t, []int{401, 403}, r.status, name)
				assert.Empty(t, r.header.Get("WWW-Authenticate"), name)
			case caller.letter == "-":
				assert.Equal(t, 401, r.status, name)
				assert.Contains(t, r.header.Get("WWW-Authenticate"), "Bearer", name)
			default:
				assert.Equal(t, 403, r.status, name)
			}
		}
	}
	var listed []string
	for key := range allowed {
		listed = append(listed, key)
	}
	sort.Strings(listed)
	sort.Strings(served)
	assert.Equal(t, served, listed, "the table names routes that are served, and all of them")
}

// 'tiercel token create' says so to who makes one (access.Entry.Remark).
func TestAccess_AnAdminOfATenantMayDoWhatReadWriteMay(t *testing.T) {
	for key, n := range needs {
		assert.Equal(t, n.judge(testBearers["acme-rw"]) == nil, n.judge(testBearers["acme-admin"]) == nil, key)
	}
	for key, who := range allowed {
		assert.Equal(t, strings.Contains(who, "w"), strings.Contains(who, "a"), key)
	}
}

// saidNeeds are the role and the scope that the document names, by who is let in.
var saidNeeds = map[string][2]string{
	"-rwaRWA": {}, "rwaRWA": {"read-only"}, "waWA": {"read-write"}, "RWA": {"read-only", "cluster"}, "A": {"admin", "cluster"},
}

func TestAccess_TheDocumentSaysWhoMayDoWhat(t *testing.T) {
	doc, text := readDocument(t)
	assert.Contains(t, string(text), `"securitySchemes"`)
	for path, operations := range doc.Paths {
		for method, operation := range operations {
			if method == "parameters" {
				continue
			}
			var o struct {
				Security *[]any `json:"security"`
				Role     string `json:"x-needed-role"`
				Scope    string `json:"x-needed-scope"`
				// Only whether they are there.
				Responses map[string]json.RawMessage `json:"responses"`
			}
			require.NoError(t, json.Unmarshal(operation, &o))
			who := allowed[strings.ToUpper(method)+" "+path]
			assert.Equal(t, strings.HasPrefix(who, "-"), o.Security != nil && len(*o.Security) == 0, "%s %s", method, path)
			want, known := saidNeeds[who]
			assert.True(t, known, "%s %s is for %q: say here what the document calls that", method, path, who)
			assert.Equal(t, want, [2]string{o.Role, o.Scope}, "%s %s: x-needed-role and x-needed-scope say who may call it", method, path)
			assert.Equal(t, want[0] != "", o.Responses["401"] != nil, "%s %s: the document has 401 where a token is needed", method, path)
			assert.Equal(t, want[0] != "" && want != [2]string{"read-only"}, o.Responses["403"] != nil, "%s %s: the document has 403 where not every token will do", method, path)
		}
	}
}

func TestAccess_ARouteThatNobodyDeclaredIsClosedToAllButAdmins(t *testing.T) {
	n := needOf("POST", basePath+"/cluster/self-destruct")
	assert.False(t, n.open)
	assert.Equal(t, needManage, n)
}

func TestAccess_WhatIsNoRouteWantsATokenToo(t *testing.T) {
	w := guarded(t, Config{})
	wantError(t, w.do("GET", "http://tiercel/nowhere", nil), 401, "unauthenticated")
	wantError(t, w.do("POST", fileURL+"/a", nil), 401, "unauthenticated")
	wantError(t, w.do("GET", "http://tiercel/nowhere", nil, "Authorization: Bearer acme-ro"), 404, "not_found")
	wantError(t, w.do("POST", fileURL+"/a", nil, "Authorization: bearer acme-ro"), 405, "method_not_allowed")
}

func TestAccess_AnAuthorizationThatIsNotABearerTokenIsRefused(t *testing.T) {
	w := guarded(t, Config{})
	for _, value := range []string{"acme-ro", "Basic YWNtZS1ybzo=", "Bearer", "Bearer ", "Bearer acme-ro acme-ro", "Token acme-ro"} {
		r := w.get("/a", "Authorization: "+value)
		e := wantError(t, r, 401, "unauthenticated")
		assert.Contains(t, r.header.Get("WWW-Authenticate"), "invalid_token", value)
		assert.NotContains(t, e.Error.Message, "acme-ro")
	}
	wantError(t, w.get("/a", "Authorization: Bearer acme-ro", "Authorization: Bearer all-admin"), 400, "invalid_argument")
	assert.Equal(t, `Bearer realm="tiercel"`, w.get("/a").header.Get("WWW-Authenticate"))
}

// The body of who may not send it is not read, whether or not they ask first.
func TestAccess_ARefusedBodyIsNotReadAndEndsTheConnection(t *testing.T) {
	w := overTCP(t, Config{Tokens: testBearers})
	// Without asking first, up to 8 KiB arrive before anything is judged.
	for expect, sent := range map[string]string{"": strings.Repeat("x", 16<<10), "Expect: 100-continue\r\n": ""} {
		for token, status := range map[string]int{"": 401, "Authorization: Bearer acme-ro\r\n": 403} {
			r, closed := w.exchange("PUT /api/v1/storage/files/a HTTP/1.1\r\nHost: t\r\n"+token+expect+"Content-Length: 1000000000\r\n\r\n"+sent, true)
			assert.Equal(t, status, r.status)
			assert.True(t, closed)
		}
	}
	assert.Empty(t, w.gw.puts)
	assert.Equal(t, 2.0, valueOf(w.server.met.refusedRequests.WithLabelValues("unauthenticated")))
	assert.Equal(t, 2.0, valueOf(w.server.met.refusedRequests.WithLabelValues("permission_denied")))
}

func TestAccess_TheTokenNamesTheTenantAndAnotherOnesDataIsNotFound(t *testing.T) {
	w := guarded(t, Config{})
	const acme, umbrella, admin, watcher = "Authorization: Bearer acme-rw", "Authorization: Bearer umbrella", "Authorization: Bearer all-admin", "Authorization: Bearer all-ro"
	w.put("/secret", []byte("of acme"), acme)
	w.put("/own", []byte("of umbrella"), umbrella)
	require.Equal(t, "acme", w.gw.puts[0].Tenant)
	w.gw.onRetier = func(req *model.RetierRequest) (*model.RetierResult, error) {
		assert.Equal(t, "umbrella", req.Tenant)
		return &model.RetierResult{}, nil
	}
	body := func(text string) io.Reader { return bytes.NewReader([]byte(text)) }
	api := "http://tiercel" + basePath
	explain := api + "/cluster/placement/explain?path=/secret"

	// Whatever the header says, it reaches nothing of acme's.
	for _, header := range []string{"", "X-Tenant-ID: acme", "X-Tenant-ID: default", "X-Tenant-ID: nobody"} {
		send := func(method, url string, body io.Reader, more ...string) reply {
			if header != "" {
				more = append(more, header)
			}
			return w.do(method, url, body, append(more, umbrella)...)
		}
		list := send("GET", fileURL, nil)
		assert.NotContains(t, string(list.body), "/secret", header)
		wantError(t, send("GET", fileURL+"/secret", nil), 404, "not_found")
		wantError(t, send("GET", fileURL+"/secret?receipt", nil), 404, "not_found")
		assert.Equal(t, 404, send("HEAD", fileURL+"/secret", nil).status)
		wantError(t, send("DELETE", fileURL+"/secret", nil), 404, "not_found")
		wantError(t, send("POST", api+"/move", body(`{"from":"/secret","to":"/mine"}`)), 404, "not_found")
		wantError(t, send("POST", api+"/copy", body(`{"from":"/secret","to":"/mine"}`)), 404, "not_found")
		read := send("POST", api+"/batch/read", body(`{"paths":["/secret"]}`))
		batch := send("POST", api+"/batch", body(lineOf("/batch", "x")), "Content-Type: "+typeNDJSON)
		if header == "" {
			assert.Equal(t, []entryOf{{"secret", "", "not_found"}}, readTar(t, read.body))
			assert.Equal(t, 200, batch.status)
			assert.Equal(t, 200, list.status)
			assert.Equal(t, 200, send("POST", api+"/retier", body(`{"path":"/secret","tier":2}`)).status)
			assert.NotContains(t, string(send("GET", explain, nil).body), `"version"`, "explain does not say where it is")
			continue
		}
		wantError(t, list, 404, "not_found")
		wantError(t, read, 404, "not_found")
		wantError(t, batch, 404, "not_found")
		wantError(t, send("PUT", fileURL+"/x", body("x")), 404, "not_found")
		wantError(t, send("POST", api+"/retier", body(`{"path":"/secret","tier":2}`)), 404, "not_found")
		wantError(t, send("GET", explain, nil), 404, "not_found")
	}
	require.Len(t, w.gw.puts, 3, "nothing was stored for another tenant")
	assert.Equal(t, "umbrella", w.gw.puts[2].Tenant)

	// A refusal does not tell which tenants there are.
	there, nowhere := w.get("/secret", umbrella, "X-Tenant-ID: acme"), w.get("/secret", umbrella, "X-Tenant-ID: nobody")
	assert.Equal(t, strings.ReplaceAll(wantError(t, there, 404, "not_found").Error.Message, "acme", "nobody"), wantError(t, nowhere, 404, "not_found").Error.Message)

	// One of the cluster reaches them all as admin, else the default one.
	assert.Equal(t, "of acme", string(w.get("/secret", admin, "X-Tenant-ID: acme").body))
	wantError(t, w.get("/secret", admin), 404, "not_found")
	wantError(t, w.get("/secret", watcher, "X-Tenant-ID: acme"), 404, "not_found")
	assert.Equal(t, "of acme", string(w.get("/secret", acme, "X-Tenant-ID: acme").body))
	wantError(t, w.get("/secret", acme, "X-Tenant-ID: Not A Tenant"), 400, "invalid_argument")
}

// A cursor of one tenant's listing is none of another's.
func TestAccess_ATokenOfATenantIsShownItsOwnLimitOnly(t *testing.T) {
	w := guarded(t, Config{})
	w.gw.quotas = map[string]*messages.QuotaInfo{
		"acme":     {Tenant: "acme", Limited: true, LimitBytes: 10, UsedBytes: 3},
		"umbrella": {Tenant: "umbrella", Limited: true, LimitBytes: 20, UsedBytes: 4},
	}
	as := func(secret, query string) reply {
		return w.do("GET", storageURL+"/quotas"+query, nil, "Authorization: Bearer "+secret)
	}
	r := as("acme-ro", "")
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.Contains(t, string(r.body), `"tenant":"acme"`)
	assert.NotContains(t, string(r.body), "umbrella")
	assert.Equal(t, 404, as("acme-admin", "?tenant=umbrella").status, "as if there were no such tenant")
	assert.Contains(t, string(as("all-ro", "").body), `"tenant":"umbrella"`)
}

// A shell in which TIERCEL_TENANT is set sends it with every verb, and whoever watches the
// cluster, or probes a node, asks about no tenant.
func TestAccess_ATenantSaysNothingWhereTheDocumentHasNone(t *testing.T) {
	doc, _ := readDocument(t)
	open, locked := inMemory(t, Config{}), guarded(t, Config{})
	open.gw.status = locked.gw.status
	for _, rt := range locked.server.routes {
		path := plainPattern(rt.pattern)
		var o struct{ Parameters json.RawMessage }
		require.NoError(t, json.Unmarshal(doc.Paths[path][strings.ToLower(rt.method)], &o))
		said := strings.Contains(string(o.Parameters)+string(doc.Paths[path]["parameters"]), "parameters/Tenant")
		assert.Equal(t, said, rt.needs.tenant, "%s %s: the document and access.go say the same", rt.method, path)
		if said || rt.method != "GET" {
			continue
		}
		url := "http://tiercel" + strings.NewReplacer("{id}", "9").Replace(path)
		for _, tenant := range []string{"acme", "Not A Tenant"} {
			for _, w := range []*world{open, locked} {
				const watcher = "Authorization: Bearer all-admin"
				plain, named := w.do("GET", url, nil, watcher), w.do("GET", url, nil, watcher, "X-Tenant-ID: "+tenant)
				assert.Equal(t, plain.status, named.status, "%s with the tenant %q: %s", path, tenant, named.body)
			}
			r := locked.do("GET", url, nil, "Authorization: Bearer all-ro", "X-Tenant-ID: "+tenant)
			assert.NotContains(t, string(r.body), "there is no tenant", path)
		}
	}
}

func TestAccess_ACursorDoesNotCarryIntoAnotherTenant(t *testing.T) {
	w := guarded(t, Config{})
	for _, path := range []string{"/a", "/b", "/c"} {
		w.put(path, []byte("x"), "Authorization: Bearer acme-rw")
	}
	page := w.do("GET", fileURL+"?limit=1", nil, "Authorization: Bearer acme-rw")
	_, rest, ok := strings.Cut(string(page.body), `"next_cursor":"`)
	require.True(t, ok)
	cursor, _, _ := strings.Cut(rest, `"`)
	require.NotEmpty(t, cursor)
	wantError(t, w.do("GET", fileURL+"?limit=1&cursor="+cursor, nil, "Authorization: Bearer umbrella"), 400, "invalid_argument")
}

func TestAccess_WithoutTokensEveryoneMayDoEverythingAsBefore(t *testing.T) {
	w := inMemory(t, Config{})
	w.put("/a", []byte("x"), "X-Tenant-ID: acme")
	assert.Equal(t, 200, w.get("/a", "X-Tenant-ID: acme", "Authorization: Bearer whatever").status)
	assert.Equal(t, 200, w.do("GET", "http://tiercel/metrics", nil).status)
}
