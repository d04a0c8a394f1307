package gateway

import (
	"fmt"
	"slices"
	"strings"

	"tiercel/cluster/compaction"
	"tiercel/cluster/model"
	"tiercel/cluster/shortage"
	"tiercel/messages"
)

// completeStatus adds what the gateway knows and the catalog does not.
func (g *Gateway) completeStatus(s *messages.ClusterStatusReply) {
	s.Ready = g.serving()
	if !s.Ready && g.reason != "" {
		s.Warnings = append(s.Warnings, g.reason)
	}
	if g.master == nil {
		s.State = "no_master"
		return
	}
	s.Leader, s.RaftTerm, s.Capacity = g.master.Node, g.master.EpochTerm, g.master.Capacity
	s.State = "healthy"
	if !g.serving() {
		s.State = "no_master"
	}
	if s.Ready && g.master.Reason != "" {
		s.Warnings = append(s.Warnings, g.master.Reason)
	}
	accepts := func(c *messages.CapacityReport) bool { return c.AcceptsWrites }
	if len(s.Capacity) > 0 && !slices.ContainsFunc(s.Capacity, accepts) {
		s.State = "read_only"
	}
	if b := s.GetCluster().GetBrake(); b.GetEngaged() {
		s.Warnings = append(s.Warnings, fmt.Sprintf("the storm brake holds mass repair: %s; %d bytes would be copied. It lets go when they are back; "+
			"if they are gone for good, release it ('tiercel workers release-brake')", b.Reason, b.WouldMoveBytes))
	}
	s.Warnings = append(s.Warnings, shortage.Of(s.Cluster, s.WorkerNodes, s.Workers)...)
	s.Warnings = append(s.Warnings, damaged(s.Volumes)...)
	if n := g.master.SilentWorkers; n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("nothing is heard of %s; start them, or remove from the cluster what will not come back", namedOf(g.master.Silent, int(n))))
		if s.State == "healthy" {
			s.State = "degraded"
		}
	}
	for _, c := range s.Capacity {
		if len(c.FailingDisks) > 0 {
			s.Warnings = append(s.Warnings, fmt.Sprintf(
				"the disk of %s takes nothing new; if it does not recover, replace it: drain and remove the worker", strings.Join(c.FailingDisks, ", ")))
			if s.State == "healthy" {
				s.State = "degraded"
			}
		}
		if len(c.FullDisks) > 0 {
			s.Warnings = append(s.Warnings, fmt.Sprintf(
				"the disk of %s is full up to its reserve or disk.read_only_used_share, and takes nothing new; reads and deletes go on: delete files, or add capacity or a worker", strings.Join(c.FullDisks, ", ")))
		}
		if len(c.BeyondWarning) > 0 {
			s.Warnings = append(s.Warnings, fmt.Sprintf(
				"the disk of %s is used beyond disk.warn_used_share; delete files, or add capacity or a worker", strings.Join(c.BeyondWarning, ", ")))
		}
	}
}

// maxDamaged volumes are named in the status.
const maxDamaged = 16

// damaged names the volumes of which every copy is.
func damaged(rows []*messages.VolumeRow) []string {
	var ids []string
	for _, row := range rows {
		if compaction.Damaged(row) {
			ids = append(ids, model.VolumeID(row.Id).String())
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("every copy of volume %s is damaged: the compaction job moves what can be read of it, and names the files that cannot; delete them, or store them again",
		namedOf(ids[:min(len(ids), maxDamaged)], len(ids)))}
}

// namedOf is a list of which the first are named.
func namedOf(named []string, count int) string {
	if more := count - len(named); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(named, ", "), more)
	}
	return strings.Join(named, ", ")
}
