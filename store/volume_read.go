package store

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"
	"syscall"

	"tiercel/cluster/model"
)

// wholeRead is the size up to which a record is read with one pread.
const wholeRead = 128 << 10

var readBuffers = sync.Pool{New: func() any { return new([wholeRead]byte) }}

// ReadBody appends the bytes [from,to) of a record's body to dst and returns it;
// dst is unchanged on an error. The record is the one that was Placed at offset
// with this length and header checksum: header and every block that is read are
// verified. A record of up to 128 KiB costs one pread; of a larger one only the
// header and the 64 KiB blocks that cover the range are read.
//
// Errors: corrupt when the bytes are not that record's; unavailable when the
// copy is missing or does not reach so far (it is behind); invalid_argument for
// a range that the record does not have.
func (v *Volumes) ReadBody(id model.VolumeID, offset, recordBytes uint64, headerCRC uint32, from, to uint64, dst []byte) ([]byte, error) {
	const op = "read"
	if recordBytes < recordFixedBytes || recordBytes > MaxRecordBytes || offset > 1<<62 || from > to || to > model.MaxExtentBytes {
		return dst, model.Errorf(model.CodeInvalidArgument, op,
			"bytes %d to %d of a record of %d bytes at %d of volume %d cannot be", from, to, recordBytes, offset, id)
	}
	vol, err := v.find(op, id)
	if err != nil {
		return dst, err
	}
	h, err := v.handles.take(vol)
	if err != nil {
		return dst, vol.readError(offset, recordBytes, err)
	}
	r := bodyReader{file: h.file, volume: id, offset: int64(offset), recordBytes: int(recordBytes), crc: headerCRC, from: int(from), to: int(to)}
	out, err := r.read(dst)
	v.handles.release(h)
	if err != nil {
		err = vol.readError(offset, recordBytes, err)
		if model.CodeOf(err) == model.CodeCorrupt {
			v.suspect(id)
		}
		return dst, err
	}
	return out, nil
}

// CheckRecord verifies a whole record, as fsck does for every extent, and
// returns it without its body.
func (v *Volumes) CheckRecord(id model.VolumeID, offset, recordBytes uint64, headerCRC uint32) (Record, error) {
	const op = "check record"
	vol, err := v.find(op, id)
	if err != nil {
		return Record{}, err
	}
	if recordBytes < recordFixedBytes || recordBytes > MaxRecordBytes || offset > 1<<62 {
		return Record{}, model.Errorf(model.CodeInvalidArgument, op, "a record of %d bytes at %d of volume %d cannot be", recordBytes, offset, id)
	}
	h, err := v.handles.take(vol)
	if err != nil {
		return Record{}, vol.readError(offset, recordBytes, err)
	}
	defer v.handles.release(h)
	p := make([]byte, recordBytes)
	if err := readFull(h.file, p, int64(offset)); err != nil {
		return Record{}, vol.readError(offset, recordBytes, err)
	}
	r := bodyReader{volume: id, recordBytes: int(recordBytes), crc: headerCRC}
	head, err := r.header(p)
	if err == nil {
		err = head.checkBlocks(p[head.bytes():], 0)
	}
	if err != nil {
		return Record{}, vol.readError(offset, recordBytes, err)
	}
	return head.record(nil), nil
}

// errRange is a range that the record does not have.
var errRange = errors.New("the record's body is shorter than the range")

// readError gives a failed read its code. Bytes that do not match beyond the
// intact end are not damage: the copy has not got that far.
func (v *volume) readError(offset, recordBytes uint64, err error) error {
	const op = "read"
	end := v.snapshot().End
	behind := errors.Is(err, io.ErrUnexpectedEOF) || offset+recordBytes > end
	switch {
	case errors.Is(err, errRange):
		return model.Errorf(model.CodeInvalidArgument, op, "the record at byte %d of volume %d: %w", offset, v.id, err)
	case errors.Is(err, fs.ErrNotExist):
		return because(err, model.CodeUnavailable, op, "the file of volume %d is missing; if the volume has another copy, a running cluster restores it from that", v.id)
	case errors.Is(err, ErrCrashed):
		return because(err, model.CodeUnavailable, op, "volume %d cannot be read", v.id)
	case behind:
		return model.Errorf(model.CodeUnavailable, op,
			"volume %d is behind: the record at byte %d ends at %d, the copy at %d", v.id, offset, offset+recordBytes, end).
			With(model.DetailReason, model.ReasonBehind)
	case isMismatch(err) || errors.Is(err, syscall.EIO):
		return because(err, model.CodeCorrupt, op, "the record at byte %d of volume %d is damaged; if the volume has another copy, it is read and restored from that", offset, v.id)
	}
	return because(err, model.CodeUnavailable, op, "the record at byte %d of volume %d cannot be read", offset, v.id)
}

func isMismatch(err error) bool {
	var bad *recordError
	return errors.As(err, &bad)
}

// bodyReader reads one range of one record.
type bodyReader struct {
	file        File
	volume      model.VolumeID
	offset      int64
	recordBytes int
	crc         uint32
	from, to    int
}

func (r *bodyReader) read(dst []byte) ([]byte, error) {
	buf := readBuffers.Get().(*[wholeRead]byte)
	defer readBuffers.Put(buf)
	if r.recordBytes > wholeRead {
		return r.readLarge(dst, buf)
	}
	p := buf[:r.recordBytes]
	if err := readFull(r.file, p, r.offset); err != nil {
		return nil, err
	}
	h, err := r.header(p)
	if err != nil {
		return nil, err
	}
	if r.to > h.bodyBytes {
		return nil, errRange
	}
	body, first, last := p[h.bytes():], r.from/recordBlock, blocksOf(r.to)
	if first < last {
		if err := h.checkBlocks(body[first*recordBlock:min(last*recordBlock, len(body))], first); err != nil {
			return nil, err
		}
	}
	return append(dst, body[r.from:r.to]...), nil
}

// header decodes the header at the start of p and checks that it is the one asked for.
func (r *bodyReader) header(p []byte) (recordHeader, error) {
	h, err := decodeHeader(p)
	switch {
	case err != nil:
		return h, err
	case h.crc != r.crc:
		return h, &recordError{what: "another record lies there"}
	case h.volume != uint64(r.volume):
		return h, &recordError{what: "a record of another volume lies there"}
	case h.recordBytes() != r.recordBytes:
		return h, &recordError{what: "a record of another length lies there"}
	}
	return h, nil
}

// readLarge reads header and range apart. Whole blocks go straight into dst;
// blocks of which only a part is wanted go through buf.
func (r *bodyReader) readLarge(dst []byte, buf *[wholeRead]byte) ([]byte, error) {
	head := buf[:min(r.recordBytes, maxHeaderBytes)]
	if err := readFull(r.file, head, r.offset); err != nil {
		return nil, err
	}
	h, err := r.header(head)
	if err != nil {
		return nil, err
	}
	if r.to > h.bodyBytes {
		return nil, errRange
	}
	bodyAt := r.offset + int64(h.bytes())
	scratch := buf[maxHeaderBytes:][:recordBlock] // the header stays in front of it
	dst = slices.Grow(dst, r.to-r.from)
	for at := r.from; at < r.to; {
		block := at / recordBlock
		blockFrom := block * recordBlock
		blockTo := min(blockFrom+recordBlock, h.bodyBytes)
		if at == blockFrom && r.to >= blockTo {
			// From here on whole blocks, up to the last that ends within the range.
			end := r.to
			if end < h.bodyBytes {
				end = end / recordBlock * recordBlock
			}
			p := dst[len(dst):][:end-at]
			if err := readFull(r.file, p, bodyAt+int64(at)); err != nil {
				return nil, err
			}
			if err := h.checkBlocks(p, block); err != nil {
				return nil, err
			}
			dst, at = dst[:len(dst)+len(p)], end
			continue
		}
		p := scratch[:blockTo-blockFrom]
		if err := readFull(r.file, p, bodyAt+int64(blockFrom)); err != nil {
			return nil, err
		}
		if err := h.checkBlocks(p, block); err != nil {
			return nil, err
		}
		upTo := min(r.to, blockTo)
		dst, at = append(dst, p[at-blockFrom:upTo-blockFrom]...), upTo
	}
	return dst, nil
}
