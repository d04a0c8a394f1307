package tier_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

func TestTable_DefaultsAreThoseOfTheDesign(t *testing.T) {
	table := tier.NewTable(tier.DefaultRows())
	for _, c := range []struct {
		path string
		want model.Tier
	}{
		{"/users/a", 1}, {"/projects/a/b", 1}, {"/models/llama", 1}, {"/datasets/x", 1}, {"/matrices/m", 1},
		{"/vectors/v", 2}, {"/conversations/c", 2}, {"/sessions/s", 2}, {"/audit/log", 2},
		{"/cache/c", 3}, {"/thumbnails/t", 3}, {"/tmp/t", 3}, {"/intermediate/i", 3},
		{"/elsewhere/x", 1},
		{"/x", 1},
		{"/tmp", 1},       // a file, not the directory
		{"/tmpfile", 1},   // a prefix ends at its slash
		{"/a/tmp/x", 1},   // a prefix begins at the root
		{"/tmp/w.emm", 1}, // a matrix is critical wherever it lies
		{"/audit/w.emm", 1},
		{"/tmp/w.emm2", 3},
		{"/tmp/w.EMM", 3}, // bytes, not letters
		{"/tmp/emm", 3},
	} {
		assert.Equal(t, c.want, table.For(c.path), c.path)
	}
}

func TestTable_TheLongestPatternWinsInAnyOrderOfRows(t *testing.T) {
	rows := []*messages.TierRow{
		{Tier: 3, Prefixes: []string{"/a/"}, Suffixes: []string{".log"}},
		{Tier: 2, Prefixes: []string{"/a/b/"}, Suffixes: []string{".audit.log"}},
		{Tier: 1, Prefixes: []string{"/a/b/c/"}},
	}
	backwards := []*messages.TierRow{rows[2], rows[1], rows[0]}
	for _, table := range []*tier.Table{tier.NewTable(rows), tier.NewTable(backwards)} {
		assert.Equal(t, model.Tier(3), table.For("/a/x"))
		assert.Equal(t, model.Tier(2), table.For("/a/b/x"))
		assert.Equal(t, model.Tier(1), table.For("/a/b/c/x"))
		assert.Equal(t, model.Tier(3), table.For("/a/b/c/x.log"))
		assert.Equal(t, model.Tier(2), table.For("/a/x.audit.log"))
	}
}

func TestTable_OfEqualPatternsTheMoreValuableTierWins(t *testing.T) {
	table := tier.NewTable([]*messages.TierRow{{Tier: 3, Prefixes: []string{"/a/"}}, {Tier: 2, Prefixes: []string{"/a/"}}})
	assert.Equal(t, model.TierImportant, table.For("/a/x"))
}

func TestTable_LeavesOutWhatIsNoRule(t *testing.T) {
	table := tier.NewTable([]*messages.TierRow{
		{Tier: 3, Prefixes: []string{""}, Suffixes: []string{""}}, // would match everything
		{Tier: 0, Prefixes: []string{"/a/"}},
		{Tier: 4, Prefixes: []string{"/a/"}},
		{Tier: 258, Prefixes: []string{"/a/"}}, // 2 in its lowest byte
		nil,
	})
	assert.Equal(t, model.TierCritical, table.For("/a/x"))
	assert.Equal(t, model.TierCritical, (&tier.Table{}).For("/tmp/x"))
}

func TestCopies(t *testing.T) {
	for _, c := range []struct {
		tier   model.Tier
		factor int
		want   int
	}{
		{model.TierCritical, 2, 3}, {model.TierImportant, 2, 2}, {model.TierRebuildable, 2, 1},
		{model.TierCritical, 1, 2}, {model.TierImportant, 1, 1}, {model.TierRebuildable, 5, 1},
		{model.TierCritical, 0, 2}, {model.TierImportant, -1, 1}, {model.TierUnset, 2, 3},
	} {
		assert.Equal(t, c.want, tier.Copies(c.tier, c.factor), "%v with factor %d", c.tier, c.factor)
	}
}

func TestTable_SaysWhichPatternDecided(t *testing.T) {
	table := tier.NewTable(tier.DefaultRows())
	for _, c := range []struct {
		path, reason string
		tier         model.Tier
	}{
		{"/cache/a", "the path begins with /cache/", model.TierRebuildable},
		{"/cache/a.emm", "the path ends in .emm", model.TierCritical},
		{"/elsewhere/a", "no prefix or suffix of the table matches; such a path is critical, to be safe", model.TierCritical},
	} {
		got, reason := table.Why(c.path)
		assert.Equal(t, c.tier, got, c.path)
		assert.Equal(t, c.tier, table.For(c.path), c.path)
		assert.Equal(t, c.reason, reason, c.path)
	}
}

func TestWanted_TheRowOfATierComesBeforeTheReplicationFactor(t *testing.T) {
	rows := []*messages.TierRow{{Tier: 1}, {Tier: 2, Copies: 5}, nil}
	assert.Equal(t, 3, tier.Wanted(rows, model.TierCritical, 2), "a row that says nothing")
	assert.Equal(t, 5, tier.Wanted(rows, model.TierImportant, 2))
	assert.Equal(t, 1, tier.Wanted(rows, model.TierRebuildable, 2), "no row")
	assert.Equal(t, 2, tier.Wanted(nil, model.TierImportant, 2))
}

func TestMinCopies_IsWhatTheTierSaysElseTwoOfTheCritical(t *testing.T) {
	rows := []*messages.TierRow{{Tier: 1, MinCopies: 4}, {Tier: 2}}
	assert.Equal(t, 4, tier.MinCopies(rows, model.TierCritical, 3), "asked for, though there are fewer workers: writes wait for more")
	assert.Equal(t, 1, tier.MinCopies(rows, model.TierImportant, 3))
	assert.Equal(t, 2, tier.MinCopies(nil, model.TierCritical, 3))
	assert.Equal(t, 1, tier.MinCopies(nil, model.TierCritical, 1))
	assert.Equal(t, 1, tier.MinCopies(nil, model.TierRebuildable, 3))
}
