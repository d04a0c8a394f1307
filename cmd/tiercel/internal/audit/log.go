package audit

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tiercel/cluster/model"
	"tiercel/httpapi"
)

// Limits of the log on disk: 128 MiB of actions and 32 MiB of refusals.
const (
	MaxFileBytes = 16 << 20
	Keep         = 7 // full files of actions beside the one that is written
	KeepRefused  = 1 // and of refusals
)

// maxDetailBytes bounds what a line says: a file that cannot be used may have something
// wrong in each of ten thousand places.
const maxDetailBytes = 4 << 10

const (
	dirName     = "audit"
	fileName    = "audit.log"
	refusedName = "refused.log"
)

// sumEvery is how often it is seen whether a Window of refusals is over.
const sumEvery = 5 * time.Second

// Log is the audit log of one node. It is for any goroutine.
type Log struct {
	series              // of actions
	refused  series     // of other refusals
	node     string     // whose it is
	counting sync.Mutex // of what follows; nothing is written under it
	strange  refusals   // of callers that nobody knows
	known    refusals   // of known tokens
	pending  []httpapi.Action
	wake     chan struct{} // something is pending
}

// Open opens the log below a node's data directory. When it cannot be opened that is told
// like a line that cannot be written, and tried again with the next one.
func Open(dataDir, node string, log *slog.Logger) *Log {
	dir := filepath.Join(dataDir, dirName)
	l := &Log{
		series:  series{dir: dir, name: fileName, keep: Keep, what: "management actions", log: log, maxFileBytes: MaxFileBytes},
		refused: series{dir: dir, name: refusedName, keep: KeepRefused, what: "refused requests", log: log, maxFileBytes: MaxFileBytes},
		node:    node, wake: make(chan struct{}, 1),
	}
	l.begin() // the other one with its first line: without tokens nobody is refused
	return l
}

// Write appends one action before it returns. One that was refused for the role of its
// token, and comes again within the Window, is only counted.
func (l *Log) Write(a httpapi.Action) {
	a.Node = l.node
	if len(a.Detail) > maxDetailBytes {
		a.Detail = strings.ToValidUTF8(a.Detail[:maxDetailBytes], "") + "…"
	}
	if a.Outcome == string(model.CodePermissionDenied) && !l.count(&l.known, &a) {
		return
	}
	l.write(a)
}

// Refuse takes a refusal that is no management action of a known token. It does not wait
// for the disk: who is refused could otherwise keep requests waiting while it hangs.
func (l *Log) Refuse(a httpapi.Action) {
	a.Node = l.node
	rows := &l.strange
	if a.Name != "" {
		rows = &l.known
	}
	if !l.count(rows, &a) {
		return
	}
	l.counting.Lock()
	l.pending = append(l.pending, a) // as many as there are rows, at most
	l.counting.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
}

func (l *Log) count(rows *refusals, a *httpapi.Action) (tell bool) {
	l.counting.Lock()
	defer l.counting.Unlock()
	tell = rows.note(a)
	a.Node = l.node
	return tell
}

// Run writes what Refuse was told until ctx ends.
func (l *Log) Run(ctx context.Context, now func() time.Time) {
	tick := time.NewTicker(sumEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-tick.C:
		}
		l.Tell(now())
	}
}

// Tell writes the refusals that are pending, and the sums of windows that have ended.
func (l *Log) Tell(now time.Time) {
	l.tell(func(r *refusals) []httpapi.Action { return r.over(now) })
}

func (l *Log) tell(sums func(*refusals) []httpapi.Action) {
	l.counting.Lock()
	lines := append(l.pending, sums(&l.strange)...)
	lines = append(lines, sums(&l.known)...)
	l.pending = nil
	l.counting.Unlock()
	for _, a := range lines {
		l.refused.write(a)
	}
}

// Warnings says that lines are missing from the log.
func (l *Log) Warnings() []string { return append(l.warnings(), l.refused.warnings()...) }

// Close writes what is still counted, and closes the files.
func (l *Log) Close() error {
	l.tell((*refusals).rest)
	return errors.Join(l.close(), l.refused.close())
}
