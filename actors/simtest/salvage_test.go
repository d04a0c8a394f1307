package simtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// sealedOf is the first sealed volume of a tier that holds more than one file.
func (p *probe) sealedOf(tier model.Tier) *messages.VolumeRow {
	p.t.Helper()
	for _, v := range p.catalogRows() {
		if v.State == messages.VolumeState_SEALED && v.Tier == uint32(tier) && v.SealedEnd > 20_000 {
			return v
		}
	}
	require.Fail(p.t, "no sealed volume", "tier %d", tier)
	return nil
}

// spoil changes a byte of each copy of a volume, each in another record.
func (p *probe) spoil(row *messages.VolumeRow) {
	p.t.Helper()
	for i, m := range row.Members {
		p.host = p.story.hostOf(m.Node)
		at := store.DataStart + int64(2000+5000*i)
		require.NoError(p.t, p.host.node.FS().Damage(fmt.Sprintf("volumes/t%d/%d.vol", row.Tier, row.Id), at))
	}
	p.host = p.story.master()
}

func (p *probe) scrub() {
	p.t.Helper()
	require.Nil(p.t, ask[*messages.StartJobReply](p, gatewayPath, &messages.StartScrub{Header: p.header()}).Error)
}

func TestStory_AVolumeOfWhichEachCopyIsBadInAnotherPlaceIsEmptiedAndLosesNothing(t *testing.T) {
	p := filled(t, 1021, 4)
	row := p.sealedOf(model.TierCritical)
	require.Len(t, row.Members, 3)
	p.spoil(row)
	p.scrub()
	require.True(t, p.story.world.RunUntil(func() bool {
		m := p.story.master()
		if m == nil || m.catalog == nil {
			return false
		}
		_, there := m.catalog.Volume(row.Id)
		return !there
	}, 5*time.Minute), "%v", p.volumes()[row.Id])
	p.wholeAgain("when it is gone")
	p.readBack()
	for _, j := range p.story.master().catalog.Jobs() {
		assert.Contains(t, []messages.JobState{messages.JobState_DONE, messages.JobState_CANCELLED}, j.State, "%v", j)
	}
}

func TestStory_WhatNoCopyHasStaysUntilItIsStoredAgainAndTheRestIsMoved(t *testing.T) {
	p := filled(t, 1022, 3)
	row := p.sealedOf(model.TierRebuildable)
	require.Len(t, row.Members, 1)
	p.spoil(row)
	p.scrub()
	left := func() int64 { return p.volumes()[row.Id].GetLiveBytes() }
	require.True(t, p.story.world.RunUntil(func() bool { return left() > 0 && left() < 5000 }, 2*time.Minute), "all but one is moved: %v", p.volumes()[row.Id])
	p.story.world.Run(time.Minute)
	assert.Greater(t, left(), int64(4000), "and that one stays")
	jobs := p.jobs(messages.JobKind_COMPACTION)
	require.NotEmpty(t, jobs)
	last := jobs[len(jobs)-1]
	require.NotEmpty(t, last.Blockers, "%v", last)
	assert.Contains(t, last.Blockers[0], fmt.Sprintf("each copy of volume %d is damaged", row.Id))
	require.Len(t, last.Blockers, 2)
	assert.Regexp(t, `^no copy can be read of /cache/\d+ of tenant `+clientTenant+`$`, last.Blockers[1])
	status := ask[*messages.ClusterStatusReply](p, gatewayPath, &messages.ClusterStatus{Header: p.header()})
	assert.Contains(t, strings.Join(status.Warnings, "\n"), "every copy of volume "+model.VolumeID(row.Id).String()+" is damaged")

	lost := 0
	for n := range 30 {
		path := fmt.Sprintf("/cache/%d", n)
		r := ask[*messages.StatReply](p, gatewayPath, &messages.Stat{Header: p.header(), Tenant: clientTenant, Path: path})
		require.Nil(t, r.Error)
		if r.Row.Extents[0].Volume == row.Id {
			lost++
			p.large(path, fmt.Sprintf("value cache %d", n), 4000)
		}
	}
	assert.Equal(t, 1, lost)
	require.True(t, p.story.world.RunUntil(func() bool { return p.volumes()[row.Id] == nil }, 2*time.Minute), "%v", p.volumes()[row.Id])
	p.wholeAgain("when it is gone")
	p.readBack()
	for _, j := range p.story.master().catalog.Jobs() {
		assert.Equal(t, messages.JobState_DONE, j.State, "%v", j)
	}
}
