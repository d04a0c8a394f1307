package httpapi

import (
	"context"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// Gateway is what httpapi needs of the node behind it. Errors are *model.Error;
// one without a code is answered as internal. Every call ends soon after its
// context does, and keeps nothing of its arguments afterwards.
type Gateway interface {
	// Put stores one file, reading req.Body with bounded memory. It does not
	// touch req.Body after it has returned. An error of req.Body is a failure of
	// the client: nothing is stored.
	Put(ctx context.Context, req *model.PutRequest) (*messages.PutReply, error)
	// PutBatch stores many files and tells answer of each, in their order. One that is
	// refused does not fail the others; the error is of what ended the batch early, and
	// then those that were answered are stored all the same.
	PutBatch(ctx context.Context, req *model.BatchRequest, answer func(index int, path string, reply *messages.PutReply, err error)) error
	// Stat returns a file's row as a quorum sees it, not_found when there is none.
	// withVolumes adds the rows of the volumes that hold it, for the receipt.
	Stat(ctx context.Context, tenant, path string, withVolumes bool) (*messages.StatReply, error)
	// Extents returns all extents of the version that row describes, in order,
	// those of a manifest included; not_found when that version is gone.
	Extents(ctx context.Context, tenant, path string, row *messages.FileRow) ([]*messages.Extent, error)
	// ReadExtent appends the verified content bytes [from, to) of e to dst. A
	// volume that was dropped is not_found: the caller resolves the version again.
	ReadExtent(ctx context.Context, e *messages.Extent, from, to uint64, dst []byte) ([]byte, error)
	// Delete removes a file if cond holds; a nil cond always does.
	Delete(ctx context.Context, tenant, path string, cond *messages.Conditions) (*messages.CommandResult, error)
	// List returns one page in byte order.
	List(ctx context.Context, req *messages.List) (*messages.ListReply, error)
	Move(ctx context.Context, tenant, from, to string, overwrite bool) (*messages.CommandResult, error)
	Copy(ctx context.Context, tenant, from, to string, overwrite bool) (*messages.PutReply, error)
	Retier(ctx context.Context, req *model.RetierRequest) (*model.RetierResult, error)
	// Workers returns what the master knows of all workers, or of one with its
	// volumes; not_found when there is none of that id.
	Workers(ctx context.Context, node string) (*messages.ListWorkersReply, error)
	// Master returns the master and the candidates to follow it, the best first.
	Master(ctx context.Context) (*messages.DescribeMasterReply, error)
	// Promote hands the lead to a worker; conflict with the reason why not.
	Promote(ctx context.Context, node string) (*messages.PromoteWorkerReply, error)
	// RemoveNode takes a worker out for good; conflict while it is the only holder
	// of something, unless forced.
	RemoveNode(ctx context.Context, node string, forced bool) error
	// ReleaseBrake lets mass repair go on although many workers are missing.
	ReleaseBrake(ctx context.Context) error
	operations
	quotaKeeper
	losses
	archives
	// Status returns what this node knows of the cluster.
	Status(ctx context.Context) (*messages.ClusterStatusReply, error)
	// Ready reports whether requests can be served, and if not, why.
	Ready() (ok bool, reason string)
}

// operations are what operators ask of the master.
type operations interface {
	// StartRebalance begins to even out the workers; dryRun only says what would move.
	StartRebalance(ctx context.Context, bytesPerSecond uint64, dryRun bool) (*messages.StartJobReply, error)
	// Drain begins to empty a worker; dryRun only says what would move.
	Drain(ctx context.Context, node string, dryRun bool) (*messages.StartJobReply, error)
	// CancelDrain lets a worker take new content again; conflict when it is not draining.
	CancelDrain(ctx context.Context, node string) (*messages.StartJobReply, error)
	// StartScrub begins to check every copy against its digest.
	StartScrub(ctx context.Context, bytesPerSecond uint64) (*messages.StartJobReply, error)
	// Jobs returns the jobs of a kind, 0 for all, or the one with an id; not_found
	// when there is none of that id.
	Jobs(ctx context.Context, id uint64, kind messages.JobKind) (*messages.ListJobsReply, error)
	// ChangeJob returns the job as it is then; conflict when its state does not allow it.
	ChangeJob(ctx context.Context, id uint64, to messages.JobState) (*messages.ListJobsReply, error)
	Replication(ctx context.Context) (*messages.DescribeReplicationReply, error)
	// ExplainPlacement says where so many bytes of a tier would go.
	ExplainPlacement(ctx context.Context, tier model.Tier, bytes uint64, from string) (*messages.ExplainPlacementReply, error)
	// Cluster returns the cluster row, the workers and what the licence allows; sealed
	// volumes are left out.
	Cluster(ctx context.Context) (*messages.ClusterStatusReply, error)
	// TierOf returns the tier that a table gives a path, and why; it asks nobody.
	TierOf(rows []*messages.TierRow, path string) (tier model.Tier, reason string)
	// License returns what the cluster's licence allows.
	License(ctx context.Context) (*messages.LicenseInfo, error)
	// InstallLicense installs a signed licence; with ifNewer only one that was issued
	// after the present one, and kept says that it was not.
	InstallLicense(ctx context.Context, text string, ifNewer bool) (info *messages.LicenseInfo, kept bool, err error)
	// ChangeTier replaces the row of a tier, and says what of it was asked for by name.
	ChangeTier(ctx context.Context, set *messages.SetTier) (*messages.ChangeClusterReply, error)
	// ChangeSettings replaces the settings; precondition_failed when they are no
	// longer at ifVersion, unless that is 0. autoAsked: rebalance.automatic was asked for
	// by name, which the licence may deny.
	ChangeSettings(ctx context.Context, s *messages.Settings, ifVersion uint64, autoAsked bool) (*messages.ChangeClusterReply, error)
}
