package httpapi

import (
	"context"
	"errors"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// source reads one version of a file, wherever its extents are moved meanwhile.
type source struct {
	gw           Gateway
	tenant, path string
	row          *messages.FileRow
	extents      []*messages.Extent // nil: not resolved yet

	at    int   // the extent that the last read was in
	start int64 // where its content begins in the file
}

// errVersionGone tells that the path holds another version now.
var errVersionGone = errors.New("the version was replaced while it was read")

// alignBytes is what pieces of an extent are aligned to, so that the blocks a
// piece is verified by are rarely read twice.
const alignBytes = 1 << 20

// read appends to dst content from offset on: up to limit bytes, not beyond to,
// and within one extent, so at least one byte. A volume that was dropped by
// compaction is met as not_found; the version is then resolved once more.
func (f *source) read(ctx context.Context, offset, to, limit int64, dst []byte) ([]byte, error) {
	if f.extents == nil {
		if err := f.resolve(ctx); err != nil {
			return dst, err
		}
	}
	out, err := f.readOnce(ctx, offset, to, limit, dst)
	if model.CodeOf(err) != model.CodeNotFound {
		return out, err
	}
	stat, err := statFile(ctx, f.gw, f.tenant, f.path, false)
	if err != nil {
		return dst, err
	}
	if stat.Row.Version != f.row.Version {
		return dst, errVersionGone
	}
	f.row = stat.Row
	if err := f.resolve(ctx); err != nil {
		return dst, err
	}
	if out, err = f.readOnce(ctx, offset, to, limit, dst); model.CodeOf(err) == model.CodeNotFound {
		return dst, model.Errorf(model.CodeUnavailable, "get", "the volume of the file is not there: %w", err)
	}
	return out, err
}

// resolve finds the extents of the version and checks that they add up.
func (f *source) resolve(ctx context.Context) error {
	extents := f.row.Extents
	if f.row.Manifest != 0 {
		var err error
		if extents, err = f.gw.Extents(ctx, f.tenant, f.path, f.row); err != nil {
			if model.CodeOf(err) == model.CodeNotFound {
				return errVersionGone
			}
			return err
		}
	}
	var sum uint64
	for _, e := range extents {
		sum += e.BodyBytes
	}
	if sum != f.row.SizeBytes {
		return model.Errorf(model.CodeCorrupt, "get", "the extents of the file hold %d bytes and its row says %d", sum, f.row.SizeBytes)
	}
	f.extents, f.at, f.start = extents, 0, 0
	return nil
}

func (f *source) readOnce(ctx context.Context, offset, to, limit int64, dst []byte) ([]byte, error) {
	if offset < f.start {
		f.at, f.start = 0, 0
	}
	for f.start+int64(f.extents[f.at].BodyBytes) <= offset {
		f.start += int64(f.extents[f.at].BodyBytes)
		f.at++
	}
	e := f.extents[f.at]
	from := offset - f.start
	end := min(to-f.start, int64(e.BodyBytes), from+limit)
	if aligned := end / alignBytes * alignBytes; aligned > from && end < min(to-f.start, int64(e.BodyBytes)) {
		end = aligned
	}
	before := len(dst)
	out, err := f.gw.ReadExtent(ctx, e, uint64(from), uint64(end), dst)
	if err != nil {
		return dst, err
	}
	if got := int64(len(out) - before); got != end-from {
		return dst, model.Errorf(model.CodeInternal, "get", "an extent read gave %d bytes in place of %d", got, end-from)
	}
	return out, nil
}

// readAll appends the whole content to dst.
func (f *source) readAll(ctx context.Context, dst []byte) ([]byte, error) {
	size := int64(f.row.SizeBytes)
	for offset := int64(0); offset < size; {
		out, err := f.read(ctx, offset, size, size, dst)
		if err != nil {
			return dst, err
		}
		offset += int64(len(out) - len(dst))
		dst = out
	}
	return dst, nil
}
