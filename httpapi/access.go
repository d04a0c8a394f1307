package httpapi

import (
	"bytes"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tiercel/cluster/model"
)

// Tokens says who bears a secret. Its errors are unauthenticated. Nothing is kept of the
// secret.
type Tokens interface {
	Identify(secret string, now time.Time) (*model.Principal, error)
}

// need is what a route asks of who calls it.
type need struct {
	open    bool       // no token at all
	role    model.Role // the least
	cluster bool       // of a token that is bound to the cluster: it shows or changes what is not one tenant's
	tenant  bool       // about the files of one tenant, which X-Tenant-ID may name; elsewhere it says nothing
	audited bool       // a management action: it goes into the audit log, refused ones too
}

var (
	needNothing = need{open: true}
	needToken   = need{role: model.RoleReadOnly}
	// Of one tenant: whose is for the token to say, never for the request.
	needRead  = need{role: model.RoleReadOnly, tenant: true}
	needWrite = need{role: model.RoleReadWrite, tenant: true}
	// Of the cluster.
	needWatch  = need{role: model.RoleReadOnly, cluster: true}
	needManage = need{role: model.RoleAdmin, cluster: true, audited: true}
)

// needs is the one place that says who may do what. A route that is not in it is closed to
// all but admins of the cluster, and a test fails.
//
// Open are the probes, which load balancers and service managers ask without credentials,
// and the dashboard's page, which a browser fetches before it can know a token: it holds
// nothing of this cluster, and asks /cluster/status with the token it is given. Metrics
// and status sum up all tenants, so they want a token that is bound to the cluster.
var needs = map[string]need{
	"GET /files":           needRead,
	"PUT /files/{path}":    needWrite,
	"GET /files/{path}":    needRead,
	"HEAD /files/{path}":   needRead,
	"DELETE /files/{path}": needWrite,
	"POST /move":           needWrite,
	"POST /copy":           needWrite,
	"POST /retier":         needWrite,
	"POST /batch":          needWrite,
	"POST /batch/read":     needRead, // POST for its list of paths; it changes nothing

	"GET /cluster/placement/explain": needRead,
	"GET /tiers":                     needToken,
	"GET /quotas":                    needToken,

	"GET /cluster/status":                needWatch,
	"GET /cluster/workers":               needWatch,
	"GET /cluster/workers/{id}":          needWatch,
	"DELETE /cluster/workers/{id}":       needManage,
	"POST /cluster/workers/{id}/drain":   needManage,
	"DELETE /cluster/workers/{id}/drain": needManage,
	"GET /cluster/master":                needWatch,
	"POST /cluster/master/promote":       needManage,
	"POST /cluster/storm-brake/release":  needManage,
	"POST /cluster/rebalance":            needManage,
	"GET /cluster/rebalance":             needWatch,
	"POST /cluster/scrub":                needManage,
	"GET /cluster/jobs":                  needWatch,
	"GET /cluster/jobs/{id}":             needWatch,
	"POST /cluster/jobs/{id}/pause":      needManage,
	"POST /cluster/jobs/{id}/resume":     needManage,
	"POST /cluster/jobs/{id}/cancel":     needManage,
	"GET /cluster/replication":           needWatch,
	"GET /cluster/replication/files":     needManage, // it names what all tenants have
	"GET /cluster/config":                needWatch,
	"PUT /cluster/config":                needManage,
	"PUT /tiers/{id}/config":             needManage,
	"GET /cluster/backup":                needManage, // it holds everything
	"GET /license":                       needWatch,
	"PUT /license":                       needManage,
	"POST /quotas":                       needManage,
	"POST /quotas/verify":                needManage,

	"GET /metrics":      needWatch,
	"GET /openapi.json": needToken,
	"GET /healthz":      needNothing,
	"HEAD /healthz":     needNothing,
	"GET /readyz":       needNothing,
	"HEAD /readyz":      needNothing,
	"GET /":             needNothing,
}

// needOf looks a route up.
func needOf(method, pattern string) need {
	if n, known := needs[accessKey(method, pattern)]; known {
		return n
	}
	return needManage
}

// accessKey is how needs names a route.
func accessKey(method, pattern string) string {
	path := plainPattern(pattern)
	if len(path) > len(basePath) && path[:len(basePath)] == basePath {
		path = path[len(basePath):]
	}
	return method + " " + path
}

// authorize finds out who calls, refuses what they may not do, and settles whose data the
// request is about. From here on X-Tenant-ID is what the token allows, so no handler can
// take another one by mistake.
func (c *call) authorize() error {
	c.who = &model.Anybody
	if tokens := c.s.cfg.Tokens; tokens != nil {
		if c.route.needs.open {
			c.who = nil
			return nil
		}
		who, err := c.identify(tokens)
		if err != nil {
			c.who = nil
			return c.refuse(err, "unauthenticated")
		}
		c.who = who
		if err := c.route.needs.judge(who); err != nil {
			return c.refuse(err, "permission_denied")
		}
	}
	if !c.route.needs.tenant {
		return nil
	}
	return c.settleTenant()
}

// identify reads the token of a request.
func (c *call) identify(tokens Tokens) (*model.Principal, error) {
	const op = "authenticate"
	if c.h.authorization == nil {
		c.ctx.Response.Header.Set("WWW-Authenticate", `Bearer realm="tiercel"`)
		return nil, model.Errorf(model.CodeUnauthenticated, op,
			"a token is needed; send it as \"Authorization: Bearer <token>\" (tiercel --token, or TIERCEL_TOKEN)")
	}
	scheme, secret, _ := bytes.Cut(c.h.authorization, []byte(" "))
	var who *model.Principal
	err := error(model.Errorf(model.CodeUnauthenticated, op, "the Authorization header must be \"Bearer <token>\""))
	if equalFold(scheme, "bearer") {
		who, err = tokens.Identify(string(trimOWS(secret)), c.start)
	}
	if err != nil {
		c.ctx.Response.Header.Set("WWW-Authenticate", `Bearer realm="tiercel", error="invalid_token"`)
		return nil, err
	}
	return who, nil
}

// judge says why who may not do what needs n; nil: they may.
func (n need) judge(who *model.Principal) error {
	const op = "authorize"
	switch {
	case !who.Role.Includes(n.role):
		return model.Errorf(model.CodePermissionDenied, op, "this needs the role %s; the token %q has %s", n.role, who.Name, who.Role).
			With("needed_role", string(n.role))
	case n.cluster && !who.Cluster():
		return model.Errorf(model.CodePermissionDenied, op,
			"this is about the whole cluster; the token %q is bound to the tenant %q, and one bound to the cluster is needed", who.Name, who.Tenant).
			With("needed_role", string(n.role)).With("needed_scope", "cluster")
	}
	return nil
}

// settleTenant replaces the tenant that a request names by the one it gets.
func (c *call) settleTenant() error {
	if c.h.tenant == nil && c.who.Cluster() {
		return nil // the default, as ever
	}
	named := ""
	if c.h.tenant != nil {
		var err error
		if named, err = readTenant(c.h.tenant); err != nil {
			c.leaveBody()
			return err
		}
	}
	tenant, err := c.who.TenantFor(named)
	if err != nil {
		return c.refuse(err, "not_found")
	}
	c.h.tenant = append([]byte(nil), tenant...)
	return nil
}

// refuse counts a refusal and tells of it. A body that was announced is not read: who may
// not send it costs nothing.
func (c *call) refuse(err error, reason string) error {
	c.s.met.refusedRequests.WithLabelValues(reason).Inc()
	c.tellRefusal(err)
	if c.h.transferEncoding != nil || len(c.h.contentLength) > 0 && string(c.h.contentLength) != "0" {
		c.closeAfter()
	}
	return err
}

func newRefusedRequests() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tiercel_http_refused_requests_total",
		Help: "Requests refused for who sent them: unauthenticated, permission_denied, or not_found for another tenant.",
	}, []string{"reason"})
}
