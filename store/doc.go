// Package store remembers. It owns everything in a node's data directory and
// the in-memory index of the catalog: append-only record files over a small
// file-system interface (FS), the volumes and the write-ahead log built on
// them, verified snapshots, and node.yaml.
//
// It refuses what it cannot read with certainty: every byte that comes back is
// covered by a checksum, every decoder is strict, bounded and never panics, and
// damage is a model.Error that names file, offset and what to do. It decides
// nothing about placement, generations or replication; callers name them.
//
// Invariants:
//   - What a call with sync acknowledged survives a power loss; what was not
//     acknowledged is afterwards whole or absent.
//   - A failed Sync poisons its writer for good. Bytes that can be read but may
//     never have reached the disk are written again before they count as durable.
//   - A new name is durable only after its directory was synced; a replaced file
//     is complete and synced before the rename.
//   - Nothing that holds data is deleted because it is damaged.
//   - No clock, no goroutine, no map order: the same calls do the same things.
//
// Beside the standard library and cluster/model it uses buntdb (index), x/sys
// (fdatasync, flock, statfs), xxhash and klauspost/compress/s2 (snapshots) and
// yaml (node.yaml).
//
// Read first: fs.go and index.go (the interfaces), record.go (what lies on
// disk), volume_writer.go (group commit), wal.go (the log), memfs_crash.go (what
// a crash may do).
package store
