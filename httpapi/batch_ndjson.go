package httpapi

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"tiercel/cluster/model"
)

// maxLineBytes fits an item at its limits, its path all escapes.
const maxLineBytes = model.MaxExtentBytes/3*4 + 4 + 6*model.MaxPathBytes + 256

// ndjsonDecoder reads one JSON object a line: {"path","data_base64","tier"?}. A line that
// is none is a bad item; the next line is read all the same. Empty lines are no items.
type ndjsonDecoder struct {
	in    *bufio.Reader
	batch batchRequest
	line  growing
}

func (d *ndjsonDecoder) next() (*model.BatchItem, error) {
	for {
		tooLong, err := d.readLine()
		switch {
		case err != nil && !(errors.Is(err, io.EOF) && len(d.line.data) > 0):
			return nil, err
		case tooLong:
			return &model.BatchItem{Err: errItemTooLarge(int64(len(d.line.data)))}, nil
		case len(bytes.TrimSpace(d.line.data)) > 0:
			return d.decode(d.line.data), nil
		}
	}
}

// readLine reads up to the next line feed; of one that is too long only the beginning.
func (d *ndjsonDecoder) readLine() (tooLong bool, err error) {
	d.line.data = d.line.data[:0]
	for {
		piece, err := d.in.ReadSlice('\n')
		if len(d.line.data)+len(piece) > maxLineBytes {
			tooLong = true
		} else if !tooLong {
			if err := d.line.room(len(piece)); err != nil {
				return false, err
			}
			d.line.data = append(d.line.data, piece...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return tooLong, err
		}
	}
}

func (d *ndjsonDecoder) decode(line []byte) *model.BatchItem {
	obj, err := decodeObject(line, "path", "data_base64", "tier")
	path, e := obj.text("path")
	if err == nil {
		err = e
	}
	var tier model.Tier
	if _, asked := obj["tier"].(json.Number); err == nil && (asked || obj["tier"] != nil) {
		tier, err = obj.tier("tier")
	}
	data, e := obj.text("data_base64")
	if err == nil {
		err = e
	}
	if _, there := obj["data_base64"].(string); err == nil && !there {
		err = badJSON("the field %q is missing; an empty file has \"\"", "data_base64")
	}
	if err != nil {
		return &model.BatchItem{Path: clip(path), Err: err}
	}
	// Read twice, so that it is known to be whole before it goes further, and never held.
	size, err := io.Copy(io.Discard, base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)))
	switch {
	case err != nil:
		return &model.BatchItem{Path: clip(path), Err: badJSON("the field %q is not base64 (RFC 4648 section 4, with padding): %s", "data_base64", err)}
	case size > model.MaxExtentBytes:
		return &model.BatchItem{Path: clip(path), Err: errItemTooLarge(size)}
	}
	return d.batch.item(path, tier, size, base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)))
}
