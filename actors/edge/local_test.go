package edge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLocalReads_OneThatHangsSendsTheNextElsewhere(t *testing.T) {
	var l localReads
	now := time.Now()
	after := func(d time.Duration) time.Time { return now.Add(d) }
	assert.False(t, l.hang(now), "nothing was read yet")
	stuck := l.begin(now)
	assert.False(t, l.hang(after(localPatience)), "it may still come")

	late := after(localPatience + 2*localPause)
	assert.False(t, l.hang(late), "one is tried")
	l.begin(late)
	assert.True(t, l.hang(late.Add(time.Millisecond)), "and the others are not")
	assert.True(t, l.hang(late.Add(localPause/2)))
	assert.False(t, l.hang(late.Add(localPause)), "now and then one is tried again")

	other := l.begin(late)
	l.end(other, late.Add(localPause))
	assert.False(t, l.hang(late.Add(localPause+time.Millisecond)), "one was answered: it is not the whole disk")

	l.end(stuck, late.Add(10*time.Second))
	assert.False(t, l.hang(late.Add(10*time.Second)))
}

func TestLocalReads_MoreThanThereAreSlotsAreNotNoted(t *testing.T) {
	var l localReads
	now := time.Now()
	for range len(l.slots) {
		assert.GreaterOrEqual(t, l.begin(now), 0)
	}
	assert.Equal(t, -1, l.begin(now))
	l.end(-1, now)
}
