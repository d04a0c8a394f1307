package health

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"tiercel/messages"
)

// Whole missed intervals at which a worker's state changes, and heartbeats in a
// row that bring it back.
const (
	DegradedAt       = 3
	UnreachableAt    = 5
	DecommissionedAt = 10
	ComeBackAfter    = 3
)

// steps are the transitions by missed intervals, one after the other.
var steps = [...]struct {
	from, to messages.WorkerState
	missed   int
}{
	{messages.WorkerState_HEALTHY, messages.WorkerState_DEGRADED, DegradedAt},
	{messages.WorkerState_DEGRADED, messages.WorkerState_UNREACHABLE, UnreachableAt},
	{messages.WorkerState_UNREACHABLE, messages.WorkerState_DECOMMISSIONED, DecommissionedAt},
}

// Transition is what the log should be told.
type Transition struct {
	Node     string
	From, To messages.WorkerState
	Missed   int
	Cause    string
}

// Tracker is one controller's view. It begins with the states that the log has
// and one interval of grace, so that masters that change often neither forget a
// dead worker nor condemn a live one.
type Tracker struct {
	interval time.Duration
	workers  map[string]*worker
	ticked   time.Time
}

type worker struct {
	state messages.WorkerState
	heard time.Time // of the newest heartbeat, or of the one that would explain the logged state
	last  time.Time // of the newest heartbeat really heard; zero: none
	row   int       // heartbeats in a row
}

// NewTracker begins at now.
func NewTracker(interval time.Duration, now time.Time) *Tracker {
	return &Tracker{interval: interval, workers: make(map[string]*worker), ticked: now}
}

// resumeAt is the count from which a new controller goes on.
var resumeAt = map[messages.WorkerState]int{
	messages.WorkerState_DEGRADED: DegradedAt, messages.WorkerState_UNREACHABLE: UnreachableAt, messages.WorkerState_DECOMMISSIONED: DecommissionedAt,
}

// Follow takes over the logged state of a worker; one that has left is forgotten.
func (t *Tracker) Follow(node string, state messages.WorkerState, now time.Time) {
	w := t.workers[node]
	switch {
	case state == messages.WorkerState_LEFT:
		delete(t.workers, node)
	case w == nil:
		grace := now.Add(t.interval)
		t.workers[node] = &worker{state: state, heard: grace.Add(-time.Duration(resumeAt[state]) * t.interval)}
	default:
		w.state = state
	}
}

// Heard notes a heartbeat.
func (t *Tracker) Heard(node string, now time.Time) {
	w := t.workers[node]
	if w == nil {
		return
	}
	if !w.last.IsZero() && now.Sub(w.last) < 2*t.interval {
		w.row++
	} else {
		w.row = 1
	}
	w.heard, w.last = now, now
}

// Missed is how many whole intervals a worker has missed.
func (t *Tracker) Missed(node string, now time.Time) int {
	w := t.workers[node]
	if w == nil {
		return 0
	}
	return max(0, int(now.Sub(w.heard)/t.interval))
}

// LastHeard is when a heartbeat was heard by this controller; zero: never.
func (t *Tracker) LastHeard(node string) time.Time {
	if w := t.workers[node]; w != nil {
		return w.last
	}
	return time.Time{}
}

// Tick judges everybody, in order of node. Call it several times an interval, after
// every heartbeat that has arrived was noted. When it was called late by more than
// an interval this node stood still, not the others: that time does not count.
func (t *Tracker) Tick(now time.Time) []Transition {
	if late := now.Sub(t.ticked); late > t.interval {
		for _, w := range t.workers {
			w.heard = w.heard.Add(late)
		}
	}
	t.ticked = now
	var out []Transition
	for node, w := range t.workers {
		missed := t.Missed(node, now)
		if w.state != messages.WorkerState_HEALTHY && missed == 0 && w.row >= ComeBackAfter {
			out = append(out, Transition{Node: node, From: w.state, To: messages.WorkerState_HEALTHY, Cause: fmt.Sprintf("%d heartbeats in a row", w.row)})
			continue
		}
		for _, s := range steps {
			if w.state == s.from && missed >= s.missed {
				out = append(out, Transition{Node: node, From: s.from, To: s.to, Missed: s.missed, Cause: fmt.Sprintf("%d heartbeats missed", s.missed)})
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b Transition) int { return cmp.Compare(a.Node, b.Node) })
	return out
}

// Brake is the storm brake: many workers missing at once are more likely one
// broken network than many broken disks, and copying would make it worse.
type Brake struct {
	Share  float64       // of the workers; 0.3
	Window time.Duration // in which they went missing
	since  map[string]time.Time
	Held   bool // engaged
}

// MinBrakeWorkers is the size from which a cluster has a brake.
const MinBrakeWorkers = 5

// Threshold is how many of n missing workers engage the brake.
func (b *Brake) Threshold(n int) int { return max(2, int(b.Share*float64(n))+1) }

// Judge looks at which workers are missing (degraded or worse, not left) and at
// how many there are without those already decommissioned before this storm. It
// engages and, when the workers are back, releases.
func (b *Brake) Judge(missing []string, n int, now time.Time) (engaged bool, reason string) {
	if b.since == nil {
		b.since = make(map[string]time.Time)
	}
	away := make(map[string]bool, len(missing))
	for _, node := range missing {
		away[node] = true
	}
	maps.DeleteFunc(b.since, func(node string, _ time.Time) bool { return !away[node] })
	fresh := 0
	for _, node := range missing {
		if _, ok := b.since[node]; !ok {
			b.since[node] = now
		}
		if now.Sub(b.since[node]) <= b.Window {
			fresh++
		}
	}
	switch threshold := b.Threshold(n); {
	case !b.Held && n >= MinBrakeWorkers && fresh >= threshold:
		b.Held = true
	case b.Held && len(missing) < threshold:
		b.Held = false
	}
	if b.Held {
		reason = fmt.Sprintf("%d of %d workers went missing within %v", len(missing), n, b.Window)
	}
	return b.Held, reason
}

// Seed tells since when a worker has been missing, where that is known from the log.
func (b *Brake) Seed(node string, since time.Time) {
	if b.since == nil {
		b.since = make(map[string]time.Time)
	}
	if _, ok := b.since[node]; !ok {
		b.since[node] = since
	}
}

// Release is an operator's word: those that are missing now do not engage it again.
func (b *Brake) Release(now time.Time) {
	b.Held = false
	for node := range b.since {
		b.since[node] = now.Add(-2 * b.Window)
	}
}
