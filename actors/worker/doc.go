// Package worker is the part of a node that holds volumes: the Worker actor opens,
// fences and reports them, and one Volume actor per writable volume does its group
// commit.
//
// It owns the volume files (through store.Volumes). It refuses appends of another
// generation than the one it has open, and appends while the disk is below its
// reserve. Volumes decide nothing about themselves: the row in the catalog is the
// arbiter, the worker reports and obeys.
//
// Invariants:
//   - An append of a synced tier is answered only after the fsync that covers it.
//   - After a failed fsync a volume takes no more appends, ever, in that generation.
//   - A volume actor that was restarted does not go on writing: it stops and says so,
//     and the master seals the volume.
//
// Read first: volume.go (group commit), worker.go (opening and fencing).
package worker
