package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"tiercel/actors/recovery"
	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/audit"
	"tiercel/httpapi"
)

// acted writes to the audit log of a stopped node's directory what was done to it by verb.
// Who did it is not known: whoever may write there. That it cannot be written is told, and
// changes nothing: it is done.
func (a *app) acted(dir string, node model.NodeID, verb, detail string, failed error) {
	outcome := httpapi.Done
	if failed != nil {
		outcome, detail = string(model.CodeOf(failed)), detail+"; "+failed.Error()
	}
	log := audit.Open(dir, string(node), slog.New(slog.DiscardHandler))
	log.Write(httpapi.Action{At: time.Now(), Route: verb, Outcome: outcome, Detail: detail})
	for _, warning := range log.Warnings() {
		a.complain(fmt.Sprintf("warning: what %s did to %s is not in its audit log: %s", verb, dir, warning))
	}
	if err := log.Close(); err != nil {
		a.complain(fmt.Sprintf("warning: the audit log of %s: %s", dir, err))
	}
}

// recovered is acted for each directory of a recovery that changed something, also of one
// that failed on the way.
func (a *app) recovered(r *recovery.Report, applied, worker bool, failed error) {
	switch {
	case !applied:
	case worker:
		a.actedOn(r, "recover --worker", failed)
	default:
		a.actedOn(r, "recover", failed)
	}
}

func (a *app) actedOn(r *recovery.Report, verb string, failed error) {
	for _, d := range r.Dirs {
		if !r.Done && d.Aside == "" {
			continue // nothing here was changed
		}
		said := []string{"made a worker, under a new Raft id"}
		if r.Generation != 0 {
			said = append(said, fmt.Sprintf("generation %d", r.Generation))
		}
		if d.Founder {
			said[0] = fmt.Sprintf("made the only voter of a new log, with the catalog as of log index %d", r.JournalTo)
		}
		if r.Fork != "" {
			said = append(said, "fork "+r.Fork)
		}
		if d.Aside != "" {
			said = append(said, "its old log lies in "+d.Aside)
		}
		a.acted(d.Name, d.Node, verb, strings.Join(said, "; "), failed)
	}
}
