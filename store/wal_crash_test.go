package store

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// walModel is what the log should hold after an operation.
type walModel struct {
	base    uint64
	entries []LogEntry // after base
	state   HardState
	below   uint64 // TruncateBefore was allowed to drop entries below it
}

func (m walModel) append(state *HardState, entries []LogEntry) walModel {
	if len(entries) > 0 {
		m.entries = append(slices.Clone(m.entries[:entries[0].Index-m.base-1]), entries...)
	}
	if state != nil {
		m.state = *state
	}
	return m
}

// matches tells whether a log that was opened is in this state.
func (m walModel) matches(t *testing.T, w *WAL, rec *WALRecovery) bool {
	first := max(m.base+1, rec.First)
	if rec.State != m.state || rec.Last != m.base+uint64(len(m.entries)) || rec.First <= m.base || rec.First > max(m.below, m.base+1) {
		return false
	}
	if first > rec.Last {
		return true
	}
	got, err := w.Entries(first, rec.Last+1, 0)
	require.NoError(t, err)
	for i, e := range got {
		want := m.entries[first-m.base-1+uint64(i)]
		if e.Index != want.Index || e.Term != want.Term || string(e.Data) != string(want.Data) {
			return false
		}
	}
	return true
}

// walRun plays a scenario and keeps the states that may be found afterwards:
// from the last that was acknowledged as durable to that of the operation under way.
type walRun struct {
	w    *WAL
	may  []walModel
	dead bool
}

func (r *walRun) now() walModel { return r.may[len(r.may)-1] }

// do runs one operation; between are states it may leave half-way.
func (r *walRun) do(after walModel, durable bool, op func() error, between ...walModel) {
	if r.dead {
		return
	}
	r.may = append(append(r.may, between...), after)
	if op() != nil {
		r.dead = true
		return
	}
	if durable {
		r.may = []walModel{after}
	}
}

func (r *walRun) append(state *HardState, entries []LogEntry, sync bool) {
	if r.dead {
		return
	}
	now := r.now()
	// A new segment may void what entries replace before they are there.
	cut := now
	if len(entries) > 0 {
		cut.entries = now.entries[:entries[0].Index-now.base-1]
	}
	r.do(now.append(state, entries), sync, func() error { return r.w.Append(state, entries, sync) }, cut)
}

func walScenario(fsys *MemFS) any {
	r := &walRun{may: []walModel{{}}}
	var err error
	if r.w, _, err = OpenWAL(fsys, WALOptions{SegmentBytes: 3000}); err != nil {
		r.dead = true
		return r
	}
	for from := uint64(1); from <= 61; from += 10 {
		r.append(&HardState{Term: 1, Commit: from - 1}, logged(from, from+9, 1), from%20 == 1)
	}
	r.append(&HardState{Term: 2, Vote: 3, Commit: 61}, nil, true)
	r.append(&HardState{Term: 2, Vote: 3, Commit: 62}, logged(66, 72, 2), true) // in the segment
	r.append(nil, logged(64, 64, 3), false)                                     // in an older one
	r.append(nil, logged(65, 90, 3), false)
	r.append(&HardState{Term: 3, Commit: 90}, logged(91, 95, 3), true)
	for _, below := range []uint64{50, 94} {
		if !r.dead {
			after := r.now()
			after.below = below
			r.do(after, true, func() error { return r.w.TruncateBefore(below) })
		}
	}
	if !r.dead { // a restart in between
		if r.w, _, err = OpenWAL(fsys, WALOptions{SegmentBytes: 3000}); err != nil {
			r.dead = true
			return r
		}
	}
	r.append(nil, logged(96, 120, 3), true)
	if !r.dead {
		r.do(walModel{base: 500, state: r.now().state}, true, func() error { return r.w.Reset(500, 4) })
	}
	r.append(&HardState{Term: 5, Commit: 500}, logged(501, 520, 5), true)
	r.append(nil, logged(521, 540, 5), false)
	return r
}

func checkWAL(t *testing.T, fsys *MemFS, v any) {
	r := v.(*walRun)
	w, rec, err := OpenWAL(fsys, WALOptions{SegmentBytes: 3000})
	require.NoError(t, err)
	matched := slices.ContainsFunc(r.may, func(m walModel) bool { return m.matches(t, w, rec) })
	require.True(t, matched, "found %+v, which is none of %d states", rec, len(r.may))

	// What was found is durable now, and the log goes on.
	next := rec.Last + 1
	entries := logged(next, next+5, 9)
	require.NoError(t, w.Append(nil, entries, true))
	after, again, err := OpenWAL(fsys.Crash(testRand(rec.Last), true), WALOptions{SegmentBytes: 3000})
	require.NoError(t, err)
	assert.Equal(t, rec.First, again.First)
	assert.Equal(t, rec.Last+6, again.Last)
	assert.Equal(t, rec.State, again.State)
	assert.Zero(t, again.Torn)
	assertLog(t, after, entries)
}

func TestWAL_SurvivesACrashAnywhere(t *testing.T) {
	crashSuite{
		seeds:    16,
		scenario: walScenario,
		recover:  func(fsys *MemFS) { _, _, _ = OpenWAL(fsys, WALOptions{SegmentBytes: 3000}) },
		check:    checkWAL,
	}.run(t)
}
