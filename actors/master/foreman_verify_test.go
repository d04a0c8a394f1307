package master

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/messages"
)

// leaving has a volume on w-1, which is drained, and on w-2, which can hold it; w-3 cannot.
func leaving(t *testing.T) *yard {
	y := newYard(t, 3)
	y.lost = []*messages.ChangeMembers{}
	y.sealed(1, "w-1", "w-2")
	for i, node := range y.status.WorkerNodes {
		switch node {
		case "w-1":
			y.status.Workers[i].Draining = true
		case "m", "w-3":
			y.status.Workers[i].State = messages.WorkerState_UNREACHABLE
		}
	}
	y.status.Jobs = []*messages.JobRow{{Id: 5, Kind: messages.JobKind_DRAIN, Subject: "w-1", State: messages.JobState_RUNNING}}
	y.keepReporting()
	y.world.Run(2 * time.Second)
	return y
}

func (y *yard) verifies() (out []*messages.VerifyCopy) {
	for _, o := range y.orders["w-2"] {
		if v, ok := o.(*messages.VerifyCopy); ok {
			out = append(out, v)
		}
	}
	return out
}

// Found by hand: a repair that restored a copy which an earlier job had brought counted for nobody.
func TestForeman_ARestoredCopyCountsForTheJobThatRestoresIt(t *testing.T) {
	y := newYard(t, 3)
	row := y.sealed(1, "w-1", "w-2", "w-3")
	row.Members[0].Verified, row.Members[0].Damaged, row.Members[0].Job = false, true, 4
	y.status.Jobs = []*messages.JobRow{
		{Id: 4, Kind: messages.JobKind_REPAIR, Subject: "w-9", State: messages.JobState_DONE},
		{Id: 5, Kind: messages.JobKind_REPAIR, Subject: "w-1", State: messages.JobState_RUNNING},
	}
	y.keepReporting()
	y.world.Run(3 * time.Second)
	require.NotEmpty(t, y.orders["w-1"])
	assert.EqualValues(t, 5, y.orders["w-1"][0].(*messages.SettleVolume).Job)
}

func TestForeman_ACopyThatStopsBecauseItsJobIsPausedIsNoFailure(t *testing.T) {
	y := newYard(t, 3)
	row := y.sealed(1, "w-1", "w-2", "w-3")
	row.Members[0].Verified, row.Members[0].Job = false, 5
	job := &messages.JobRow{Id: 5, Kind: messages.JobKind_REPAIR, Subject: "w-9", State: messages.JobState_RUNNING}
	y.status.Jobs = []*messages.JobRow{job}
	y.keepReporting()
	y.world.Run(3 * time.Second)
	ordered := len(y.orders["w-1"])
	require.NotZero(t, ordered)
	stops := &messages.SettleVolumeReply{Header: &messages.Header{}, Volume: 1, Generation: 1, ReplicaGen: 10, Node: "w-1", Error: &messages.Error{Code: "unavailable", Message: "refused"}}

	job.State = messages.JobState_PAUSED
	y.world.Run(2 * time.Second)
	y.tell("w-1", stops)
	y.world.Run(time.Second)
	job.State = messages.JobState_RUNNING
	y.world.Run(2 * time.Second)
	assert.Greater(t, len(y.orders["w-1"]), ordered, "it goes on with the next look")
	for _, cmd := range y.logged {
		assert.Empty(t, cmd.GetUpdateJob().GetQuarantined())
	}

	ordered = len(y.orders["w-1"])
	y.tell("w-1", stops)
	y.world.Run(4 * time.Second)
	assert.Len(t, y.orders["w-1"], ordered, "while it runs it is one, and rests")
}

func TestForeman_ACopyGoesWhenAnotherOneWasReadAMomentAgo(t *testing.T) {
	y := leaving(t)
	require.Len(t, y.verifies(), 1)
	ask := y.verifies()[0]
	assert.True(t, proto.Equal(&messages.VerifyCopy{Header: ask.Header, Volume: 1, Generation: 1, ReplicaGen: 11, SealedEnd: 1000}, ask))
	y.world.Run(25 * time.Second)
	assert.Len(t, y.verifies(), 3, "an order that is not answered is repeated")
	assert.Empty(t, y.lost)
	y.tell("w-2", &messages.VerifyCopyReply{Volume: 1, ReplicaGen: 10, Node: "w-2"})
	y.world.Run(time.Second)
	assert.Empty(t, y.lost, "the answer of an earlier copy says nothing")
	y.tell("w-2", &messages.VerifyCopyReply{Volume: 1, ReplicaGen: 11, Node: "w-2"})
	y.world.Run(time.Second)
	require.NotEmpty(t, y.lost)
	assert.True(t, proto.Equal(&messages.MemberRef{Node: "w-1", ReplicaGen: 10}, y.lost[0].Remove[0]))

	asked := len(y.verifies())
	y.world.Run(20 * time.Second)
	assert.Greater(t, len(y.verifies()), asked, "what was read is not sound for ever")
}

// Found by a newcomer: a job that was cancelled kept the tier from following a later change.
func TestForeman_AChangeOfATierIsFollowedWhateverWasCancelledBefore(t *testing.T) {
	for changed, want := range map[int64]bool{0: false, 900: false, 1100: true} {
		y := newYard(t, 3)
		y.keepReporting()
		y.world.Run(2 * time.Second)
		row := y.sealed(1, "w-1")
		row.Tier = 2
		now := y.world.Now().UnixMilli()
		y.status.Jobs = []*messages.JobRow{{Id: 5, Kind: messages.JobKind_ADAPT, Tier: 2, State: messages.JobState_CANCELLED, EndedUnixMs: now + 1000}}
		y.status.Cluster.Tiers = []*messages.TierRow{{Tier: 2, Copies: 2}}
		if changed > 0 {
			y.status.Cluster.Tiers[0].ChangedUnixMs = now + changed
		}
		y.world.Run(10 * time.Second)
		created := false
		for _, cmd := range y.logged {
			created = created || cmd.GetCreateJob().GetKind() == messages.JobKind_ADAPT
		}
		assert.Equal(t, want, created, "changed %d ms after, cancelled 1000 ms after", changed)
	}
}

func TestForeman_ACopyThatIsNotSoundKeepsTheOtherOne(t *testing.T) {
	for code, damaged := range map[string]bool{"corrupt": true, "conflict": true, "unavailable": false} {
		t.Run(code, func(t *testing.T) {
			y := leaving(t)
			y.tell("w-2", &messages.VerifyCopyReply{Volume: 1, ReplicaGen: 11, Node: "w-2", Error: &messages.Error{Code: code, Message: "the disk hums"}})
			y.world.Run(5 * time.Second)
			assert.Empty(t, y.lost)
			assert.Len(t, y.verifies(), 1, "it rests")
			marked := false
			for _, cmd := range y.logged {
				marked = marked || cmd.GetMarkDamaged() != nil
			}
			assert.Equal(t, damaged, marked)
			y.world.Run(10 * time.Second)
			assert.Equal(t, !damaged, len(y.verifies()) > 1, "and is tried again")
		})
	}
}

func TestForeman_NamesTheFilesThatNobodyCanReadWhileTheyAre(t *testing.T) {
	y := newYard(t, 3)
	row := y.sealed(1, "w-1")
	row.State, row.Members[0].Verified, row.Members[0].Damaged, row.Members[0].Job = messages.VolumeState_RETIRING, false, true, 3
	y.status.Jobs = []*messages.JobRow{{Id: 5, Kind: messages.JobKind_COMPACTION, State: messages.JobState_RUNNING}}
	long := "/" + strings.Repeat("ä", 500)
	tell := func(from, to int) {
		for n := from; n < to; n++ {
			y.tell("w-1", &messages.FileUnread{Volume: 1, Tenant: "acme", Path: fmt.Sprintf("%s%d", long, n), Version: uint64(n)})
			y.tell("w-1", &messages.FileUnread{Volume: 1, Tenant: "acme", Path: fmt.Sprintf("%s%d", long, n), Version: uint64(n)})
		}
	}
	newestBlockers := func() (out []string) {
		for _, cmd := range y.logged {
			if u := cmd.GetUpdateJob(); u != nil {
				out = u.Blockers
			}
		}
		return out
	}
	tell(0, 2)
	y.world.Run(5 * time.Second)
	require.Len(t, newestBlockers(), 3)
	tell(2, 30)
	y.world.Run(5 * time.Second)
	got := newestBlockers()
	require.Len(t, got, 2+maxUnread)
	for _, b := range got {
		assert.True(t, utf8.ValidString(b) && len(b) <= 1024, "the log takes it")
	}
	assert.Equal(t, "no copy can be read of other files in volume 1", got[len(got)-1])
	y.world.Run(unreadFor + 10*time.Second)
	assert.Len(t, newestBlockers(), 1, "they were deleted, or stored again")
}
