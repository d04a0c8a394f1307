package fsck

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// replayBytes bounds how much of the log is held at a time.
const replayBytes = 4 << 20

// loadCatalog takes the newest intact snapshot and replays the log on it, as a
// start does. Without an intact snapshot there is no catalog, nor without the log: what
// the snapshot says may have been replaced, moved and compacted away since.
func (c *check) loadCatalog() error {
	if lost, err := store.LostLog(c.fs, c.node); err != nil || lost != "" {
		c.lost(lost)
		return err
	}
	indexes, err := store.ListSnapshots(c.fs)
	if err != nil {
		return err
	}
	if c.report.HoldsLog, err = c.holdsLog(indexes); err != nil || !c.report.HoldsLog {
		return err
	}
	var meta store.SnapshotMeta
	for i := len(indexes) - 1; i >= 0; i-- {
		index := indexes[i]
		if c.catalog != nil {
			// The older one is what a start falls back on: it must be intact too.
			if _, err := store.VerifySnapshot(c.fs, index); err != nil {
				c.damaged(KindSnapshot, err)
			}
			continue
		}
		if meta, err = c.loadSnapshot(index); err != nil {
			c.damaged(KindSnapshot, err)
		}
	}
	switch {
	case len(indexes) == 0:
		// A start died before it had made anything: there is nothing to lose.
		c.index = store.NewIndex()
		c.catalog = catalog.New(c.index)
		return nil
	case c.catalog == nil:
		return nil
	}
	c.report.Snapshot, c.report.Applied = meta.Index, meta.Index
	c.replay(meta)
	return nil
}

// lost reports a log that is gone. Without this a later start, or whoever copies the
// directory, would not know.
func (c *check) lost(what string) {
	if what == "" {
		return
	}
	kind := KindLog
	if strings.HasPrefix(what, "snapshots/") {
		kind = KindSnapshot
	}
	c.report.HoldsLog = true
	c.report.add(Problem{Kind: kind, Message: what + ". " + store.LostLogHelp})
}

// holdsLog tells a member of the log from a worker that only holds volumes: it joined,
// and neither log nor snapshot was ever sent to it. The catalog is on the voters then.
func (c *check) holdsLog(snapshots []uint64) (bool, error) {
	if c.node.HeldLog || !c.node.Joined || len(snapshots) > 0 {
		return true, nil
	}
	wal, rec, err := store.OpenWAL(c.fs, store.WALOptions{ReadOnly: true})
	if err != nil {
		c.damaged(KindLog, err)
		return true, nil
	}
	if rec.Last > 0 {
		c.report.add(Problem{Kind: KindSnapshot, Message: "there is none in snapshots/, though log/ is not empty. " + store.DamagedLogHelp})
	}
	return rec.Last > 0, wal.Close()
}

func (c *check) damaged(kind Kind, err error) {
	c.report.add(Problem{Kind: kind, Message: message(err)})
}

// message is err for a person: without operation and code.
func message(err error) string {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

func (c *check) loadSnapshot(index uint64) (store.SnapshotMeta, error) {
	ix := store.NewIndex()
	meta, err := store.LoadSnapshot(c.fs, index, func(pairs []store.Pair) error {
		store.Load(ix, pairs)
		return c.ctx.Err()
	})
	if err != nil {
		return meta, err
	}
	cat := catalog.New(ix)
	if err := cat.Err(); err != nil {
		return meta, err
	}
	if len(meta.StateHash) > 0 && !bytes.Equal(meta.StateHash, cat.StateHash()) {
		return meta, model.Errorf(model.CodeCorrupt, op, "snapshot %d has the state hash %x, and its rows %x", index, meta.StateHash, cat.StateHash())
	}
	if cat.Applied() < meta.Index {
		if err := cat.Advance(meta.Index); err != nil {
			return meta, err
		}
	}
	c.index, c.catalog = ix, cat
	return meta, nil
}

// replay applies the log behind the snapshot. What goes wrong is a problem of
// the log; the check goes on with the state reached.
func (c *check) replay(meta store.SnapshotMeta) {
	wal, rec, err := store.OpenWAL(c.fs, store.WALOptions{})
	if err != nil {
		c.damaged(KindLog, err)
		return
	}
	defer wal.Close() // nothing was appended, and the overlay is thrown away
	r := c.report
	r.LogFirst, r.LogLast, r.LogCommitted, r.LogTornBytes = rec.First, rec.Last, rec.State.Commit, rec.Torn
	if rec.Last == 0 && (meta.Index <= store.FirstIndex || c.node.Joined && !c.node.HeldLog) {
		return // a start died before it had begun its log, or installed its first snapshot
	}
	if rec.First > meta.Index+1 || rec.Last < meta.Index {
		r.add(Problem{Kind: KindLog, Message: fmt.Sprintf(
			"it holds entries %d to %d but the newest intact snapshot is at %d: a piece is missing. "+store.DamagedLogHelp,
			rec.First, rec.Last, meta.Index)})
		return
	}
	if err := c.applyEntries(wal, meta, rec); err != nil {
		c.damaged(KindLog, err)
	}
	r.Applied = c.catalog.Applied()
}

func (c *check) applyEntries(wal *store.WAL, meta store.SnapshotMeta, rec *store.WALRecovery) error {
	end, err := c.lastToApply(meta, rec)
	if err != nil {
		return err
	}
	for at := meta.Index + 1; at <= end && c.ctx.Err() == nil; {
		entries, err := wal.Entries(at, end+1, replayBytes)
		if err != nil {
			return err
		}
		c.catalog.Begin()
		for i := range entries {
			if err := c.applyOne(&entries[i]); err != nil {
				c.catalog.End()
				return err
			}
		}
		c.catalog.End()
		at += uint64(len(entries))
	}
	return nil
}

// lastToApply is the last entry that is certainly committed. The stored commit
// index lags behind; for a lone voter all that is durable is committed.
func (c *check) lastToApply(meta store.SnapshotMeta, rec *store.WALRecovery) (uint64, error) {
	conf := &raftpb.ConfState{}
	if err := proto.Unmarshal(meta.Conf, conf); err != nil {
		return 0, model.Errorf(model.CodeCorrupt, op, "the voters in snapshot %d cannot be read: %w", meta.Index, err)
	}
	if len(conf.GetVoters()) == 1 && conf.GetVoters()[0] == c.node.RaftID && len(conf.GetVotersOutgoing()) == 0 {
		return rec.Last, nil
	}
	return max(rec.State.Commit, meta.Index), nil
}

func (c *check) applyOne(e *store.LogEntry) error {
	if raftpb.EntryType(e.Kind) != raftpb.EntryNormal || len(e.Data) == 0 {
		return c.catalog.Advance(e.Index)
	}
	cmd := &messages.Command{}
	if err := proto.Unmarshal(e.Data, cmd); err != nil {
		return model.Errorf(model.CodeCorrupt, op, "entry %d is not a command: %w", e.Index, err)
	}
	_, err := c.catalog.Apply(e.Index, cmd)
	return err
}
