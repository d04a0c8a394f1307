package simtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Found by cutting real processes: followers obeyed a master that could hear none of them
// until Raft's own timeouts had passed twice.
func TestStory_AMasterThatHearsNobodyIsReplacedAsSoonAsADeadOne(t *testing.T) {
	replaced := func(seed uint64, deaf bool) time.Duration {
		p := newClusterProbe(t, seed, 5)
		p.story.world.Run(10 * time.Second)
		old := p.story.master()
		began := p.story.world.Elapsed()
		for _, h := range p.story.hosts {
			switch {
			case h == old:
			case deaf:
				p.story.world.Cut(h.name, old.name)
			default:
				p.story.world.Cut(old.name, h.name)
			}
		}
		require.True(t, p.story.world.RunUntil(func() bool { return p.story.master() != old }, time.Minute))
		took := p.story.world.Elapsed() - began
		for _, h := range p.story.hosts {
			if h != old {
				p.story.world.Heal(h.name, old.name)
				p.story.world.Heal(old.name, h.name)
			}
		}
		require.True(t, p.story.world.RunUntil(func() bool { return old.ready }, time.Minute), "it is one of them again")
		require.Empty(t, p.story.bad)
		return took
	}
	for seed := range uint64(10) {
		mute, deaf := replaced(51+seed, false), replaced(51+seed, true)
		// It falls silent when it has heard nobody for as long as the others then wait for it.
		assert.Less(t, deaf, 2*mute+2*masterHeartbeatInterval, "one that nobody hears: %v", mute)
	}
}
