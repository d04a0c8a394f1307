package gateway

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

// status is what a gateway makes of the master's word.
func status(capacity ...*messages.CapacityReport) *messages.ClusterStatusReply {
	g := &Gateway{master: &messages.MasterReady{Ready: true, Capacity: capacity}, session: 1}
	s := &messages.ClusterStatusReply{}
	g.completeStatus(s)
	return s
}

func TestStatus_SaysWhichDisksNeedSomebody(t *testing.T) {
	well := &messages.CapacityReport{AcceptsWrites: true}
	s := status(well)
	assert.Equal(t, "healthy", s.State)
	assert.Empty(t, s.Warnings)

	s = status(well, &messages.CapacityReport{AcceptsWrites: true, BeyondWarning: []string{"n-1", "n-2"}})
	assert.Equal(t, "healthy", s.State)
	assert.Equal(t, []string{"the disk of n-1, n-2 is used beyond disk.warn_used_share; delete files, or add capacity or a worker"}, s.Warnings)

	s = status(well, &messages.CapacityReport{FailingDisks: []string{"n-3 (it hangs)"}})
	assert.Equal(t, "degraded", s.State)
	assert.Equal(t, []string{"the disk of n-3 (it hangs) takes nothing new; if it does not recover, replace it: drain and remove the worker"}, s.Warnings)

	g := &Gateway{session: 1, master: &messages.MasterReady{Ready: true, Capacity: []*messages.CapacityReport{well}, Silent: []string{"n-4", "n-5"}, SilentWorkers: 7}}
	s = &messages.ClusterStatusReply{Warnings: nil}
	g.completeStatus(s)
	assert.Equal(t, "degraded", s.State)
	assert.Equal(t, []string{"nothing is heard of n-4, n-5 and 5 more; start them, or remove from the cluster what will not come back"}, s.Warnings)

	member := func(node string, verified, damaged bool) *messages.VolumeMember {
		return &messages.VolumeMember{Node: node, Verified: verified, Damaged: damaged, Job: 1}
	}
	sealed := func(id uint64, members ...*messages.VolumeMember) *messages.VolumeRow {
		return &messages.VolumeRow{Id: id, Tier: 3, State: messages.VolumeState_SEALED, LiveBytes: 9, SealedEnd: 9, Members: members}
	}
	empty := sealed(14)
	empty.LiveBytes = 0
	g = &Gateway{session: 1, master: &messages.MasterReady{Ready: true, Capacity: []*messages.CapacityReport{well}}}
	s = &messages.ClusterStatusReply{
		WorkerNodes: []string{"n-1", "n-2"}, Workers: []*messages.WorkerRow{{State: messages.WorkerState_HEALTHY}, {State: messages.WorkerState_UNREACHABLE}},
		Volumes: []*messages.VolumeRow{sealed(10, member("n-1", true, false)), sealed(11, member("n-2", true, false)), sealed(12, member("n-1", false, true)), sealed(13), empty},
	}
	g.completeStatus(s)
	assert.Equal(t, "degraded", s.State)
	require.Len(t, s.Warnings, 3)
	assert.Contains(t, s.Warnings[0], "part of volume 13 is lost for good")
	assert.Contains(t, s.Warnings[1], "no copy of volume 11 can be reached now")
	assert.Contains(t, s.Warnings[2], "every copy of volume 12 is damaged")

	s = status(well, &messages.CapacityReport{FullDisks: []string{"n-6"}})
	assert.Equal(t, "healthy", s.State, "one is full, others are not")
	require.Len(t, s.Warnings, 1)
	assert.Contains(t, s.Warnings[0], "the disk of n-6 is full")

	s = &messages.ClusterStatusReply{Cluster: &messages.ClusterRow{Brake: &messages.StormBrake{Engaged: true, Reason: "2 of 5 workers went missing within 5s", WouldMoveBytes: 86185185}}}
	g = &Gateway{session: 1, master: &messages.MasterReady{Ready: true, Capacity: []*messages.CapacityReport{well}}}
	g.completeStatus(s)
	require.Len(t, s.Warnings, 1)
	assert.Contains(t, s.Warnings[0], "the storm brake holds mass repair: 2 of 5 workers went missing within 5s; 86185185 bytes would be copied")

	assert.Equal(t, "read_only", status(&messages.CapacityReport{}, &messages.CapacityReport{}).State)
}
