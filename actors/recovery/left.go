package recovery

import (
	"fmt"
	"slices"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Left is what only the members that a take-over leaves behind hold, by the catalog that
// is taken over: every copy is on one of them.
type Left struct {
	Volumes int    `json:"volumes"`
	Bytes   uint64 `json:"bytes_in_use"`
	Files   int64  `json:"files"` // of tenants, of which at least a part is there only
}

// LeftBehind reads the catalog of a stopped node as far as its log goes, as a start would,
// and says what is left behind with the members whose Raft ids are gone. It changes nothing.
func LeftBehind(op string, fs store.FS, gone []uint64) (*Left, error) {
	indexes, err := store.ListSnapshots(fs)
	if err != nil {
		return nil, err
	}
	err = model.Errorf(model.CodeCorrupt, op, "there is no snapshot")
	var b *base
	for _, index := range slices.Backward(indexes) {
		b, err = loadFrom(op, fmt.Sprintf("snapshot %d", index), func(add func([]store.Pair) error) (store.SnapshotMeta, error) {
			return store.LoadSnapshot(fs, index, add)
		})
		if err == nil {
			break // else it is damaged, and the one before it stands in
		}
	}
	if err != nil {
		return nil, err
	}
	if err := b.applyLog(fs); err != nil {
		return nil, err
	}
	return leftBehind(b.cat, gone), nil
}

// applyLog applies what the log has behind the snapshot.
func (b *base) applyLog(fs store.FS) error {
	wal, rec, err := store.OpenWAL(fs, store.WALOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer wal.Close() // nothing was appended
	for at := b.cat.Applied() + 1; at <= rec.Last; {
		entries, err := wal.Entries(at, rec.Last+1, logChunk)
		if err != nil {
			return err
		}
		for i := range entries {
			e := &entries[i]
			if err := b.apply(&messages.LogEntry{Index: e.Index, Term: e.Term, Kind: uint32(e.Kind), Data: e.Data}); err != nil {
				return err
			}
		}
		at += uint64(len(entries))
	}
	return b.cat.Err()
}

// leftBehind counts. A node is known by its Raft id, as when the take-over is applied.
func leftBehind(cat *catalog.Catalog, gone []uint64) *Left {
	lost := make(map[string]bool)
	nodes, rows := cat.Workers()
	for i, node := range nodes {
		lost[node] = rows[i].RaftId != 0 && slices.Contains(gone, rows[i].RaftId)
	}
	left, only := &Left{}, make(map[uint64]bool)
	for _, row := range cat.Volumes() {
		stays := func(m *messages.VolumeMember) bool { return !lost[m.Node] }
		if row.State == messages.VolumeState_RETIRING || row.LiveBytes <= 0 || len(row.Members) == 0 || slices.ContainsFunc(row.Members, stays) {
			continue
		}
		only[row.Id] = true
		left.Volumes++
		left.Bytes += uint64(row.LiveBytes)
	}
	last, next := "", ""
	for more := len(only) > 0; more; more = next != "" {
		var found []*messages.NamedExtent
		found, next = cat.Named(only, next, 4096)
		for _, n := range found {
			if file := n.Tenant + "\x00" + n.Path; n.Upload == 0 && n.Tenant != model.SystemTenant && file != last {
				last = file
				left.Files++
			}
		}
	}
	return left
}
