package actors

import (
	"io"

	"go.etcd.io/raft/v3/raftpb"

	"tiercel/cluster/model"
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

// firstIndex is where the log of a new data directory begins: its first snapshot,
// empty and naming this node as the only voter, stands at this index and term.
const firstIndex, firstTerm = 1, 1

// OpenData opens a data directory, or makes a new one: the founder's of a cluster,
// or with joins that of a node which has to be taken in by one. Damaged volumes are
// reported when the worker is asked, not here; they do not stop the others.
func OpenData(fs store.FS, random io.Reader, joins bool) (*Data, error) {
	dir, err := store.OpenDataDir(fs, random, joins)
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

// firstSnapshot makes the beginning of a log. A log without a snapshot is not a
// beginning: then something was taken away, and going on would forget files.
func (d *Data) firstSnapshot() error {
	names, err := d.Dir.FS.List("log")
	if err != nil {
		return model.Errorf(model.CodeUnavailable, "open data directory", "log/ cannot be listed: %w", err)
	}
	if len(names) > 0 {
		return model.Errorf(model.CodeCorrupt, "open data directory",
			"snapshots/ is empty but log/ is not; restore snapshots/ from a backup of the same moment")
	}
	conf, err := messages.MarshalDeterministic(&raftpb.ConfState{Voters: []uint64{d.Dir.Identity().RaftID}})
	if err != nil {
		return err
	}
	out, err := store.CreateSnapshot(d.Dir.FS, store.SnapshotMeta{Index: firstIndex, Term: firstTerm, Conf: conf})
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
	wal, rec, err := store.OpenWAL(d.Dir.FS, store.WALOptions{SegmentBytes: d.LogSegmentBytes})
	if err != nil {
		return nil, nil, err
	}
	d.wal = wal
	if rec.Last != 0 {
		return wal, rec, nil
	}
	if d.Dir.Identity().HeldLog {
		return nil, nil, model.Errorf(model.CodeCorrupt, "open log",
			"log/ is empty, but this node was a member of its cluster's log: it has forgotten what it voted for and what it confirmed; "+
				"restore log/. If all voters lost theirs, `tiercel recover` makes the catalog again from their volumes; if that was done elsewhere, "+
				"`tiercel recover --worker` keeps the volumes of this node. If its cluster goes on without it, start with an empty data directory, "+
				"as a new node, and remove this one there; what lies in its volumes is not in the new one")
	}
	snapshots, err := store.ListSnapshots(d.Dir.FS)
	switch {
	case err != nil:
		return nil, nil, err
	case d.Dir.Identity().Joined:
		// Without a snapshot it has never held the log; with one, it was on its way to
		// install it. The log actor goes on from there.
		return wal, rec, nil
	case len(snapshots) != 1 || snapshots[0] != firstIndex:
		return nil, nil, model.Errorf(model.CodeCorrupt, "open log", "log/ is empty but snapshots/ has more than the first one; restore log/")
	}
	if err := wal.Reset(firstIndex, firstTerm); err != nil {
		return nil, nil, err
	}
	rec.First, rec.Last = wal.First(), wal.Last()
	rec.State = store.HardState{Term: firstTerm, Commit: firstIndex}
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
