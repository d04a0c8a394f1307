package master

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/actors/runtime"
	"tiercel/messages"
)

// dump is a compactor whose surroundings are played: a catalog with a retiring volume
// 1 that holds `left` extents, a volume 9 that takes them, workers, a foreman.
type dump struct {
	*rig
	left      []*messages.NamedExtent
	asked     []*messages.AskBandwidth
	grant     bool     // bandwidth at once
	reads     []uint64 // positions, in order
	under     int      // reads and appends that were begun and not committed
	most      int
	lagging   int // reports of a follower that say no before one says yes
	reports   int
	end       uint64
	readFails bool
	walks     int
	checks    int
}

func newDump(t *testing.T, extents int) *dump {
	d := &dump{rig: newRig(t, 2), grant: true}
	d.status.Jobs = []*messages.JobRow{{Id: 5, Kind: messages.JobKind_COMPACTION, State: messages.JobState_RUNNING}}
	d.cfg.CatalogPath, d.cfg.ForemanPath = "rows", "foreman"
	d.cfg.VolumePath = func(v, g uint64) string { return fmt.Sprintf("volume-%d.%d", v, g) }
	d.status.Volumes = []*messages.VolumeRow{
		{Id: 1, Tier: 2, State: messages.VolumeState_RETIRING, RetiredAt: 3, Generation: 1, SealedEnd: 9000, LiveBytes: int64(extents) * 150,
			Members: []*messages.VolumeMember{{Node: "w-1", Verified: true}, {Node: "w-2"}}},
		{Id: 9, Tier: 2, State: messages.VolumeState_OPEN, Generation: 4, Members: []*messages.VolumeMember{{Node: "w-1"}, {Node: "w-2"}}},
	}
	for i := range extents {
		d.left = append(d.left, &messages.NamedExtent{
			Tenant: "default", Path: fmt.Sprintf("/%d", i), Version: uint64(100 + i), Position: uint64(i),
			Extent: &messages.Extent{Volume: 1, Generation: 1, Offset: uint64(i) * 150, RecordBytes: 150, BodyBytes: 100},
		})
	}
	d.spawn("m", "rows", d.rows)
	d.spawn("m", "coordinator", d.commits)
	d.spawn("m", "foreman", d.foreman)
	d.spawn("w-1", "worker", d.worker("w-1"))
	d.spawn("w-2", "worker", d.worker("w-2"))
	d.spawn("w-1", "volume-9.4", d.primary)
	return d
}

func (d *dump) compact(span time.Duration) {
	_, err := d.world.Node("m").Runtime().SpawnRoot("compactor", func() runtime.Actor { return newCompactor(d.cfg) })
	require.NoError(d.t, err)
	d.world.Run(span)
}

func (d *dump) rows(ctx *runtime.Context, msg any) {
	m, ok := msg.(*messages.Lookup)
	if !ok {
		return
	}
	find := m.Items[0].GetFindExtents()
	if find == nil {
		d.status.Applied = d.applied
		ctx.Reply(&messages.LookupReply{Header: messages.ReplyHeader(m.Header), Answers: []*messages.LookupAnswer{{Kind: &messages.LookupAnswer_Status{Status: d.status}}}})
		return
	}
	d.walks++
	assert.Equal(d.t, []uint64{1}, find.Volumes)
	at := 0
	_, _ = fmt.Sscan(find.After, &at)
	page := &messages.FindExtentsReply{Found: d.left[at:min(at+100, len(d.left))]}
	if at+100 < len(d.left) {
		page.Next = fmt.Sprint(at + 100)
	}
	ctx.Reply(&messages.LookupReply{Header: messages.ReplyHeader(m.Header), Answers: []*messages.LookupAnswer{{Kind: &messages.LookupAnswer_FindExtents{FindExtents: page}}}})
}

func (d *dump) foreman(ctx *runtime.Context, msg any) {
	if m, ok := msg.(*messages.AskBandwidth); ok {
		d.asked = append(d.asked, m)
		if d.grant {
			ctx.Reply(&messages.BandwidthGranted{Header: messages.ReplyHeader(m.Header), Job: m.Job, Bytes: m.Bytes, Volume: m.Volume})
		}
	}
}

func (d *dump) worker(node string) actorFunc {
	return func(ctx *runtime.Context, msg any) {
		switch m := msg.(type) {
		case *messages.ReadExtent:
			assert.Equal(d.t, "w-1", node, "only a verified copy is read")
			d.reads = append(d.reads, m.Extent.Offset/150)
			if d.readFails {
				ctx.Reply(&messages.ReadExtentReply{Header: messages.ReplyHeader(m.Header), Node: node, Error: &messages.Error{Code: "corrupt"}})
				return
			}
			d.under++
			d.most = max(d.most, d.under)
			ctx.Reply(&messages.ReadExtentReply{Header: messages.ReplyHeader(m.Header), Body: make([]byte, m.To-m.From), Node: node})
		case *messages.CheckCopy:
			d.checks++
		case *messages.ReportVolumes:
			d.reports++
			assert.EqualValues(d.t, 7, m.Header.EpochTerm)
			report := &messages.VolumeReport{Volume: 9, Generation: 4, Watermark: d.end}
			if d.lagging--; d.lagging >= 0 {
				report.Watermark = 10
			}
			ctx.Reply(&messages.ReportVolumesReply{Header: messages.ReplyHeader(m.Header), Node: node, Volumes: []*messages.VolumeReport{report}})
		}
	}
}

// primary has fsynced what it answers; its follower has not said so yet.
func (d *dump) primary(ctx *runtime.Context, msg any) {
	m, ok := msg.(*messages.AppendRecords)
	if !ok {
		return
	}
	item := m.Items[0]
	assert.Zero(d.t, item.Session)
	d.end += 150
	ctx.Reply(&messages.AppendRecordsReply{Header: messages.ReplyHeader(m.Header), Volume: 9, Items: []*messages.AppendedItem{{
		Item: item.Item, DurableOn: []string{"w-1"}, InSync: []string{"w-1"},
		Extent: &messages.Extent{Volume: 9, Generation: 4, Offset: d.end - 150, RecordBytes: 150, BodyBytes: uint64(len(item.Body))},
	}}})
}

// commits grants volume 9 and does to the rows what apply would.
func (d *dump) commits(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case *messages.Begin:
		assert.True(d.t, m.Items[0].Reserved)
		ctx.Reply(&messages.BeginReply{Header: messages.ReplyHeader(m.Header), Grants: []*messages.BeginGrant{{
			Item: m.Items[0].Item, Volume: 9, Generation: 4, Primary: "w-1", Members: []string{"w-1", "w-2"},
		}}})
	case *messages.Commit:
		if move := m.Commands[0].GetMoveExtents(); move != nil {
			d.under--
			for i, n := range d.left {
				if n.Path == move.Path && n.Version == move.Version {
					d.left = append(d.left[:i:i], d.left[i+1:]...)
					break
				}
			}
			d.status.Volumes[0].LiveBytes -= 150
		}
		if m.Commands[0].GetDropVolume() != nil && d.status.Volumes[0].LiveBytes == 0 {
			d.status.Volumes = d.status.Volumes[1:]
		}
		d.coordinator(ctx, msg)
	}
}

func (d *dump) dropped() bool { return len(d.status.Volumes) == 1 }

func TestCompactor_MovesEverythingOnceEveryMemberHasItAndDropsTheVolume(t *testing.T) {
	d := newDump(t, 30)
	d.lagging = 40
	d.compact(20 * time.Second)
	assert.True(t, d.dropped())
	assert.Empty(t, d.left)
	assert.Greater(t, d.reports, 40, "the follower was asked until it had everything")
	assert.GreaterOrEqual(t, len(d.asked), 30, "each read waits for its turn")
	last := d.logged[len(d.logged)-1]
	assert.NotNil(t, last.GetDropVolume())
}

func TestCompactor_HasABoundedNumberUnderWay(t *testing.T) {
	d := newDump(t, 500)
	d.compact(30 * time.Second)
	assert.True(t, d.dropped())
	assert.LessOrEqual(t, d.most, passMoves)
	assert.Greater(t, d.most, 1)
}

func TestCompactor_WaitsForTheForemansWord(t *testing.T) {
	d := newDump(t, 3)
	d.grant = false
	d.status.Jobs = []*messages.JobRow{
		{Id: 4, Kind: messages.JobKind_COMPACTION, State: messages.JobState_DONE},
		{Id: 5, Kind: messages.JobKind_COMPACTION, State: messages.JobState_RUNNING},
		{Id: 6, Kind: messages.JobKind_DRAIN, State: messages.JobState_RUNNING},
	}
	d.compact(10 * time.Second)
	require.Len(t, d.asked, 3)
	assert.EqualValues(t, 5, d.asked[0].Job)
	assert.EqualValues(t, 150, d.asked[0].Bytes)
	assert.Empty(t, d.reads, "nothing is read before")
}

func TestCompactor_DoesNothingWhileItsJobIsPaused(t *testing.T) {
	d := newDump(t, 3)
	d.status.Jobs = []*messages.JobRow{{Id: 5, Kind: messages.JobKind_COMPACTION, State: messages.JobState_PAUSED}}
	d.compact(20 * time.Second)
	assert.Empty(t, d.reads)
	assert.Empty(t, d.logged)
}

func TestCompactor_RestsWhenAPassMovedNothing(t *testing.T) {
	d := newDump(t, 3)
	d.readFails = true
	d.compact(30 * time.Second)
	assert.False(t, d.dropped())
	assert.GreaterOrEqual(t, d.walks, 3)
	assert.LessOrEqual(t, d.walks, 7, "a pass every few seconds")
	assert.Equal(t, len(d.reads), d.checks, "the worker is told to look at its copy")
	d.world.Run(10 * time.Minute)
	assert.LessOrEqual(t, d.walks, 18, "and later one a minute")
	d.readFails = false
	d.world.Run(passRestMax + 20*time.Second)
	assert.True(t, d.dropped())
}

func TestCompactor_DoesNotTryEveryExtentOfAVolumeThatCannotBeRead(t *testing.T) {
	d := newDump(t, 900)
	d.readFails = true
	d.compact(4 * time.Second)
	assert.Equal(t, 1, d.walks/9, "one walk of nine pages")
	assert.LessOrEqual(t, len(d.reads), passFailures+passMoves)
}

func TestCompactor_ReleasesGarbageThatNoWalkCanFind(t *testing.T) {
	d := newDump(t, 0)
	d.status.Volumes[0].LiveBytes = 450
	d.compact(4 * time.Second)
	require.NotEmpty(t, d.logged, "a refused drop is an entry, which releases a piece")
	assert.NotNil(t, d.logged[0].GetDropVolume())
}

func TestCompactor_MovesNothingBeforeThereIsAJob(t *testing.T) {
	d := newDump(t, 20)
	jobs := d.status.Jobs
	d.status.Jobs = nil
	d.compact(10 * time.Second)
	assert.Empty(t, d.reads)
	d.status.Jobs = jobs
	d.world.Run(20 * time.Second)
	assert.True(t, d.dropped())
}

func TestCoordinator_HoldsADropBackUntilTheStandbyKnowsWhy(t *testing.T) {
	drop := &messages.Command{Kind: &messages.Command_DropVolume{DropVolume: &messages.DropVolume{Volume: 1}}}
	other := &messages.Command{Kind: &messages.Command_RetireVolume{RetireVolume: &messages.RetireVolume{Volume: 1}}}
	for name, c := range map[string]struct {
		standby *messages.StandbyMatch
		newest  uint64
		soon    bool
	}{
		"the log has not said whether there is one": {nil, 10, true},
		"nothing was seen applied yet":              {&messages.StandbyMatch{}, 0, true},
		"there is none":                             {&messages.StandbyMatch{}, 10, false},
		"it is behind":                              {&messages.StandbyMatch{Standing: true, InContact: true, Match: 9}, 10, true},
		"it is as far":                              {&messages.StandbyMatch{Standing: true, InContact: true, Match: 10}, 10, false},
		"it is away":                                {&messages.StandbyMatch{Standing: true, Match: 10}, 10, true},
	} {
		coordinator := &Coordinator{standby: c.standby, newest: c.newest}
		assert.Equal(t, c.soon, coordinator.tooSoon(drop), name)
		assert.False(t, coordinator.tooSoon(other), name)
	}
}
