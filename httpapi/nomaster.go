package httpapi

import (
	"context"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// roleUnknown is a worker's while there is no master to ask.
const roleUnknown = "unknown"

// workers asks the master for all workers, or for the one named; while there is none
// the catalog of this node says what it last knew of them.
func (c *call) workers(ctx context.Context, id string) (*messages.ListWorkersReply, error) {
	reply, err := c.s.gw.Workers(ctx, id)
	if err == nil || model.CodeOf(err) != model.CodeNoMaster {
		return reply, err
	}
	status, unknown := c.s.gw.Status(ctx)
	if unknown != nil || len(status.Workers) == 0 {
		return nil, err
	}
	last := &messages.ListWorkersReply{Unchecked: true}
	for i, node := range status.WorkerNodes {
		if i >= len(status.Workers) || id != "" && node != id {
			continue
		}
		info := &messages.WorkerInfo{Node: node, Row: status.Workers[i], Role: roleUnknown, CandidateRank: -1}
		for _, v := range status.Volumes {
			for _, m := range v.Members {
				if m.Node == node {
					info.Volumes, info.VolumeCount = append(info.Volumes, v), info.VolumeCount+1
				}
			}
		}
		last.Workers = append(last.Workers, info)
	}
	c.sayConsistency(true)
	return last, nil
}

// withoutMaster takes back what an answer says of a master that does not serve.
func (a *statusAnswer) withoutMaster() {
	if a.State != "no_master" || a.Master == nil {
		return
	}
	a.Warnings = append(a.Warnings, "the last master was "+a.Master.WorkerID+" at "+a.Master.Address+"; workers, capacity and files are as this node last knew them")
	a.Master = nil
}
