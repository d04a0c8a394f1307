package master

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// coordinated is a rig with the real coordinator, and what two members heard of it.
func coordinated(t *testing.T, workers int) (r *rig, own, other *[]*messages.MasterReady) {
	r = newRig(t, workers)
	own, other = new([]*messages.MasterReady), new([]*messages.MasterReady)
	keep := func(to *[]*messages.MasterReady) actorFunc {
		return func(_ *runtime.Context, msg any) {
			if m, ok := msg.(*messages.MasterReady); ok {
				*to = append(*to, m)
			}
		}
	}
	r.spawn("m", "member", keep(own))
	r.spawn("w-1", "member", keep(other))
	_, err := r.world.Node("m").Runtime().SpawnRoot("coordinator", func() runtime.Actor { return newCoordinator(r.cfg) })
	require.NoError(t, err)
	r.world.Run(r.cfg.MasterInterval / 2) // it has looked at the catalog
	return r, own, other
}

func TestCoordinator_ItsWordNamesWhatChangedLatelyAndNoMore(t *testing.T) {
	r, own, other := coordinated(t, 5)
	r.world.Run(r.cfg.MasterInterval)
	require.NotEmpty(t, *other)
	first := (*other)[0]
	assert.Len(t, first.Peers, 6, "a new master tells of everybody")
	assert.Equal(t, r.applied, first.Roster)
	r.world.Run(20 * r.cfg.MasterInterval)
	*other = nil
	r.world.Run(2 * r.cfg.MasterInterval)
	require.NotEmpty(t, *other)
	for _, m := range *other {
		assert.Empty(t, m.Peers)
		assert.Equal(t, r.applied, m.Roster)
		assert.Equal(t, m.Roster, m.RosterAfter)
	}
	*own, *other = nil, nil
	r.addRow("w-9", 900)
	r.world.Run(2 * r.cfg.ReconcileTick)
	told := 0
	for _, m := range *other {
		if len(m.Peers) > 0 {
			told++
			assert.Equal(t, "w-9", m.Peers[0].Node)
			assert.Len(t, m.Peers, 1)
			assert.Less(t, m.RosterAfter, m.Roster)
		}
	}
	assert.GreaterOrEqual(t, told, wordsOverlap, "so often, should one be lost")
	assert.LessOrEqual(t, told, wordsOverlap+1, "and not for ever")
}

func TestCoordinator_MoreChangesThanOneWordHoldsAreLeftToTheMembers(t *testing.T) {
	r, own, other := coordinated(t, maxWordPeers+50)
	r.world.Run(r.cfg.MasterInterval)
	require.NotEmpty(t, *other)
	for _, m := range *other {
		assert.Empty(t, m.Peers)
		assert.Equal(t, m.Roster, m.RosterAfter, "whoever is behind knows that it must ask")
	}
	require.NotEmpty(t, *own)
	assert.Len(t, (*own)[0].Peers, maxWordPeers+51, "somebody must know: the master's own member")
}

func TestCoordinator_SumsWhatTheDisksHave(t *testing.T) {
	r, _, other := coordinated(t, 2)
	host := r.world.Node("w-1").Runtime().(runtime.Host)
	for _, c := range []*messages.CapacityReport{
		{Node: "w-1", DiskType: "ssd", TotalBytes: 100, UsedBytes: 30, FreeBytes: 70, AcceptsWrites: true},
		{Node: "w-2", DiskType: "ssd", TotalBytes: 50, UsedBytes: 10, FreeBytes: 40, AcceptsWrites: true},
		{Node: "m", DiskType: "hdd", TotalBytes: 10, UsedBytes: 10, Failing: "it hangs"},
		{Node: "stranger", DiskType: "hdd", TotalBytes: 1000},
	} {
		host.System().Root.Send(host.Peer("m", "coordinator"), c)
	}
	r.world.Run(2 * r.cfg.MasterInterval)
	m := (*other)[len(*other)-1]
	require.Len(t, m.Capacity, 2)
	assert.EqualValues(t, 10, m.Capacity[0].TotalBytes)
	assert.False(t, m.Capacity[0].AcceptsWrites)
	assert.EqualValues(t, 150, m.Capacity[1].TotalBytes)
	assert.EqualValues(t, 110, m.Capacity[1].FreeBytes)
	assert.True(t, m.Capacity[1].AcceptsWrites)
	assert.Equal(t, []string{"m"}, m.Capacity[0].BeyondWarning, "all of its disk is used")
	assert.Empty(t, m.Capacity[1].BeyondWarning)
	assert.Equal(t, []string{"m (it hangs)"}, m.Capacity[0].FailingDisks)
	assert.Empty(t, m.Capacity[1].FailingDisks)

	host.System().Root.Send(host.Peer("m", "coordinator"), &messages.CapacityReport{Node: "w-2", DiskType: "ssd", TotalBytes: 50, UsedBytes: 50})
	r.world.Run(2 * r.cfg.MasterInterval)
	m = (*other)[len(*other)-1]
	require.Len(t, m.Capacity, 3)
	assert.Equal(t, []string{"w-2"}, m.Capacity[2].FullDisks)
	assert.Empty(t, m.Capacity[2].BeyondWarning, "that is said by the other")
}
