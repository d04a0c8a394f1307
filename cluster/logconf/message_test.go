package logconf

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

func message(kind raftpb.MessageType, change func(*raftpb.Message)) *raftpb.Message {
	m := &raftpb.Message{Type: &kind, From: proto.Uint64(2), To: proto.Uint64(1), Term: proto.Uint64(5)}
	if change != nil {
		change(m)
	}
	return m
}

func logged(index, term uint64) *raftpb.Entry {
	return &raftpb.Entry{Index: proto.Uint64(index), Term: proto.Uint64(term)}
}

func TestRefusal_KeepsFromRaftWhatItWouldBreakOn(t *testing.T) {
	const (
		app, beat, snap = raftpb.MessageType_MsgApp, raftpb.MessageType_MsgHeartbeat, raftpb.MessageType_MsgSnap
		last            = 10
	)
	entries := func(at, term uint64, list ...*raftpb.Entry) func(*raftpb.Message) {
		return func(m *raftpb.Message) { m.Index, m.LogTerm, m.Entries = proto.Uint64(at), proto.Uint64(term), list }
	}
	for _, c := range []struct {
		name string
		m    *raftpb.Message
		why  string // empty: taken
	}{
		{"nothing", &raftpb.Message{}, "no other member"},
		{"of itself", message(app, func(m *raftpb.Message) { m.From = proto.Uint64(1) }), "no other member"},
		{"as its own disk would say", message(raftpb.MessageType_MsgStorageAppendResp, func(m *raftpb.Message) { m.From = proto.Uint64(raft.LocalAppendThread) }), "no other member"},
		{"without a kind", message(app, func(m *raftpb.Message) { m.Type = nil }), "do not send"},
		{"an unknown kind", message(99, nil), "do not send"},
		{"a proposal", message(raftpb.MessageType_MsgProp, nil), "do not send each other MsgProp"},
		{"an order to campaign", message(raftpb.MessageType_MsgHup, nil), "do not send"},
		{"an order to forget the leader", message(raftpb.MessageType_MsgForgetLeader, nil), "do not send"},
		{"an order to hand over", message(raftpb.MessageType_MsgTransferLeader, nil), "do not send"},
		{"without a term", message(raftpb.MessageType_MsgVote, func(m *raftpb.Message) { m.Term = nil }), "no term"},
		{"a term at the end of numbers", message(raftpb.MessageType_MsgVote, func(m *raftpb.Message) { m.Term = proto.Uint64(math.MaxUint64) }), "no election can have reached"},
		{"a question with a term", message(raftpb.MessageType_MsgReadIndex, nil), "it has a term"},
		{"a question without one", message(raftpb.MessageType_MsgReadIndex, func(m *raftpb.Message) { m.Term = nil }), ""},
		{"committed as far as the log goes", message(beat, func(m *raftpb.Message) { m.Commit = proto.Uint64(last) }), ""},
		{"committed beyond the log", message(beat, func(m *raftpb.Message) { m.Commit = proto.Uint64(last + 1) }), "the log here ends at 10"},
		{"committed at the end of numbers", message(beat, func(m *raftpb.Message) { m.Commit = proto.Uint64(math.MaxUint64) }), "the log here ends at 10"},
		{"a snapshot of nothing", message(snap, nil), "no index"},
		{"a snapshot without voters", message(snap, func(m *raftpb.Message) {
			m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: proto.Uint64(3)}}
		}), "no voters"},
		{"a snapshot at the end of numbers", message(snap, func(m *raftpb.Message) {
			m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: proto.Uint64(math.MaxUint64), ConfState: &raftpb.ConfState{Voters: []uint64{1}}}}
		}), "where no log can be"},
		{"a snapshot of a voter twice", message(snap, func(m *raftpb.Message) {
			m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: proto.Uint64(3), ConfState: &raftpb.ConfState{Voters: []uint64{1, 1}}}}
		}), "voters that cannot be"},
		{"a snapshot of nobody", message(snap, func(m *raftpb.Message) {
			m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: proto.Uint64(3), ConfState: &raftpb.ConfState{Voters: []uint64{0}}}}
		}), "voters that cannot be"},
		{"a snapshot", message(snap, func(m *raftpb.Message) {
			m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: proto.Uint64(3), ConfState: &raftpb.ConfState{Voters: []uint64{1}}}}
		}), ""},
		{"no entries", message(app, entries(10, 4)), ""},
		{"entries", message(app, entries(10, 4, logged(11, 4), logged(12, 5))), ""},
		{"a gap", message(app, entries(10, 4, logged(11, 4), logged(13, 5))), "entry 13 stands where 12 belongs"},
		{"entries from elsewhere", message(app, entries(10, 4, logged(3, 4))), "entry 3 stands where 11 belongs"},
		{"terms that fall", message(app, entries(10, 4, logged(11, 3))), "is of term 3, after 4"},
		{"a term of the future", message(app, entries(10, 4, logged(11, 6))), "in a message of 5"},
		{"an index that wraps", message(app, entries(math.MaxUint64, 4, logged(0, 4))), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			why := Refusal(c.m, 1, last)
			if c.why == "" {
				assert.Empty(t, why)
			} else {
				assert.Contains(t, why, c.why)
			}
		})
	}
}

func TestRefusal_TakesEveryKindThatMembersSend(t *testing.T) {
	for kind := range betweenMembers {
		m := message(kind, func(m *raftpb.Message) {
			m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: proto.Uint64(3), ConfState: &raftpb.ConfState{Voters: []uint64{1}}}}
			if kind == raftpb.MessageType_MsgReadIndex {
				m.Term = nil
			}
		})
		assert.Empty(t, Refusal(m, 1, 10), kind)
		assert.False(t, raft.IsLocalMsg(kind), kind)
	}
}
