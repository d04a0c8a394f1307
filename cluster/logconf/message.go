package logconf

import (
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/confchange"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// betweenMembers are the kinds of messages that members of a log send each other. Others
// are a member's talk with itself, or would let a peer propose or steer.
var betweenMembers = map[raftpb.MessageType]bool{
	raftpb.MessageType_MsgApp: true, raftpb.MessageType_MsgAppResp: true, raftpb.MessageType_MsgSnap: true,
	raftpb.MessageType_MsgVote: true, raftpb.MessageType_MsgVoteResp: true, raftpb.MessageType_MsgPreVote: true, raftpb.MessageType_MsgPreVoteResp: true,
	raftpb.MessageType_MsgHeartbeat: true, raftpb.MessageType_MsgHeartbeatResp: true,
	raftpb.MessageType_MsgTimeoutNow: true, raftpb.MessageType_MsgReadIndex: true, raftpb.MessageType_MsgReadIndexResp: true,
}

// No log comes near these. Raft counts on from the index of a snapshot and from the term of
// a message, would come out at 0, and break on it: of the term at every election to come.
const maxIndex, maxTerm = 1 << 62, 1 << 62

// Refusal says why self, whose log ends at last, must not hand a message of another
// member to Raft; empty: it may. Raft trusts its peers: some of what it would believe
// ends the process, and some would make it count as written what is not.
func Refusal(m *raftpb.Message, self, last uint64) string {
	switch from := m.GetFrom(); {
	case from == 0 || from == self || raft.IsLocalMsgTarget(from):
		return "it is from no other member"
	case m.Type == nil || !betweenMembers[m.GetType()]:
		return fmt.Sprintf("members do not send each other %s", m.GetType())
	case m.GetTerm() == 0 && m.GetType() != raftpb.MessageType_MsgReadIndex && m.GetType() != raftpb.MessageType_MsgReadIndexResp:
		return "it has no term"
	case m.GetTerm() > maxTerm:
		return fmt.Sprintf("its term is %d, which no election can have reached", m.GetTerm())
	case m.GetTerm() != 0 && m.GetType() == raftpb.MessageType_MsgReadIndex:
		return "it has a term, and Raft passes such a question on only without" // it would end itself
	}
	switch m.GetType() {
	case raftpb.MessageType_MsgHeartbeat:
		if m.GetCommit() > last {
			return fmt.Sprintf("it says that %d is committed, and the log here ends at %d", m.GetCommit(), last)
		}
	case raftpb.MessageType_MsgSnap:
		return refuseSnapshot(m.GetSnapshot().GetMetadata())
	case raftpb.MessageType_MsgApp:
		return refuseEntries(m)
	}
	return ""
}

// refuseEntries wants entries that follow each other, in terms that do not fall and that
// the sender can know.
func refuseEntries(m *raftpb.Message) string {
	index, term := m.GetIndex(), m.GetLogTerm()
	for _, e := range m.GetEntries() {
		index++
		if e.GetIndex() != index {
			return fmt.Sprintf("entry %d stands where %d belongs", e.GetIndex(), index)
		}
		if e.GetTerm() < term || e.GetTerm() > m.GetTerm() {
			return fmt.Sprintf("entry %d is of term %d, after %d, in a message of %d", index, e.GetTerm(), term, m.GetTerm())
		}
		term = e.GetTerm()
	}
	return ""
}

// refuseSnapshot wants one that ends where a log can, with voters that changes of voters
// can have led to.
func refuseSnapshot(meta *raftpb.SnapshotMetadata) string {
	conf := meta.GetConfState()
	switch {
	case meta.GetIndex() == 0 || len(conf.GetVoters()) == 0:
		return "its snapshot has no index or no voters"
	case meta.GetIndex() > maxIndex:
		return fmt.Sprintf("its snapshot ends at %d, where no log can be", meta.GetIndex())
	}
	changer := confchange.Changer{Tracker: tracker.MakeProgressTracker(1, 0), LastIndex: meta.GetIndex()}
	cfg, progress, err := confchange.Restore(changer, conf)
	if err == nil {
		changer.Tracker.Config, changer.Tracker.Progress = cfg, progress
		err = conf.Equivalent(changer.Tracker.ConfState())
	}
	if err != nil {
		return fmt.Sprintf("its snapshot has voters that cannot be: %v", err)
	}
	return ""
}
