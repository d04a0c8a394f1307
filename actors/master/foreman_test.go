package master

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// yard is a foreman with workers that remember their orders.
type yard struct {
	*rig
	orders map[string][]proto.Message
	copies map[string][]*messages.VolumeReport // what workers report
	grants []grantAt
	lost   []*messages.ChangeMembers // that never came to the log; nil: all do
}

type grantAt struct {
	at    time.Duration
	bytes uint64
	err   string
}

func newYard(t *testing.T, workers int) *yard {
	y := &yard{rig: newRig(t, workers), orders: make(map[string][]proto.Message), copies: make(map[string][]*messages.VolumeReport)}
	y.cfg.ForemanPath = "foreman"
	y.status.Cluster.Settings = &messages.Settings{}
	y.status.Cluster.NextVolume, y.status.Cluster.NextReplicaGen = 100, 1000
	for _, node := range y.status.WorkerNodes {
		if node != "m" {
			y.spawn(node, "worker", func(ctx *runtime.Context, msg any) { y.worker(ctx, node, msg) })
		}
	}
	y.spawn("m", "coordinator", y.commits)
	_, err := y.world.Node("m").Runtime().SpawnRoot("foreman", func() runtime.Actor { return newForeman(y.cfg) })
	require.NoError(t, err)
	for _, node := range y.status.WorkerNodes {
		y.tell(node, &messages.CapacityReport{Node: node, TotalBytes: 1 << 40, FreeBytes: 1 << 39, AcceptsWrites: true, WritableBytes: 1 << 39})
	}
	return y
}

// commits does to the rows what apply would.
func (y *yard) commits(ctx *runtime.Context, msg any) {
	if m, ok := msg.(*messages.Commit); ok {
		for _, cmd := range m.Commands {
			if change := cmd.GetChangeMembers(); change != nil && y.lost != nil {
				y.lost = append(y.lost, change)
				return
			}
			mark := cmd.GetMarkDamaged()
			for _, row := range y.status.Volumes {
				if member := memberOf(row, mark.GetNode()); member != nil && row.Id == mark.Volume {
					member.Verified, member.Damaged = false, true
				}
			}
		}
	}
	y.coordinator(ctx, msg)
}

func (y *yard) worker(ctx *runtime.Context, node string, msg any) {
	switch m := msg.(type) {
	case *messages.ReportVolumes:
		ctx.SendBulk(ctx.Sender(), &messages.ReportVolumesReply{Header: messages.ReplyHeader(m.Header), Node: node, Volumes: y.copies[node]})
	case *messages.SettleVolume, *messages.VerifyCopy, *messages.DropCopy:
		y.orders[node] = append(y.orders[node], m.(proto.Message))
	case *messages.BandwidthGranted:
		y.grants = append(y.grants, grantAt{y.world.Elapsed(), m.Bytes, m.Error.GetCode()})
	}
}

// tell sends something to the foreman as a worker.
func (y *yard) tell(node string, msg proto.Message) {
	if node == "m" {
		return
	}
	host := y.world.Node(model.NodeID(node)).Runtime().(runtime.Host)
	host.System().Root.RequestWithCustomSender(host.Peer("m", "foreman"), msg, host.Local("worker"))
}

// sealed adds a sealed volume of tier 1 with whole copies on nodes.
func (y *yard) sealed(id uint64, nodes ...string) *messages.VolumeRow {
	row := &messages.VolumeRow{Id: id, Tier: 1, State: messages.VolumeState_SEALED, Generation: 1, SealedEnd: 1000, CommittedEnd: 1000, LiveBytes: 900, Digest: []byte("d")}
	for i, node := range nodes {
		row.Members = append(row.Members, &messages.VolumeMember{Node: node, ReplicaGen: 10*id + uint64(i), Verified: true})
		y.copies[node] = append(y.copies[node], &messages.VolumeReport{Volume: id, Tier: 1, Generation: 1, ReplicaGen: 10*id + uint64(i), End: 1000, Watermark: 1000, Sealed: true})
	}
	y.status.Volumes = append(y.status.Volumes, row)
	return row
}

// keepReporting lets every worker tell of its disk once a second, as real ones do.
func (y *yard) keepReporting() {
	y.world.At(time.Second, func() {
		for _, node := range y.status.WorkerNodes {
			y.tell(node, &messages.CapacityReport{Node: node, TotalBytes: 1 << 40, FreeBytes: 1 << 39, AcceptsWrites: true, WritableBytes: 1 << 39})
		}
		y.keepReporting()
	})
}

func dropped(orders []proto.Message) (out []*messages.DropCopy) {
	for _, o := range orders {
		if d, ok := o.(*messages.DropCopy); ok {
			out = append(out, d)
		}
	}
	return out
}

func TestForeman_DeletesExactlyTheCopiesThatNoRowNames(t *testing.T) {
	y := newYard(t, 3)
	y.sealed(1, "w-1", "w-2", "w-3")
	y.copies["w-1"] = append(y.copies["w-1"],
		&messages.VolumeReport{Volume: 2, Generation: 1, ReplicaGen: 77, End: 500, Sealed: true},   // dropped long ago
		&messages.VolumeReport{Volume: 500, Generation: 1, ReplicaGen: 78, End: 500, Sealed: true}, // of nobody's numbers
	)
	y.world.Run(5 * time.Second)
	got := dropped(y.orders["w-1"])
	require.Len(t, got, 2)
	assert.True(t, proto.Equal(&messages.DropCopy{Header: got[0].Header, Volume: 2, ReplicaGen: 77, Cause: "its volume was dropped"}, got[0]))
	assert.EqualValues(t, 500, got[1].Volume)
	assert.True(t, got[1].SetAside, "what was never made here may be somebody's: it is kept")
	assert.Equal(t, y.cfg.Term, got[0].Header.EpochTerm)
	assert.Empty(t, dropped(y.orders["w-2"]))
}

func TestForeman_ACopyThatAppearsWhileItIsAskedIsNotDeleted(t *testing.T) {
	y := newYard(t, 3)
	y.sealed(1, "w-1", "w-2")
	// The worker reports a copy whose membership the newest rows have and older ones had not.
	y.copies["w-3"] = []*messages.VolumeReport{{Volume: 1, Generation: 1, ReplicaGen: 999, End: 1000, Sealed: true}}
	y.world.At(1, func() {
		y.status.Volumes[0].Members = append(y.status.Volumes[0].Members, &messages.VolumeMember{Node: "w-3", ReplicaGen: 999})
	})
	y.world.Run(5 * time.Second)
	assert.Empty(t, dropped(y.orders["w-3"]))
}

func TestForeman_DoesNothingOnRowsOfAnotherMaster(t *testing.T) {
	y := newYard(t, 3)
	y.status.Cluster.Term = 6 // this master's start is not in the log yet
	y.copies["w-1"] = []*messages.VolumeReport{{Volume: 2, Generation: 1, ReplicaGen: 77, End: 500}}
	y.world.Run(5 * time.Second)
	assert.Empty(t, y.orders)
	assert.Empty(t, y.logged)
}

func TestForeman_AMissingFileAndAShortOneAreMarkedDamaged(t *testing.T) {
	y := newYard(t, 3)
	y.sealed(1, "w-1", "w-2", "w-3")
	y.sealed(2, "w-1", "w-2", "w-3")
	y.keepReporting()
	y.copies["w-1"] = y.copies["w-1"][:1]
	y.copies["w-2"][1].End = 400
	y.world.Run(40 * time.Second) // one change of a volume at a time; the next sweep says the rest
	var marked []string
	for _, cmd := range y.logged {
		if m := cmd.GetMarkDamaged(); m != nil {
			marked = append(marked, m.Node+" "+m.Cause)
		}
	}
	slices.Sort(marked)
	assert.Equal(t, []string{"w-1 its file is gone", "w-2 it has 400 of 1000 bytes"}, slices.Compact(marked))
}

// Found by a seed: the job was done while a worker was away with a copy for it, which
// then asked for bandwidth for ever.
func TestForeman_GrantsBytesOfAJobThatIsDoneButNotOfOneThatWasCancelled(t *testing.T) {
	y := newYard(t, 3)
	y.status.Jobs = []*messages.JobRow{
		{Id: 5, Kind: messages.JobKind_REPAIR, Subject: "a", State: messages.JobState_DONE},
		{Id: 6, Kind: messages.JobKind_REPAIR, Subject: "b", State: messages.JobState_CANCELLED},
	}
	y.world.Run(time.Second)
	y.tell("w-1", &messages.AskBandwidth{Header: &messages.Header{Request: 1}, Job: 5, Bytes: 100})
	y.world.Run(time.Second)
	require.Len(t, y.grants, 1)
	assert.EqualValues(t, 100, y.grants[0].bytes)
	y.tell("w-1", &messages.AskBandwidth{Header: &messages.Header{Request: 2}, Job: 6, Bytes: 100})
	y.world.Run(time.Second)
	require.Len(t, y.grants, 2)
	assert.Equal(t, "unavailable", y.grants[1].err)
}

// Found by seed 60128: a master that had heard of nobody yet ended a scrub at once.
func TestForeman_AScrubWaitsForWorkersThatHaveNotReportedToANewMaster(t *testing.T) {
	y := newYard(t, 3)
	y.status.Jobs = []*messages.JobRow{{Id: 5, Kind: messages.JobKind_SCRUB, State: messages.JobState_RUNNING}}
	ended := func() bool {
		return slices.ContainsFunc(y.logged, func(c *messages.Command) bool { return c.GetChangeJobState().GetTo() == messages.JobState_DONE })
	}
	y.world.Run(20 * time.Second) // its workers told of themselves once, long ago
	assert.False(t, ended(), "they are healthy, and none has said that it is done")
	for _, w := range y.status.Workers {
		w.State = messages.WorkerState_UNREACHABLE
	}
	y.world.Run(5 * time.Second)
	assert.True(t, ended(), "what is away cannot be checked")
}

// Found by a seed: a tier 3 volume whose only disk lost the unsynced end of it was
// ordered to be settled again and again.
func TestForeman_LogsWhatTheOnlyHolderHasLostAndNothingElse(t *testing.T) {
	for _, tc := range []struct {
		name  string
		nodes []string
		reply *messages.SettleVolumeReply
		want  bool
	}{
		{"it is intact and shorter", []string{"w-1"}, &messages.SettleVolumeReply{Intact: true, End: 400}, true},
		{"its copy is damaged: another reading may find more", []string{"w-1"}, &messages.SettleVolumeReply{End: 400}, false},
		{"another holds it too", []string{"w-1", "w-2"}, &messages.SettleVolumeReply{Intact: true, End: 400}, false},
		{"it has all of it", []string{"w-1"}, &messages.SettleVolumeReply{Intact: true, End: 1000}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			y := newYard(t, 3)
			y.keepReporting()
			row := y.sealed(1, tc.nodes...)
			for _, m := range row.Members {
				m.Verified = false
			}
			y.world.Run(3 * time.Second)
			require.NotEmpty(t, y.orders["w-1"], "it is told to settle its copy")
			r := tc.reply
			r.Header, r.Volume, r.Node, r.Generation, r.ReplicaGen = &messages.Header{}, 1, "w-1", 1, 10
			r.Error = &messages.Error{Code: "unavailable", Message: "the copy is not whole"}
			y.tell("w-1", r)
			y.world.Run(3 * time.Second)
			var logged []*messages.TruncateVolume
			for _, cmd := range y.logged {
				if k := cmd.GetTruncateVolume(); k != nil {
					logged = append(logged, k)
				}
			}
			if !tc.want {
				assert.Empty(t, logged)
				return
			}
			require.NotEmpty(t, logged)
			assert.True(t, proto.Equal(&messages.TruncateVolume{Volume: 1, Generation: 1, Node: "w-1", ReplicaGen: 10, End: 400}, logged[0]))
		})
	}
}

func TestForeman_BandwidthStaysWithinTheLimitOfTheClusterAndOfTheJob(t *testing.T) {
	y := newYard(t, 3)
	const limit, own = 1 << 20, 256 << 10
	y.status.Cluster.Settings.BackgroundBytesPerSecond = limit
	y.status.Jobs = []*messages.JobRow{
		{Id: 5, Kind: messages.JobKind_SCRUB, Subject: "a", State: messages.JobState_RUNNING},
		{Id: 6, Kind: messages.JobKind_SCRUB, Subject: "b", State: messages.JobState_RUNNING, BytesPerSecond: own},
		{Id: 7, Kind: messages.JobKind_SCRUB, Subject: "c", State: messages.JobState_PAUSED},
	}
	y.world.Run(time.Second)
	began := y.world.Elapsed()
	const piece = 128 << 10
	for i := range uint64(40) {
		y.tell("w-1", &messages.AskBandwidth{Header: &messages.Header{Request: 100 + i}, Job: 5, Bytes: piece})
	}
	for i := range uint64(8) {
		y.tell("w-2", &messages.AskBandwidth{Header: &messages.Header{Request: 100 + i}, Job: 6, Bytes: piece})
	}
	// Who waits long asks again: that is the same question.
	y.tell("w-1", &messages.AskBandwidth{Header: &messages.Header{Request: 139}, Job: 5, Bytes: piece})
	y.tell("w-3", &messages.AskBandwidth{Header: &messages.Header{}, Job: 7, Bytes: piece})
	y.world.Run(10 * time.Second)
	require.Len(t, y.grants, 49)
	refused, sum := 0, uint64(0)
	for _, g := range y.grants {
		if g.err != "" {
			refused++
			continue
		}
		sum += g.bytes
		most := float64(limit)*(g.at-began).Seconds() + limit + piece
		assert.LessOrEqual(t, float64(sum), most, "at %v", g.at-began)
	}
	assert.Equal(t, 1, refused, "a paused job gets nothing")
	assert.EqualValues(t, 48*piece, sum)
}
