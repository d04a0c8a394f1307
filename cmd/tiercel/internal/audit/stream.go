package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"

	"tiercel/cluster/model"
	"tiercel/httpapi"
)

// maxLineBytes bounds a line: whatever a request may have in it, escaped, fits.
const maxLineBytes = 256 << 10

// stream reads the files of one series, the oldest first.
type stream struct {
	files []opened // the newest first
	at    int      // file that is read; -1: all were
	in    *bufio.Reader

	line httpapi.Action // the next one, if there is more
	more bool

	unreadable, torn int64
}

// opened is a file, and how long it was then.
type opened struct {
	file  *os.File
	bytes int64
	info  os.FileInfo
}

// add opens the next older file. One that is open already is the same by another name.
func (s *stream) add(path string) error {
	const op = "read the audit log"
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return model.Errorf(model.CodeNotFound, op, "there is no file %s: %w", path, err)
	}
	if errors.Is(err, os.ErrPermission) {
		return model.Errorf(model.CodePermissionDenied, op, "%s may be read by the user only that the node runs as; call this as that user: %w", path, err)
	}
	if err != nil {
		return model.Errorf(model.CodeUnavailable, op, "%s cannot be opened: %w", path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file; give a directory with --data-dir")
	}
	if err != nil {
		return errors.Join(model.Errorf(model.CodeUnavailable, op, "%s cannot be read: %w", path, err), f.Close())
	}
	for _, other := range s.files {
		if os.SameFile(other.info, info) {
			return f.Close()
		}
	}
	s.files = append(s.files, opened{f, info.Size(), info})
	return nil
}

// rewind goes to the first line.
func (s *stream) rewind() error {
	s.at, s.unreadable, s.torn = len(s.files), 0, 0
	s.older()
	return s.next()
}

// older goes on with the next file.
func (s *stream) older() {
	if s.at--; s.at < 0 {
		return
	}
	from := io.NewSectionReader(s.files[s.at].file, 0, s.files[s.at].bytes)
	if s.in == nil {
		s.in = bufio.NewReaderSize(from, maxLineBytes)
	} else {
		s.in.Reset(from)
	}
}

// next reads the next line that is one of ours.
func (s *stream) next() error {
	for s.at >= 0 {
		text, err := s.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			s.unreadable++
			for errors.Is(err, bufio.ErrBufferFull) { // to its end
				_, err = s.in.ReadSlice('\n')
			}
			text = nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return model.Errorf(model.CodeUnavailable, "read the audit log", "%s cannot be read on: %w", s.files[s.at].file.Name(), err)
		}
		ends := errors.Is(err, io.EOF)
		s.more = false
		if text = bytes.TrimSpace(text); len(text) > 0 {
			s.line = httpapi.Action{}
			s.more = json.Unmarshal(text, &s.line) == nil && !s.line.At.IsZero()
			switch {
			case s.more:
			case ends:
				s.torn++
			default:
				s.unreadable++
			}
		}
		if ends {
			s.older()
		}
		if s.more {
			return nil
		}
	}
	s.more = false
	return nil
}
