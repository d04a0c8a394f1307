package httpapi

import (
	"archive/tar"
	"errors"
	"io"
	"strings"

	"tiercel/cluster/model"
)

// Keys of PAX records: what tar has no field for.
const (
	paxTier      = "TIERCEL.tier"      // of an item: 1, 2 or 3
	paxError     = "TIERCEL.error"     // of POST /batch/read: the code why an entry has no content
	paxMessage   = "TIERCEL.message"   // and its message
	paxUnchecked = "TIERCEL.unchecked" // no quorum was asked for this entry
)

// tarDecoder reads a tar archive. Its regular files are the items; directories and global
// headers are none, since a namespace has no directories. Links, devices, pipes and sparse
// files are bad items. The archive must have its end marker, or a producer that died would
// look like one that was done.
type tarDecoder struct {
	in    *tarInput
	tar   *tar.Reader
	batch batchRequest
}

func newTarDecoder(in io.Reader, batch batchRequest) *tarDecoder {
	input := &tarInput{in: in}
	return &tarDecoder{in: input, tar: tar.NewReader(input), batch: batch}
}

func (d *tarDecoder) next() (*model.BatchItem, error) {
	for {
		h, err := d.tar.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, d.end()
		case err != nil && !errors.Is(err, tar.ErrInsecurePath): // paths are ours to judge
			if d.in.err != nil && !errors.Is(d.in.err, io.EOF) {
				err = d.in.err
			}
			return nil, malformed(err, "the archive cannot be read: %s", err)
		}
		if it := d.item(h); it != nil {
			return it, nil
		}
	}
}

// item is that of an entry; nil when it is none.
func (d *tarDecoder) item(h *tar.Header) *model.BatchItem {
	// tar -C dir -c . writes every path behind "./".
	path := h.Name
	for strings.HasPrefix(path, "./") {
		path = path[2:]
	}
	var err error
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg:
	default:
		err = badItem("the entry is a %s; only regular files are stored", nameOfType(h.Typeflag))
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			err = badItem("the entry is a sparse file; make the archive without holes (tar without --sparse)")
		}
	}
	if err == nil && h.Size > model.MaxBatchBytes {
		err = model.Errorf(model.CodeTooLarge, "read batch", "the entry has %d bytes, more than a batch may have; store it with PUT", h.Size)
	}
	var tier model.Tier
	if text, asked := h.PAXRecords[paxTier]; asked && err == nil {
		if tier, err = readTier([]byte(text)); err != nil {
			err = badItem("the PAX record %s is %q; it is 1 (critical), 2 (important) or 3 (rebuildable)", paxTier, clip(text))
		}
	}
	if err != nil {
		return &model.BatchItem{Path: clip(path), Err: err}
	}
	return d.batch.item(path, tier, h.Size, tarContent{d})
}

func nameOfType(flag byte) string {
	switch flag {
	case tar.TypeLink:
		return "hard link"
	case tar.TypeSymlink:
		return "symbolic link"
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	case tar.TypeFifo:
		return "named pipe"
	case tar.TypeGNUSparse:
		return "sparse file"
	}
	return "special file"
}

// end makes sure that the archive ended as archives do, and nothing is behind it.
func (d *tarDecoder) end() error {
	if d.in.zeros < tarBlock {
		return badItem("the archive ends without its end marker (two blocks of zeros); whatever made it may not have finished")
	}
	var buf [4 << 10]byte
	for {
		n, err := d.in.Read(buf[:])
		if d.in.zeros < int64(n) {
			return badItem("the body goes on behind the end of the archive; send one archive a request")
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return io.EOF
			}
			return malformed(err, "the padding of the archive cannot be read: %s", err)
		}
	}
}

const tarBlock = 512

// tarInput counts the zeros at the end of what was read, and keeps what ended it.
type tarInput struct {
	in    io.Reader
	zeros int64
	err   error
}

func (t *tarInput) Read(p []byte) (int, error) {
	n, err := t.in.Read(p)
	t.err = err
	last := n
	for last > 0 && p[last-1] == 0 {
		last--
	}
	if last > 0 {
		t.zeros = 0
	}
	t.zeros += int64(n - last)
	return n, err
}

// tarContent is the content of the entry that was read last.
type tarContent struct{ d *tarDecoder }

func (c tarContent) Read(p []byte) (int, error) {
	n, err := c.d.tar.Read(p)
	if in := c.d.in.err; err != nil && in != nil && !errors.Is(in, io.EOF) {
		err = in
	}
	return n, err
}
