package logconf

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
)

// entry encodes a change as the log holds it.
func entry(t *testing.T, c *raftpb.ConfChangeV2) []byte {
	t.Helper()
	data, err := proto.Marshal(c)
	require.NoError(t, err)
	return data
}

const v2 = raftpb.EntryType_EntryConfChangeV2

func TestFold_AChangeOfSeveralGoesThroughAJointSetThatIsLeftByAnEntryOfItsOwn(t *testing.T) {
	start := &raftpb.ConfState{Voters: []uint64{1}, Learners: []uint64{2, 3}}
	change := Change(start, []uint64{1, 2, 3}, nil)
	require.Len(t, change.Changes, 2)
	joint, err := Fold(start, 7, v2, entry(t, change), Takeover{})
	require.NoError(t, err)
	assert.True(t, Joint(joint))
	assert.Equal(t, []uint64{1}, joint.VotersOutgoing)
	assert.Equal(t, []uint64{1}, start.Voters, "the old set is not changed")
	alive := func(ids ...uint64) func(uint64) bool {
		return func(id uint64) bool {
			for _, a := range ids {
				if a == id {
					return true
				}
			}
			return false
		}
	}
	assert.False(t, Quorum(joint, alive(2, 3)), "the old half must agree, too")
	assert.True(t, Quorum(joint, alive(1, 2)))

	final, err := Fold(joint, 8, v2, entry(t, &raftpb.ConfChangeV2{}), Takeover{})
	require.NoError(t, err)
	assert.False(t, Joint(final))
	assert.ElementsMatch(t, []uint64{1, 2, 3}, final.Voters)
	assert.True(t, Quorum(final, alive(2, 3)))
	assert.Nil(t, Change(final, []uint64{1, 2, 3}, nil), "nothing to do")
}

func TestFold_OrdinaryEntriesChangeNothingAndDamagedOnesAreCorrupt(t *testing.T) {
	start := &raftpb.ConfState{Voters: []uint64{1}}
	same, err := Fold(start, 3, raftpb.EntryType_EntryNormal, []byte("anything"), Takeover{})
	require.NoError(t, err)
	assert.Same(t, start, same)
	_, err = Fold(start, 4, v2, []byte{0xff, 0xff}, Takeover{})
	assert.Equal(t, model.CodeCorrupt, model.CodeOf(err))
	_, err = Fold(start, 4, v2, entry(t, &raftpb.ConfChangeV2{Transition: raftpb.ConfChangeTransition(3).Enum()}), Takeover{})
	assert.Equal(t, model.CodeCorrupt, model.CodeOf(err))
	assert.ErrorContains(t, err, "no transition 3")
	_, err = Fold(start, 5, v2, entry(t, &raftpb.ConfChangeV2{}), Takeover{})
	assert.Equal(t, model.CodeCorrupt, model.CodeOf(err), "there is no joint set to leave")
}

func TestFold_AfterATakeOverWhatWentBeforeCountsAsIfThisNodeHadBeenAlone(t *testing.T) {
	taken := Takeover{At: 10, Self: 2}
	before := &raftpb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}}
	start := Start(before, 6, taken)
	assert.Equal(t, []uint64{2}, start.Voters)
	assert.Empty(t, start.Learners)
	later := &raftpb.ConfState{Voters: []uint64{2, 4, 5}}
	assert.Equal(t, later, Start(later, 11, taken), "a snapshot of afterwards says what is")

	change := entry(t, Change(before, []uint64{1}, []uint64{2, 3}))
	same, err := Fold(start, 9, v2, change, taken)
	require.NoError(t, err)
	assert.Equal(t, []uint64{2}, same.Voters, "an entry of before is passed over")
	next, err := Fold(start, 11, v2, entry(t, Change(start, []uint64{2}, []uint64{7})), taken)
	require.NoError(t, err)
	assert.Equal(t, []uint64{7}, next.Learners)
}

func TestMember_KnowsBothHalvesAndTheLearnersToCome(t *testing.T) {
	conf := &raftpb.ConfState{Voters: []uint64{1}, VotersOutgoing: []uint64{2}, Learners: []uint64{3}, LearnersNext: []uint64{4}}
	for _, id := range []uint64{1, 2, 3, 4} {
		assert.True(t, Member(conf, id))
	}
	assert.False(t, Member(conf, 5))
	assert.True(t, Voter(conf, 2))
	assert.False(t, Voter(conf, 3))
}
