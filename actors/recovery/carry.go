package recovery

import (
	"archive/tar"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"tiercel/cluster/archive"
	"tiercel/cluster/model"
	"tiercel/store"
)

// Export writes the pieces of checkpoints and journal that lie in the directories as a
// tar, to be carried to where the catalog is recovered (Options.Carried). It changes
// nothing, and returns how many pieces there are.
func Export(opt Options, w io.Writer) (count int, err error) {
	opt.DiscardLog = true // nothing is discarded here
	s, err := openSources(opt)
	defer func() { err = errors.Join(err, s.close()) }()
	if err != nil {
		return 0, err
	}
	if err := s.survey(&Report{}); err != nil {
		return 0, err
	}
	out := tar.NewWriter(w)
	for _, item := range s.sorted() {
		body, err := s.read(s.items[item])
		if err != nil {
			continue // another machine may have it whole
		}
		head := &tar.Header{Name: strings.TrimPrefix(item.Path(), "/"), Mode: 0o600, Size: int64(len(body)), Format: tar.FormatPAX}
		if err := out.WriteHeader(head); err != nil {
			return count, carryError(err)
		}
		if _, err := out.Write(body); err != nil {
			return count, carryError(err)
		}
		count++
	}
	if err := out.Close(); err != nil {
		return count, carryError(err)
	}
	return count, nil
}

func carryError(err error) error {
	return model.Errorf(model.CodeUnavailable, op, "the pieces cannot be written: %w", err)
}

// sorted are the items in the order of their paths.
func (s *sources) sorted() []archive.Item {
	return slices.SortedFunc(maps.Keys(s.items), func(a, b archive.Item) int { return strings.Compare(a.Path(), b.Path()) })
}

// carried notes the pieces that came from another machine. Whether they are whole,
// their own checksums tell.
func (s *sources) carried(from Dir) error {
	f, err := from.FS.OpenReadOnly(from.Name)
	if err != nil {
		return model.Errorf(model.CodeNotFound, op, "%s cannot be read: %w", from.Name, err)
	}
	s.files = append(s.files, f)
	size, err := f.Size()
	if err != nil {
		return err
	}
	at := &position{r: io.NewSectionReader(f, 0, size)}
	in := tar.NewReader(at)
	for {
		head, err := in.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return model.Errorf(model.CodeCorrupt, op, "%s is no export of `tiercel recover`, or is cut off: %w", from.Name, err)
		}
		if item, ok := archive.Parse("/" + head.Name); ok && head.Size <= store.MaxRecordBytes {
			s.items[item] = append(s.items[item], place{file: f, at: store.Placed{Offset: at.offset, BodyBytes: uint64(head.Size)}})
		}
	}
}

// position counts what a tar reader has read: after a header it is at the content.
type position struct {
	r      io.Reader
	offset uint64
}

func (p *position) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.offset += uint64(n)
	return n, err
}

// content reads a piece, from a copy of its volume or from a file that was carried here.
func (p *place) content() ([]byte, error) {
	if p.file == nil {
		return p.dir.volumes.ReadBody(p.volume, p.at.Offset, p.at.RecordBytes, p.at.HeaderCRC, 0, p.at.BodyBytes, nil)
	}
	body := make([]byte, p.at.BodyBytes)
	if _, err := p.file.ReadAt(body, int64(p.at.Offset)); err != nil {
		return nil, model.Errorf(model.CodeUnavailable, op, "a piece that was carried here cannot be read: %w", err)
	}
	return body, nil
}
