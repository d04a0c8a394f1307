package volumes_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/cluster/volumes"
	"tiercel/messages"
)

// four workers that can take anything, and what of the tiers is not licensed.
func unlicensed(rows []*messages.VolumeRow, single map[model.Tier]bool, reports map[string]*messages.VolumeReport) volumes.Input {
	in := volumes.Input{Rows: rows, PerTier: 1, ReplicationFactor: 2, Widen: true, Single: single, Weights: placement.DefaultWeights()}
	for _, node := range []string{"n-1", "n-2", "n-3", "n-4"} {
		in.Workers = append(in.Workers, worker(node, reports[node]))
	}
	return in
}

func TestPlan_AVolumeOfATierThatIsNotLicensedHasOneCopy(t *testing.T) {
	copies := func(single map[model.Tier]bool) map[model.Tier]int {
		out := make(map[model.Tier]int)
		_, actions, short := volumes.Plan(unlicensed(nil, single, nil))
		require.Empty(t, short)
		for _, a := range actions {
			require.Equal(t, volumes.Create, a.Kind)
			out[a.Tier] = len(a.Members)
		}
		return out
	}
	assert.Equal(t, map[model.Tier]int{1: 3, 2: 2, 3: 1}, copies(nil))
	assert.Equal(t, map[model.Tier]int{1: 1, 2: 2, 3: 1}, copies(map[model.Tier]bool{1: true}), "standard")
	assert.Equal(t, map[model.Tier]int{1: 1, 2: 1, 3: 1}, copies(map[model.Tier]bool{1: true, 2: true, 3: true}), "free")
}

func TestPlan_AnOpenVolumeKeepsItsCopiesWhenTheLicenceEndsAndGetsMoreWhenOneComes(t *testing.T) {
	writable := func() *messages.VolumeReport { return report(func(r *messages.VolumeReport) { r.Writable = true }) }
	three := row(func(r *messages.VolumeRow) {
		r.Members = []*messages.VolumeMember{{Node: "n-1"}, {Node: "n-2"}, {Node: "n-3"}}
	})
	usable, actions, _ := volumes.Plan(unlicensed([]*messages.VolumeRow{three}, map[model.Tier]bool{1: true, 2: true, 3: true},
		map[string]*messages.VolumeReport{"n-1": writable(), "n-2": writable(), "n-3": writable()}))
	require.Len(t, usable, 1)
	assert.Len(t, usable[0].Members, 3)
	for _, a := range actions {
		assert.Equal(t, volumes.Create, a.Kind, "nothing is sealed: %+v", a)
	}
	alone := map[string]*messages.VolumeReport{"n-1": writable()}
	usable, _, _ = volumes.Plan(unlicensed([]*messages.VolumeRow{row()}, map[model.Tier]bool{1: true}, alone))
	assert.Len(t, usable, 1, "one copy is enough where there are no more")
	_, actions, _ = volumes.Plan(unlicensed([]*messages.VolumeRow{row()}, nil, alone))
	require.NotEmpty(t, actions)
	assert.Equal(t, volumes.Seal, actions[0].Kind)
	assert.Contains(t, actions[0].Cause, "fewer copies than its tier needs")
}
