package simtest

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Found by seed 200222: a reopening was logged, the worker never heard of it, and the
// volume was sealed as its holder was away. Its copy was left alone for ever.
func TestStory_AnOnlyCopyThatNeverSawItsReopeningIsSettledUpToThere(t *testing.T) {
	c := newCopies(t, 521)
	h := c.story.hosts[0]
	whole, tail := c.seal(h, testVolume, 100, 5000), c.seal(h, testVolume+1, 100, 5000, 700)
	order := c.settleOrder(whole, 1)
	order.Generation, order.GenerationStart, order.Digest = 2, order.SealedEnd, nil
	r := c.settle(order)
	require.Nil(t, r.Error)
	assert.Equal(t, whole.digest, r.Digest)
	state, _ := h.data.Volumes.State(testVolume)
	assert.EqualValues(t, 2, state.Generation)
	assert.Equal(t, whole.bytes, c.bytesOn(h, testVolume))

	// What it holds beyond is not what the new generation wrote there: that is lost.
	order = c.settleOrder(tail, 1)
	start := tail.placed[2].Offset
	order.Generation, order.GenerationStart, order.Digest = 2, start, nil
	r = c.settle(order)
	assert.NotNil(t, r.Error)
	assert.True(t, r.Intact)
	assert.Equal(t, start, r.End)
	assert.Equal(t, tail.bytes[:start], c.bytesOn(h, testVolume+1))

	// A copy of another replica generation is another copy.
	other := c.seal(h, testVolume+2, 100)
	order = c.settleOrder(other, 0)
	order.Generation, order.GenerationStart = 2, order.SealedEnd
	assert.Equal(t, model.CodeConflict, model.CodeOf(c.settle(order).Error.Err("settle")))
	assert.Equal(t, other.bytes, c.bytesOn(h, testVolume+2))
}

func TestStory_ACopyIsMadeFromTheFirstSourceThatHasIt(t *testing.T) {
	c := newCopies(t, 501)
	s := c.seal(c.story.hosts[0], testVolume, 100, 70_000, 5000)
	c.at(1)
	c.requireWhole(s, c.settle(c.settleOrder(s, 7, 2, 0)), 7)
	c.requireWhole(s, c.settle(c.settleOrder(s, 7, 2, 0)), 7)
	assert.Equal(t, "conflict", c.settle(c.settleOrder(s, 6, 0)).Error.GetCode(), "a newer copy is left alone")

	c.at(2)
	order := c.settleOrder(s, 8, 0, 1)
	order.Digest = nil
	c.requireWhole(s, c.settle(order), 8)
	other := *s
	other.id = testVolume + 1
	r := c.settle(c.settleOrder(&other, 7, 0, 1))
	assert.Equal(t, "unavailable", r.Error.GetCode())
	assert.Contains(t, r.Error.Message, "n-1, n-2")
	assert.Nil(t, c.report(other.id), "nothing is left of it")
}

func TestStory_ACopyThatIsCutShortByCrashesBecomesWholeAndNeverCountsBefore(t *testing.T) {
	c := newCopies(t, 502)
	s := c.seal(c.story.hosts[0], testVolume, 100, 70_000, 5000)
	h := c.at(1)
	for n := 1; n <= 12; n++ {
		if c.report(s.id) != nil {
			require.Nil(t, c.drop(s, 7, false).Error)
		}
		h.node.FS().CrashAfter(n, nil)
		c.send(workerPath, c.settleOrder(s, 7, 0))
		c.story.world.Run(200 * time.Millisecond)
		h.node.FS().CrashAfter(0, nil)
		h.node.Crash(n%2 == 0)
		c.waitReady()
		if v := c.report(s.id); v != nil && v.Sealed {
			assert.True(t, bytes.Equal(s.bytes, c.bytesOn(h, s.id)), "after %d steps", n)
		}
		c.requireWhole(s, c.settle(c.settleOrder(s, 7, 0)), 7)
	}
}

func TestStory_AnAdoptedCopyIsSafeFromTheDeleteThatNamesTheOldOne(t *testing.T) {
	c := newCopies(t, 503)
	s := c.seal(c.story.hosts[0], testVolume, 100, 70_000, 5000)
	h := c.at(1)
	v := h.data.Volumes
	require.NoError(t, v.Receive(model.TierCritical, testVolume, 1, 3))
	require.NoError(t, v.Fill(testVolume, store.DataStart, s.bytes[store.DataStart:s.placed[1].Offset]))
	c.requireWhole(s, c.settle(c.settleOrder(s, 7, 0)), 7)
	r := c.drop(s, 3, false)
	assert.Equal(t, "conflict", r.Error.GetCode(), "it names the copy that was taken over")
	c.requireWhole(s, c.settle(c.settleOrder(s, 7, 0)), 7)

	require.Nil(t, c.drop(s, 7, false).Error)
	assert.Nil(t, c.report(s.id))
	e := &messages.Extent{Volume: s.id, Generation: 1, Offset: s.placed[0].Offset, RecordBytes: s.placed[0].RecordBytes, BodyBytes: s.placed[0].BodyBytes, HeaderCrc32C: s.placed[0].HeaderCRC}
	read := ask[*messages.ReadExtentReply](c.probe, workerPath, &messages.ReadExtent{Header: c.header(), Extent: e, To: 1})
	assert.Equal(t, "unavailable", read.Error.GetCode())
	assert.Contains(t, read.Error.Message, "not on this node")
	require.Nil(t, c.drop(s, 7, false).Error, "again")

	h.node.Crash(true)
	c.waitReady()
	assert.Nil(t, c.report(s.id), "nor after a restart")
}

func TestStory_ACopyWithOtherBytesIsSetAsideWhenThereIsABetterOne(t *testing.T) {
	for _, replace := range []bool{false, true} {
		c := newCopies(t, 504)
		s := c.seal(c.story.hosts[0], testVolume, 100, 70_000, 5000)
		h := c.at(1)
		bad := append([]byte(nil), s.bytes...)
		if replace {
			c.requireWhole(s, c.settle(c.settleOrder(s, 2, 0)), 2)
			c.spoil(h, s.id, 150)
		} else {
			require.NoError(t, h.data.Volumes.Receive(model.TierCritical, testVolume, 1, 2))
			bad[150] ^= 1
			require.NoError(t, h.data.Volumes.Fill(testVolume, store.DataStart, bad[store.DataStart:]))
		}
		bad = c.bytesOn(h, s.id)
		order := func(sources ...int) *messages.SettleVolume {
			m := c.settleOrder(s, 2, sources...)
			m.Replace = replace
			return m
		}
		r := c.settle(order(2))
		assert.Equal(t, "unavailable", r.Error.GetCode(), "nobody has a better one")
		assert.Equal(t, bad, c.bytesOn(h, s.id), "so it stays")
		c.requireWhole(s, c.settle(order(2, 0)), 2)
		assert.Equal(t, bad, c.fileOn(h, "quarantine/volume-900.1/900.vol"))
		assert.Contains(t, string(c.fileOn(h, "quarantine/volume-900.1/reason.txt")), "other bytes than were sealed")
		c.requireWhole(s, c.settle(order(0)), 2)
		assert.Equal(t, []string{"volume-900.1/"}, c.listed(h, "quarantine"), "a copy that is right is not replaced again")
	}
}

func TestStory_ASourceThatHasOtherBytesIsPassedOverInTheEnd(t *testing.T) {
	c := newCopies(t, 511)
	s := c.seal(c.story.hosts[0], testVolume, 100, 70_000, 5000)
	c.at(2)
	c.noScrub()
	c.requireWhole(s, c.settle(c.settleOrder(s, 7, 0)), 7)
	c.spoil(c.host, s.id, 300) // and nobody has noticed
	h := c.at(1)
	r := c.settle(c.settleOrder(s, 7, 2))
	assert.Equal(t, "corrupt", r.Error.GetCode())
	assert.Contains(t, r.Error.Message, "n-3")
	assert.Nil(t, c.report(s.id), "nothing is left of it")
	require.True(t, c.story.world.RunUntil(func() bool { return len(c.damaged) > 0 }, 10*time.Second), "the source looks at what it has")
	assert.Equal(t, "n-3", c.damaged[0].Node)
	c.at(1)
	c.requireWhole(s, c.settle(c.settleOrder(s, 7, 2, 0)), 7)

	c.at(2)
	order := c.settleOrder(s, 7, 0)
	order.Replace = true
	c.requireWhole(s, c.settle(order), 7)
	c.spoil(c.host, s.id, 300) // again
	c.at(1)
	c.spoil(h, s.id, 150)
	bad := c.bytesOn(h, s.id)
	order = c.settleOrder(s, 7, 2)
	order.Replace = true
	assert.Equal(t, "corrupt", c.settle(order).Error.GetCode())
	assert.Equal(t, bad, c.bytesOn(h, s.id), "one that is not whole replaces nothing")
	assert.Empty(t, c.listed(h, "quarantine"))
	assert.Empty(t, c.listed(h, "tmp"))
	order = c.settleOrder(s, 7, 2, 0)
	order.Replace = true
	c.requireWhole(s, c.settle(order), 7)
}

func TestStory_ADroppedCopyCanBeSetAside(t *testing.T) {
	c := newCopies(t, 505)
	s := c.seal(c.story.hosts[0], testVolume, 100)
	require.Nil(t, c.drop(s, 1, true).Error)
	assert.Nil(t, c.report(s.id))
	assert.Equal(t, s.bytes, c.fileOn(c.host, "quarantine/volume-900.1/900.vol"))
	assert.Contains(t, string(c.fileOn(c.host, "quarantine/volume-900.1/reason.txt")), "a test")
}

// Found by seeds: a worker that was cut off while its volume was sealed and given to
// others still had it open, refused each delete, and kept the copy for good.
func TestStory_ACopyThatStillTakesAppendsIsFencedAndDropped(t *testing.T) {
	c := newCopies(t, 507)
	const gen = 5
	me := string(c.host.name)
	opened := ask[*messages.OpenVolumeReply](c.probe, workerPath, &messages.OpenVolume{
		Header: c.order(), Volume: testVolume, Tier: 1, Generation: 1, Members: []string{me}, ReplicaGen: gen,
	})
	require.Nil(t, opened.Error)
	require.True(t, c.report(testVolume).Writable)
	s := &sealedCopy{id: testVolume}
	assert.Equal(t, "conflict", c.drop(s, gen-1, false).Error.GetCode(), "a delete of an earlier copy")
	assert.NotNil(t, c.report(testVolume))
	require.Nil(t, c.drop(s, gen, false).Error)
	assert.Nil(t, c.report(testVolume))
	assert.NotContains(t, c.listed(c.host, "volumes/t1"), "900.vol")
}

func TestStory_BytesOfAJobFlowWhenTheForemanAndTheNodeAllowIt(t *testing.T) {
	c := newCopies(t, 509)
	s := c.seal(c.story.hosts[0], testVolume, 250_000, 250_000)
	c.at(1)
	order := func() *messages.SettleVolume {
		m := c.settleOrder(s, 7, 0)
		m.Job = 5
		return m
	}
	granted := uint64(0)
	c.grant = func(ctx *runtime.Context, m *messages.AskBandwidth) {
		if len(c.asked)%3 == 1 {
			return // lost: it is asked again with the same number
		}
		granted += m.Bytes
		ctx.Reply(&messages.BandwidthGranted{Header: messages.ReplyHeader(m.Header), Job: m.Job, Bytes: m.Bytes, Volume: m.Volume})
	}
	limit := &messages.SettingsChanged{Settings: &messages.Settings{NodeBackgroundBytesPerSecond: 100_000}}
	c.send(workerPath, limit)
	c.got = nil
	began := c.story.world.Now()
	c.send(workerPath, order())
	var reply *messages.SettleVolumeReply
	require.True(t, c.story.world.RunUntil(func() bool {
		c.story.world.Run(500 * time.Millisecond)
		c.send(workerPath, limit) // the cluster's own settings come now and then
		for _, m := range c.got {
			if r, ok := m.(*messages.SettleVolumeReply); ok {
				reply = r
			}
		}
		return reply != nil
	}, 2*time.Minute))
	c.requireWhole(s, reply, 7)
	assert.GreaterOrEqual(t, c.story.world.Now().Sub(began), 4*time.Second)
	assert.EqualValues(t, len(s.bytes)-store.DataStart, granted)
	assert.Equal(t, c.asked[0].Header.Request, c.asked[1].Header.Request)
	assert.False(t, slices.ContainsFunc(c.asked, func(m *messages.AskBandwidth) bool { return m.Job != 5 || m.Bytes > 64<<10 || m.Volume != s.id }))
	require.Nil(t, c.drop(s, 7, false).Error)

	c.grant = func(ctx *runtime.Context, m *messages.AskBandwidth) {
		ctx.Reply(&messages.BandwidthGranted{Header: messages.ReplyHeader(m.Header), Job: m.Job, Volume: m.Volume,
			Error: messages.FromError(model.Errorf(model.CodeConflict, "ask bandwidth", "job 5 is paused"))})
	}
	assert.Contains(t, c.settle(order()).Error.GetMessage(), "paused")
	c.grant = nil
	r := c.settle(order())
	assert.Contains(t, r.Error.GetMessage(), "does not answer", "it does not wait forever")
	assert.Nil(t, c.report(s.id))
}

func TestStory_AFailingDiskTakesNothingNewUntilItWorksAgain(t *testing.T) {
	c := newCopies(t, 510)
	h := c.at(1)
	var all []*sealedCopy
	for i := range uint64(3) {
		s := c.seal(c.story.hosts[0], testVolume+i, 100)
		all = append(all, s)
		require.NoError(t, h.data.Volumes.Receive(model.TierCritical, model.VolumeID(s.id), 1, 2))
	}
	capacity := func() *messages.CapacityReport {
		c.story.world.Run(1100 * time.Millisecond)
		return ask[*messages.ReportVolumesReply](c.probe, workerPath, &messages.ReportVolumes{Header: c.order()}).Capacity
	}
	for _, s := range all {
		assert.Empty(t, capacity().Failing)
		h.node.FS().FailNextSync(volumeFile(s.id), 1)
		assert.Equal(t, "unavailable", c.settle(c.settleOrder(s, 2, 0)).Error.GetCode())
	}
	r := capacity()
	assert.Contains(t, r.Failing, "3 volumes")
	assert.False(t, r.AcceptsWrites)
	assert.Zero(t, r.WritableBytes)
	for _, s := range all {
		c.requireWhole(s, c.settle(c.settleOrder(s, 2, 0)), 2) // what it has is not given up
	}
	c.story.world.Run(3 * time.Minute)
	r = capacity()
	assert.Empty(t, r.Failing, "a probe was written")
	assert.True(t, r.AcceptsWrites)
	assert.Zero(t, r.DamagedVolumes)
}
