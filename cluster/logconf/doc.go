// Package logconf folds configuration changes of the replicated log into the set
// of voters and learners (raftpb.ConfState), the same way on every node and after
// every restart: who restarts reads the set from its newest snapshot and folds the
// entries that follow. It also plans the change from one set to another.
//
// It refuses entries that do not fit the set: that is a damaged log; and messages of other
// members that Raft itself would break on (message.go). It imports
// Raft's own rules (confchange); it has no state. Read fold.go.
package logconf
