package audit

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"time"

	"tiercel/httpapi"
)

// Limits of what is written about refusals: a row has one line when it begins, and one
// more a Window for as long as what it stands for goes on.
const (
	Window  = time.Minute
	MaxRows = 256 // each of callers that nobody knows, and of known tokens
)

// refusals sums up refused requests. It has no clock, and no lock.
//
//	first of its kind ─▶ a line at once ─▶ the others of the Window are counted
//	      ▲                                        │ Window over
//	      └── none came: forgotten ◀───────────────┴─▶ some came: a line with their number,
//	                                                   and the next Window is counted
type refusals struct {
	rows map[kind]*row
}

// kind is what makes two refusals alike. Without a known token the route is not part of it,
// or one caller could fill the table with all of them, but why it was refused is: behind a
// proxy a probe without a token would hide one that was revoked. With a known token why may
// name what the request did.
type kind struct{ from, name, outcome, method, route, why string }

// row is what is known of a kind.
type row struct {
	first       httpapi.Action
	since       time.Time // when its Window began
	repeated    int64     // behind the line that told of it last
	begins, end time.Time // of those
}

// note counts a refusal, and reports whether it has a line of its own. What the table has
// no room for is summed up by its outcome alone, as others.
func (r *refusals) note(a *httpapi.Action) (tell bool) {
	if r.rows == nil {
		r.rows = map[kind]*row{}
	}
	k := kindOf(a)
	known := r.rows[k]
	if known == nil && len(r.rows) >= MaxRows {
		*a = httpapi.Action{
			At: a.At, Route: "any", Outcome: a.Outcome, Status: a.Status,
			Detail: "there are more callers than are told apart; this line is about all others",
		}
		k = kind{outcome: a.Outcome}
		known = r.rows[k]
	}
	if known == nil {
		r.rows[k] = &row{first: *a, since: a.At}
		return true
	}
	if known.repeated == 0 {
		known.begins = a.At
	}
	known.repeated++
	known.end = a.At
	return false
}

// over returns the lines of the windows that have ended by now, oldest first, and begins
// the next ones. What did not come again is forgotten.
func (r *refusals) over(now time.Time) []httpapi.Action {
	return r.sum(func(w *row) bool { return now.Sub(w.since) >= Window }, now)
}

// rest is over for the end of the log.
func (r *refusals) rest() []httpapi.Action {
	return r.sum(func(*row) bool { return true }, time.Time{})
}

func (r *refusals) sum(ended func(*row) bool, next time.Time) (out []httpapi.Action) {
	for k, w := range r.rows {
		if !ended(w) {
			continue
		}
		if w.repeated == 0 {
			delete(r.rows, k)
			continue
		}
		a := w.first
		a.RequestID, a.Subject, a.Body = "", "", "" // of the first alone
		a.At, a.Until, a.Repeated = w.begins, w.end, w.repeated
		out = append(out, a)
		w.repeated, w.since = 0, next
	}
	slices.SortFunc(out, func(a, b httpapi.Action) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Remote, b.Remote), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Outcome, b.Outcome))
	})
	return out
}

func kindOf(a *httpapi.Action) kind {
	k := kind{from: addressOf(a.Remote), name: a.Name, outcome: a.Outcome}
	if a.Name != "" {
		k.method, k.route = a.Method, a.Route
	} else {
		k.why = a.Detail
	}
	return k
}

// addressOf is whom a caller counts as: an IPv4 address, or an IPv6 /64, which one machine
// may have all of.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			addr = prefix.Addr()
		}
	}
	return addr.String()
}
