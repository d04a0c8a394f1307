package simtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

func TestStory_NobodyOfAnOlderEpochDropsOrScrubs(t *testing.T) {
	c := newCopies(t, 506)
	s := c.seal(c.story.hosts[0], testVolume, 100)
	c.term--
	assert.Equal(t, "stale_epoch", c.drop(s, 1, false).Error.GetCode())
	r := ask[*messages.ScrubCopiesReply](c.probe, workerPath, &messages.ScrubCopies{Header: c.order(), Job: 3})
	assert.Equal(t, "stale_epoch", r.Error.GetCode())
	c.term++
	assert.NotNil(t, c.report(s.id))
}

func TestStory_ADamagedCopyIsFoundToldAndIsNoSource(t *testing.T) {
	for _, by := range []string{"a remote read", "a local read", "a doubt", "itself"} {
		c := newCopies(t, 507)
		h := c.story.hosts[0]
		s := c.seal(h, testVolume, 100, 70_000, 5000)
		c.spoil(h, s.id, int64(s.placed[0].Offset+s.placed[0].RecordBytes)-1)
		p := s.placed[0]
		switch by {
		case "a remote read":
			e := &messages.Extent{Volume: s.id, Generation: 1, Offset: p.Offset, RecordBytes: p.RecordBytes, BodyBytes: p.BodyBytes, HeaderCrc32C: p.HeaderCRC}
			r := ask[*messages.ReadExtentReply](c.probe, workerPath, &messages.ReadExtent{Header: c.header(), Extent: e, To: p.BodyBytes})
			require.Equal(t, "corrupt", r.Error.GetCode())
		case "a local read":
			_, err := h.data.Volumes.ReadBody(testVolume, p.Offset, p.RecordBytes, p.HeaderCRC, 0, p.BodyBytes, nil)
			require.Equal(t, model.CodeCorrupt, model.CodeOf(err))
		case "a doubt":
			c.send(workerPath, &messages.CheckCopy{Volume: s.id, Cause: "a test"})
		case "itself":
			c.send(workerPath, &messages.SettingsChanged{Settings: &messages.Settings{ScrubBytesPerSecond: 1 << 20}})
		}
		require.True(t, c.story.world.RunUntil(func() bool { return len(c.damaged) >= 2 }, 10*time.Second), "%s: told, and told again", by)
		m := c.damaged[0]
		assert.Equal(t, []any{"n-1", s.id, uint64(1), uint64(1)}, []any{m.Node, m.Volume, m.Generation, m.ReplicaGen})
		v := c.report(s.id)
		assert.Contains(t, v.Damage, "volume 900 is damaged at byte")
		q := s.placed[1]
		_, err := h.data.Volumes.ReadBody(testVolume, q.Offset, q.RecordBytes, q.HeaderCRC, 0, q.BodyBytes, nil)
		assert.NoError(t, err, "its other records are read as before")

		c.at(1)
		r := c.settle(c.settleOrder(s, 7, 0))
		assert.Equal(t, "unavailable", r.Error.GetCode())
		assert.Nil(t, c.report(s.id), "%s: nothing was copied", by)
	}
}

func TestStory_AScrubJobChecksEveryCopyAndSaysHowFarItIs(t *testing.T) {
	c := newCopies(t, 508)
	h := c.story.hosts[0]
	for i := range uint64(5) {
		c.seal(h, testVolume+i, 100, 150_000)
	}
	c.spoil(h, testVolume+3, 100_000)
	order := &messages.ScrubCopies{Job: 3, BytesPerSecond: 200_000}
	next := func() *messages.ScrubCopiesReply {
		m := proto.Clone(order).(*messages.ScrubCopies)
		m.Header = c.order()
		return ask[*messages.ScrubCopiesReply](c.probe, workerPath, m)
	}
	began := c.story.world.Now()
	first := next()
	assert.False(t, first.Finished)
	require.GreaterOrEqual(t, first.TotalBytes, uint64(5*150_000))
	var r *messages.ScrubCopiesReply
	require.True(t, c.story.world.RunUntil(func() bool { r = next(); return r.Finished }, time.Minute))
	assert.EqualValues(t, 1, r.Damaged)
	assert.GreaterOrEqual(t, r.Checked, uint64(5))
	assert.Equal(t, r.TotalBytes, r.DoneBytes)
	assert.GreaterOrEqual(t, c.story.world.Now().Sub(began), 3*time.Second, "within its limit")
	assert.NotEmpty(t, c.report(testVolume+3).Damage)

	// Found by a newcomer: a scrub that was paused had ended, and all was said to be checked.
	order = &messages.ScrubCopies{Job: 4, BytesPerSecond: 100_000}
	assert.False(t, next().Finished)
	c.story.world.Run(3 * time.Second)
	order.Pause = true
	next()
	c.story.world.Run(5 * time.Second)
	paused := next()
	assert.False(t, paused.Finished)
	c.story.world.Run(time.Minute)
	r = next()
	assert.False(t, r.Finished)
	assert.Equal(t, paused.DoneBytes, r.DoneBytes, "it rests")
	order.Pause, order.BytesPerSecond = false, 1<<30
	require.True(t, c.story.world.RunUntil(func() bool { r = next(); return r.Finished }, time.Minute))
	assert.Equal(t, r.TotalBytes, r.DoneBytes)
	assert.GreaterOrEqual(t, r.Checked, uint64(5))
}

func TestStory_AMasterHearsWhetherACopyIsSound(t *testing.T) {
	c := newCopies(t, 512)
	h := c.story.hosts[0]
	c.noScrub()
	s := c.seal(h, testVolume, 100, 200_000, 5000)
	order := func(change func(*messages.VerifyCopy)) string {
		m := &messages.VerifyCopy{Header: c.order(), Volume: s.id, Generation: 1, ReplicaGen: 1, SealedEnd: uint64(len(s.bytes))}
		if change != nil {
			change(m)
		}
		r := ask[*messages.VerifyCopyReply](c.probe, workerPath, m)
		assert.Equal(t, []any{"n-1", m.Volume, m.ReplicaGen}, []any{r.Node, r.Volume, r.ReplicaGen})
		return r.Error.GetCode()
	}
	assert.Empty(t, order(nil))
	assert.Equal(t, "conflict", order(func(m *messages.VerifyCopy) { m.Volume++ }), "there is none")
	assert.Equal(t, "conflict", order(func(m *messages.VerifyCopy) { m.ReplicaGen++ }))
	assert.Equal(t, "conflict", order(func(m *messages.VerifyCopy) { m.Generation++ }))
	assert.Equal(t, "conflict", order(func(m *messages.VerifyCopy) { m.SealedEnd++ }), "it is short")
	assert.Equal(t, "stale_epoch", order(func(m *messages.VerifyCopy) { m.Header.EpochTerm-- }))
	assert.Empty(t, c.damaged)

	c.send(workerPath, &messages.SettingsChanged{Settings: &messages.Settings{NodeBackgroundBytesPerSecond: 100_000}})
	began := c.story.world.Now()
	assert.Empty(t, order(nil))
	assert.GreaterOrEqual(t, c.story.world.Now().Sub(began), time.Second, "under the node's limit")

	c.spoil(h, s.id, 150_000)
	assert.Equal(t, "corrupt", order(nil))
	assert.NotEmpty(t, c.report(s.id).Damage)
	assert.Equal(t, "corrupt", order(nil), "as it is known")
	require.True(t, c.story.world.RunUntil(func() bool { return len(c.damaged) > 0 }, 10*time.Second), "the master is told as of any damage")
}

// noScrub keeps the worker spoken to from reading copies by itself.
func (p *probe) noScrub() {
	p.send(workerPath, &messages.SettingsChanged{Settings: &messages.Settings{}})
}

func TestStory_TheCopyThatStaysIsReadBeforeTheOtherOneGoes(t *testing.T) {
	// Found by seed 701342: the only other copy had gone bad unseen, and a drain gave up the good one.
	p := filled(t, 1013, 3)
	away := p.other()
	var row *messages.VolumeRow
	for _, v := range p.catalogRows() {
		if v.State == messages.VolumeState_SEALED && v.SealedEnd > 4000 && len(v.Members) == 3 {
			row = v
			break
		}
	}
	require.NotNil(t, row)
	here := make([]*host, 0, 2)
	for _, m := range row.Members {
		require.True(t, m.Verified)
		if m.Node != string(away.name) {
			here = append(here, p.story.hostOf(m.Node))
		}
	}
	liar, drained := here[0], here[1]
	away.turnOff(false)
	require.True(t, p.story.world.RunUntil(func() bool { return p.stateOf(away) == messages.WorkerState_UNREACHABLE }, time.Minute))
	p.host = liar
	p.noScrub()
	require.NoError(t, liar.node.FS().Damage(fmt.Sprintf("volumes/t%d/%d.vol", row.Tier, row.Id), store.DataStart+2000))
	r := ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: string(drained.name)})
	require.Nil(t, r.Error)
	require.True(t, p.story.world.RunUntil(func() bool {
		now, ok := p.story.master().catalog.Volume(row.Id)
		return ok && memberOn(now, drained) == nil
	}, 5*time.Minute), "%v", p.jobs(messages.JobKind_DRAIN))
	now, _ := p.story.master().catalog.Volume(row.Id)
	assert.True(t, memberOn(now, liar).Verified, "%v", now)
	p.readBack()
}

func TestStory_ACopyOfAWorkerThatWasGivenUpStaysNamedWhileTheOtherOneIsBad(t *testing.T) {
	p := filled(t, 1014, 3)
	drained := p.other()
	require.NotNil(t, ask[*messages.StartJobReply](p, gatewayPath, &messages.DrainWorker{Header: p.header(), Node: string(drained.name)}).Job)
	require.True(t, p.story.world.RunUntil(func() bool { return len(drained.data.Volumes.States()) == 0 }, 5*time.Minute))
	liar, away := p.story.master(), p.other()
	var row *messages.VolumeRow
	for _, v := range p.catalogRows() {
		if v.State == messages.VolumeState_SEALED && v.Tier == uint32(model.TierImportant) && v.SealedEnd > 4000 {
			row = v
			break
		}
	}
	require.NotNil(t, row)
	require.True(t, len(row.Members) == 2 && memberOn(row, liar).GetVerified() && memberOn(row, away).GetVerified(), "%v", row)
	p.host = liar
	p.noScrub()
	require.NoError(t, liar.node.FS().Damage(fmt.Sprintf("volumes/t%d/%d.vol", row.Tier, row.Id), store.DataStart+2000))
	away.turnOff(false)
	require.True(t, p.story.world.RunUntil(func() bool { return p.stateOf(away) == messages.WorkerState_DECOMMISSIONED }, time.Minute))
	p.story.world.Run(time.Minute)
	now, _ := liar.catalog.Volume(row.Id)
	assert.True(t, memberOn(now, liar).GetDamaged(), "it was read before the other one was to go: %v", now)
	require.NotNil(t, memberOn(now, away), "%v", now)
	away.turnOn()
	p.wholeAgain("after its return")
	p.readBack()
}
