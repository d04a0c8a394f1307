package simtest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

// A voter that is being replaced can still be elected while the change is under way, by
// the joint set. When the change is done it must not go on as a leader that nobody can
// follow and that is heard by all: the cluster had a silent master for good. Seed
// 1795568003.
func TestStory_ALeaderThatIsReplacedAsAVoterStepsDown(t *testing.T) {
	p := newClusterProbe(t, 13, 4)
	m := p.story.master()
	p.host = m
	nodes, rows := m.catalog.Workers()
	conf := m.conf()
	var other uint64 // does not vote
	var voters []uint64
	for i, row := range rows {
		switch {
		case !slices.Contains(conf.Voters, row.RaftId):
			other = row.RaftId
		case nodes[i] != string(m.name):
			voters = append(voters, row.RaftId)
		}
	}
	require.NotZero(t, other)
	require.Len(t, voters, 2)
	in := p.inside()
	change := func(to, learners []uint64) *messages.Error {
		return ask[*messages.ChangeVotersReply](in, "node/log", &messages.ChangeVoters{Header: in.header(), Voters: to, Learners: learners, Cause: "a test"}).Error
	}
	replaced := func() bool {
		if change(conf.Voters, []uint64{other}) != nil {
			return false
		}
		p.story.world.Run(100 * time.Millisecond)
		return change(append(voters, other), nil) == nil
	}
	done := false
	for n := 0; n < 50 && !done; n++ {
		done = replaced()
	}
	require.True(t, done)
	require.Same(t, m, p.story.master())
	require.True(t, p.story.world.RunUntil(func() bool {
		n := p.story.master()
		return n != nil && n != m && n.ready && m.ready
	}, 5*heartbeatInterval), "it does not wait for a hand-over: %s", p.story.state())
	for _, h := range p.story.hosts {
		p.host = h
		require.Nil(t, p.put("/models/a", "after by "+string(h.name), nil).Error)
	}
	assert.Empty(t, p.story.bad)
}
