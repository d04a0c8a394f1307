package simtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
	"tiercel/messages"
	"tiercel/store"
)

// onDisk is the host of a story whose disk is of a type.
func onDisk(s *story, diskType string) *host {
	for _, h := range s.hosts {
		if diskTypes[h.number%len(diskTypes)] == diskType {
			return h
		}
	}
	return nil
}

func TestStory_AMasterThatAnOperatorPromotedStaysItThoughOthersAreBetter(t *testing.T) {
	p := newClusterProbe(t, 21, 3)
	best, worst := onDisk(p.story, "nvme"), onDisk(p.story, "hdd")
	masterIs := func(h *host) func() bool { return func() bool { return p.story.master() == h } }
	require.True(t, p.story.world.RunUntil(masterIs(best), time.Minute), "by itself the best disk leads")
	p.host = p.story.hosts[0]

	before := p.story.world.Now()
	r := ask[*messages.PromoteWorkerReply](p, gatewayPath, &messages.PromoteWorker{Header: p.header(), Node: string(worst.name)})
	require.Nil(t, r.Error)
	assert.False(t, r.Already)
	require.True(t, p.story.world.RunUntil(masterIs(worst), time.Minute))
	m := ask[*messages.DescribeMasterReply](p, gatewayPath, &messages.DescribeMaster{Header: p.header()})
	require.Nil(t, m.Error)
	assert.Equal(t, string(worst.name), m.Node, "what is told at once is told of the new master")
	assert.True(t, m.Promoted)
	assert.GreaterOrEqual(t, m.SinceUnixMs, before.UnixMilli())
	require.Len(t, m.Candidates, 3)
	for _, c := range m.Candidates {
		assert.Empty(t, c.Refusal, c.Node)
	}

	p.story.world.Run(60 * heartbeatInterval)
	assert.Equal(t, worst, p.story.master(), "sixty heartbeats later")
	again := ask[*messages.PromoteWorkerReply](p, gatewayPath, &messages.PromoteWorker{Header: p.header(), Node: string(worst.name)})
	require.Nil(t, again.Error)
	assert.True(t, again.Already)

	worst.turnOff(false)
	require.True(t, p.story.world.RunUntil(masterIs(best), time.Minute), "it fails: the next-best leads")
	worst.turnOn()
	p.story.world.Run(60 * heartbeatInterval)
	assert.Equal(t, best, p.story.master(), "a promotion ends with whom it was for")
	m = ask[*messages.DescribeMasterReply](p, gatewayPath, &messages.DescribeMaster{Header: p.header()})
	assert.False(t, m.Promoted)
	require.Empty(t, p.story.bad)
}

// Found by a node with the default interval that joined a cluster with a short one: ten
// heartbeats were missed before its second was due.
func TestStory_AWorkerThatIsSetToAnotherIntervalBeatsAsOftenAsTheMasterWants(t *testing.T) {
	p := newClusterProbe(t, 23, 3)
	h := &host{story: p.story, number: 4, name: "n-4", tune: func(opt *actors.Options) { opt.HeartbeatInterval = 100 * heartbeatInterval }}
	p.story.hosts = append(p.story.hosts, h)
	h.node = p.story.world.AddNode(h.name, store.NewMemFS(4), 1, h.boot)
	require.True(t, p.story.world.RunUntil(func() bool { return h.ready }, time.Minute))
	p.story.world.Run(2 * time.Minute)
	assert.Empty(t, p.transitions(string(h.name)), "it was never missed")
	require.Empty(t, p.story.bad)
}
