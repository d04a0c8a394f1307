package simtest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

func TestStory_WhoAsksHowThingsStandHearsSoonThatThereIsNoMasterAndWhy(t *testing.T) {
	p := newClusterProbe(t, 9, 3)
	for _, h := range p.story.hosts[1:] {
		h.turnOff(false)
	}
	p.host = p.story.hosts[0]
	require.True(t, p.story.world.RunUntil(func() bool { return !p.host.ready }, 10*time.Second))
	p.story.world.Run(5 * time.Second)

	began := p.story.world.Now()
	const why = "hears 1 of the 3 voters, and 2 must agree"
	w := ask[*messages.ListWorkersReply](p, gatewayPath, &messages.ListWorkers{Header: p.header()})
	assert.Equal(t, "no_master", w.Error.GetCode())
	assert.Contains(t, w.Error.GetMessage(), why+"; start the others: n-2, n-3")
	m := ask[*messages.DescribeMasterReply](p, gatewayPath, &messages.DescribeMaster{Header: p.header()})
	assert.Contains(t, m.Error.GetMessage(), why)
	assert.Less(t, p.story.world.Now().Sub(began), 12*time.Second)
	s := ask[*messages.ClusterStatusReply](p, gatewayPath, &messages.ClusterStatus{Header: p.header()})
	assert.Equal(t, "no_master", s.State)
	assert.True(t, s.Unchecked)
	assert.Contains(t, strings.Join(s.Warnings, "\n"), why)

	p.story.hosts[1].turnOn()
	require.True(t, p.story.world.RunUntil(func() bool { return p.host.ready }, 20*time.Second))
	m = ask[*messages.DescribeMasterReply](p, gatewayPath, &messages.DescribeMaster{Header: p.header()})
	require.Nil(t, m.Error)
	s = ask[*messages.ClusterStatusReply](p, gatewayPath, &messages.ClusterStatus{Header: p.header()})
	assert.Empty(t, s.Warnings)
}

func TestStory_AStandbyWhoseMasterIsGoneSaysHowItCanTakeOver(t *testing.T) {
	p := newClusterProbe(t, 11, 2)
	m := p.story.master()
	for _, h := range p.story.hosts {
		if h != m {
			p.host = h
		}
	}
	m.turnOff(false)
	p.story.world.Run(10 * time.Second)
	r := ask[*messages.DescribeMasterReply](p, gatewayPath, &messages.DescribeMaster{Header: p.header()})
	assert.Contains(t, r.Error.GetMessage(), "tiercel takeover")
}
