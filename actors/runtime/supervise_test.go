package runtime

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSupervised_BackoffDoublesUntilTheRestartsAreExhausted(t *testing.T) {
	child := supervised{policy: newPolicy(nil)}
	now := time.Unix(0, 0)
	for _, milliseconds := range []int{10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000} {
		backoff, ok := child.fail(now)
		assert.True(t, ok)
		assert.Equal(t, time.Duration(milliseconds)*time.Millisecond, backoff)
		now = now.Add(backoff)
	}
	_, ok := child.fail(now)
	assert.False(t, ok)
}

func TestSupervised_FailuresAreForgottenAfterTheWindow(t *testing.T) {
	child := supervised{policy: newPolicy([]SpawnOption{WithRestarts(1, time.Second)})}
	for _, c := range []struct {
		at      time.Duration
		backoff time.Duration
		ok      bool
	}{
		{0, 10 * time.Millisecond, true},
		{time.Second, 10 * time.Millisecond, true},
		{2*time.Second - 1, 0, false},
	} {
		backoff, ok := child.fail(time.Unix(0, 0).Add(c.at))
		assert.Equal(t, c.ok, ok, c.at)
		assert.Equal(t, c.backoff, backoff, c.at)
	}
}

func TestWithRestarts_ZeroEscalatesTheFirstFailure(t *testing.T) {
	child := supervised{policy: newPolicy([]SpawnOption{WithRestarts(0, time.Second)})}
	_, ok := child.fail(time.Unix(0, 0))
	assert.False(t, ok)
}

func TestCount_AFloodIsWorthALineAtEachPowerOfTwo(t *testing.T) {
	var c Counters
	var logged []uint64
	for range 1000 {
		if n, log := Count(&c.DeadLetters); log {
			logged = append(logged, n)
		}
	}
	assert.Equal(t, []uint64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}, logged)
}

func TestRunWork_ReturnsTheResultOrThePanic(t *testing.T) {
	result, failure := RunWork(func() any { return 1 })
	assert.Equal(t, 1, result)
	assert.Nil(t, failure)
	bad := errors.New("planted")
	result, failure = RunWork(func() any { panic(bad) })
	assert.Nil(t, result)
	assert.Equal(t, bad, failure.Value)
	assert.Contains(t, string(failure.Stack), "supervise_test.go")
	assert.PanicsWithValue(t, Unwind{Node: "n-a"}, func() { RunWork(func() any { panic(Unwind{Node: "n-a"}) }) })
}
