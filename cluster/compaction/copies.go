package compaction

import (
	"slices"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// Keeping leaves out volumes with more copies than new ones of their tier get: what lies
// in them would lose copies by being moved. single are the tiers whose new volumes have
// one copy. What is empty may go.
func Keeping(rows []*messages.VolumeRow, single map[model.Tier]bool) []*messages.VolumeRow {
	return slices.DeleteFunc(slices.Clone(rows), func(row *messages.VolumeRow) bool {
		return single[model.Tier(row.Tier)] && row.State != messages.VolumeState_OPEN && row.LicensedCopies == 0 && len(row.Members) > 1 && row.LiveBytes > 0
	})
}
