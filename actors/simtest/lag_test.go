package simtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestStory_HowFarCopiesAreBehindIsShownInBytesAndTime(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 18, Nodes: 3, NoArchive: true})
	p.story.world.Run(25 * heartbeatInterval) // the lead has gone to the best candidate
	p.host = p.story.master()
	lag := func() (bytes uint64, ms int64) {
		r := ask[*messages.ListWorkersReply](p, gatewayPath, &messages.ListWorkers{Header: p.header()})
		require.Nil(t, r.Error)
		require.Len(t, r.Workers, 3)
		for _, w := range r.Workers {
			bytes, ms = bytes+w.LagBytes, max(ms, w.LagMs)
		}
		return bytes, ms
	}
	bytes, ms := lag()
	assert.Zero(t, bytes+uint64(ms))

	most, longest := uint64(0), int64(0)
	for n, h := range p.story.hosts {
		if h == p.host {
			continue
		}
		h.node.Pause(1200 * time.Millisecond) // less than its primaries wait
		p.sendTier("/sessions/a", fmt.Sprint("value ", n), model.TierImportant)
		for range 12 {
			p.story.world.Run(100 * time.Millisecond)
			bytes, ms = lag()
			most, longest = max(most, bytes), max(longest, ms)
		}
		p.story.world.Run(2 * time.Second)
	}
	assert.Equal(t, uint64(100), most, "the one file")
	assert.GreaterOrEqual(t, longest, int64(100))

	p.story.world.Run(5 * time.Second)
	bytes, ms = lag()
	assert.Zero(t, bytes+uint64(ms), "they have caught up")
	assert.Empty(t, p.story.bad)
}
