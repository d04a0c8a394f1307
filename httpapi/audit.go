package httpapi

import (
	"regexp"
	"strings"
	"time"

	"tiercel/cluster/model"
)

// maxAuditedBodyBytes bounds what of a request's body an Action repeats.
const maxAuditedBodyBytes = 2 << 10

// Action is a line of the audit log: a management action, by whom and what came of it, or
// a request that was refused for who sent it. The two are told apart (Config.Audit and
// Config.Refused), for nobody who is refused may push what was done out of the log.
type Action struct {
	At        time.Time  `json:"at"`
	Node      string     `json:"node,omitempty"` // whose log it is
	RequestID string     `json:"request_id,omitempty"`
	Name      string     `json:"token,omitempty"` // its name; anybody where there is no authentication, none where no known one was sent
	Role      model.Role `json:"role,omitempty"`
	Tenant    string     `json:"tenant,omitempty"` // empty: bound to the cluster
	Remote    string     `json:"remote,omitempty"` // host:port of who sent it
	Method    string     `json:"method,omitempty"`
	Route     string     `json:"route"`             // as the API documents it; of a node's own actions: their name
	Subject   string     `json:"subject,omitempty"` // path, and of the query what is known; a token is not repeated
	Body      string     `json:"body,omitempty"`    // of JSON, its beginning
	Outcome   string     `json:"outcome"`           // done, or the error code
	Status    int        `json:"status,omitempty"`
	Detail    string     `json:"detail,omitempty"`
	// Of a line that sums up refusals like one before it: how many, from At to Until.
	Repeated int64     `json:"repeated,omitempty"`
	Until    time.Time `json:"until,omitzero"`
}

// auditedParameters of a query are repeated with their values. Whatever else is in one may
// be anything, a secret too, and was refused.
var auditedParameters = []string{"dry_run", "force"}

// secretForm is how a token looks, alone or in a text.
var secretForm = regexp.MustCompile(model.TokenPrefix + `[A-Za-z0-9_-]{8,}`)

// withoutSecrets is a text that was sent, fit to be written down: a token in it, wherever
// somebody put it by mistake, is not.
func withoutSecrets(text []byte) string {
	return secretForm.ReplaceAllString(strings.ToValidUTF8(string(text), "\ufffd"), model.TokenPrefix+"…")
}

// subject is the path and what is known of the query. Percent-encoding hides no token.
func (c *call) subject() string {
	said := withoutSecrets(c.path)
	if plain, ok := decodeParameter(c.path); ok && secretForm.MatchString(plain) {
		said = withoutSecrets([]byte(plain))
	}
	params, err := parseQuery(c.query)
	if err != nil {
		return said + "?…"
	}
	for i, p := range params {
		said += string("?&"[min(i, 1)])
		if contains(auditedParameters, p.key) {
			said += p.key + "=" + withoutSecrets([]byte(clip(p.value)))
		} else {
			said += "…"
		}
	}
	return said
}

// Done is the outcome of an action that was not refused and did not fail.
const Done = "done"

// audit tells of the call if it was a management action. It was answered by now; of an
// answer that is streamed, the stream tells at its end.
func (c *call) audit() {
	if c.streaming {
		return
	}
	if a := c.action(); a != nil {
		c.s.cfg.Audit(*a)
	}
}

// action is the call as the audit log has it; nil when it does not belong there.
func (c *call) action() *Action {
	if c.s.cfg.Audit == nil || !c.route.needs.audited || c.who == nil || c.withdrawn {
		return nil
	}
	a := c.asked()
	a.Subject, a.Outcome, a.Status = c.subject(), Done, c.ctx.Response.StatusCode()
	if len(c.said) > 0 {
		a.Body = withoutSecrets(c.said[:min(len(c.said), maxAuditedBodyBytes)])
	}
	if c.failed != "" {
		a.Outcome = string(c.failed)
	}
	return a
}

// asked is who sent the call, and for which route.
func (c *call) asked() *Action {
	a := &Action{At: c.start.UTC(), RequestID: withoutSecrets(c.id), Method: c.route.method, Route: plainPattern(c.route.pattern)}
	if c.who != nil {
		a.Name, a.Role, a.Tenant = c.who.Name, c.who.Role, c.who.Tenant
	}
	if remote := c.ctx.RemoteAddr(); remote != nil {
		a.Remote = remote.String()
	}
	return a
}

// tellRefusal tells of a call that is refused for who sent it, unless audit will. Nothing
// of the request is repeated but its id: who is refused decides nothing of what is kept.
func (c *call) tellRefusal(err error) {
	if c.s.cfg.Refused == nil || c.who != nil && c.route.needs.audited {
		return
	}
	e := clientError(err)
	a := c.asked()
	a.Outcome, a.Status, a.Detail = string(e.Code), statuses[e.Code].status, withoutSecrets([]byte(e.Message))
	c.s.cfg.Refused(*a)
}
