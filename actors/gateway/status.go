package gateway

import (
	"fmt"
	"slices"
	"strings"

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
	s.Warnings = append(s.Warnings, shortage.Of(s.Cluster, s.WorkerNodes, s.Workers)...)
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
		if len(c.BeyondWarning) > 0 {
			s.Warnings = append(s.Warnings, fmt.Sprintf(
				"the disk of %s is used beyond disk.warn_used_share; delete files, or add capacity or a worker", strings.Join(c.BeyondWarning, ", ")))
		}
	}
}

// namedOf is a list of workers of which the first are named.
func namedOf(named []string, count int) string {
	if more := count - len(named); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(named, ", "), more)
	}
	return strings.Join(named, ", ")
}
