// Package raftlog is the actor that owns the replicated command log: one Raft
// group (go.etcd.io/raft/v3, the RawNode API) over our own write-ahead log.
//
// It owns the RawNode, the write-ahead log and the order "persist, then send,
// then apply": an entry reaches the catalog only after the fsync that covers it,
// and no vote and no acknowledgement leaves before the fsync of what it promises.
// It refuses proposals and reads while it does not lead or is out of contact with
// a quorum, commands above model.MaxCommandBytes, and everything while its disk is
// full. A failed fsync halts the node: what was not proven durable must not be
// guessed at.
//
// A node that is neither voter nor learner runs it idle: no entries, no voters,
// until a leader sends a snapshot.
//
// Invariants:
//   - The catalog receives each index once per life of the catalog, in order,
//     and never one that is not in the write-ahead log or a verified snapshot.
//   - No read is answered before an entry of the leader's own term is applied:
//     a lone voter would answer with an old index right after a restart.
//   - The log is truncated only below the previous verified snapshot.
//   - Voters change only by joint consensus, one change at a time.
//
// Read first: log.go (messages), ready.go (the pipeline), open.go (recovery),
// peers.go (the network), silence.go (who campaigns when), members.go (voters).
package raftlog
