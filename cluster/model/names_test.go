package model_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
)

func TestEpoch_OrdersByGenerationThenTerm(t *testing.T) {
	inOrder := []model.Epoch{{}, {0, 1}, {0, 9}, {1, 0}, {1, 2}, {2, 1}}
	for i, a := range inOrder {
		for j, b := range inOrder {
			assert.Equal(t, i < j, a.Less(b), "%v < %v", a, b)
		}
	}
	assert.Equal(t, "3.14", model.Epoch{Generation: 3, Term: 14}.String())
}

func TestTier_KnowsItsNameAndWhatItPromises(t *testing.T) {
	for _, c := range []struct {
		tier          model.Tier
		name          string
		valid, synced bool
	}{
		{model.TierUnset, "unset", false, true}, // unknown is treated as dear
		{model.TierCritical, "critical", true, true},
		{model.TierImportant, "important", true, true},
		{model.TierRebuildable, "rebuildable", true, false},
		{model.Tier(4), "unset", false, true},
	} {
		assert.Equal(t, c.name, c.tier.Name())
		assert.Equal(t, c.valid, c.tier.Valid(), "tier %d", c.tier)
		assert.Equal(t, c.synced, c.tier.Synced(), "tier %d", c.tier)
	}
	assert.Equal(t, [...]model.Tier{1, 2, 3}, model.Tiers)
}

func TestVolumeID_ReadsAsADecimalNumber(t *testing.T) {
	assert.Equal(t, "18446744073709551615", model.VolumeID(1<<64-1).String())
}
