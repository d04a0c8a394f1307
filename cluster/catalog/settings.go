package catalog

import (
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/license"
	"tiercel/messages"
)

// setSettings replaces the settings of the cluster.
func (c *Catalog) setSettings(e entry, set *messages.SetSettings) *messages.CommandResult {
	now := c.cluster.GetSettings().GetVersion()
	if set.IfVersion != 0 && set.IfVersion != now {
		return refuse("settings_version", "version", decimal(now))
	}
	if field := wrongSetting(set.GetSettings()); field != "" {
		return refuse("bad_field", "field", field)
	}
	// What is true already, by default or from a higher level, is no reason to refuse a
	// change of something else; who names it asks for it.
	if set.Settings.AutoRebalance && (set.AutoRebalanceAsked || !c.cluster.GetSettings().GetAutoRebalance()) {
		if d := c.grant().Deny(license.AutoRebalance).ForSetting("rebalance.automatic"); d != nil {
			return c.unlicensed(d)
		}
	}
	row := c.nextCluster()
	row.Settings = proto.CloneOf(set.Settings)
	row.Settings.Version = e.index
	c.setCluster(row)
	return &messages.CommandResult{Version: e.index}
}

// wrongSetting names the first field that cannot be; empty: none.
func wrongSetting(s *messages.Settings) string {
	if s == nil {
		return "settings"
	}
	sum := 0.0
	for _, w := range [...]float64{s.WeightFree, s.WeightDisk, s.WeightLoad, s.WeightLatency} {
		if !isShare(w) {
			return "placement weights"
		}
		sum += w
	}
	if sum < 0.999 || sum > 1.001 {
		return "placement weights"
	}
	for _, f := range [...]struct {
		name  string
		value float64
	}{
		{"warn_used_share", s.WarnUsedShare}, {"full_used_share", s.FullUsedShare}, {"read_only_used_share", s.ReadOnlyUsedShare},
		{"compact_dead_share", s.CompactDeadShare}, {"rebalance_spread", s.RebalanceSpread},
	} {
		if !isShare(f.value) {
			return f.name
		}
	}
	if s.WarnUsedShare > s.FullUsedShare || s.FullUsedShare > s.ReadOnlyUsedShare {
		return "used shares"
	}
	return ""
}

// isShare is false for what is not a number, too.
func isShare(v float64) bool { return v >= 0 && v <= 1 }

// setTier replaces the row of a tier. Files that lie in it stay where they are; new
// ones go by the new row, and a job adapts the copies.
func (c *Catalog) setTier(e entry, set *messages.SetTier) *messages.CommandResult {
	t := set.GetTier()
	switch {
	case t == nil || !validTier(t.Tier):
		return refuse("bad_field", "field", "tier")
	case t.Copies > MaxMembers:
		return refuse("bad_field", "field", "copies")
	case t.MinCopies > MaxMembers || t.Copies != 0 && t.MinCopies > t.Copies:
		return refuse("bad_field", "field", "min_copies")
	case !slices.Contains([]string{"", "any", "nvme", "ssd", "hdd"}, t.DiskPreference):
		return refuse("bad_field", "field", "disk_preference")
	}
	if refused := c.checkLicensedTier(set); refused != nil {
		return refused
	}
	row := c.nextCluster()
	row.Tiers = slices.DeleteFunc(row.Tiers, func(r *messages.TierRow) bool { return r.Tier == t.Tier })
	for _, other := range row.Tiers {
		for _, p := range slices.Concat(t.Prefixes, t.Suffixes) {
			if slices.Contains(other.Prefixes, p) || slices.Contains(other.Suffixes, p) {
				return refuse("pattern_taken", "pattern", p, "tier", strconv.Itoa(int(other.Tier)))
			}
		}
	}
	changed := proto.CloneOf(t)
	changed.ChangedUnixMs = e.cmd.ProposedUnixMs
	row.Tiers = append(row.Tiers, changed)
	slices.SortStableFunc(row.Tiers, func(a, b *messages.TierRow) int { return int(a.Tier) - int(b.Tier) })
	if !validTiers(row.Tiers) {
		return refuse("bad_field", "field", "prefixes and suffixes")
	}
	c.setCluster(row)
	return &messages.CommandResult{Version: e.index}
}
