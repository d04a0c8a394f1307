package logconf

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.etcd.io/raft/v3/raftpb"
)

func TestStand_SaysWhetherTheLogsThatAreLeftAreEnough(t *testing.T) {
	three := &raftpb.ConfState{Voters: []uint64{1, 2, 3}}
	five := &raftpb.ConfState{Voters: []uint64{1, 2, 3, 4, 5}}
	standby := &raftpb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}}
	alone := &raftpb.ConfState{Voters: []uint64{1}}
	joint := &raftpb.ConfState{Voters: []uint64{1, 2, 3}, VotersOutgoing: []uint64{1}}
	for _, c := range []struct {
		name string
		ends []End
		want Standing
	}{
		{"the only voter", []End{{1, 2, 9, alone}}, Standing{0, 1, 1, true}},
		{"one of three", []End{{2, 2, 9, three}}, Standing{0, 1, 3, false}},
		{"two of three", []End{{2, 2, 9, three}, {3, 2, 7, three}}, Standing{0, 2, 3, true}},
		{"all of three", []End{{1, 2, 5, three}, {2, 2, 9, three}, {3, 2, 7, three}}, Standing{1, 3, 3, true}},
		{"a newer term goes further than a longer log", []End{{1, 2, 50, three}, {2, 3, 9, three}}, Standing{1, 2, 3, true}},
		{"two of five", []End{{1, 2, 9, five}, {5, 2, 9, five}}, Standing{0, 2, 5, false}},
		{"the newer set counts: it was alone before", []End{{1, 2, 4, alone}, {2, 2, 9, three}}, Standing{1, 2, 3, true}},
		{"an old voter knows no better", []End{{1, 2, 4, alone}, {2, 3, 9, three}}, Standing{1, 2, 3, true}},
		{"a standby does not vote", []End{{2, 2, 9, standby}}, Standing{0, 0, 1, false}},
		{"the voter beside its standby", []End{{2, 2, 8, standby}, {1, 2, 9, standby}}, Standing{1, 1, 1, true}},
		{"both halves of a change must agree", []End{{2, 2, 9, joint}, {3, 2, 9, joint}}, Standing{0, 2, 3, false}},
		{"one that is no member any more", []End{{7, 2, 9, three}}, Standing{0, 0, 3, false}},
		{"nobody votes", []End{{1, 0, 0, &raftpb.ConfState{}}}, Standing{0, 0, 0, false}},
	} {
		assert.Equal(t, c.want, Stand(c.ends), c.name)
	}
}
