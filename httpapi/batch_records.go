package httpapi

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// maxRecordBytes fits a record at its limits.
const maxRecordBytes = model.MaxExtentBytes + model.MaxPathBytes + 256

// recordsDecoder reads messages.BatchRecord, each behind its length as a varint, as
// protodelim writes them. Protodelim itself would take memory for what a length
// declares; here it grows with what arrives. A record that cannot be decoded is a bad
// item, and so is one that is too long: the length says where the next begins.
type recordsDecoder struct {
	in      *bufio.Reader
	batch   batchRequest
	message growing
}

func (d *recordsDecoder) next() (*model.BatchItem, error) {
	size, err := binary.ReadUvarint(d.in)
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, malformed(err, "the length before a record cannot be read: %s", err)
	case size > model.MaxBatchBytes:
		return nil, badItem("the length before a record says %d bytes, more than a batch may have", size)
	case size > maxRecordBytes:
		if _, err := io.CopyN(io.Discard, d.in, int64(size)); err != nil {
			return nil, malformed(err, "the body ends within a record of %d bytes", size)
		}
		return &model.BatchItem{Err: errItemTooLarge(int64(size))}, nil
	}
	if err := d.read(int(size)); err != nil {
		return nil, err
	}
	return d.decode(d.message.data), nil
}

// read reads a record as it arrives.
func (d *recordsDecoder) read(size int) error {
	m := &d.message
	m.data = m.data[:0]
	for len(m.data) < size {
		piece := min(size-len(m.data), max(len(m.data), decodeBytes))
		if err := m.room(piece); err != nil {
			return err
		}
		at := len(m.data)
		n, err := io.ReadFull(d.in, m.data[at:at+piece])
		m.data = m.data[:at+n]
		if err != nil {
			return malformed(err, "the body ends after %d of the %d bytes of a record", len(m.data), size)
		}
	}
	return nil
}

func (d *recordsDecoder) decode(message []byte) *model.BatchItem {
	var r messages.BatchRecord
	if err := proto.Unmarshal(message, &r); err != nil {
		return &model.BatchItem{Err: badItem("the record is no tiercel.batch.v1.BatchRecord: %s", err)}
	}
	switch {
	case len(r.ProtoReflect().GetUnknown()) > 0:
		return &model.BatchItem{Path: clip(r.Path), Err: badItem("the record has fields that tiercel.batch.v1.BatchRecord lacks")}
	case r.Tier > 3:
		return &model.BatchItem{Path: clip(r.Path), Err: badItem("tier %d does not exist; there are 1, 2 and 3", r.Tier)}
	case len(r.Data) > model.MaxExtentBytes:
		return &model.BatchItem{Path: clip(r.Path), Err: errItemTooLarge(int64(len(r.Data)))}
	}
	return d.batch.item(r.Path, model.Tier(r.Tier), int64(len(r.Data)), bytes.NewReader(r.Data))
}
