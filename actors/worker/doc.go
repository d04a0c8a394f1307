// Package worker is the part of a node that holds volumes: the Worker actor opens,
// fences, settles, drops, checks and reports them, and one Volume actor per writable copy does
// its group commit and, on the primary, the replication to the followers.
//
// It owns the volume files (through store.Volumes). It refuses commands of an
// older epoch than the highest it has obeyed, appends of another generation than
// the one it has open, and appends while the disk is below its reserve. Volumes
// decide nothing about themselves: the row in the catalog is the arbiter, the
// worker reports and obeys.
//
// Invariants:
//   - A higher epoch is durable before it is obeyed; a lower one never is.
//   - An append of tier 1 is answered only after the fsync of every member that
//     covers it, one of tier 2 after that of the primary.
//   - A follower writes what the primary wrote at the same offset, or stops.
//   - After a failed fsync a volume takes no more appends, ever, in that generation.
//   - A copy that is being received never counts as whole before every byte was compared
//     with its seal, and what is here is given up only for one that is whole.
//   - A delete takes the copy of the replica generation that it names, or none; an error
//     of the disk deletes nothing.
//   - Bytes of a copy that is damaged, or not whole, are given to no other worker.
//   - A volume actor that was restarted does not go on writing: it stops and says so,
//     and the master seals the volume.
//
// Read first: volume.go (group commit), replicate.go (primary and followers),
// worker.go (opening and fencing), settle.go (a copy that was away, or is made),
// bandwidth.go (when its bytes may flow), drop.go, scrub.go (checks), disk.go (what
// the disk takes).
package worker
