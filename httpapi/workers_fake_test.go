package httpapi

import (
	"context"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// masterError is what the master answers when it is not nil.
var errNoMaster = model.Errorf(model.CodeNoMaster, "ask the master", "no master answered within the time allowed")

func fakeWorkers() []*messages.WorkerInfo {
	return []*messages.WorkerInfo{
		{Node: "n-1", Role: "master", CandidateRank: 0, LastHeartbeatUnixMs: 1, VolumeCount: 3, Capacity: &messages.CapacityReport{TotalBytes: 10, UsedBytes: 4, FreeBytes: 6, IoLoadKnown: true, IoLoad: 0.5},
			Row: &messages.WorkerRow{Address: "a:1", State: messages.WorkerState_HEALTHY, DiskType: "ssd", Dc: "d", Rack: "r", Host: "h", Version: "v"}},
		{Node: "n-2", Role: "voter", CandidateRank: -1, Missed: 3, LagBytes: 4096, LagMs: 250, Row: &messages.WorkerRow{State: messages.WorkerState_DEGRADED, Transitions: []*messages.WorkerTransition{
			{From: messages.WorkerState_HEALTHY, To: messages.WorkerState_DEGRADED, Missed: 3, Cause: "3 heartbeats missed", AtUnixMs: 1},
		}}, Volumes: []*messages.VolumeRow{{Id: 7, Tier: 1, State: messages.VolumeState_SEALED, SealedEnd: 9, Members: []*messages.VolumeMember{{Node: "n-1"}, {Node: "n-2", Verified: true}}}}},
	}
}

func (g *fakeGateway) Workers(_ context.Context, node string) (*messages.ListWorkersReply, error) {
	if g.notReady != "" {
		return nil, errNoMaster
	}
	r := &messages.ListWorkersReply{}
	for _, w := range fakeWorkers() {
		if node == "" || w.Node == node {
			r.Workers = append(r.Workers, w)
		}
	}
	if len(r.Workers) == 0 {
		return nil, model.Errorf(model.CodeNotFound, "list workers", "there is no worker %s", node)
	}
	return r, nil
}

func (g *fakeGateway) Master(context.Context) (*messages.DescribeMasterReply, error) {
	if g.notReady != "" {
		return nil, errNoMaster
	}
	return &messages.DescribeMasterReply{Node: "n-1", Address: "a:1", EpochGeneration: 1, EpochTerm: 2, SinceUnixMs: 1, Promoted: true, Candidates: []*messages.Candidate{
		{Node: "n-1", Score: 1, Terms: map[string]float64{"health": 1}}, {Node: "n-2", Rank: 1, Refusal: "it does not vote"},
	}}, nil
}

func (g *fakeGateway) Promote(_ context.Context, node string) (*messages.PromoteWorkerReply, error) {
	switch {
	case g.notReady != "":
		return nil, errNoMaster
	case node == "n-1":
		return &messages.PromoteWorkerReply{Node: node, EpochGeneration: 1, EpochTerm: 3, Already: true}, nil
	case node == "n-2":
		return nil, model.Errorf(model.CodeConflict, "promote", "n-2 cannot be master: it does not vote")
	}
	return nil, model.Errorf(model.CodeNotFound, "promote", "there is no worker %s", node)
}

func (g *fakeGateway) RemoveNode(_ context.Context, node string, forced bool) error {
	switch {
	case g.notReady != "":
		return errNoMaster
	case node == "n-2" && !forced:
		return model.Errorf(model.CodeConflict, "remove worker", "it holds the only copy").With("volumes", "1")
	case node == "n-2":
		return nil
	}
	return model.Errorf(model.CodeNotFound, "remove worker", "there is no worker %s", node)
}

func (g *fakeGateway) ReleaseBrake(context.Context) error {
	if g.notReady != "" {
		return errNoMaster
	}
	return nil
}
