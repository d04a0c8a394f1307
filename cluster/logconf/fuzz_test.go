package logconf

import (
	"io"
	"log"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// memberLog is what a member of a log of three reads and writes: it has no snapshot at hand.
type memberLog struct{ *raft.MemoryStorage }

func (memberLog) Snapshot() (*raftpb.Snapshot, error) {
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

// member is one of three whose logs have ten entries, the first eight of them committed.
type member struct {
	t    *testing.T
	node *raft.RawNode
	log  memberLog
	conf *raftpb.ConfState
	// ended: its log is corrupt, so the node has said so and is no more.
	ended bool
}

func newMember(t *testing.T, leads bool) *member {
	t.Helper()
	m := &member{t: t, log: memberLog{raft.NewMemoryStorage()}, conf: &raftpb.ConfState{Voters: []uint64{1, 2, 3}}}
	require.NoError(t, m.log.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: proto.Uint64(5), Term: proto.Uint64(3), ConfState: m.conf}}))
	for i := uint64(6); i <= 10; i++ {
		require.NoError(t, m.log.Append([]*raftpb.Entry{logged(i, 4)}))
	}
	require.NoError(t, m.log.SetHardState(&raftpb.HardState{Term: proto.Uint64(5), Commit: proto.Uint64(8)}))
	var err error
	m.node, err = raft.NewRawNode(&raft.Config{
		ID: 1, ElectionTick: 10, HeartbeatTick: 1, Storage: m.log, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 16, CheckQuorum: true, PreVote: true,
		DisableProposalForwarding: true, StepDownOnRemoval: true, Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
	})
	require.NoError(t, err)
	m.settle()
	if leads {
		require.NoError(t, m.node.Campaign())
		m.settle()
		for _, kind := range []raftpb.MessageType{raftpb.MessageType_MsgPreVoteResp, raftpb.MessageType_MsgVoteResp} {
			m.step(message(kind, func(v *raftpb.Message) { v.Term = proto.Uint64(6) }))
		}
		require.Equal(t, raft.StateLeader, m.node.BasicStatus().RaftState)
	}
	return m
}

// step does with a message what the log's actor does.
func (m *member) step(msg *raftpb.Message) {
	last, err := m.log.LastIndex()
	require.NoError(m.t, err)
	if m.ended || msg.GetTo() != 1 || Refusal(msg, 1, last) != "" {
		return
	}
	_ = m.node.Step(msg) // what is stale or of a stranger is Raft's business
	m.settle()
}

// settle writes and applies what there is.
func (m *member) settle() {
	for !m.ended && m.node.HasReady() {
		rd := m.node.Ready()
		if !raft.IsEmptySnap(rd.Snapshot) {
			if m.log.ApplySnapshot(rd.Snapshot) != nil {
				m.ended = true
				return
			}
			m.conf = rd.Snapshot.GetMetadata().GetConfState()
		}
		require.NoError(m.t, m.log.Append(rd.Entries))
		for _, e := range rd.CommittedEntries {
			next, err := Fold(m.conf, e.GetIndex(), e.GetType(), e.Data, Takeover{})
			if err != nil {
				m.ended = true
				return
			}
			m.conf = next
			if e.GetType() != raftpb.EntryType_EntryNormal {
				change, err := Decode(e.GetType(), e.Data)
				require.NoError(m.t, err)
				m.node.ApplyConfChange(change)
			}
		}
		m.node.Advance(rd)
	}
}

// FuzzRefusal takes any bytes for three messages of other members, to one that follows
// and to one that leads: what is not refused breaks nothing in Raft.
func FuzzRefusal(f *testing.F) {
	encode := func(m *raftpb.Message) []byte {
		data, err := proto.Marshal(m)
		require.NoError(f, err)
		return data
	}
	change, err := proto.Marshal(Change(&raftpb.ConfState{Voters: []uint64{1, 2, 3}}, []uint64{1, 2}, []uint64{3}))
	require.NoError(f, err)
	seeds := [][]byte{nil}
	for _, kind := range []raftpb.MessageType{
		raftpb.MessageType_MsgApp, raftpb.MessageType_MsgAppResp, raftpb.MessageType_MsgHeartbeat, raftpb.MessageType_MsgHeartbeatResp, raftpb.MessageType_MsgSnap,
		raftpb.MessageType_MsgVote, raftpb.MessageType_MsgPreVote, raftpb.MessageType_MsgTimeoutNow, raftpb.MessageType_MsgReadIndex, raftpb.MessageType_MsgReadIndexResp,
	} {
		for _, index := range []uint64{0, 5, 9, 10, 1000, math.MaxUint64} {
			seeds = append(seeds, encode(message(kind, func(m *raftpb.Message) {
				m.Term, m.Index, m.LogTerm, m.Commit = proto.Uint64(6), proto.Uint64(index), proto.Uint64(4), proto.Uint64(10)
				if kind == raftpb.MessageType_MsgApp {
					e := logged(index+1, 6)
					e.Type, e.Data = v2.Enum(), change
					m.Entries = []*raftpb.Entry{e}
				}
				if kind == raftpb.MessageType_MsgSnap {
					m.Snapshot = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: proto.Uint64(index), Term: proto.Uint64(6), ConfState: &raftpb.ConfState{Voters: []uint64{1, 2}}}}
				}
			})))
		}
	}
	third := func(data []byte) []byte {
		m := &raftpb.Message{}
		require.NoError(f, proto.Unmarshal(data, m))
		m.From = proto.Uint64(3)
		return encode(m)
	}
	for i, s := range seeds {
		f.Add(i%2 == 0, s, third(s), seeds[(i*7+1)%len(seeds)])
		f.Add(i%2 == 1, s, third(s), seeds[(i*5+3)%len(seeds)])
	}
	f.Fuzz(func(t *testing.T, leads bool, a, b, c []byte) {
		m := newMember(t, leads)
		for _, data := range [][]byte{a, b, c} {
			msg := &raftpb.Message{}
			if proto.Unmarshal(data, msg) == nil {
				m.step(msg)
			}
		}
		for i := 0; i < 25 && !m.ended; i++ { // it campaigns, or sends its heartbeats
			m.node.Tick()
			m.settle()
		}
	})
}
