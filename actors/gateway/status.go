package gateway

import (
	"fmt"
	"slices"
	"strings"

	"tiercel/cluster/compaction"
	"tiercel/cluster/model"
	"tiercel/cluster/replication"
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
	degraded := shortage.Waits(s.Cluster, s.WorkerNodes, s.Workers)
	if out := unreadable(s); len(out) > 0 {
		s.Warnings, degraded = append(s.Warnings, out...), true
	}
	if n := g.master.SilentWorkers; n > 0 {
		degraded = true
		s.Warnings = append(s.Warnings, fmt.Sprintf("nothing is heard of %s; start them, or remove from the cluster what will not come back", namedOf(g.master.Silent, int(n))))
	}
	for _, c := range s.Capacity {
		if len(c.FailingDisks) > 0 {
			degraded = true
			s.Warnings = append(s.Warnings, fmt.Sprintf(
				"the disk of %s takes nothing new; if it does not recover, replace it: drain and remove the worker", strings.Join(c.FailingDisks, ", ")))
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
	if degraded && s.State == "healthy" {
		s.State = "degraded"
	}
}

// maxNamed volumes are named in a warning.
const maxNamed = 16

// unreadable says of which volumes that are in use something cannot be read, by their rows.
func unreadable(s *messages.ClusterStatusReply) (out []string) {
	states := make(map[string]messages.WorkerState, len(s.Workers))
	for i, node := range s.WorkerNodes {
		states[node] = s.Workers[i].State
	}
	var lost, stranded, damaged []string
	for _, row := range s.Volumes {
		if row.LiveBytes <= 0 {
			continue
		}
		standing := replication.StandingOf(row, func(node string) messages.WorkerState { return states[node] })
		id := model.VolumeID(row.Id).String()
		switch {
		case compaction.Damaged(row):
			damaged = append(damaged, id)
		case standing.Lost:
			lost = append(lost, id)
		case standing.Stranded:
			stranded = append(stranded, id)
		}
	}
	for _, c := range []struct {
		ids []string
		say string
	}{
		{lost, "part of volume %s is lost for good, with the disks that held it: 'tiercel replication files --state lost' names the files; delete them, or store them again"},
		{stranded, "no copy of volume %s can be reached now: they are on workers that are away, and come back with them ('tiercel replication files --state stranded' names the files)"},
		{damaged, "every copy of volume %s is damaged: the compaction job moves what can be read of it, and names the files that cannot; delete them, or store them again"},
	} {
		if len(c.ids) > 0 {
			out = append(out, fmt.Sprintf(c.say, namedOf(c.ids[:min(len(c.ids), maxNamed)], len(c.ids))))
		}
	}
	return out
}

// namedOf is a list of which the first are named.
func namedOf(named []string, count int) string {
	if more := count - len(named); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(named, ", "), more)
	}
	return strings.Join(named, ", ")
}
