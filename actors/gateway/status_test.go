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
