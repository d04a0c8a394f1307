package recovery

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/logconf"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// LogEnd is where the log of a stopped node ends.
type LogEnd struct {
	Conf        *raftpb.ConfState // who its members are there
	Last, Term  uint64
	Committed   uint64    // entries up to here are known to be committed
	LastWritten time.Time // when the newest entry was proposed; zero: not known
}

// logChunk bounds how much of a log is held at a time.
const logChunk = 4 << 20

// ReadLog reads the log of a stopped node to its end, as a start would, for the verb op.
// Unless it is to be read only, what is read is durable afterwards.
//
// Errors: conflict when the log is lost, or no snapshot of it is intact; corrupt when it
// is damaged.
func ReadLog(op string, fs store.FS, node store.NodeFile, readOnly bool) (_ *LogEnd, err error) {
	lost, err := store.LostLog(fs, node)
	if err != nil {
		return nil, err
	}
	if lost != "" {
		return nil, model.Errorf(model.CodeConflict, op,
			"there is no log here to go on with: %s. If the cluster goes on without this node, `tiercel recover --worker` keeps its volumes, and a start with --join takes it back in. "+
				"If not, take over on another voter, or on the standby (role learner in `tiercel workers`), whose log is there; "+
				"if all of them lost theirs, `tiercel recover` makes the catalog again from the volumes", lost)
	}
	end, snapshot, err := newestConf(op, fs)
	if err != nil {
		return nil, err
	}
	before := logconf.Takeover{At: node.TakenOverAt, Self: node.RaftID}
	end.Conf = logconf.Start(end.Conf, snapshot, before)
	wal, rec, err := store.OpenWAL(fs, store.WALOptions{ReadOnly: readOnly})
	if err != nil {
		return nil, err
	}
	defer wal.Close() // nothing was appended
	if rec.First > snapshot+1 {
		return nil, model.Errorf(model.CodeCorrupt, op,
			"log/ begins with entry %d but the newest intact snapshot is at %d: a piece is missing. "+store.DamagedLogHelp, rec.First, snapshot)
	}
	end.Last, end.Committed = max(rec.Last, snapshot), max(rec.State.Commit, snapshot)
	for at := snapshot + 1; at <= rec.Last; {
		entries, err := wal.Entries(at, rec.Last+1, logChunk)
		if err != nil {
			return nil, err
		}
		for i := range entries {
			e := &entries[i]
			if end.Conf, err = logconf.Fold(end.Conf, e.Index, raftpb.EntryType(e.Kind), e.Data, before); err != nil {
				return nil, err
			}
			end.note(e)
		}
		at += uint64(len(entries))
	}
	return end, nil
}

// newestConf begins with the newest snapshot that is intact.
func newestConf(op string, fs store.FS) (*LogEnd, uint64, error) {
	indexes, err := store.ListSnapshots(fs)
	if err != nil {
		return nil, 0, err
	}
	for _, index := range slices.Backward(indexes) {
		meta, err := store.VerifySnapshot(fs, index)
		if err != nil {
			continue // damaged, as at a start: the one before it stands in
		}
		end := &LogEnd{Conf: &raftpb.ConfState{}, Term: meta.Term}
		if err := proto.Unmarshal(meta.Conf, end.Conf); err != nil {
			return nil, 0, model.Errorf(model.CodeCorrupt, op, "the voters in snapshot %d cannot be read: %w", index, err)
		}
		return end, meta.Index, nil
	}
	return nil, 0, model.Errorf(model.CodeConflict, op,
		"this node has no intact copy of the log and its snapshots; take over on the standby (role learner in `tiercel workers`) or on a voter. "+
			"Where the cluster goes on without this node, `tiercel recover --worker` keeps its volumes")
}

func (e *LogEnd) note(entry *store.LogEntry) {
	e.Term = entry.Term
	cmd := &messages.Command{}
	if raftpb.EntryType(entry.Kind) == raftpb.EntryType_EntryNormal && len(entry.Data) > 0 && proto.Unmarshal(entry.Data, cmd) == nil && cmd.ProposedUnixMs != 0 {
		e.LastWritten = time.UnixMilli(cmd.ProposedUnixMs)
	}
}
