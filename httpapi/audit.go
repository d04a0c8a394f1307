package httpapi

import (
	"strings"
	"time"

	"tiercel/cluster/model"
)

// maxAuditedBodyBytes bounds what of a request's body an Action repeats.
const maxAuditedBodyBytes = 2 << 10

// Action is a management action as the audit log has it: who asked for what, and what
// came of it. What was asked by nobody known is not one: it is only counted, or anybody
// could push the true ones out of the log.
type Action struct {
	At        time.Time  `json:"at"`
	RequestID string     `json:"request_id,omitempty"`
	Name      string     `json:"token"` // its name; anybody where there is no authentication
	Role      model.Role `json:"role,omitempty"`
	Tenant    string     `json:"tenant,omitempty"` // empty: bound to the cluster
	Remote    string     `json:"remote,omitempty"` // host:port of who sent it
	Method    string     `json:"method,omitempty"`
	Route     string     `json:"route"`             // as the API documents it; of a node's own actions: their name
	Subject   string     `json:"subject,omitempty"` // path and query as they were sent
	Body      string     `json:"body,omitempty"`    // of JSON, its beginning
	Outcome   string     `json:"outcome"`           // done, or the error code
	Status    int        `json:"status,omitempty"`
	Detail    string     `json:"detail,omitempty"`
}

// Done is the outcome of an action that was not refused and did not fail.
const Done = "done"

// audit tells of the call if it was a management action. It was answered by now.
func (c *call) audit() {
	if c.s.cfg.Audit == nil || !c.route.needs.audited || c.who == nil || c.withdrawn {
		return
	}
	a := Action{
		At: c.start.UTC(), RequestID: string(c.id), Name: c.who.Name, Role: c.who.Role, Tenant: c.who.Tenant,
		Method: c.route.method, Route: plainPattern(c.route.pattern), Subject: strings.ToValidUTF8(string(c.path), "\ufffd"),
		Outcome: Done, Status: c.ctx.Response.StatusCode(),
	}
	if len(c.query) > 0 {
		a.Subject += "?" + strings.ToValidUTF8(string(c.query), "\ufffd")
	}
	if remote := c.ctx.RemoteAddr(); remote != nil {
		a.Remote = remote.String()
	}
	if len(c.said) > 0 {
		a.Body = strings.ToValidUTF8(string(c.said[:min(len(c.said), maxAuditedBodyBytes)]), "\ufffd")
	}
	if c.failed != "" {
		a.Outcome = string(c.failed)
	}
	c.s.cfg.Audit(a)
}
