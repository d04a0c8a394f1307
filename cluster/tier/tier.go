package tier

import (
	"slices"
	"strings"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// DefaultRows are the rows that bootstrap writes into the log: the canonical
// directories of DESIGN "Tiers". Each call returns rows of its own.
func DefaultRows() []*messages.TierRow {
	return []*messages.TierRow{
		{
			Tier:     uint32(model.TierCritical),
			Prefixes: []string{"/users/", "/projects/", "/models/", "/datasets/", "/matrices/"},
			Suffixes: []string{".emm"},
		},
		{
			Tier:     uint32(model.TierImportant),
			Prefixes: []string{"/vectors/", "/conversations/", "/sessions/", "/audit/"},
		},
		{
			Tier:     uint32(model.TierRebuildable),
			Prefixes: []string{"/cache/", "/thumbnails/", "/tmp/", "/intermediate/"},
		},
	}
}

// Table maps paths to tiers. It is never changed after NewTable, so it may be
// shared. The zero Table says critical for everything.
type Table struct {
	prefixes []rule
	suffixes []rule
}

// rule is one pattern with its tier.
type rule struct {
	pattern string
	tier    model.Tier
}

// NewTable builds a table from the rows of the cluster row. A row with an
// unknown tier, and an empty pattern, are left out: bootstrap refuses both.
func NewTable(rows []*messages.TierRow) *Table {
	t := &Table{}
	for _, row := range rows {
		tier := model.Tier(row.GetTier())
		if row.GetTier() > uint32(model.TierRebuildable) || !tier.Valid() {
			continue
		}
		t.prefixes = appendRules(t.prefixes, row.GetPrefixes(), tier)
		t.suffixes = appendRules(t.suffixes, row.GetSuffixes(), tier)
	}
	longestFirst(t.prefixes)
	longestFirst(t.suffixes)
	return t
}

// For returns the tier of a path. A suffix says what a file is and a prefix
// only where it lies, so the longest matching suffix is asked first
// ("any *.emm", wherever), then the longest matching prefix; a path that
// nothing matches is critical. Of equal patterns the more valuable tier wins.
func (t *Table) For(path string) model.Tier {
	r, _ := t.match(path)
	return r.tier
}

// Why returns the tier of a path and the reason in words.
func (t *Table) Why(path string) (tier model.Tier, reason string) {
	r, kind := t.match(path)
	switch kind {
	case bySuffix:
		return r.tier, "the path ends in " + r.pattern
	case byPrefix:
		return r.tier, "the path begins with " + r.pattern
	}
	return r.tier, "no prefix or suffix of the table matches; such a path is critical, to be safe"
}

// kind says what kind of pattern decided.
type kind int

const (
	byDefault kind = iota
	bySuffix
	byPrefix
)

func (t *Table) match(path string) (rule, kind) {
	for _, r := range t.suffixes {
		if strings.HasSuffix(path, r.pattern) {
			return r, bySuffix
		}
	}
	for _, r := range t.prefixes {
		if strings.HasPrefix(path, r.pattern) {
			return r, byPrefix
		}
	}
	return rule{tier: model.TierCritical}, byDefault
}

// Copies is how many copies a tier has with replication factor N: critical
// N+1, important N, rebuildable one. A factor below 1 counts as 1; an unknown
// tier is treated as critical.
func Copies(tier model.Tier, replicationFactor int) int {
	n := max(replicationFactor, 1)
	switch tier {
	case model.TierImportant:
		return n
	case model.TierRebuildable:
		return 1
	}
	return n + 1
}

// Wanted is how many copies a tier has by the cluster's own rows: what its row says,
// else Copies.
func Wanted(rows []*messages.TierRow, tier model.Tier, replicationFactor int) int {
	for _, row := range rows {
		if row.GetTier() == uint32(tier) && row.Copies > 0 {
			return int(row.Copies)
		}
	}
	return Copies(tier, replicationFactor)
}

// WantedOf is how many copies one volume has: one that was made when the licence had no
// replication for its tier has no more than it had then.
func WantedOf(row *messages.VolumeRow, rows []*messages.TierRow, replicationFactor int) int {
	wanted := Wanted(rows, model.Tier(row.GetTier()), replicationFactor)
	if most := int(row.GetLicensedCopies()); most > 0 {
		return min(wanted, most)
	}
	return wanted
}

// Preference is the type of disk that a tier's row prefers; empty: the tier's own.
func Preference(rows []*messages.TierRow, tier model.Tier) string {
	for _, row := range rows {
		if row.GetTier() == uint32(tier) {
			return row.DiskPreference
		}
	}
	return ""
}

// MinCopies is how many copies a write of a tier must have to be taken: what the tier's
// row asks for, however many workers there are, else two of tier 1, where there are two
// workers that have not left, and one of the others.
func MinCopies(rows []*messages.TierRow, tier model.Tier, workers int) int {
	for _, row := range rows {
		if row.GetTier() == uint32(tier) && row.MinCopies > 0 {
			return int(row.MinCopies)
		}
	}
	if tier != model.TierCritical {
		return 1
	}
	return max(1, min(2, workers))
}

func appendRules(rules []rule, patterns []string, tier model.Tier) []rule {
	for _, p := range patterns {
		if p != "" {
			rules = append(rules, rule{pattern: p, tier: tier})
		}
	}
	return rules
}

// longestFirst orders rules so that the first match is the right one.
func longestFirst(rules []rule) {
	slices.SortStableFunc(rules, func(a, b rule) int {
		if len(a.pattern) != len(b.pattern) {
			return len(b.pattern) - len(a.pattern)
		}
		return int(a.tier) - int(b.tier)
	})
}
