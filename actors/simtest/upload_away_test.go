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

// Found by a seed: the outcome of an upload's first part was lost, its gateway knew no id
// to give it up by, and what was staged and reserved stayed as long as the gateway lived.
func TestStory_AnUploadThatBeganUnheardIsGivenUp(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 531, Nodes: 3, Still: true})
	p.story.world.Run(time.Minute) // the lead is where it stays
	p.limit(300_000)
	master := p.story.master()
	p.host = p.story.hosts[slices.IndexFunc(p.story.hosts, func(h *host) bool { return h != master })]
	upload := p.openUpload("/models/large", 200_000)
	p.got = nil
	short := &messages.Header{Request: p.header().Request, BudgetMs: 300}
	p.send(gatewayPath, &messages.UploadPart{Header: short, Upload: upload, Body: blob("part", 100_000)})
	staged := func() bool { return len(master.catalog.StagedByLimited()) > 0 }
	require.True(t, p.story.world.RunUntil(staged, time.Second))
	p.story.world.Cut(master.name, p.host.name) // its outcome is on the way
	p.story.world.Run(500 * time.Millisecond)
	p.story.world.Heal(master.name, p.host.name)
	require.True(t, p.story.world.RunUntil(func() bool { return len(p.got) > 0 }, 5*time.Second))
	reply, ok := p.got[0].(*messages.UploadPartReply)
	require.True(t, ok, "%T", p.got[0])
	require.Equal(t, string(model.CodeOutcomeUnknown), reply.Error.GetCode(), "%v", reply)

	require.Equal(t, master, p.story.master(), "it has not been away")
	require.True(t, p.story.world.RunUntil(func() bool { return !staged() }, 20*time.Second), "what was staged stays")
	p.story.world.Run(time.Second)
	assert.Zero(t, p.quota().ReservedBytes)
	assert.Empty(t, p.story.bad)
}
