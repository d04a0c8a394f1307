package actors

import (
	"io"

	"go.etcd.io/raft/v3/raftpb"

	"tiercel/messages"
	"tiercel/store"
)

// Data is an opened data directory: what a node remembers.
type Data struct {
	Dir     *store.DataDir
	Volumes *store.Volumes
	// LogSegmentBytes is the size of one segment of the log; 0: store's default.
	// It may be set before Start.
	LogSegmentBytes int64

	wal *store.WAL // of the newest life of the log actor
}

// firstTerm is that of the first snapshot of a founder, at store.FirstIndex.
const firstTerm = 1

// OpenData opens a data directory, or makes a new one: the founder's of a cluster,
// or with joins that of a node which has to be taken in by one. Damaged volumes are
// reported when the worker is asked, not here; they do not stop the others. A directory
// that has lost its log is refused, as corrupt, and stays as it is.
func OpenData(fs store.FS, random io.Reader, joins bool) (*Data, error) {
	dir, err := store.OpenToStart(fs, random, joins)
	if err != nil {
		return nil, err
	}
	d := &Data{Dir: dir}
	if err := d.prepare(); err != nil {
		_ = dir.Close() // the first error is the one to tell
		return nil, err
	}
	return d, nil
}

func (d *Data) prepare() error {
	snapshots, err := store.ListSnapshots(d.Dir.FS)
	if err != nil {
		return err
	}
	// A node that joins begins with nothing: the log comes from the others, if ever.
	if len(snapshots) == 0 && !d.Dir.Identity().Joined {
		if err := d.firstSnapshot(); err != nil {
			return err
		}
	}
	d.Volumes, _, err = store.OpenVolumes(d.Dir.FS, store.VolumeOptions{})
	return err
}

// firstSnapshot makes the beginning of a log: store.LostLog has said that it is one.
func (d *Data) firstSnapshot() error {
	conf, err := messages.MarshalDeterministic(&raftpb.ConfState{Voters: []uint64{d.Dir.Identity().RaftID}})
	if err != nil {
		return err
	}
	out, err := store.CreateSnapshot(d.Dir.FS, store.SnapshotMeta{Index: store.FirstIndex, Term: firstTerm, Conf: conf})
	if err != nil {
		return err
	}
	return out.Finish()
}

// holdsLog reports whether this node was ever a member of the log. Asked of the disk:
// a newcomer becomes one while it runs.
func (d *Data) holdsLog() (bool, error) {
	snapshots, err := store.ListSnapshots(d.Dir.FS)
	return !d.Dir.Identity().Joined || len(snapshots) > 0, err
}

// openWAL opens the log, after closing the one of an earlier life of the log
// actor, whose last append may still be under way.
func (d *Data) openWAL() (*store.WAL, *store.WALRecovery, error) {
	if d.wal != nil {
		_ = d.wal.Close() // what it had not acknowledged, nobody relies on
		d.wal = nil
	}
	// Again, for a log actor that was restarted; and before a log is begun, or the next
	// start would find one.
	if err := store.RefuseLostLog(d.Dir.FS, d.Dir.Identity()); err != nil {
		return nil, nil, err
	}
	wal, rec, err := store.OpenWAL(d.Dir.FS, store.WALOptions{SegmentBytes: d.LogSegmentBytes})
	if err != nil {
		return nil, nil, err
	}
	d.wal = wal
	if rec.Last != 0 || d.Dir.Identity().Joined {
		// A node that joined and has no snapshot has never held the log; with one, it was on
		// its way to install it. The log actor goes on from there.
		return wal, rec, nil
	}
	if err := wal.Reset(store.FirstIndex, firstTerm); err != nil {
		return nil, nil, err
	}
	rec.First, rec.Last = wal.First(), wal.Last()
	rec.State = store.HardState{Term: firstTerm, Commit: store.FirstIndex}
	return wal, rec, nil
}

// Close releases files and the lock.
func (d *Data) Close() error {
	if d.wal != nil {
		_ = d.wal.Close()
	}
	d.Volumes.Close()
	return d.Dir.Close()
}
