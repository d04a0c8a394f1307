package simtest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// A node that stands still for so long that it is given up has its uploads given up, too:
// whoever sends one is told to send it again, not that there is no such file.
func TestStory_AnUploadOfANodeThatWasAwayForLongIsToBeSentAgain(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 530, Nodes: 3, Still: true})
	p.story.world.Run(time.Minute) // the lead is where it stays: a new controller counts from the logged state on
	p.host = p.story.hosts[slices.IndexFunc(p.story.hosts, func(h *host) bool { return h != p.story.master() })]
	upload := p.openUpload("/models/large", 300_000)
	require.Nil(t, p.tryPart(upload, 0, 100_000))
	p.host.node.Pause(14 * heartbeatInterval)
	require.True(t, p.story.world.RunUntil(func() bool { return p.stateOf(p.host) == messages.WorkerState_DECOMMISSIONED }, time.Minute))
	p.story.world.Run(5 * heartbeatInterval)
	err := p.tryPart(upload, 1, 100_000)
	require.NotNil(t, err)
	assert.Equal(t, string(model.CodeUnavailable), err.Code)
	assert.Contains(t, err.Message, "send the file again")
	require.Nil(t, p.put("/models/large", "whole", nil).Error)
	assert.Equal(t, "whole", p.value("/models/large"))
}
