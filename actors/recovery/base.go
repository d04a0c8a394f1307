package recovery

import (
	"bytes"
	"fmt"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/archive"
	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// tmpCheckpoint is where a checkpoint is put together; tmp/ is emptied at any start.
const tmpCheckpoint = "tmp/recovered-checkpoint"

// base is a catalog at a log index, and what was seen on the way there.
type base struct {
	op         string // the verb that it is for, of errors
	ix         store.Index
	cat        *catalog.Catalog
	generation uint64
	from       uint64 // log index of the checkpoint
	term       uint64
	written    time.Time // of the newest command
	// floor is how far each volume was committed at the checkpoint: a record below it had
	// its commit before that, or none. seen are the records that the journal has named.
	floor map[uint64]uint64
	seen  map[spot]bool
}

// spot names a record.
type spot struct{ volume, offset uint64 }

// fromCheckpoint puts a checkpoint together and replays the journal.
func (s *sources) fromCheckpoint(c archive.Base, report *Report) (*base, error) {
	fs := s.dirs[0].dir.FS
	if err := fs.MkdirAll("tmp"); err != nil {
		return nil, model.Errorf(model.CodeUnavailable, op, "tmp/ cannot be made: %w", err)
	}
	_ = fs.Remove(tmpCheckpoint) // of an earlier try
	f, err := fs.Create(tmpCheckpoint)
	if err != nil {
		return nil, model.Errorf(model.CodeUnavailable, op, "%s cannot be made: %w", tmpCheckpoint, err)
	}
	defer func() { _ = fs.Remove(tmpCheckpoint) }()
	offset := int64(0)
	for part := range c.Of {
		item := archive.Item{Kind: archive.Checkpoint, Generation: c.Generation, Index: c.Index, Part: part, Of: c.Of}
		body, err := s.read(s.items[item])
		if err == nil {
			_, err = f.WriteAt(body, offset)
		}
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("part %d of %d: %w", part+1, c.Of, err)
		}
		offset += int64(len(body))
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	b, err := load(op, Dir{Name: tmpCheckpoint, FS: fs})
	if err != nil {
		return nil, err
	}
	if b.from != c.Index || b.generation != c.Generation {
		return nil, model.Errorf(model.CodeCorrupt, op, "it is of index %d and generation %d, not %d and %d", b.from, b.generation, c.Index, c.Generation)
	}
	return b, s.replay(b, c.Segments, report)
}

// fromBackup builds on a backup; the journal of the same generation goes on from it.
func (s *sources) fromBackup(file Dir, items []archive.Item, report *Report) (*base, error) {
	b, err := load(op, file)
	if err != nil {
		return nil, err
	}
	if b.generation == 0 {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%s holds no cluster", file.Name)
	}
	report.Backup = true
	err = s.replay(b, archive.Follow(items, b.generation, b.from), report)
	report.Checkpoint, report.JournalTo, report.LastWritten = b.from, b.cat.Applied(), b.written
	return b, err
}

// load reads a snapshot file and verifies it, the state's hash included, for the verb op.
func load(op string, file Dir) (*base, error) {
	return loadFrom(op, file.Name, func(add func([]store.Pair) error) (store.SnapshotMeta, error) {
		return store.LoadSnapshotFile(file.FS, file.Name, add)
	})
}

// loadFrom is load of whatever read gives.
func loadFrom(op, name string, read func(add func([]store.Pair) error) (store.SnapshotMeta, error)) (*base, error) {
	b := &base{op: op, ix: store.NewIndex(), floor: make(map[uint64]uint64), seen: make(map[spot]bool)}
	meta, err := read(func(pairs []store.Pair) error {
		store.Load(b.ix, pairs)
		return nil
	})
	if err != nil {
		return nil, model.Errorf(model.CodeOf(err), op, "%s", text(err))
	}
	b.cat = catalog.New(b.ix)
	if err := b.cat.Err(); err != nil {
		return nil, err
	}
	if len(meta.StateHash) > 0 && !bytes.Equal(meta.StateHash, b.cat.StateHash()) {
		return nil, model.Errorf(model.CodeCorrupt, op, "%s has the state hash %x, and its rows %x", name, meta.StateHash, b.cat.StateHash())
	}
	if b.cat.Applied() < meta.Index {
		if err := b.cat.Advance(meta.Index); err != nil {
			return nil, err
		}
	}
	b.from, b.term, b.generation = meta.Index, meta.Term, b.cat.Cluster().GetGeneration()
	for _, row := range b.cat.Volumes() {
		b.floor[row.Id] = row.CommittedEnd
	}
	return b, nil
}

// replay applies the journal as far as it can be read. What it cannot read ends it:
// what comes after a gap must not be applied.
func (s *sources) replay(b *base, segments []archive.Item, report *Report) error {
	for _, item := range segments {
		segment, err := s.segment(item, b.cat.Cluster().GetClusterId())
		if err != nil {
			report.note("the journal ends at %d: the piece from %d to %d cannot be read: %s", b.cat.Applied(), item.From, item.To, text(err))
			return nil
		}
		for _, e := range segment.Entries {
			if e.Index <= b.cat.Applied() {
				continue
			}
			if e.Index != b.cat.Applied()+1 {
				report.note("the journal ends at %d: entry %d follows", b.cat.Applied(), e.Index)
				return nil
			}
			if err := b.apply(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sources) segment(item archive.Item, cluster string) (*messages.JournalSegment, error) {
	body, err := s.read(s.items[item])
	if err != nil {
		return nil, err
	}
	raw, err := store.UnpackArchive(body)
	if err != nil {
		return nil, err
	}
	segment := &messages.JournalSegment{}
	if err := proto.Unmarshal(raw, segment); err != nil {
		return nil, err
	}
	if segment.ClusterId != cluster || segment.Generation != item.Generation || segment.From != item.From || segment.To != item.To {
		return nil, model.Errorf(model.CodeCorrupt, op, "it is not what its name says")
	}
	return segment, nil
}

// apply applies one entry, as the catalog of a voter did.
func (b *base) apply(e *messages.LogEntry) error {
	b.term = max(b.term, e.Term)
	if raftpb.EntryType(e.Kind) != raftpb.EntryNormal || len(e.Data) == 0 {
		return b.cat.Advance(e.Index)
	}
	cmd := &messages.Command{}
	if err := proto.Unmarshal(e.Data, cmd); err != nil {
		return model.Errorf(model.CodeCorrupt, op, "entry %d of the journal is not a command: %w", e.Index, err)
	}
	if cmd.ProposedUnixMs != 0 {
		b.written = time.UnixMilli(cmd.ProposedUnixMs)
	}
	for _, x := range cmd.GetPutFile().GetExtents() {
		b.seen[spot{x.Volume, x.Offset}] = true
	}
	for _, x := range cmd.GetStageExtents().GetExtents() {
		b.seen[spot{x.Volume, x.Offset}] = true
	}
	for _, m := range cmd.GetMoveExtents().GetMoves() {
		b.seen[spot{m.GetTo().GetVolume(), m.GetTo().GetOffset()}] = true
	}
	_, err := b.cat.Apply(e.Index, cmd)
	return err
}
