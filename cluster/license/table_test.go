package license

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// contract is the table of the interface contract, cell by cell.
func contract(t *testing.T) (cells map[string]map[Level]string) {
	text, err := os.ReadFile("testdata/levels.md")
	require.NoError(t, err)
	cells = make(map[string]map[Level]string)
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		columns := strings.Split(strings.Trim(line, "|"), "|")
		if i < 2 {
			continue
		}
		title := strings.TrimSpace(columns[0])
		cells[title] = make(map[Level]string)
		for n, level := range Levels {
			cells[title][level] = strings.TrimSpace(columns[n+1])
		}
	}
	return cells
}

func granted(level Level) Grant {
	return Of(&messages.LicenseRow{Id: "l-1", Level: string(level), ExpiresUnixMs: 1000})
}

func TestTable_IsThatOfTheContract(t *testing.T) {
	text, err := os.ReadFile("testdata/levels.md")
	require.NoError(t, err)
	assert.Equal(t, string(text), Markdown())
}

func TestTable_EveryRowAtEveryLevelIsWhatTheRulesAllow(t *testing.T) {
	cells := contract(t)
	require.Len(t, cells, len(table))
	for _, f := range Features() {
		row, known := cells[f.Title()]
		require.True(t, known, "%s is not in the contract", f)
		for _, level := range Levels {
			g, cell := granted(level), row[level]
			switch f {
			case DataWorkers:
				limit := uint64(0)
				if cell != "unlimited" {
					limit, _ = strconv.ParseUint(cell, 10, 64)
					require.NotZero(t, limit, cell)
					assert.Nil(t, g.DenyWorker(int(limit)-1), "%s has room for %d", level, limit)
					require.NotNil(t, g.DenyWorker(int(limit)), "%s has no room for more than %d", level, limit)
				}
				assert.Equal(t, limit, g.MaxWorkers(), level)
			case Tiered:
				for _, tier := range model.Tiers {
					in := cell == "all" || strings.Contains(cell, strconv.Itoa(int(tier)))
					assert.Equal(t, in, g.Replicates(tier), "%s, tier %d: %s", level, tier, cell)
				}
			default:
				assert.Equal(t, cell == "yes", g.Has(f), "%s at %s: %s", f, level, cell)
				assert.Equal(t, cell != "yes", g.Deny(f) != nil, "%s at %s: %s", f, level, cell)
			}
		}
	}
}

func TestDenial_NamesTheFeatureAndTheLowestLevelThatHasIt(t *testing.T) {
	for _, c := range []struct {
		denial  *Denial
		feature Feature
		needs   Level
		has     Level
		says    string
	}{
		{Of(nil).Deny(Failover), Failover, Professional, Free, "master failover is not part of the licence level free of this cluster (there is no licence); the level professional has it"},
		{granted(Standard).Deny(AutoRebalance).ForSetting("a.b"), AutoRebalance, Enterprise, Standard, "without one leave a.b out of the change"},
		{granted(Standard).Deny(Synchronous), Synchronous, Professional, Standard, "(the licence l-1)"},
		{granted(Professional).Deny(AutoRebalance), AutoRebalance, Enterprise, Professional, "the level enterprise has it"},
		{granted(Standard).DenyTier(model.TierCritical), Synchronous, Professional, Standard, "synchronous replication (tier 1)"},
		{granted(Free).DenyTier(model.TierImportant), Tiered, Standard, Free, "the level standard has it"},
		{granted(Free).DenyCopies(model.TierRebuildable), Tiered, Standard, Free, "tiered replication"},
		{Of(nil).DenyWorker(1), Clustering, Standard, Free, "allows 1 data worker, and the cluster has 1; the level standard allows more. Install a licence"},
		{granted(Standard).DenyWorker(2), DataWorkers, Professional, Standard, "allows 2 data workers, and the cluster has 2"},
		{granted(Professional).DenyWorker(7), DataWorkers, Enterprise, Professional, "the level enterprise allows more"},
		{Of(&messages.LicenseRow{Id: "l-2", Level: "enterprise", MaxWorkers: 3}).DenyWorker(3), DataWorkers, Enterprise, Enterprise, "allows 3 data workers, and the cluster has 3; the limit is that licence's own"},
		{granted(Professional).DenyDC("b", []string{"a"}), CrossDC, Enterprise, Professional, "the node is in datacenter b and the cluster in a"},
		{granted(Standard).DenyDC("b", []string{"c", "b", "", "a", "c"}), CrossDC, Enterprise, Standard, "the node is in datacenter b and the cluster in a, b and c, and"},
		{granted(Standard).DenyDC("x", []string{"g", "f", "e", "d", "c", "b", "a"}), CrossDC, Enterprise, Standard, "the cluster in a, b, c, d, e and 2 more, and"},
		{Of(&messages.LicenseRow{Id: "l-3", Level: "enterprise", Expired: true}).Deny(Quotas), Quotas, Standard, Free, "(the licence l-3 has expired)"},
	} {
		require.NotNil(t, c.denial, c.says)
		assert.Equal(t, [3]string{string(c.feature), string(c.needs), string(c.has)},
			[3]string{string(c.denial.Feature), string(c.denial.Needs), string(c.denial.Has)}, c.says)
		err := c.denial.Err("test")
		assert.ErrorContains(t, err, c.says)
		assert.Equal(t, model.CodeLicenseDenied, model.CodeOf(err))
		assert.Equal(t, string(c.feature), c.denial.Facts()["feature"])
		assert.Equal(t, string(c.needs), c.denial.Facts()["level"])
		assert.Equal(t, Sentence(c.denial.Facts()), err.(*model.Error).Message, "the log's facts give the same sentence")
		assert.Equal(t, c.has == Enterprise, granted(c.has).Allows(c.denial.Facts()), "%s: enterprise lacks nothing but by a limit of its own", c.says)
		assert.True(t, granted(Enterprise).Allows(c.denial.Facts()), c.says)
	}
}

func TestGrant_ATierOfOneCopyAsksForNothing(t *testing.T) {
	for _, level := range Levels {
		assert.Nil(t, granted(level).DenyTier(model.TierRebuildable), level)
	}
	assert.Nil(t, granted(Enterprise).DenyDC("b", []string{"a"}))
	assert.Nil(t, granted(Free).DenyDC("a", []string{"", "a", "a"}))
	assert.Nil(t, granted(Free).DenyDC("", []string{"a"}), "a node without a label is nowhere else")
	assert.Equal(t, 1, granted(Standard).Copies(model.TierCritical, 3))
	assert.Equal(t, 2, granted(Standard).Copies(model.TierImportant, 2))
	assert.Equal(t, 3, granted(Professional).Copies(model.TierCritical, 3))
}

func TestGrant_ALimitOfItsOwnNarrowsTheLevelAndNeverWidensIt(t *testing.T) {
	of := func(level Level, most uint64) uint64 {
		return Of(&messages.LicenseRow{Level: string(level), MaxWorkers: most}).MaxWorkers()
	}
	assert.EqualValues(t, 3, of(Professional, 3))
	assert.EqualValues(t, 5, of(Professional, 50))
	assert.EqualValues(t, 50, of(Enterprise, 50))
	assert.EqualValues(t, 0, of(Enterprise, 0))
	assert.EqualValues(t, 1, of(Level("gold"), 50), "a level that nobody knows is free")
}
