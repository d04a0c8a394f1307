package httpapi

import (
	"strings"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
)

// basePath is where the API begins (API.md).
const basePath = "/api/v1/storage"

const filesPrefix = basePath + "/files/"

// route is one method of one pattern.
type route struct {
	method, pattern string
	serve           func(*call) error
	expect          func(*call) error // judges a request that waits for 100 Continue
	limited         bool              // counts against MaxRequests: all but the probes
	metrics         *routeMetrics
	needs           need // of who calls it; filled in from the table of access.go
}

// table lists what is offered. The OpenAPI document says the same, and a test
// compares the two. The router wants /files before /files/{path:*}.
func (s *Server) table() []*route {
	const file = basePath + "/files/{path:*}"
	json := (*call).expectJSON
	return []*route{
		{method: "GET", pattern: basePath + "/files", serve: (*call).listFiles, limited: true},
		{method: "PUT", pattern: file, serve: (*call).putFile, expect: (*call).expectPut, limited: true},
		{method: "GET", pattern: file, serve: (*call).getFile, limited: true},
		{method: "HEAD", pattern: file, serve: (*call).getFile, limited: true},
		{method: "DELETE", pattern: file, serve: (*call).deleteFile, limited: true},
		{method: "POST", pattern: basePath + "/move", serve: (*call).moveFile, expect: json, limited: true},
		{method: "POST", pattern: basePath + "/copy", serve: (*call).copyFile, expect: json, limited: true},
		{method: "POST", pattern: basePath + "/retier", serve: (*call).retierFiles, expect: json, limited: true},
		{method: "POST", pattern: basePath + "/batch", serve: (*call).postBatch, expect: (*call).expectBatch, limited: true},
		{method: "POST", pattern: basePath + "/batch/read", serve: (*call).readFiles, expect: json, limited: true},
		{method: "GET", pattern: basePath + "/cluster/status", serve: (*call).clusterStatus, limited: true},
		{method: "GET", pattern: basePath + "/cluster/workers", serve: (*call).listWorkers, limited: true},
		{method: "GET", pattern: basePath + "/cluster/workers/{id}", serve: (*call).showWorker, limited: true},
		{method: "DELETE", pattern: basePath + "/cluster/workers/{id}", serve: (*call).removeWorker, limited: true},
		{method: "GET", pattern: basePath + "/cluster/master", serve: (*call).showMaster, limited: true},
		{method: "POST", pattern: basePath + "/cluster/master/promote", serve: (*call).promote, expect: json, limited: true},
		{method: "POST", pattern: basePath + "/cluster/storm-brake/release", serve: (*call).releaseBrake, limited: true},
		{method: "POST", pattern: basePath + "/cluster/workers/{id}/drain", serve: (*call).startDrain, limited: true},
		{method: "DELETE", pattern: basePath + "/cluster/workers/{id}/drain", serve: (*call).cancelDrain, limited: true},
		{method: "POST", pattern: basePath + "/cluster/rebalance", serve: (*call).startRebalance, expect: json, limited: true},
		{method: "GET", pattern: basePath + "/cluster/rebalance", serve: (*call).listRebalances, limited: true},
		{method: "POST", pattern: basePath + "/cluster/scrub", serve: (*call).startScrub, expect: json, limited: true},
		{method: "GET", pattern: basePath + "/cluster/jobs", serve: (*call).listJobs, limited: true},
		{method: "GET", pattern: basePath + "/cluster/jobs/{id}", serve: (*call).showJob, limited: true},
		{method: "POST", pattern: basePath + "/cluster/jobs/{id}/pause", serve: (*call).pauseJob, limited: true},
		{method: "POST", pattern: basePath + "/cluster/jobs/{id}/resume", serve: (*call).resumeJob, limited: true},
		{method: "POST", pattern: basePath + "/cluster/jobs/{id}/cancel", serve: (*call).cancelJob, limited: true},
		{method: "GET", pattern: basePath + "/cluster/replication", serve: (*call).showReplication, limited: true},
		{method: "GET", pattern: basePath + "/cluster/replication/files", serve: (*call).listAffected, limited: true},
		{method: "GET", pattern: basePath + "/cluster/placement/explain", serve: (*call).explainPlacement, limited: true},
		{method: "GET", pattern: basePath + "/cluster/config", serve: (*call).showConfig, limited: true},
		{method: "PUT", pattern: basePath + "/cluster/config", serve: (*call).changeConfig, expect: json, limited: true},
		{method: "GET", pattern: basePath + "/cluster/backup", serve: (*call).backup, limited: true},
		{method: "GET", pattern: basePath + "/tiers", serve: (*call).listTiers, limited: true},
		{method: "PUT", pattern: basePath + "/tiers/{id}/config", serve: (*call).changeTier, expect: json, limited: true},
		{method: "GET", pattern: basePath + "/license", serve: (*call).showLicense, limited: true},
		{method: "PUT", pattern: basePath + "/license", serve: (*call).installLicense, expect: json, limited: true},
		{method: "GET", pattern: basePath + "/quotas", serve: (*call).listQuotas, limited: true},
		{method: "POST", pattern: basePath + "/quotas", serve: (*call).changeQuota, expect: json, limited: true},
		{method: "POST", pattern: basePath + "/quotas/verify", serve: (*call).verifyQuotas, expect: json, limited: true},
		{method: "GET", pattern: "/healthz", serve: (*call).health},
		{method: "HEAD", pattern: "/healthz", serve: (*call).health},
		{method: "GET", pattern: "/readyz", serve: (*call).ready},
		{method: "HEAD", pattern: "/readyz", serve: (*call).ready},
		{method: "GET", pattern: "/metrics", serve: s.metricsHandler()},
		{method: "GET", pattern: "/openapi.json", serve: (*call).openAPI},
		{method: "GET", pattern: "/", serve: (*call).dashboard},
	}
}

// buildRouter registers the table. The router looks paths up as they are on the
// wire, and corrects nothing: a path that needs correction is refused.
func (s *Server) buildRouter() fasthttp.RequestHandler {
	r := router.New()
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	r.HandleOPTIONS = false
	r.HandleMethodNotAllowed = true
	s.routes = s.table()
	for _, rt := range s.routes {
		rt.metrics, rt.needs = s.met.route(plainPattern(rt.pattern), rt.method), needOf(rt.method, rt.pattern)
		r.Handle(rt.method, rt.pattern, s.handle(rt))
	}
	r.NotFound = s.handle(s.stray(noRoute))
	r.MethodNotAllowed = s.handle(s.stray(wrongMethod))
	return r.Handler
}

// stray is a route for requests that have none.
func (s *Server) stray(serve func(*call) error) *route {
	return &route{method: "any", pattern: "unknown", serve: serve, metrics: s.met.route("unknown", "any"), needs: needToken}
}

// plainPattern writes {path:*} as {path}, as metrics and the OpenAPI document do.
func plainPattern(pattern string) string { return strings.Replace(pattern, ":*", "", 1) }

// matches reports whether a path, as on the wire, is one of the route's.
func (rt *route) matches(path []byte) bool {
	fixed, rest, wild := strings.Cut(rt.pattern, "{")
	if !wild {
		return string(path) == rt.pattern
	}
	tail, ok := strings.CutPrefix(string(path), fixed)
	if !ok || strings.HasPrefix(rest, "path:*}") {
		return ok
	}
	_, end, _ := strings.Cut(rest, "}")
	segment, ok := strings.CutSuffix(tail, end)
	return ok && segment != "" && !strings.Contains(segment, "/")
}

// routeOf finds the route that a request will reach, for the look ahead of
// 100 Continue. One that has none is let through to its 404.
func (s *Server) routeOf(method string, path []byte) *route {
	for _, rt := range s.routes {
		if rt.method == method && rt.matches(path) {
			return rt
		}
	}
	return s.stray(noRoute)
}

func noRoute(c *call) error {
	if string(c.path) == filesPrefix {
		return errNoPath()
	}
	return model.Errorf(model.CodeNotFound, "route request",
		"there is nothing at %q; files are under %s, and /openapi.json lists the rest", clip(string(c.path)), filesPrefix)
}

// wrongMethod answers for a path that is taken by other methods. The router's
// own Allow names OPTIONS, which is not among them.
func wrongMethod(c *call) error {
	c.ctx.Response.Header.Del("Allow")
	if string(c.path) == filesPrefix {
		return errNoPath()
	}
	var methods []string
	for _, rt := range c.s.routes {
		if rt.matches(c.path) {
			methods = append(methods, rt.method)
		}
	}
	allow := strings.Join(methods, ", ")
	c.ctx.Response.Header.Set("Allow", allow)
	return model.Errorf(model.CodeMethodNotAllowed, "route request", "the method %s is not allowed here; allowed are %s",
		clip(string(c.ctx.Method())), allow)
}

// errNoPath answers for /files/, which the router knows as neither a file nor
// the listing.
func errNoPath() error {
	return badTarget("the file path is empty; files are at %s{path}, their listing at %s/files", filesPrefix, basePath)
}
