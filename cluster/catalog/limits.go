package catalog

// Limits of the state machine. All voters must agree on them, so they change
// only together with ClusterVersion.
const (
	// ClusterVersion is the newest cluster version this code applies.
	ClusterVersion = 1
	// MaxInlineExtents is how many extents a file row holds; a file with more has a manifest.
	MaxInlineExtents = 4
	// ManifestChunkExtents is how many extents one manifest row holds.
	ManifestChunkExtents = 64
	// MaxSessionResults bounds the results kept for a session above its low water.
	MaxSessionResults = 65_536
	// MaxSessionsPerIncarnation bounds the sessions of one node's incarnation;
	// a gateway opens one each time it starts. The oldest ends first.
	MaxSessionsPerIncarnation = 16
	// MaxUploadsPerSession bounds the uploads a gateway has under way.
	MaxUploadsPerSession = 4_096
	// MaxUploadExtents bounds one upload: enough for MaxContentBytes in pieces of 2 MiB.
	MaxUploadExtents = 5 << 19
	// MaxRecordBytes bounds one record in a volume.
	MaxRecordBytes = 64 << 20
	// MaxVolumeBytes bounds every offset in a volume file.
	MaxVolumeBytes = 1 << 56
	// MaxMembers bounds the members of a volume, and so the replication factor.
	MaxMembers = 16
	// MaxNameBytes bounds node ids, addresses and labels.
	MaxNameBytes = 256
	// MaxDecisionBytes bounds the reason kept on a volume row.
	MaxDecisionBytes = 1_024
	// MaxTierPatterns bounds the prefixes and suffixes of the tier table together.
	MaxTierPatterns = 1_024
	// MaxLimitedTenants bounds the tenants with a limit.
	MaxLimitedTenants = 100_000
	// MaxIdempotencyKeysPerTenant bounds what bootstrap may ask for.
	MaxIdempotencyKeysPerTenant = 1 << 20
	// garbageChunksPerEntry bounds the manifest rows that one entry releases.
	garbageChunksPerEntry = 8
)
