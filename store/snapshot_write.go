package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"

	"tiercel/cluster/model"
)

// SnapshotWriter writes one snapshot: chunks in key order, then Finish. Nothing
// is under snapshots/ before Finish. It is used by one goroutine at a time.
type SnapshotWriter struct {
	fs     FS
	index  uint64
	tmp    string
	file   File
	offset int64
	failed error // the first failure; only Abort is left then
	done   bool

	raw, packed []byte
	last        string
	pairs       uint64
	chunks      uint64
	hash        *xxhash.Digest
}

// CreateSnapshot begins the snapshot of the state that meta names.
func CreateSnapshot(fsys FS, meta SnapshotMeta) (*SnapshotWriter, error) {
	const op = "create snapshot"
	w := &SnapshotWriter{fs: fsys, index: meta.Index, tmp: path.Join(dirTmp, path.Base(snapshotName(meta.Index))), hash: xxhash.New()}
	header := meta.encode()
	if len(header) > maxSnapshotHeader {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "the snapshot's description has %d bytes; at most %d are allowed", len(header), maxSnapshotHeader)
	}
	for _, dir := range []string{dirSnapshots, dirTmp} {
		if err := fsys.MkdirAll(dir); err != nil {
			return nil, failed(model.CodeUnavailable, op, dir+"/ cannot be made", err)
		}
	}
	var err error
	if w.file, err = createTmp(fsys, w.tmp); err != nil {
		return nil, failed(model.CodeUnavailable, op, w.tmp+" cannot be made", err)
	}
	if err := w.write(appendBlock(nil, headerMagic, header)); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w, nil
}

func (w *SnapshotWriter) write(p []byte) error {
	if _, err := w.file.WriteAt(p, w.offset); err != nil {
		w.failed = failed(model.CodeUnavailable, "write snapshot", fmt.Sprintf("snapshot %d cannot be written", w.index), err)
		return w.failed
	}
	w.offset += int64(len(p))
	return nil
}

// WriteChunk appends pairs, whose keys follow those before, in one chunk or a
// few. After an error only Abort is left.
func (w *SnapshotWriter) WriteChunk(pairs []Pair) error {
	const op = "write snapshot"
	if w.failed != nil {
		return w.failed
	}
	w.raw = w.raw[:0]
	count := 0
	for _, p := range pairs {
		switch {
		case len(p.Key)+len(p.Value) > MaxPairBytes:
			w.failed = model.Errorf(model.CodeInvalidArgument, op,
				"the pair of key %.64q has %d bytes; a snapshot takes at most %d", p.Key, len(p.Key)+len(p.Value), MaxPairBytes)
			return w.failed
		case w.pairs > 0 && p.Key <= w.last:
			w.failed = model.Errorf(model.CodeInternal, op, "key %.64q comes after key %.64q", p.Key, w.last)
			return w.failed
		}
		w.raw = appendPair(w.raw, p)
		w.last = p.Key
		w.pairs++
		if count++; len(w.raw) >= chunkTarget {
			if err := w.writeChunk(count); err != nil {
				return err
			}
			count = 0
		}
	}
	if count > 0 {
		return w.writeChunk(count)
	}
	return nil
}

func (w *SnapshotWriter) writeChunk(count int) error {
	const at = blockHeader + chunkHeader
	if need := at + s2.MaxEncodedLen(len(w.raw)); cap(w.packed) < need {
		w.packed = make([]byte, need)
	}
	packed := w.packed[:cap(w.packed)]
	body := s2.Encode(packed[at:], w.raw)
	packed = packed[:at+len(body)]
	le.PutUint32(packed[blockHeader:], uint32(count))
	le.PutUint32(packed[blockHeader+4:], uint32(len(w.raw)))
	sealBlock(packed, chunkMagic)
	_, _ = w.hash.Write(w.raw) // a hash takes everything
	w.chunks++
	w.raw = w.raw[:0]
	return w.write(packed)
}

// Finish writes the trailer and gives the snapshot its name, all durable. A
// snapshot of the same index is replaced. After an error only Abort is left.
func (w *SnapshotWriter) Finish() error {
	if w.failed != nil {
		return w.failed
	}
	trailer := le.AppendUint64(nil, w.pairs)
	trailer = le.AppendUint64(trailer, w.chunks)
	trailer = le.AppendUint64(trailer, w.hash.Sum64())
	if err := w.write(appendBlock(nil, trailerMagic, trailer)); err != nil {
		return err
	}
	err := w.file.Sync()
	if closeErr := w.file.Close(); err == nil {
		err = closeErr
	}
	w.done = true
	if err == nil {
		err = w.fs.Rename(w.tmp, snapshotName(w.index))
	}
	if err == nil {
		err = w.fs.SyncDir(dirSnapshots)
	}
	if err != nil {
		w.failed = failed(model.CodeUnavailable, "write snapshot", fmt.Sprintf("snapshot %d cannot be made durable", w.index), err)
	}
	return w.failed
}

// Abort removes what an unfinished snapshot has left. After a Finish that
// succeeded, and when called again, it does nothing.
func (w *SnapshotWriter) Abort() error {
	if w.failed == nil && w.done {
		return nil
	}
	var err error
	if !w.done {
		w.done = true
		err = w.file.Close()
	}
	if w.failed == nil {
		w.failed = model.Errorf(model.CodeUnavailable, "write snapshot", "snapshot %d was aborted", w.index)
	}
	return errors.Join(err, ignoreMissing(w.fs.Remove(w.tmp)))
}

// ListSnapshots returns the indexes of the snapshots, the newest last. Whether
// they are intact only VerifySnapshot and LoadSnapshot tell.
func ListSnapshots(fsys FS) ([]uint64, error) {
	names, err := fsys.List(dirSnapshots)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(model.CodeUnavailable, "list snapshots", dirSnapshots+"/ cannot be listed", err)
	}
	var indexes []uint64
	for _, name := range names { // sorted, and so by index
		if index, ok := parseSnapshotName(strings.TrimSuffix(name, "/")); ok {
			indexes = append(indexes, index)
		}
	}
	return indexes, nil
}

// RemoveSnapshotsBelow removes the snapshots older than the one at index.
func RemoveSnapshotsBelow(fsys FS, index uint64) error {
	const op = "remove snapshots"
	indexes, err := ListSnapshots(fsys)
	if err != nil {
		return err
	}
	removed := false
	for _, i := range indexes {
		if i >= index {
			break
		}
		if err := fsys.Remove(snapshotName(i)); err != nil {
			return failed(model.CodeUnavailable, op, snapshotName(i)+" cannot be removed", err)
		}
		removed = true
	}
	if !removed {
		return nil
	}
	if err := fsys.SyncDir(dirSnapshots); err != nil {
		return failed(model.CodeUnavailable, op, dirSnapshots+"/ cannot be synced", err)
	}
	return nil
}
