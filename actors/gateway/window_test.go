package gateway

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWindow_LowWaterIsBelowEverySequenceUnderWay(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var w window
	open := map[uint64]bool{}
	for range 10_000 {
		if random.IntN(2) == 0 || len(open) == 0 {
			s := w.next()
			require.False(t, open[s], "a sequence is handed out once")
			open[s] = true
		} else {
			for s := range open { // whichever comes first: answers come in any order
				delete(open, s)
				w.done(s)
				break
			}
		}
		lowest := w.last + 1
		for s := range open {
			lowest = min(lowest, s)
		}
		require.Equal(t, lowest-1, w.low, "as high as it may be, and no higher")
	}
}

func TestWindow_AnAnswerThatComesTwiceOrTooLateChangesNothing(t *testing.T) {
	var w window
	first, second := w.next(), w.next()
	w.done(first)
	w.done(first)
	assert.Equal(t, first, w.low)
	w.done(99)
	assert.Equal(t, first, w.low)
	w.done(second)
	assert.Equal(t, second, w.low)
	assert.Empty(t, w.open, "nothing is kept of what is answered")
}
