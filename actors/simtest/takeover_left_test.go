package simtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors"
	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestTakeOver_ThePlanSaysWhatOnlyTheMembersLeftBehindHold(t *testing.T) {
	p := newClusterProbe(t, 970, 2)
	old, standby := p.story.master(), p.story.standby()
	require.NotNil(t, standby)
	p.host = old
	p.story.world.Run(3 * time.Second) // volumes of the time when the master was alone are sealed
	paths := make([]string, 0, 24)
	for n := range 24 {
		paths = append(paths, fmt.Sprintf("/mixed/%d", n))
		tier := model.TierRebuildable // one copy each
		if n%3 == 0 {
			tier = model.TierCritical // both have it
		}
		p.sendTier(paths[n], "value "+paths[n], tier)
		p.story.world.Run(100 * time.Millisecond)
	}
	p.story.world.Run(3 * time.Second)
	want, cat := int64(0), old.catalog
	for _, path := range paths {
		row, there := cat.Stat(clientTenant, path)
		require.True(t, there, path)
		if slices.ContainsFunc(row.Extents, func(e *messages.Extent) bool {
			v, _ := cat.Volume(e.Volume)
			return !slices.ContainsFunc(v.Members, func(m *messages.VolumeMember) bool { return m.Node == string(standby.name) })
		}) {
			want++
		}
	}
	old.turnOff(false)
	standby.turnOff(false)
	plan, err := actors.TakeOver(standby.node.FS(), randomReader{p.story.random}, false)
	require.NoError(t, err)
	require.NotNil(t, plan.Left, plan.LeftUnknown)
	assert.Equal(t, want, plan.Left.Files)
	assert.Positive(t, plan.Left.Files, "some lie on the old master only")
	assert.Less(t, plan.Left.Files, int64(len(paths)), "and some do not")
	assert.Positive(t, plan.Left.Volumes)
	assert.GreaterOrEqual(t, plan.Left.Bytes, uint64(100*plan.Left.Files))
}
