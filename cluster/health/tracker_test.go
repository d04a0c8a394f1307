package health

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"tiercel/messages"
)

const interval = time.Second

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// run ticks four times an interval and applies what it says, as the log would.
func run(t *Tracker, from, to time.Duration, each func(at time.Duration)) (out []string) {
	for at := from; at <= to; at += interval / 4 {
		if each != nil {
			each(at)
		}
		for _, tr := range t.Tick(begin.Add(at)) {
			out = append(out, fmt.Sprintf("%v %s %v>%v %d", at, tr.Node, tr.From, tr.To, tr.Missed))
			t.Follow(tr.Node, tr.To, begin.Add(at))
		}
	}
	return out
}

func TestTracker_StepsAtExactlyThreeFiveAndTenMissedIntervals(t *testing.T) {
	tr := NewTracker(interval, begin)
	tr.Follow("a", messages.WorkerState_HEALTHY, begin)
	tr.Heard("a", begin)
	assert.Equal(t, []string{"3s a HEALTHY>DEGRADED 3", "5s a DEGRADED>UNREACHABLE 5", "10s a UNREACHABLE>DECOMMISSIONED 10"},
		run(tr, 0, 20*time.Second, nil))
}

func TestTracker_TwoMissedIntervalsAreNothing(t *testing.T) {
	tr := NewTracker(interval, begin)
	tr.Follow("a", messages.WorkerState_HEALTHY, begin)
	assert.Empty(t, run(tr, 0, 30*time.Second, func(at time.Duration) {
		if at%(2750*time.Millisecond) == 0 {
			tr.Heard("a", begin.Add(at))
		}
	}))
}

func TestTracker_ANewControllerGoesOnFromTheLoggedStateAfterOneIntervalOfGrace(t *testing.T) {
	for state, want := range map[messages.WorkerState][]string{
		messages.WorkerState_HEALTHY:     {"4s a HEALTHY>DEGRADED 3", "6s a DEGRADED>UNREACHABLE 5", "11s a UNREACHABLE>DECOMMISSIONED 10"},
		messages.WorkerState_DEGRADED:    {"3s a DEGRADED>UNREACHABLE 5", "8s a UNREACHABLE>DECOMMISSIONED 10"},
		messages.WorkerState_UNREACHABLE: {"6s a UNREACHABLE>DECOMMISSIONED 10"},
	} {
		tr := NewTracker(interval, begin)
		tr.Follow("a", state, begin)
		assert.Equal(t, want, run(tr, 0, 20*time.Second, nil), state)
	}
}

func TestTracker_ComesBackAfterSeveralHeartbeatsInARow(t *testing.T) {
	tr := NewTracker(interval, begin)
	tr.Follow("a", messages.WorkerState_UNREACHABLE, begin)
	beats := map[time.Duration]bool{time.Second: true, 4 * time.Second: true, 5 * time.Second: true, 6 * time.Second: true}
	assert.Equal(t, []string{"6s a UNREACHABLE>HEALTHY 0"}, run(tr, 0, 7*time.Second, func(at time.Duration) {
		if beats[at] {
			tr.Heard("a", begin.Add(at))
		}
	}), "the one before the gap does not count")
}

func TestTracker_TimeInWhichItStoodStillDoesNotCount(t *testing.T) {
	tr := NewTracker(interval, begin)
	tr.Follow("a", messages.WorkerState_HEALTHY, begin)
	tr.Heard("a", begin)
	assert.Empty(t, run(tr, 0, time.Second, nil))
	assert.Empty(t, tr.Tick(begin.Add(21*time.Second)), "20 s of SIGSTOP")
	assert.Equal(t, []string{"23s a HEALTHY>DEGRADED 3"}, run(tr, 21*time.Second+interval/4, 24*time.Second, nil))
}

func TestTracker_ForgetsWhoHasLeft(t *testing.T) {
	tr := NewTracker(interval, begin)
	tr.Follow("a", messages.WorkerState_HEALTHY, begin)
	tr.Follow("a", messages.WorkerState_LEFT, begin)
	assert.Empty(t, run(tr, 0, 30*time.Second, nil))
}

func TestBrake_EngagesWhenManyGoMissingAtOnce(t *testing.T) {
	for _, c := range []struct {
		n, missing int
		engaged    bool
	}{
		{4, 4, false}, {5, 1, false}, {5, 2, true}, {6, 2, true}, {7, 2, false}, {7, 3, true}, {10, 3, false}, {10, 4, true}, {100, 30, false}, {100, 31, true},
	} {
		b := Brake{Share: 0.3, Window: 10 * interval}
		var missing []string
		for i := range c.missing {
			missing = append(missing, fmt.Sprint(i))
		}
		engaged, reason := b.Judge(missing, c.n, begin)
		assert.Equal(t, c.engaged, engaged, "%d of %d", c.missing, c.n)
		assert.Equal(t, c.engaged, reason != "")
	}
}

func TestBrake_HoldsUntilTheWorkersAreBackOrAnOperatorReleasesIt(t *testing.T) {
	b := Brake{Share: 0.3, Window: 10 * interval}
	held := func(at time.Duration, missing ...string) bool {
		engaged, _ := b.Judge(missing, 6, begin.Add(at))
		return engaged
	}
	assert.False(t, held(0, "a"))
	assert.True(t, held(time.Second, "a", "b"))
	assert.True(t, held(time.Hour, "a", "b"), "time alone releases nothing")
	assert.False(t, held(time.Hour, "b"), "recovery does")
	assert.False(t, held(2*time.Hour, "b", "c"), "one now and one long ago are no storm")
	assert.True(t, held(3*time.Hour, "b", "c", "d", "e"))
	b.Release(begin.Add(3 * time.Hour))
	assert.False(t, held(3*time.Hour, "b", "c", "d", "e"), "an operator's word stands")
}
