package raftlog

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// storage is what Raft reads: the newest entries in memory, and the newest
// verified snapshot by reference. A snapshot's bytes go from catalog to catalog.
type storage struct {
	*raft.MemoryStorage
	newest *raftpb.SnapshotMetadata // nil: none
	wanted bool                     // a follower needs a newer one than there is
	// confIndex is that of the newest change of the voters: Raft restores no snapshot
	// that does not name the follower, so one must not be older.
	confIndex uint64
}

// Snapshot implements raft.Storage. The one at hand must reach up to the first
// entry in memory, or a follower could not go on from it.
func (s *storage) Snapshot() (*raftpb.Snapshot, error) {
	first, err := s.FirstIndex()
	if err != nil {
		return nil, err
	}
	if s.newest.GetIndex() == 0 || s.newest.GetIndex()+1 < first || s.newest.GetIndex() < s.confIndex {
		s.wanted = true
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &raftpb.Snapshot{Metadata: s.newest}, nil
}
