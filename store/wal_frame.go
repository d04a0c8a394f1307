package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// A segment file is a header and frames; each frame is what one append wrote, or
// a part of it when it was large. Numbers are little-endian.
//
//	header, 80 bytes                        frame
//	0  8  magic "TIERCELW"                  0  4  magic "TCWF"
//	8  4  format version                    4  4  payload length
//	12 4  flags (1: has a hard state)       8  4  crc32c of the rest, header and payload
//	16 8  sequence of the segment           12 4  number of entries
//	24 8  supersedes segments from this     16 8  length of the segment known durable when written
//	32 8  first index                       24 4  flags (1: begins with a hard state)
//	40 8  term of the index before          28 4  zero
//	48 24 hard state: term, vote, commit    32    payload: the hard state (24), then per entry
//	72 4  crc32c of 0…72                          index 8, term 8, kind 1, length 4, data
//	76 4  zero
const (
	segmentMagic  = "TIERCELW"
	segmentHeader = 80
	segmentSuffix = ".wal"

	frameMagic   = 0x46574354 // "TCWF"
	frameHeader  = 32
	frameCRCAt   = 8
	stateBytes   = 24
	entryHeader  = 21
	flagHasState = 1

	// maxEntryBytes bounds one entry's data; commands are capped far below.
	maxEntryBytes = 8 << 20
	// frameTarget is the payload from which an append goes on in another frame.
	frameTarget     = 4 << 20
	maxFramePayload = stateBytes + frameTarget + entryHeader + maxEntryBytes
)

// LogEntry is one entry of the replicated log; Kind is its Raft entry type. The
// log keeps Data as it was given: it must not be changed afterwards.
type LogEntry struct {
	Index, Term uint64
	Kind        uint8
	Data        []byte
}

// HardState is what Raft must not forget beside the entries.
type HardState struct{ Term, Vote, Commit uint64 }

// walHeader is a segment's header.
type walHeader struct {
	seq        uint64
	supersedes uint64 // segments with a sequence from this one up to seq are void; 0: none
	first      uint64 // entries from here on that earlier segments hold are void
	prevTerm   uint64 // of first-1
	state      HardState
	hasState   bool
}

func (h *walHeader) name() string {
	return fmt.Sprintf("%010d-%020d%s", h.seq, h.first, segmentSuffix)
}

// parseSegmentName reads sequence and first index from a file name.
func parseSegmentName(name string) (seq, first uint64, ok bool) {
	base, isSegment := strings.CutSuffix(name, segmentSuffix)
	a, b, hasBoth := strings.Cut(base, "-")
	seq, err1 := strconv.ParseUint(a, 10, 64)
	first, err2 := strconv.ParseUint(b, 10, 64)
	return seq, first, isSegment && hasBoth && err1 == nil && err2 == nil
}

func appendState(buf []byte, s HardState) []byte {
	buf = le.AppendUint64(buf, s.Term)
	buf = le.AppendUint64(buf, s.Vote)
	return le.AppendUint64(buf, s.Commit)
}

func decodeState(p []byte) HardState {
	return HardState{Term: le.Uint64(p), Vote: le.Uint64(p[8:]), Commit: le.Uint64(p[16:])}
}

func (h *walHeader) encode() []byte {
	buf := make([]byte, 0, segmentHeader)
	buf = append(buf, segmentMagic...)
	buf = le.AppendUint32(buf, formatNumber)
	flags := uint32(0)
	if h.hasState {
		flags = flagHasState
	}
	buf = le.AppendUint32(buf, flags)
	buf = le.AppendUint64(buf, h.seq)
	buf = le.AppendUint64(buf, h.supersedes)
	buf = le.AppendUint64(buf, h.first)
	buf = le.AppendUint64(buf, h.prevTerm)
	buf = appendState(buf, h.state)
	buf = le.AppendUint32(buf, crc32.Checksum(buf, castagnoli))
	return le.AppendUint32(buf, 0)
}

func decodeWALHeader(p []byte) (walHeader, error) {
	switch {
	case len(p) < segmentHeader:
		return walHeader{}, errors.New("the segment's header is cut off")
	case string(p[:8]) != segmentMagic:
		return walHeader{}, errors.New("it does not begin as a log segment")
	case le.Uint32(p[72:]) != crc32.Checksum(p[:72], castagnoli):
		return walHeader{}, errors.New("the segment's header does not match its checksum")
	case le.Uint32(p[8:]) != formatNumber:
		return walHeader{}, fmt.Errorf("the segment has format version %d; this program knows %d", le.Uint32(p[8:]), formatNumber)
	}
	h := walHeader{
		seq: le.Uint64(p[16:]), supersedes: le.Uint64(p[24:]), first: le.Uint64(p[32:]), prevTerm: le.Uint64(p[40:]),
		state: decodeState(p[48:]), hasState: le.Uint32(p[12:])&flagHasState != 0,
	}
	if h.seq == 0 || h.first == 0 || h.supersedes > h.seq {
		return walHeader{}, errors.New("the segment's header has a field out of range")
	}
	return h, nil
}

// appendFrame appends one frame with the first of entries, up to frameTarget
// bytes, and returns how many. state is written only with the last entries, so
// that a torn append never leaves a commit index beyond the entries.
func appendFrame(buf []byte, state *HardState, entries []LogEntry, durable uint64) ([]byte, int) {
	n, size := 0, 0
	for n < len(entries) && size < frameTarget {
		size += entryHeader + len(entries[n].Data)
		n++
	}
	start, flags := len(buf), uint32(0)
	if n < len(entries) {
		state = nil
	}
	if state != nil {
		flags, size = flagHasState, size+stateBytes
	}
	buf = le.AppendUint32(buf, frameMagic)
	buf = le.AppendUint32(buf, uint32(size))
	buf = le.AppendUint32(buf, 0) // the checksum, below
	buf = le.AppendUint32(buf, uint32(n))
	buf = le.AppendUint64(buf, durable)
	buf = le.AppendUint32(buf, flags)
	buf = le.AppendUint32(buf, 0)
	if state != nil {
		buf = appendState(buf, *state)
	}
	for i := range entries[:n] {
		e := &entries[i]
		buf = le.AppendUint64(buf, e.Index)
		buf = le.AppendUint64(buf, e.Term)
		buf = append(buf, e.Kind)
		buf = le.AppendUint32(buf, uint32(len(e.Data)))
		buf = append(buf, e.Data...)
	}
	le.PutUint32(buf[start+frameCRCAt:], frameCRC(buf[start:]))
	return buf, n
}

func frameCRC(frame []byte) uint32 {
	crc := crc32.Update(0, castagnoli, frame[:frameCRCAt])
	return crc32.Update(crc, castagnoli, frame[frameCRCAt+4:])
}

// walFrame is a decoded frame; entries refer to its bytes.
type walFrame struct {
	durable  uint64
	state    HardState
	hasState bool
	entries  []LogEntry
}

var (
	errFrameShort  = errors.New("the frame is cut off")
	errFrameMagic  = errors.New("no frame begins here")
	errFrameLength = errors.New("the frame's length is beyond its limit")
	errFrameCRC    = errors.New("the frame does not match its checksum")
	errFrameForm   = errors.New("the frame's entries are malformed")
)

// frameLength reads from a frame's header how long the frame is.
func frameLength(p []byte) (int, error) {
	switch {
	case len(p) < frameHeader:
		return 0, errFrameShort
	case le.Uint32(p) != frameMagic:
		return 0, errFrameMagic
	case le.Uint32(p[4:]) > maxFramePayload:
		return 0, errFrameLength
	}
	return frameHeader + int(le.Uint32(p[4:])), nil
}

// decodeFrame reads the frame that p holds, exactly.
func decodeFrame(p []byte) (walFrame, error) {
	n, err := frameLength(p)
	if err != nil {
		return walFrame{}, err
	}
	if len(p) != n {
		return walFrame{}, errFrameShort
	}
	if frameCRC(p) != le.Uint32(p[frameCRCAt:]) {
		return walFrame{}, errFrameCRC
	}
	f := walFrame{durable: le.Uint64(p[16:]), hasState: le.Uint32(p[24:])&flagHasState != 0}
	count, p := int(le.Uint32(p[12:])), p[frameHeader:]
	if f.hasState {
		if len(p) < stateBytes {
			return walFrame{}, errFrameForm
		}
		f.state, p = decodeState(p), p[stateBytes:]
	}
	if count > len(p)/entryHeader || count == 0 && !f.hasState {
		return walFrame{}, errFrameForm
	}
	f.entries = make([]LogEntry, 0, count)
	for range count {
		if len(p) < entryHeader {
			return walFrame{}, errFrameForm
		}
		e := LogEntry{Index: le.Uint64(p), Term: le.Uint64(p[8:]), Kind: p[16]}
		size := le.Uint32(p[17:])
		p = p[entryHeader:]
		last := len(f.entries) - 1
		if size > maxEntryBytes || int(size) > len(p) || e.Index == 0 || last >= 0 && e.Index != f.entries[last].Index+1 {
			return walFrame{}, errFrameForm
		}
		e.Data, p = p[:size:size], p[size:]
		f.entries = append(f.entries, e)
	}
	if len(p) > 0 {
		return walFrame{}, errFrameForm
	}
	return f, nil
}
