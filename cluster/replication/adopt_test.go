package replication

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/messages"
)

func TestAdoptable_OnlyWhatIsFromBeforeARecoveryAndNeeded(t *testing.T) {
	cluster := &messages.ClusterRow{AdoptBelow: 100}
	here := func() *messages.VolumeReport {
		return &messages.VolumeReport{Volume: 1, Generation: 1, ReplicaGen: 9, End: 50}
	}
	sealed := func(members ...*messages.VolumeMember) *messages.VolumeRow {
		return &messages.VolumeRow{Id: 1, State: messages.VolumeState_SEALED, Generation: 1, Members: members}
	}
	other, own := &messages.VolumeMember{Node: "a", ReplicaGen: 5}, &messages.VolumeMember{Node: "b", ReplicaGen: 7}
	for _, c := range []struct {
		name   string
		row    *messages.VolumeRow
		member *messages.VolumeMember
		report func(*messages.VolumeReport)
		want   bool
	}{
		{"the row does not know it", sealed(other), nil, nil, true},
		{"it came back since", sealed(other, own), own, nil, true},
		{"it was reopened since", sealed(own), own, func(r *messages.VolumeReport) { r.ReplicaGen, r.Generation = 7, 4 }, true},
		{"one of several was not", sealed(other, own), own, func(r *messages.VolumeReport) { r.ReplicaGen, r.Generation = 7, 4 }, false},
		{"it is what the row says", sealed(own), own, func(r *messages.VolumeReport) { r.ReplicaGen = 7 }, false},
		{"another copy is whole", sealed(&messages.VolumeMember{Node: "a", Verified: true}), nil, nil, false},
		{"and was found damaged", sealed(&messages.VolumeMember{Node: "a", Verified: true, Damaged: true}), nil, nil, true},
		{"it was made after the recovery", sealed(other), nil, func(r *messages.VolumeReport) { r.ReplicaGen = 100 }, false},
		{"its place is being made anew", sealed(&messages.VolumeMember{Node: "b", ReplicaGen: 101}), &messages.VolumeMember{Node: "b", ReplicaGen: 101}, nil, false},
		{"it is damaged", sealed(other), nil, func(r *messages.VolumeReport) { r.Damage = "torn" }, false},
		{"it is empty", sealed(other), nil, func(r *messages.VolumeReport) { r.End = 0 }, false},
		{"the volume is open", &messages.VolumeRow{State: messages.VolumeState_OPEN}, nil, nil, false},
		{"there is no volume", nil, nil, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := here()
			if c.report != nil {
				c.report(r)
			}
			assert.Equal(t, c.want, Adoptable(cluster, c.row, c.member, r))
			assert.False(t, Adoptable(&messages.ClusterRow{}, c.row, c.member, r), "nothing was recovered")
		})
	}
}
