package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/s2"
)

// A snapshot file is a header, chunks of pairs in key order, and a trailer. Each
// begins with a magic, a length and a checksum; numbers are little-endian.
//
//	block   0  4 magic ("TCSH", "TCSC", "TCST")   4  4 payload length
//	        8  4 crc32c of magic, length, payload  12   payload
//	header  format version 4, cluster version 4, index 8, term 8, conf length 4, conf, state hash
//	chunk   pairs 4, length when unpacked 4, s2 block of (key length, key, value length, value)…, lengths as uvarint
//	trailer pairs 8, chunks 8, xxhash64 over the unpacked chunks 8
const (
	snapshotSuffix = ".snap"

	headerMagic  = 0x48534354 // "TCSH"
	chunkMagic   = 0x43534354 // "TCSC"
	trailerMagic = 0x54534354 // "TCST"

	blockHeader  = 12
	chunkHeader  = 8
	trailerBytes = 24

	// chunkTarget is the unpacked size at which WriteChunk begins another chunk.
	chunkTarget = 1 << 20
	// MaxPairBytes bounds key and value of one pair.
	MaxPairBytes      = 4 << 20
	maxChunkBytes     = chunkTarget + MaxPairBytes + 2*binary.MaxVarintLen64
	maxSnapshotHeader = 1 << 20
)

// SnapshotMeta says which state a snapshot holds.
type SnapshotMeta struct {
	Index, Term    uint64 // of the last entry applied
	Conf           []byte // Raft's configuration
	StateHash      []byte
	ClusterVersion uint32
}

func snapshotName(index uint64) string {
	return path.Join(dirSnapshots, fmt.Sprintf("%020d%s", index, snapshotSuffix))
}

func parseSnapshotName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, snapshotSuffix)
	index, err := strconv.ParseUint(digits, 10, 64)
	return index, ok && err == nil && len(digits) == 20
}

// appendBlock appends a block with payload, and sealBlock does so for a payload
// that is already behind the room for the block's header.
func appendBlock(buf []byte, magic uint32, payload []byte) []byte {
	start := len(buf)
	buf = append(buf, make([]byte, blockHeader)...)
	buf = append(buf, payload...)
	sealBlock(buf[start:], magic)
	return buf
}

func sealBlock(block []byte, magic uint32) {
	le.PutUint32(block, magic)
	le.PutUint32(block[4:], uint32(len(block)-blockHeader))
	le.PutUint32(block[8:], blockCRC(block))
}

func blockCRC(block []byte) uint32 {
	return crc32.Update(crc32.Checksum(block[:8], castagnoli), castagnoli, block[blockHeader:])
}

var (
	errBlockShort  = errors.New("it is cut off")
	errBlockMagic  = errors.New("another kind of block is expected here")
	errBlockLength = errors.New("a block's length is beyond its limit")
	errBlockCRC    = errors.New("a block does not match its checksum")
	errChunkForm   = errors.New("a chunk is malformed")
	errChunkOrder  = errors.New("the keys are not in order")
)

// blockLength reads magic and payload length from a block's header.
func blockLength(p []byte) (magic uint32, payload int, err error) {
	if len(p) < blockHeader {
		return 0, 0, errBlockShort
	}
	magic, n := le.Uint32(p), le.Uint32(p[4:])
	limit := uint32(maxSnapshotHeader)
	if magic == chunkMagic {
		limit = uint32(s2.MaxEncodedLen(maxChunkBytes)) + chunkHeader
	}
	if n > limit {
		return 0, 0, errBlockLength
	}
	return magic, int(n), nil
}

func (m *SnapshotMeta) encode() []byte {
	buf := le.AppendUint32(nil, formatNumber)
	buf = le.AppendUint32(buf, m.ClusterVersion)
	buf = le.AppendUint64(buf, m.Index)
	buf = le.AppendUint64(buf, m.Term)
	buf = le.AppendUint32(buf, uint32(len(m.Conf)))
	buf = append(buf, m.Conf...)
	return append(buf, m.StateHash...)
}

func decodeSnapshotMeta(p []byte) (SnapshotMeta, error) {
	const fixed = 28
	if len(p) < fixed {
		return SnapshotMeta{}, errBlockShort
	}
	if v := le.Uint32(p); v != formatNumber {
		return SnapshotMeta{}, fmt.Errorf("it has format version %d; this program knows %d", v, formatNumber)
	}
	m := SnapshotMeta{ClusterVersion: le.Uint32(p[4:]), Index: le.Uint64(p[8:]), Term: le.Uint64(p[16:])}
	conf := le.Uint32(p[24:])
	if p = p[fixed:]; uint64(conf) > uint64(len(p)) {
		return SnapshotMeta{}, errBlockShort
	}
	m.Conf = append([]byte(nil), p[:conf]...)
	m.StateHash = append([]byte(nil), p[conf:]...)
	return m, nil
}

// appendPair appends one pair to a chunk that is not yet packed.
func appendPair(buf []byte, p Pair) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(p.Key)))
	buf = append(buf, p.Key...)
	buf = binary.AppendUvarint(buf, uint64(len(p.Value)))
	return append(buf, p.Value...)
}

// unpackChunk verifies limits and returns the pairs of a chunk's payload, and
// its unpacked bytes, for which raw is used if it is large enough.
func unpackChunk(payload, raw []byte) (pairs []Pair, unpacked []byte, err error) {
	if len(payload) < chunkHeader {
		return nil, nil, errChunkForm
	}
	count, size := le.Uint32(payload), le.Uint32(payload[4:])
	n, err := s2.DecodedLen(payload[chunkHeader:])
	if err != nil || n != int(size) || n > maxChunkBytes || uint64(count)*2 > uint64(n) {
		return nil, nil, errChunkForm
	}
	unpacked, err = s2.Decode(raw, payload[chunkHeader:])
	if err != nil {
		return nil, nil, errChunkForm
	}
	pairs = make([]Pair, 0, count)
	for p := unpacked; len(p) > 0; {
		var pair Pair
		if pair, p, err = cutPair(p); err != nil {
			return nil, nil, err
		}
		pairs = append(pairs, pair)
	}
	if len(pairs) != int(count) {
		return nil, nil, errChunkForm
	}
	return pairs, unpacked, nil
}

// cutPair takes the first pair off p. Key and value share one allocation, and
// none with other pairs: a pair that is dropped later frees its memory.
func cutPair(p []byte) (Pair, []byte, error) {
	key, n := binary.Uvarint(p)
	if n <= 0 || key > uint64(len(p)-n) {
		return Pair{}, nil, errChunkForm
	}
	keyAt := n
	value, m := binary.Uvarint(p[keyAt+int(key):])
	valueAt := keyAt + int(key) + m
	if m <= 0 || value > uint64(len(p)-valueAt) {
		return Pair{}, nil, errChunkForm
	}
	end := valueAt + int(value)
	both := string(p[keyAt:keyAt+int(key)]) + string(p[valueAt:end])
	return Pair{Key: both[:key], Value: both[key:]}, p[end:], nil
}
