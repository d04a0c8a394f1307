package volumes_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
	"tiercel/cluster/volumes"
	"tiercel/messages"
)

func TestPlan_SealsAVolumeOnAWorkerThatIsDrainedOnceAnotherCanTakeItsPlace(t *testing.T) {
	open := &messages.VolumeRow{Id: 7, Tier: 3, State: messages.VolumeState_OPEN, Generation: 1, Members: []*messages.VolumeMember{{Node: "n-1"}}}
	drained := worker("n-1", report(func(r *messages.VolumeReport) { r.Generation, r.Writable = 1, true }))
	drained.Draining = true
	plan := func(others ...volumes.Worker) ([]volumes.Usable, []volumes.Action) {
		usable, actions, _ := volumes.Plan(volumes.Input{
			Rows: []*messages.VolumeRow{open}, Workers: append([]volumes.Worker{drained}, others...), PerTier: 1, ReplicationFactor: 2,
			Coming: map[model.Tier]int{1: 1, 2: 1},
		})
		return usable, actions
	}
	usable, actions := plan()
	assert.Len(t, usable, 1, "nobody else can take writes")
	assert.Empty(t, actions)

	usable, actions = plan(worker("n-2"))
	assert.Empty(t, usable)
	if assert.Len(t, actions, 2) {
		assert.Equal(t, volumes.Seal, actions[0].Kind)
		assert.Contains(t, actions[0].Cause, "drained")
		assert.Equal(t, volumes.Create, actions[1].Kind)
		assert.Equal(t, []string{"n-2"}, actions[1].Members)
	}
}

func TestPlan_AVolumeOnANearlyFullDiskGoesOnElsewhere(t *testing.T) {
	open := &messages.VolumeRow{Id: 7, Tier: 3, State: messages.VolumeState_OPEN, Generation: 1, Members: []*messages.VolumeMember{{Node: "n-1"}}}
	low := worker("n-1", report(func(r *messages.VolumeReport) { r.Generation, r.Writable = 1, true }))
	low.Low = true
	for _, others := range [][]volumes.Worker{nil, {worker("n-2")}} {
		usable, actions, _ := volumes.Plan(volumes.Input{
			Rows: []*messages.VolumeRow{open}, Workers: append([]volumes.Worker{low}, others...), PerTier: 1, ReplicationFactor: 2,
			Coming: map[model.Tier]int{1: 1, 2: 1},
		})
		assert.Equal(t, len(others) == 0, len(usable) == 1, "where there is no other it takes what it can")
		assert.Len(t, actions, 2*len(others))
	}
}

func TestPlan_TheTiersRowSaysHowManyCopies(t *testing.T) {
	_, actions, _ := volumes.Plan(volumes.Input{
		Workers: []volumes.Worker{worker("n-1"), worker("n-2"), worker("n-3")}, PerTier: 1, ReplicationFactor: 2,
		Tiers:  []*messages.TierRow{{Tier: 3, Copies: 2, DiskPreference: "any"}},
		Coming: map[model.Tier]int{1: 1, 2: 1},
	})
	if assert.Len(t, actions, 1) {
		assert.Len(t, actions[0].Members, 2)
	}
}
