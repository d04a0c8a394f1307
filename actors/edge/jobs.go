package edge

import (
	"context"

	"tiercel/actors/runtime/live"
	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// failing is a reply that may carry an error.
type failing interface {
	live.AskMessage
	GetError() *messages.Error
}

// consult asks one question of the master and turns the error in its reply into one.
func consult[R failing](ctx context.Context, c *Client, op string, msg live.AskMessage) (R, error) {
	r, err := ask[R](ctx, c, msg)
	if err == nil {
		err = r.GetError().Err(op)
	}
	return r, err
}

// StartRebalance begins to even out the workers, or with dryRun only says what would
// move. bytesPerSecond 0: no limit but the cluster's.
func (c *Client) StartRebalance(ctx context.Context, bytesPerSecond uint64, dryRun bool) (*messages.StartJobReply, error) {
	return consult[*messages.StartJobReply](ctx, c, "start a rebalance",
		&messages.StartRebalance{Header: &messages.Header{}, DryRun: dryRun, BytesPerSecond: bytesPerSecond})
}

// Drain begins to empty a worker, with dryRun only says what would move.
func (c *Client) Drain(ctx context.Context, node string, dryRun bool) (*messages.StartJobReply, error) {
	return consult[*messages.StartJobReply](ctx, c, "drain", &messages.DrainWorker{Header: &messages.Header{}, Node: node, DryRun: dryRun})
}

// CancelDrain lets a worker take new content again; what has moved stays where it is.
func (c *Client) CancelDrain(ctx context.Context, node string) (*messages.StartJobReply, error) {
	return consult[*messages.StartJobReply](ctx, c, "cancel a drain", &messages.DrainWorker{Header: &messages.Header{}, Node: node, Cancel: true})
}

// StartScrub begins to check every copy against its digest now.
func (c *Client) StartScrub(ctx context.Context, bytesPerSecond uint64) (*messages.StartJobReply, error) {
	return consult[*messages.StartJobReply](ctx, c, "start a scrub", &messages.StartScrub{Header: &messages.Header{}, BytesPerSecond: bytesPerSecond})
}

// Jobs returns the jobs of a kind, 0 for all, or the one with an id; not_found when
// there is none of that id.
func (c *Client) Jobs(ctx context.Context, id uint64, kind messages.JobKind) (*messages.ListJobsReply, error) {
	return consult[*messages.ListJobsReply](ctx, c, "list jobs", &messages.ListJobs{Header: &messages.Header{}, Id: id, Kind: kind})
}

// ChangeJob pauses, resumes or cancels a job; conflict when its state does not allow it.
func (c *Client) ChangeJob(ctx context.Context, id uint64, to messages.JobState) (*messages.ListJobsReply, error) {
	return consult[*messages.ListJobsReply](ctx, c, "change a job", &messages.ChangeJob{Header: &messages.Header{}, Id: id, To: to})
}

// Replication returns how far copies are from what their tiers want.
func (c *Client) Replication(ctx context.Context) (*messages.DescribeReplicationReply, error) {
	return consult[*messages.DescribeReplicationReply](ctx, c, "describe replication", &messages.DescribeReplication{Header: &messages.Header{}})
}

// ExplainPlacement says where so many bytes of a tier would go, and why.
func (c *Client) ExplainPlacement(ctx context.Context, t model.Tier, bytes uint64, from string) (*messages.ExplainPlacementReply, error) {
	return consult[*messages.ExplainPlacementReply](ctx, c, "explain placement",
		&messages.ExplainPlacement{Header: &messages.Header{}, Tier: uint32(t), Bytes: bytes, From: from})
}

// ChangeTier replaces the row of a tier.
func (c *Client) ChangeTier(ctx context.Context, set *messages.SetTier) (*messages.ChangeClusterReply, error) {
	return consult[*messages.ChangeClusterReply](ctx, c, "change a tier",
		&messages.ChangeTier{Header: &messages.Header{}, Tier: set.Tier, CopiesAsked: set.CopiesAsked, DiskAsked: set.DiskAsked})
}

// ChangeSettings replaces the cluster's settings if they are still at a version; 0:
// whichever. autoAsked says that automatic rebalances were asked for by name.
func (c *Client) ChangeSettings(ctx context.Context, s *messages.Settings, ifVersion uint64, autoAsked bool) (*messages.ChangeClusterReply, error) {
	return consult[*messages.ChangeClusterReply](ctx, c, "change the settings",
		&messages.ChangeSettings{Header: &messages.Header{}, Settings: s, IfVersion: ifVersion, AutoRebalanceAsked: autoAsked})
}

// Cluster returns what the catalog says of the cluster and its workers, without the
// sealed volumes, and what the licence allows.
func (c *Client) Cluster(ctx context.Context) (*messages.ClusterStatusReply, error) {
	r, err := consult[*messages.ClusterStatusReply](ctx, c, "read the cluster's row", &messages.ClusterStatus{Header: &messages.Header{}, OpenVolumesOnly: true})
	if err == nil {
		r.License = describeLicense(r)
	}
	return r, err
}

// TierOf returns the tier that a table gives a path, and the reason in words.
func (c *Client) TierOf(rows []*messages.TierRow, path string) (model.Tier, string) {
	return tier.NewTable(rows).Why(path)
}
