package simtest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

// status is what GET /cluster/status is made of.
func (p *probe) status() *messages.ClusterStatusReply {
	return ask[*messages.ClusterStatusReply](p, gatewayPath, &messages.ClusterStatus{Header: p.header()})
}

func TestStory_ADrainSaysWhatTheClusterCannotGiveThenAndTheStatusKeepsSayingIt(t *testing.T) {
	p := filled(t, 31, 3)
	leaves := p.other()
	require.Empty(t, p.status().Warnings)
	lacks := func(warnings []string, when string) {
		all := strings.Join(warnings, "\n")
		assert.Contains(t, all, "the critical tier asks for 3 copies on hosts of their own, and there are workers on 2", when)
		assert.Contains(t, all, "no other node takes over by itself", when)
		assert.Len(t, warnings, 2, when)
	}
	r := ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: string(leaves.name), DryRun: true})
	require.Nil(t, r.Error)
	lacks(r.Warnings, "a dry run")
	assert.Empty(t, p.status().Warnings, "it has done nothing")
	r = ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: string(leaves.name)})
	require.NotNil(t, r.Job)
	lacks(r.Warnings, "a drain")
	lacks(p.status().Warnings, "while it is drained")
	again := ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: string(leaves.name), Cancel: true})
	require.Nil(t, again.Error)
	assert.Empty(t, p.status().Warnings, "it stays")
}

func TestStory_AChangedTierNamesItsJobAndWhatTheClusterCannotGive(t *testing.T) {
	p := filled(t, 32, 3)
	p.other()
	set := func(copies uint32) *messages.ChangeClusterReply {
		r := ask[*messages.ChangeClusterReply](p, gatewayPath, &messages.ChangeTier{
			Header: p.header(), CopiesAsked: true,
			Tier: &messages.TierRow{Tier: 2, Copies: copies, Prefixes: []string{"/sessions/", "/vectors/"}},
		})
		require.Nil(t, r.Error)
		return r
	}
	isDone := func(id uint64) func() bool {
		return func() bool {
			r := ask[*messages.ListJobsReply](p, gatewayPath, &messages.ListJobs{Header: p.header(), Id: id})
			return len(r.Jobs) == 1 && r.Jobs[0].Row.Kind == messages.JobKind_ADAPT && r.Jobs[0].Row.State == messages.JobState_DONE
		}
	}
	more := set(3)
	require.NotZero(t, more.Job)
	assert.Empty(t, more.Warnings)
	p.wholeAgain("three copies of tier 2")
	require.Eventually(t, isDone(more.Job), time.Minute, time.Millisecond)

	fewer := set(1)
	require.NotZero(t, fewer.Job, "copies that go have a job, too")
	assert.NotEqual(t, more.Job, fewer.Job)
	p.wholeAgain("one copy of tier 2")

	tooMany := set(5)
	require.Len(t, tooMany.Warnings, 1)
	assert.Contains(t, tooMany.Warnings[0], "the important tier asks for 5 copies on hosts of their own, and there are workers on 3")
	assert.Equal(t, tooMany.Warnings, p.status().Warnings)
	p.wholeAgain("as many as there are")
	p.readBack()
	same := set(5)
	assert.Zero(t, same.Job, "nothing is left to do")
	assert.Empty(t, same.Warnings, "it was so before")
}

func TestStory_AWorkerThatFallsSilentIsNamedUntilItIsBack(t *testing.T) {
	p := newClusterProbe(t, 33, 3)
	p.story.world.Run(time.Minute)
	s := p.status()
	require.Equal(t, "healthy", s.State)
	require.Empty(t, s.Warnings)
	gone := p.other()
	gone.turnOff(false)
	named := func() bool {
		s = p.status()
		return strings.Contains(strings.Join(s.Warnings, "\n"), "nothing is heard of "+string(gone.name)+"; start them")
	}
	require.True(t, p.story.world.RunUntil(named, time.Minute))
	assert.Equal(t, "degraded", s.State)
	gone.turnOn()
	require.True(t, p.story.world.RunUntil(func() bool { s := p.status(); return len(s.Warnings) == 0 && s.State == "healthy" }, time.Minute))
}
