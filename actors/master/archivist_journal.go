package master

import (
	"time"

	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/cluster/archive"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Sizes of the journal.
const (
	segmentBytes = 3 << 20 // of entries in one segment, about
	// worthBytes of entries that do not matter are written all the same, or every look
	// would read them again.
	worthBytes = 1 << 20
)

// journalRead is one look at what follows the journal's end.
type journalRead struct {
	number  uint64
	from    uint64
	at      time.Time
	applied uint64 // as the answer says
}

func (r *journalRead) seen() uint64 {
	if r == nil {
		return 0
	}
	return r.applied
}

// readJournal asks for the entries behind the journal's end.
func (a *Archivist) readJournal(ctx *runtime.Context, journaled uint64) {
	a.begin(ctx, "read the log")
	a.number++
	a.read = &journalRead{number: a.number, from: journaled + 1, at: ctx.Now(), applied: a.read.seen()}
	ctx.Request(ctx.Runtime().Local(a.cfg.LogPath), &messages.ReadLog{
		Header: &messages.Header{Request: a.number}, From: journaled + 1, Bytes: segmentBytes,
	})
}

// onLogRead writes a segment when something in it is worth it.
func (a *Archivist) onLogRead(ctx *runtime.Context, m *messages.ReadLogReply) {
	r := a.read
	if a.task == nil || r == nil || m.Header.GetRequest() != r.number {
		return
	}
	switch err := m.Error.Err("read the log"); {
	case model.CodeOf(err) == model.CodeNotFound:
		a.gone, a.task = max(a.gone, r.from), nil // a new checkpoint makes up for it
		a.next(ctx)
		return
	case err != nil:
		a.fail(ctx, err.Error())
		return
	}
	r.applied = m.Applied
	entries := m.Entries
	if len(entries) == 0 || entries[0].Index != r.from {
		a.task = nil
		if r.from > m.Applied {
			a.covered(ctx, m.Applied, r.at)
		}
		return
	}
	worth, whole := a.worth(entries), entries[len(entries)-1].Index >= m.Applied
	if !worth {
		a.task = nil
		if whole {
			a.covered(ctx, m.Applied, r.at)
		}
		return
	}
	a.writeSegment(ctx, entries, whole)
}

// worth reports whether a recovery would miss these entries.
func (a *Archivist) worth(entries []*messages.LogEntry) bool {
	bytes := 0
	for _, e := range entries {
		bytes += len(e.Data)
		cmd := &messages.Command{}
		if e.Kind == 0 && len(e.Data) > 0 && proto.Unmarshal(e.Data, cmd) == nil && archive.Matters(cmd) {
			return true
		}
	}
	return bytes >= worthBytes
}

func (a *Archivist) writeSegment(ctx *runtime.Context, entries []*messages.LogEntry, whole bool) {
	segment := &messages.JournalSegment{
		ClusterId: a.cluster.GetClusterId(), Generation: a.cfg.Generation,
		From: entries[0].Index, To: entries[len(entries)-1].Index, Entries: entries,
	}
	raw, err := messages.MarshalDeterministic(segment)
	if err != nil {
		a.fail(ctx, err.Error())
		return
	}
	item := archive.Item{Kind: archive.Journal, Generation: segment.Generation, From: segment.From, To: segment.To}
	at := a.read.at
	a.writeFile(ctx, a.begin(ctx, "write the journal"), item, store.PackArchive(raw), func(ctx *runtime.Context) {
		a.task = nil
		if whole {
			a.covered(ctx, segment.To, at)
			return
		}
		a.covered(ctx, segment.To, a.coverAt)
		a.next(ctx) // there is more
	})
}
