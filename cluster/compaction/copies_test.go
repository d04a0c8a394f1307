package compaction_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/compaction"
	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestKeeping_WhatHasMoreCopiesThanNewVolumesGetStaysWhereItIs(t *testing.T) {
	three := func(row *messages.VolumeRow) *messages.VolumeRow {
		row.Members = append(row.Members, &messages.VolumeMember{Node: "n-2"}, &messages.VolumeMember{Node: "n-3"})
		return row
	}
	limited := volume(4, sealed, 1000, 10)
	limited.LicensedCopies = 1
	rows := []*messages.VolumeRow{
		three(volume(1, open, 0, 5)), three(volume(2, sealed, 1000, 10)), three(volume(3, sealed, 1000, 0)), limited,
		volume(5, sealed, 1000, 10), three(volume(6, retiring, 1000, 10)),
	}
	ids := func(rows []*messages.VolumeRow) (out []uint64) {
		for _, row := range rows {
			out = append(out, row.Id)
		}
		return out
	}
	assert.Equal(t, []uint64{1, 2, 3, 4, 5, 6}, ids(compaction.Keeping(rows, nil)))
	assert.Equal(t, []uint64{1, 2, 3, 4, 5, 6}, ids(compaction.Keeping(rows, map[model.Tier]bool{2: true})))
	assert.Equal(t, []uint64{1, 3, 4, 5}, ids(compaction.Keeping(rows, map[model.Tier]bool{1: true})), "sealed or on their way out, with content and copies")
	assert.Len(t, rows, 6, "what was given is not changed")
}
