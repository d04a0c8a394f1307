package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"tiercel/cluster/model"
)

// ReadSnapshotPiece reads up to most bytes of a snapshot's file at offset, for
// another node, and says how many the whole has.
//
// not_found: there is no such snapshot (any more); invalid_argument: offset lies
// beyond its end.
func ReadSnapshotPiece(fsys FS, index, offset uint64, most int) (data []byte, total uint64, err error) {
	const op = "read snapshot"
	name := snapshotName(index)
	f, err := fsys.OpenReadOnly(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, model.Errorf(model.CodeNotFound, op, "there is no %s", name)
	}
	if err != nil {
		return nil, 0, failed(model.CodeUnavailable, op, name+" cannot be opened", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	size, err := f.Size()
	if err != nil {
		return nil, 0, failed(model.CodeUnavailable, op, name+" cannot be measured", err)
	}
	if offset > uint64(size) {
		return nil, 0, model.Errorf(model.CodeInvalidArgument, op, "%s has %d bytes; there are none at %d", name, size, offset)
	}
	data = make([]byte, min(uint64(most), uint64(size)-offset))
	if _, err := f.ReadAt(data, int64(offset)); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, failed(model.CodeUnavailable, op, fmt.Sprintf("%s cannot be read at byte %d", name, offset), err)
	}
	return data, uint64(size), nil
}

func fetchedName(index uint64) string {
	return path.Join(dirTmp, "fetched-"+path.Base(snapshotName(index)))
}

// WriteSnapshotPiece adds a piece of another node's snapshot to a temporary file;
// the one at offset 0 begins it anew. Nothing is durable before AdoptSnapshot.
func WriteSnapshotPiece(fsys FS, index, offset uint64, data []byte) error {
	const op = "fetch snapshot"
	name := fetchedName(index)
	var f File
	var err error
	if offset == 0 {
		f, err = createTmp(fsys, name)
	} else {
		f, err = fsys.Open(name)
	}
	if err != nil {
		return failed(model.CodeUnavailable, op, name+" cannot be opened", err)
	}
	_, err = f.WriteAt(data, int64(offset))
	if err = errors.Join(err, f.Close()); err != nil {
		return failed(model.CodeUnavailable, op, fmt.Sprintf("%s cannot be written at byte %d", name, offset), err)
	}
	return nil
}

// AdoptSnapshot verifies a fetched snapshot as a whole and puts it, durably, among
// our own. corrupt: it is not intact; nothing has changed then.
func AdoptSnapshot(fsys FS, index uint64) error {
	const op = "adopt snapshot"
	name := fetchedName(index)
	if _, err := loadSnapshotFile(fsys, name, index, func([]Pair) error { return nil }); err != nil {
		return err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return failed(model.CodeUnavailable, op, name+" cannot be opened", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return failed(model.CodeUnavailable, op, name+" cannot be made durable", err)
	}
	if err := fsys.Rename(name, snapshotName(index)); err != nil {
		return failed(model.CodeUnavailable, op, name+" cannot be moved to "+dirSnapshots+"/", err)
	}
	if err := fsys.SyncDir(dirSnapshots); err != nil {
		return failed(model.CodeUnavailable, op, dirSnapshots+"/ cannot be synced", err)
	}
	return nil
}
