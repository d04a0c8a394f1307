package httpapi

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// fakeJobs are what the master of the fake knows.
func fakeJobs() []*messages.JobInfo {
	return []*messages.JobInfo{
		{Row: &messages.JobRow{Id: 7, Kind: messages.JobKind_REPAIR, State: messages.JobState_DONE, Cause: "n-9 left", TotalBytes: 10, DoneBytes: 10, TotalItems: 1, DoneItems: 1, CreatedUnixMs: 1, ChangedUnixMs: 2, EndedUnixMs: 2}},
		{Row: &messages.JobRow{
			Id: 9, Kind: messages.JobKind_REBALANCE, State: messages.JobState_RUNNING, Cause: "asked for by an operator", TotalBytes: 300, DoneBytes: 100, TotalItems: 3, DoneItems: 1,
			CreatedUnixMs: 1, ChangedUnixMs: 2, BytesPerSecond: 50, Blockers: []string{"n-2 is full"}, Quarantined: []*messages.JobQuarantine{{Volume: 4, Reason: "damaged", SinceUnixMs: 1}},
		}, EtaSeconds: 4, BytesPerSecond: 50, Moves: fakePlan()[:1]},
		{Row: &messages.JobRow{Id: 8, Kind: messages.JobKind_REBALANCE, State: messages.JobState_CANCELLED, EndedUnixMs: 3}},
	}
}

func fakePlan() []*messages.PlannedMove {
	return []*messages.PlannedMove{{Volume: 3, From: "n-1", To: "n-2", Bytes: 200, Why: "n-1 is fuller"}}
}

func fakeCluster() *messages.ClusterRow {
	return &messages.ClusterRow{
		ClusterId: "c-1", ReplicationFactor: 2,
		Tiers: []*messages.TierRow{
			{Tier: 1, Prefixes: []string{"/models/"}, Suffixes: []string{".emm"}}, {Tier: 2, Prefixes: []string{"/audit/"}},
			{Tier: 3, Prefixes: []string{"/tmp/"}, Copies: 2, MinCopies: 2, DiskPreference: "any"},
		},
		Settings: &messages.Settings{
			Version: 12, ScrubBytesPerSecond: 8 << 20, WeightFree: 0.4, WeightDisk: 0.3, WeightLoad: 0.2, WeightLatency: 0.1,
			WarnUsedShare: 0.8, FullUsedShare: 0.9, ReadOnlyUsedShare: 0.97, CompactDeadShare: 0.3, MergeBelowBytes: 64 << 20, RebalanceSpread: 0.1, AutoRebalance: true,
		},
	}
}

func (g *fakeGateway) note(call string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, call)
	if g.notReady != "" {
		return errNoMaster
	}
	return nil
}

func (g *fakeGateway) started(kind messages.JobKind, subject string, dryRun bool) *messages.StartJobReply {
	if dryRun {
		return &messages.StartJobReply{Plan: fakePlan(), PlanBytes: 200, PlanItems: 1, EstimateSeconds: 2, Blockers: []string{"n-3 is away"}, Warnings: []string{"two stay"}}
	}
	return &messages.StartJobReply{Job: &messages.JobInfo{Row: &messages.JobRow{Id: 11, Kind: kind, State: messages.JobState_RUNNING, Subject: subject, CreatedUnixMs: 1}}}
}

func (g *fakeGateway) StartRebalance(_ context.Context, bytesPerSecond uint64, dryRun bool) (*messages.StartJobReply, error) {
	err := g.note("rebalance")
	g.limit = bytesPerSecond
	return g.started(messages.JobKind_REBALANCE, "", dryRun), err
}

func (g *fakeGateway) Drain(_ context.Context, node string, dryRun bool) (*messages.StartJobReply, error) {
	err := g.note("drain " + node)
	if err == nil && !strings.HasPrefix(node, "n-") {
		err = model.Errorf(model.CodeNotFound, "drain", "there is no worker %s", node)
	}
	r := g.started(messages.JobKind_DRAIN, node, dryRun)
	r.Warnings = []string{"two stay"}
	return r, err
}

func (g *fakeGateway) CancelDrain(_ context.Context, node string) (*messages.StartJobReply, error) {
	switch err := g.note("cancel drain " + node); {
	case err != nil:
		return nil, err
	case node == "n-1":
		return nil, model.Errorf(model.CodeConflict, "drain", "n-1 is not being drained")
	case node == "n-2":
		return &messages.StartJobReply{}, nil
	}
	r := g.started(messages.JobKind_DRAIN, node, false)
	r.Job.Row.State = messages.JobState_CANCELLED
	return r, nil
}

func (g *fakeGateway) StartScrub(_ context.Context, bytesPerSecond uint64) (*messages.StartJobReply, error) {
	err := g.note("scrub")
	g.limit = bytesPerSecond
	return g.started(messages.JobKind_SCRUB, "", false), err
}

func (g *fakeGateway) Jobs(_ context.Context, id uint64, kind messages.JobKind) (*messages.ListJobsReply, error) {
	if err := g.note("jobs"); err != nil {
		return nil, err
	}
	r := &messages.ListJobsReply{Jobs: slices.DeleteFunc(fakeJobs(), func(j *messages.JobInfo) bool {
		return id != 0 && j.Row.Id != id || kind != 0 && j.Row.Kind != kind
	})}
	if id != 0 && len(r.Jobs) == 0 {
		return nil, model.Errorf(model.CodeNotFound, "list jobs", "there is no job %d", id)
	}
	return r, nil
}

func (g *fakeGateway) ChangeJob(ctx context.Context, id uint64, to messages.JobState) (*messages.ListJobsReply, error) {
	r, err := g.Jobs(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	if r.Jobs[0].Row.EndedUnixMs != 0 {
		return nil, model.Errorf(model.CodeConflict, "change a job", "job %d has ended", id)
	}
	r.Jobs[0].Row.State = to
	return r, nil
}

func (g *fakeGateway) Replication(context.Context) (*messages.DescribeReplicationReply, error) {
	if err := g.note("replication"); err != nil {
		return nil, err
	}
	return &messages.DescribeReplicationReply{PendingOperations: 2, Tiers: []*messages.TierReplication{
		{Tier: 1, Open: 1, Sealed: 2, Degraded: 1, DebtBytes: 64, OldestDebtSeconds: 7.5}, {Tier: 2, Open: 1, Followers: []*messages.FollowerLag{{Node: "n-2", LagBytes: 5, LagMs: 6}}}, {Tier: 3},
	}}, nil
}

func (g *fakeGateway) ExplainPlacement(_ context.Context, tier model.Tier, bytes uint64, from string) (*messages.ExplainPlacementReply, error) {
	if err := g.note("explain"); err != nil {
		return nil, err
	}
	return &messages.ExplainPlacementReply{
		Tier: uint32(tier), Copies: 3, Chosen: []string{"n-1"}, WeightFree: 0.4, WeightDisk: 0.3, WeightLoad: 0.2, WeightLatency: 0.1, OpenVolumes: []uint64{5},
		Workers: []*messages.JudgedWorker{
			{Node: "n-1", Free: 1, Disk: 0.5, Load: 0.25, Latency: 0.75, Score: 0.6, Chosen: 1, Open: 2}, {Node: "n-2", Refusal: "draining", Detail: "it is being drained"},
		},
		Volumes: []*messages.VolumeRow{{Id: 5, Tier: uint32(tier), State: messages.VolumeState_OPEN, CommittedEnd: 9, Decision: "n-1 0.60", Members: []*messages.VolumeMember{{Node: "n-1", Verified: true, Job: 7, Cause: "n-9 left: n-1 0.70"}}}},
	}, nil
}

func (g *fakeGateway) Cluster(context.Context) (*messages.ClusterStatusReply, error) {
	if err := g.note("cluster"); err != nil {
		return nil, err
	}
	c := fakeCluster()
	if g.noSettings {
		c.Settings = nil
	}
	return &messages.ClusterStatusReply{Cluster: c, License: g.license, Unchecked: g.unchecked, Tiers: []*messages.TierUse{{Tier: 1, Files: 2, LogicalBytes: 142}, {Tier: 2}}, WorkerNodes: []string{"n-1", "n-2", "n-3"}, Workers: []*messages.WorkerRow{{}, {}, {State: messages.WorkerState_LEFT}}}, nil
}

func (g *fakeGateway) TierOf(rows []*messages.TierRow, path string) (model.Tier, string) {
	for _, row := range rows {
		for _, p := range row.Prefixes {
			if strings.HasPrefix(path, p) {
				return model.Tier(row.Tier), "the path begins with " + p
			}
		}
	}
	return model.TierCritical, "nothing matches"
}

func (g *fakeGateway) ChangeTier(_ context.Context, set *messages.SetTier) (*messages.ChangeClusterReply, error) {
	if err := g.note("change tier"); err != nil {
		return nil, err
	}
	c, row := fakeCluster(), set.Tier
	g.tierAsked = set
	c.Tiers[row.Tier-1] = row
	return &messages.ChangeClusterReply{Cluster: c, Job: 21, Warnings: []string{"too few hosts"}}, nil
}

func (g *fakeGateway) ChangeSettings(_ context.Context, s *messages.Settings, ifVersion uint64, autoAsked bool) (*messages.ChangeClusterReply, error) {
	if err := g.note("change settings"); err != nil {
		return nil, err
	}
	g.autoAsked = autoAsked
	c := fakeCluster()
	if g.noSettings {
		c.Settings.Version = 0
	}
	if ifVersion != c.Settings.Version {
		return nil, model.Errorf(model.CodePreconditionFailed, "change the settings", "the settings are at version %d", c.Settings.Version)
	}
	c.Settings = proto.CloneOf(s)
	c.Settings.Version++
	return &messages.ChangeClusterReply{Cluster: c}, nil
}

func (g *fakeGateway) License(context.Context) (*messages.LicenseInfo, error) {
	return g.license, g.note("license")
}

func (g *fakeGateway) InstallLicense(_ context.Context, text string, _ bool) (*messages.LicenseInfo, bool, error) {
	if !strings.HasPrefix(text, "TIERCEL") {
		return nil, false, model.Errorf(model.CodeInvalidArgument, "install licence", "the text is no licence").With("reason", "license_malformed")
	}
	return g.license, false, g.note("install " + text)
}
