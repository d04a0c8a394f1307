package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"tiercel/cluster/model"
)

// A record is one piece of a file in a volume:
//
//	offset size
//	0      4    magic "TCRD"
//	4      1    format version
//	5      1    tenant length t
//	6      2    path length p
//	8      4    crc32c of the header without this field
//	12     4    body length b
//	16     8    volume id
//	24     8    volume generation
//	32     8    session
//	40     8    sequence
//	48     4    part
//	52     4    parts
//	56     t    tenant
//	56+t   p    path
//	…      4·n  crc32c of each 64 KiB block of the body, n = ⌈b / 64 KiB⌉
//	…      b    body
//
// Everything before the body is the header. Because it holds the body's block
// checksums, its own checksum identifies the whole record. Numbers are
// little-endian.
const (
	recordMagic      = 0x44524354 // "TCRD"
	recordVersion    = 1
	recordFixedBytes = 56
	recordCRCOffset  = 8

	// recordBlock is the unit of the body that has a checksum of its own, so that
	// a range of a large record is read without the rest of it.
	recordBlock = 64 << 10

	maxRecordBlocks = (model.MaxExtentBytes + recordBlock - 1) / recordBlock
	maxHeaderBytes  = recordFixedBytes + model.MaxTenantBytes + model.MaxPathBytes + 4*maxRecordBlocks

	// MaxRecordBytes bounds a whole record.
	MaxRecordBytes = maxHeaderBytes + model.MaxExtentBytes
)

var le = binary.LittleEndian

// Record is one piece of a file. Session, Sequence, Part and Parts are the write's.
type Record struct {
	Tenant, Path      string
	Session, Sequence uint64
	Part, Parts       uint32
	Body              []byte // up to model.MaxExtentBytes
}

// Placed says where a record lies in its volume.
type Placed struct {
	Offset      uint64 // of the record in the volume file
	RecordBytes uint64 // header and body
	BodyBytes   uint64
	HeaderCRC   uint32 // identifies header and body
}

// recordHeader is a decoded header. Tenant and path are offsets into its bytes,
// so that decoding allocates nothing.
type recordHeader struct {
	crc                uint32
	volume, generation uint64
	session, sequence  uint64
	part, parts        uint32
	tenantBytes        int
	pathBytes          int
	bodyBytes          int
	raw                []byte // the whole header
}

func blocksOf(body int) int { return (body + recordBlock - 1) / recordBlock }

func headerBytes(tenant, path, body int) int {
	return recordFixedBytes + tenant + path + 4*blocksOf(body)
}

func (h *recordHeader) bytes() int       { return headerBytes(h.tenantBytes, h.pathBytes, h.bodyBytes) }
func (h *recordHeader) recordBytes() int { return h.bytes() + h.bodyBytes }
func (h *recordHeader) tenant() []byte   { return h.raw[recordFixedBytes:][:h.tenantBytes] }
func (h *recordHeader) path() []byte     { return h.raw[recordFixedBytes+h.tenantBytes:][:h.pathBytes] }

// blockCRC is the checksum of the i-th block of the body.
func (h *recordHeader) blockCRC(i int) uint32 {
	return le.Uint32(h.raw[recordFixedBytes+h.tenantBytes+h.pathBytes+4*i:])
}

// placed describes the record at offset.
func (h *recordHeader) placed(offset uint64) Placed {
	return Placed{Offset: offset, RecordBytes: uint64(h.recordBytes()), BodyBytes: uint64(h.bodyBytes), HeaderCRC: h.crc}
}

// record copies the names and refers to body.
func (h *recordHeader) record(body []byte) Record {
	return Record{
		Tenant: string(h.tenant()), Path: string(h.path()), Session: h.session, Sequence: h.sequence,
		Part: h.part, Parts: h.parts, Body: body,
	}
}

// RecordsBytes is how much records take in a volume file, headers included.
func RecordsBytes(recs []Record) uint64 {
	sum := 0
	for i := range recs {
		sum += headerBytes(len(recs[i].Tenant), len(recs[i].Path), len(recs[i].Body)) + len(recs[i].Body)
	}
	return uint64(sum)
}

// checkRecord refuses what would not decode.
func checkRecord(r *Record) error {
	const op = "append"
	switch {
	case len(r.Tenant) > model.MaxTenantBytes:
		return model.Errorf(model.CodeInvalidArgument, op, "the tenant has %d bytes; at most %d are allowed", len(r.Tenant), model.MaxTenantBytes)
	case len(r.Path) > model.MaxPathBytes:
		return model.Errorf(model.CodeInvalidArgument, op, "the path has %d bytes; at most %d are allowed", len(r.Path), model.MaxPathBytes)
	case len(r.Body) > model.MaxExtentBytes:
		return model.Errorf(model.CodeInvalidArgument, op, "the body has %d bytes; a record takes at most %d", len(r.Body), model.MaxExtentBytes)
	}
	return nil
}

// appendRecordHeader appends the header of a checked record to buf and returns
// its checksum.
func appendRecordHeader(buf []byte, volume, generation uint64, r *Record) ([]byte, uint32) {
	start := len(buf)
	buf = le.AppendUint32(buf, recordMagic)
	buf = append(buf, recordVersion, byte(len(r.Tenant)))
	buf = le.AppendUint16(buf, uint16(len(r.Path)))
	buf = le.AppendUint32(buf, 0) // the checksum, below
	buf = le.AppendUint32(buf, uint32(len(r.Body)))
	buf = le.AppendUint64(buf, volume)
	buf = le.AppendUint64(buf, generation)
	buf = le.AppendUint64(buf, r.Session)
	buf = le.AppendUint64(buf, r.Sequence)
	buf = le.AppendUint32(buf, r.Part)
	buf = le.AppendUint32(buf, r.Parts)
	buf = append(buf, r.Tenant...)
	buf = append(buf, r.Path...)
	for body := r.Body; len(body) > 0; {
		n := min(len(body), recordBlock)
		buf = le.AppendUint32(buf, crc32.Checksum(body[:n], castagnoli))
		body = body[n:]
	}
	crc := headerCRC(buf[start:])
	le.PutUint32(buf[start+recordCRCOffset:], crc)
	return buf, crc
}

func headerCRC(header []byte) uint32 {
	crc := crc32.Update(0, castagnoli, header[:recordCRCOffset])
	return crc32.Update(crc, castagnoli, header[recordCRCOffset+4:])
}

// recordError is why bytes are not a record. short: they may be, with more of them.
type recordError struct {
	what  string
	short bool
}

func (e *recordError) Error() string { return e.what }

var (
	errRecordShort   = &recordError{"the record is cut off", true}
	errRecordMagic   = &recordError{"no record begins here", false}
	errRecordVersion = &recordError{"the record has an unknown format version", false}
	errRecordLimits  = &recordError{"the record header has a length beyond its limit", false}
	errRecordCRC     = &recordError{"the record header does not match its checksum", false}
)

// decodeFixed reads the fixed part, so that the header's length is known. It
// checks limits, not the checksum.
func decodeFixed(p []byte) (recordHeader, error) {
	if len(p) < recordFixedBytes {
		return recordHeader{}, errRecordShort
	}
	h := recordHeader{
		crc: le.Uint32(p[recordCRCOffset:]), volume: le.Uint64(p[16:]), generation: le.Uint64(p[24:]),
		session: le.Uint64(p[32:]), sequence: le.Uint64(p[40:]), part: le.Uint32(p[48:]), parts: le.Uint32(p[52:]),
		tenantBytes: int(p[5]), pathBytes: int(le.Uint16(p[6:])),
	}
	body := le.Uint32(p[12:])
	switch {
	case le.Uint32(p) != recordMagic:
		return recordHeader{}, errRecordMagic
	case p[4] != recordVersion:
		return recordHeader{}, errRecordVersion
	case h.tenantBytes > model.MaxTenantBytes, h.pathBytes > model.MaxPathBytes, body > model.MaxExtentBytes:
		return recordHeader{}, errRecordLimits
	}
	h.bodyBytes = int(body)
	return h, nil
}

// decodeHeader reads and verifies a whole header at the start of p. The result
// refers to p.
func decodeHeader(p []byte) (recordHeader, error) {
	h, err := decodeFixed(p)
	if err != nil {
		return recordHeader{}, err
	}
	n := h.bytes()
	if len(p) < n {
		return recordHeader{}, errRecordShort
	}
	h.raw = p[:n:n]
	if headerCRC(h.raw) != h.crc {
		return recordHeader{}, errRecordCRC
	}
	return h, nil
}

// checkBlocks verifies the blocks first, first+1, … of the body that p holds.
func (h *recordHeader) checkBlocks(p []byte, first int) error {
	for i := first; len(p) > 0; i++ {
		n := min(len(p), recordBlock)
		if crc32.Checksum(p[:n], castagnoli) != h.blockCRC(i) {
			return &recordError{what: fmt.Sprintf("block %d of the body (bytes %d to %d) does not match its checksum", i, i*recordBlock, i*recordBlock+n)}
		}
		p = p[n:]
	}
	return nil
}
