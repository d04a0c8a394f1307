package voters

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/election"
	"tiercel/messages"
)

// workers makes n healthy ones; their Raft ids are 1 to n.
func workers(n int) []election.Candidate {
	var out []election.Candidate
	for i := 1; i <= n; i++ {
		out = append(out, election.Candidate{Node: fmt.Sprintf("n-%d", i), RaftID: uint64(i), State: messages.WorkerState_HEALTHY, DiskType: "ssd", Free: 9, Total: 10})
	}
	return out
}

func caughtUp(ids ...uint64) map[uint64]*messages.LogProgress {
	out := make(map[uint64]*messages.LogProgress)
	for _, id := range ids {
		out[id] = &messages.LogProgress{RaftId: id, CaughtUp: true, RecentlyActive: true}
	}
	return out
}

func TestPlan_GrowsByLearnersThatHaveCaughtUp(t *testing.T) {
	for _, c := range []struct {
		name             string
		in               Input
		voters, learners []uint64
	}{
		{"alone", Input{Workers: workers(1), Voters: []uint64{1}}, nil, nil},
		{"two: a standby", Input{Workers: workers(2), Voters: []uint64{1}}, []uint64{1}, []uint64{2}},
		{"two, standing by", Input{Workers: workers(2), Voters: []uint64{1}, Learners: []uint64{2}}, nil, nil},
		{"three without the feature: a standby", Input{Workers: workers(3), Voters: []uint64{1}}, []uint64{1}, []uint64{2}},
		{"three: two learn", Input{Failover: true, Workers: workers(3), Voters: []uint64{1}, Learners: []uint64{2}}, []uint64{1}, []uint64{2, 3}},
		{"three: still catching up", Input{Failover: true, Workers: workers(3), Voters: []uint64{1}, Learners: []uint64{2, 3}, Progress: caughtUp(2)}, nil, nil},
		{"three: all vote at once", Input{Failover: true, Workers: workers(3), Voters: []uint64{1}, Learners: []uint64{2, 3}, Progress: caughtUp(2, 3)}, []uint64{1, 2, 3}, nil},
		{"four is three", Input{Failover: true, Workers: workers(4), Voters: []uint64{1, 2, 3}}, nil, nil},
		{"five: two more learn", Input{Failover: true, Workers: workers(7), Voters: []uint64{1, 2, 3}}, []uint64{1, 2, 3}, []uint64{4, 5}},
		{"a change is under way", Input{Failover: true, Workers: workers(7), Voters: []uint64{1, 2, 3}, Joint: true}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Plan(c.in)
			if c.voters == nil {
				assert.Nil(t, got)
				return
			}
			require.NotNil(t, got)
			assert.ElementsMatch(t, c.voters, got.Voters)
			assert.ElementsMatch(t, c.learners, got.Learners)
			assert.False(t, got.AllowFewer)
		})
	}
}

func TestPlan_NeverShrinksUnderFailuresAndReplacesOneForOne(t *testing.T) {
	in := Input{Failover: true, Workers: workers(3), Voters: []uint64{1, 2, 3}, Self: 1}
	for _, state := range []messages.WorkerState{messages.WorkerState_DEGRADED, messages.WorkerState_UNREACHABLE, messages.WorkerState_DECOMMISSIONED} {
		in.Workers[1].State, in.Workers[2].State = state, state
		assert.Nil(t, Plan(in), "nobody can take their place")
	}
	in.Workers = append(in.Workers, workers(4)[3])
	learn := Plan(in)
	require.NotNil(t, learn)
	assert.Equal(t, []uint64{4}, learn.Learners)
	in.Learners, in.Progress = []uint64{4}, caughtUp(4)
	replaced := Plan(in)
	require.NotNil(t, replaced)
	assert.Len(t, replaced.Voters, 3, "one is replaced, the other keeps its place")
	assert.Contains(t, replaced.Voters, uint64(4))
}

func TestPlan_AnIdThatNobodyHasAnyMoreIsReplaced(t *testing.T) {
	back := workers(3)
	back[2].RaftID = 33 // it lost its log, and came back
	in := Input{Failover: true, Workers: back, Voters: []uint64{1, 2, 3}, Self: 1}
	got := Plan(in)
	require.NotNil(t, got)
	assert.ElementsMatch(t, []uint64{1, 2, 3}, got.Voters)
	assert.Equal(t, []uint64{33}, got.Learners)
	in.Learners, in.Progress = got.Learners, caughtUp(1, 2, 33)
	got = Plan(in)
	require.NotNil(t, got)
	assert.ElementsMatch(t, []uint64{1, 2, 33}, got.Voters)
	assert.False(t, got.AllowFewer)

	in = Input{Failover: true, Workers: back[:2], Voters: []uint64{1, 2, 3}, Self: 1}
	assert.Nil(t, Plan(in), "nobody can take its place: never fewer")
	assert.Nil(t, Plan(Input{Failover: true, Voters: []uint64{7}, Self: 7}), "the founder, before its row is there")
}

func TestPlan_AVoterThatIsOnlyAwayKeepsItsPlace(t *testing.T) {
	in := Input{Failover: true, Workers: workers(5), Voters: []uint64{1, 2, 3, 4, 5}, Self: 1}
	in.Workers = append(in.Workers, election.Candidate{Node: "n-6", RaftID: 6, State: messages.WorkerState_HEALTHY, DiskType: "nvme"})
	assert.Nil(t, Plan(in), "never for a better score")
	in.Workers[4].State = messages.WorkerState_UNREACHABLE
	assert.Nil(t, Plan(in))
}

func TestPlan_OnlyLeavingForGoodMakesFewer(t *testing.T) {
	in := Input{Failover: true, Workers: workers(3), Voters: []uint64{1, 2, 3}, Self: 2}
	in.Workers[2].State = messages.WorkerState_LEFT
	got := Plan(in)
	require.NotNil(t, got)
	assert.True(t, got.AllowFewer)
	assert.Equal(t, []uint64{2}, got.Voters)
	assert.Equal(t, []uint64{1}, got.Learners)
}
