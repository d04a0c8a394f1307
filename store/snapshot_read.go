package store

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cespare/xxhash/v2"

	"tiercel/cluster/model"
)

// LoadSnapshot reads the snapshot at index and hands its pairs to fn, chunk by
// chunk in key order. Every chunk is verified before fn sees it; the whole only
// at the end, so that after an error what fn has seen must be thrown away. An
// error of fn ends the reading and is returned as it is.
//
// not_found: there is none; corrupt: it is damaged, with the offset.
func LoadSnapshot(fsys FS, index uint64, fn func([]Pair) error) (SnapshotMeta, error) {
	return loadSnapshotFile(fsys, snapshotName(index), index, fn)
}

// LoadSnapshotFile is LoadSnapshot for a snapshot file of any name and index: a backup.
func LoadSnapshotFile(fsys FS, name string, fn func([]Pair) error) (SnapshotMeta, error) {
	return loadSnapshotFile(fsys, name, anyIndex, fn)
}

// IsSnapshotFile reports whether a file begins as a snapshot does. One that cannot be
// read is taken for one: loading it says why.
func IsSnapshotFile(fsys FS, name string) bool {
	f, err := fsys.OpenReadOnly(name)
	if err != nil {
		return true
	}
	defer f.Close() // nothing was written
	if size, err := f.Size(); err != nil || size < 4 {
		return err != nil
	}
	var magic [4]byte
	_, err = f.ReadAt(magic[:], 0)
	return err != nil || le.Uint32(magic[:]) == headerMagic
}

// anyIndex is for a file whose name says nothing of its index.
const anyIndex = 1<<64 - 1

func loadSnapshotFile(fsys FS, name string, index uint64, fn func([]Pair) error) (SnapshotMeta, error) {
	const op = "load snapshot"
	f, err := fsys.OpenReadOnly(name)
	if errors.Is(err, fs.ErrNotExist) {
		return SnapshotMeta{}, model.Errorf(model.CodeNotFound, op, "there is no %s", name)
	}
	if err != nil {
		return SnapshotMeta{}, failed(model.CodeUnavailable, op, name+" cannot be opened", err)
	}
	size, err := f.Size()
	if err != nil {
		return SnapshotMeta{}, errors.Join(failed(model.CodeUnavailable, op, name+" cannot be measured", err), f.Close())
	}
	r := snapshotReader{window: newWindow(f, size), hash: xxhash.New(), fn: fn}
	meta, err := r.read()
	closeErr := f.Close()
	var callback fnError
	switch {
	case errors.As(err, &callback):
		return SnapshotMeta{}, callback.error
	case isDiskError(err):
		return SnapshotMeta{}, failed(model.CodeUnavailable, op, fmt.Sprintf("%s cannot be read at byte %d", name, r.offset), err)
	case err == nil && index != anyIndex && meta.Index != index:
		err = fmt.Errorf("it holds the state at %d", meta.Index)
	}
	if err != nil {
		return SnapshotMeta{}, model.Errorf(model.CodeCorrupt, op,
			"%s is damaged at byte %d; set it aside and use an older one: %w", name, r.offset, err)
	}
	if closeErr != nil {
		return SnapshotMeta{}, failed(model.CodeUnavailable, op, name+" cannot be closed", closeErr)
	}
	return meta, nil
}

// VerifySnapshot reads a snapshot to its end and tells whether it is intact.
func VerifySnapshot(fsys FS, index uint64) (SnapshotMeta, error) {
	return LoadSnapshot(fsys, index, func([]Pair) error { return nil })
}

// fnError marks an error of the caller's function.
type fnError struct{ error }

// snapshotReader walks the blocks of a snapshot.
type snapshotReader struct {
	window *window
	hash   *xxhash.Digest
	fn     func([]Pair) error
	offset int64
	raw    []byte

	last          string
	pairs, chunks uint64
}

// block returns the payload of the next block, verified.
func (r *snapshotReader) block() (magic uint32, payload []byte, err error) {
	p, err := r.window.need(r.offset, blockHeader)
	if err != nil {
		return 0, nil, diskError{err}
	}
	magic, n, err := blockLength(p)
	if err != nil {
		return 0, nil, err
	}
	if p, err = r.window.need(r.offset, blockHeader+n); err != nil {
		return 0, nil, diskError{err}
	}
	if len(p) < blockHeader+n {
		return 0, nil, errBlockShort
	}
	if blockCRC(p) != le.Uint32(p[8:]) {
		return 0, nil, errBlockCRC
	}
	return magic, p[blockHeader:], nil
}

func (r *snapshotReader) read() (SnapshotMeta, error) {
	magic, payload, err := r.block()
	if err == nil && magic != headerMagic {
		err = errBlockMagic
	}
	if err != nil {
		return SnapshotMeta{}, err
	}
	meta, err := decodeSnapshotMeta(payload)
	if err != nil {
		return SnapshotMeta{}, err
	}
	for {
		r.offset += int64(blockHeader + len(payload))
		if magic, payload, err = r.block(); err != nil {
			return meta, err
		}
		switch magic {
		case chunkMagic:
			err = r.chunk(payload)
		case trailerMagic:
			return meta, r.trailer(payload)
		default:
			err = errBlockMagic
		}
		if err != nil {
			return meta, err
		}
	}
}

func (r *snapshotReader) chunk(payload []byte) error {
	pairs, raw, err := unpackChunk(payload, r.raw)
	if err != nil {
		return err
	}
	r.raw = raw[:cap(raw)]
	_, _ = r.hash.Write(raw) // a hash takes everything
	for i := range pairs {
		if r.pairs > 0 && pairs[i].Key <= r.last {
			return errChunkOrder
		}
		r.last = pairs[i].Key
		r.pairs++
	}
	r.chunks++
	if err := r.fn(pairs); err != nil {
		return fnError{err}
	}
	return nil
}

func (r *snapshotReader) trailer(payload []byte) error {
	switch {
	case len(payload) != trailerBytes:
		return errBlockLength
	case le.Uint64(payload) != r.pairs || le.Uint64(payload[8:]) != r.chunks:
		return fmt.Errorf("it has %d pairs in %d chunks but should have %d in %d",
			r.pairs, r.chunks, le.Uint64(payload), le.Uint64(payload[8:]))
	case le.Uint64(payload[16:]) != r.hash.Sum64():
		return errors.New("the whole does not match its checksum")
	case r.offset+int64(blockHeader+len(payload)) != r.window.size:
		return errors.New("there is more after its end")
	}
	return nil
}
