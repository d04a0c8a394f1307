package recovery

import (
	"fmt"
	"io"

	"go.etcd.io/raft/v3/raftpb"

	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// chunkBytes of a snapshot are written in one go.
const chunkBytes = 1 << 20

// found makes a log with the recovered catalog in the first directory, and workers of
// the others. The first comes last: until then nothing serves the new generation.
func (s *sources) found(opt Options, b *base, report *Report) error {
	for i := len(s.dirs) - 1; i >= 0; i-- {
		d := s.dirs[i]
		aside, err := d.setLogAside(report.Generation, fmt.Sprintf("The catalog of cluster %s was recovered at generation %d.", d.node.ClusterID, report.Generation))
		if err != nil {
			return err
		}
		report.Dirs[i].Aside = aside
		if i > 0 {
			err = becomeWorker(d.dir, report.Generation, opt.Random)
		} else {
			err = newLog(d.dir, b, report, opt.Random)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}

// setLogAside says in the reason what has happened, which is not always a recovery.
func (d *source) setLogAside(generation uint64, happened string) (string, error) {
	return d.dir.SetLogAside(fmt.Sprintf("recovered-%d-%016x", generation, d.node.RaftID), fmt.Sprintf(
		"%s\nWhat is here are the log and the snapshots of %s as they were; they may hold writes that\n"+
			"the cluster does not have. Nothing here is used or deleted.", happened, d.node.NodeID))
}

// becomeWorker makes a directory that of a node which holds no log: its identity and
// its volumes stay, and it takes part as soon as it finds the recovered cluster.
func becomeWorker(dir *store.DataDir, generation uint64, random io.Reader) error {
	raftID, err := store.NewRaftID(random)
	if err != nil {
		return err
	}
	return dir.UpdateNode(func(n *store.NodeFile) {
		n.RaftID, n.Joined, n.HeldLog, n.SupersededBy = raftID, true, false, 0
		n.Fork, n.TakenOverAt, n.Superseded = "", 0, nil
		n.Generation = max(n.Generation, generation)
		// Under a new Raft id it has promised nothing that it could have forgotten, and the
		// content of its volumes is compared: it may be the newest start of its node again.
		n.Incarnation, n.StaleAt = max(n.Incarnation, n.StaleAt), 0
	})
}

// newLog writes the snapshot, a log that goes on after it, and who this node is from
// now on. Until node.yaml is written the recovery can be begun again.
func newLog(dir *store.DataDir, b *base, report *Report, random io.Reader) error {
	raftID, err := store.NewRaftID(random)
	if err != nil {
		return err
	}
	index, term := b.cat.Applied(), b.term+1
	if err := writeSnapshot(dir.FS, b, raftID, term); err != nil {
		return err
	}
	wal, _, err := store.OpenWAL(dir.FS, store.WALOptions{})
	if err != nil {
		return err
	}
	if err = wal.Reset(index, term); err == nil {
		err = wal.Append(&store.HardState{Term: term, Commit: index}, nil, true)
	}
	if closeErr := wal.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return dir.UpdateNode(func(n *store.NodeFile) {
		n.ClusterID, n.RaftID, n.Generation, n.Fork = report.ClusterID, raftID, report.Generation, report.Fork
		n.Joined, n.HeldLog, n.SupersededBy, n.TakenOverAt, n.Superseded = false, true, 0, 0, nil
		n.Peers = nil // whoever belongs to the new life comes to it (catalog.RecoverCatalog)
	})
}

func writeSnapshot(fs store.FS, b *base, raftID, term uint64) error {
	conf, err := messages.MarshalDeterministic(&raftpb.ConfState{Voters: []uint64{raftID}})
	if err != nil {
		return err
	}
	meta := store.SnapshotMeta{
		Index: b.cat.Applied(), Term: term, Conf: conf, StateHash: b.cat.StateHash(), ClusterVersion: b.cat.Cluster().GetClusterVersion(),
	}
	if err := b.cat.Err(); err != nil {
		return err
	}
	out, err := store.CreateSnapshot(fs, meta)
	if err != nil {
		return err
	}
	walk := b.ix.Snapshot()
	defer walk.Close()
	for pairs := walk.Next(chunkBytes); pairs != nil && err == nil; pairs = walk.Next(chunkBytes) {
		err = out.WriteChunk(pairs)
	}
	if err == nil {
		err = out.Finish()
	}
	if err != nil {
		return model.Errorf(model.CodeOf(err), b.op, "the catalog cannot be written: %w (%w)", err, out.Abort())
	}
	_, err = store.VerifySnapshot(fs, meta.Index)
	return err
}
