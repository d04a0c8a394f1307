package quota

import (
	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// Charge is what a file of so many bytes counts when it is written: its size, or by
// the cluster's settings its size times the copies that its tier wants at that time.
func Charge(cluster *messages.ClusterRow, fileTier uint32, size uint64) int64 {
	if !cluster.GetSettings().GetQuotaCountsCopies() {
		return int64(size)
	}
	return int64(size) * int64(tier.Wanted(cluster.GetTiers(), model.Tier(fileTier), int(cluster.GetReplicationFactor())))
}

// Charged is what a file counts, as it was settled when it was written; nil counts nothing.
func Charged(row *messages.FileRow) int64 {
	if row.GetChargedBytes() > 0 {
		return int64(row.ChargedBytes)
	}
	return int64(row.GetSizeBytes())
}

// Fits reports whether a tenant's usage may be raised: what raises nothing always fits.
func Fits(row *messages.TenantRow, more int64) bool {
	return !row.GetLimited() || more <= 0 || more <= row.LimitBytes-row.UsedBytes
}
