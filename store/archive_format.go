package store

import (
	"errors"
	"hash/crc32"

	"github.com/klauspost/compress/s2"

	"tiercel/cluster/model"
)

// A piece of the archive that is not a snapshot's: magic "TCJ1" 4, unpacked length 4,
// crc32c of the unpacked bytes 4, s2 block. Numbers are little-endian.
const (
	archiveMagic  = 0x314a4354 // "TCJ1"
	archiveHeader = 12
	// maxArchiveBytes bounds one piece, unpacked.
	maxArchiveBytes = 32 << 20
)

// PackArchive compresses and frames a piece of the archive.
func PackArchive(raw []byte) []byte {
	out := make([]byte, archiveHeader, archiveHeader+s2.MaxEncodedLen(len(raw)))
	le.PutUint32(out, archiveMagic)
	le.PutUint32(out[4:], uint32(len(raw)))
	le.PutUint32(out[8:], crc32.Checksum(raw, castagnoli))
	return append(out, s2.Encode(nil, raw)...)
}

// UnpackArchive is the inverse of PackArchive; corrupt when it is not whole.
func UnpackArchive(p []byte) ([]byte, error) {
	raw, err := unpackArchive(p)
	if err != nil {
		return nil, model.Errorf(model.CodeCorrupt, "read archive", "a piece of the archive is damaged: %w", err)
	}
	return raw, nil
}

func unpackArchive(p []byte) ([]byte, error) {
	if len(p) < archiveHeader || le.Uint32(p) != archiveMagic {
		return nil, errors.New("it does not begin as one")
	}
	size := le.Uint32(p[4:])
	n, err := s2.DecodedLen(p[archiveHeader:])
	if err != nil || n != int(size) || n > maxArchiveBytes {
		return nil, errors.New("its length is not what it says")
	}
	raw, err := s2.Decode(nil, p[archiveHeader:])
	if err != nil {
		return nil, err
	}
	if crc32.Checksum(raw, castagnoli) != le.Uint32(p[8:]) {
		return nil, errors.New("it does not match its checksum")
	}
	return raw, nil
}
