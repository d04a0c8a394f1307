package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"tiercel/httpapi"
)

// series is a file that lines are appended to, and the full ones before it. It is for any
// goroutine.
type series struct {
	dir, name    string
	keep         int    // full files beside the one that is written
	what         string // that it keeps, for people
	log          *slog.Logger
	maxFileBytes int64

	mu    sync.Mutex
	file  *os.File // nil after a failure: it is opened again
	bytes int64

	// failing is why the newest line was not written; nil: it was. Who asks for it does not
	// wait for a disk that hangs.
	failing atomic.Pointer[string]
}

// begin opens the file for the first time. When that fails it is told like a line that
// cannot be written, and tried again with the next one.
func (s *series) begin() {
	if err := s.open(); err != nil {
		s.fail(err)
		s.log.Error("the audit log cannot be opened; its lines will be in this log instead", "what", s.what, "error", err)
	}
}

func (s *series) open() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.dir, s.name), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		s.file, s.bytes = f, info.Size()
		err = s.endTornLine()
	}
	if err != nil {
		s.file = nil
		return errors.Join(err, f.Close())
	}
	return nil
}

// endTornLine keeps the next line whole after one that a crash cut short.
func (s *series) endTornLine() error {
	if s.bytes == 0 {
		return nil
	}
	var last [1]byte
	if _, err := s.file.ReadAt(last[:], s.bytes-1); err != nil || last[0] == '\n' {
		return err
	}
	n, err := s.file.WriteString("\n")
	s.bytes += int64(n)
	return err
}

// write appends one line and makes it durable.
func (s *series) write(a httpapi.Action) {
	text, err := json.Marshal(a)
	if err != nil {
		s.log.Error("audit line cannot be encoded", "error", err, "route", a.Route, "token", a.Name, "outcome", a.Outcome)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.append(append(text, '\n')); err != nil {
		if s.file != nil {
			_ = s.file.Close() // it failed already
			s.file = nil
		}
		s.fail(err)
		s.log.Error("audit line not written; it is here instead", "error", err, "line", string(text))
		return
	}
	s.failing.Store(nil)
}

func (s *series) fail(err error) {
	text := err.Error()
	s.failing.Store(&text)
}

// gone reports whether the file that is written has no longer its name: somebody moved or
// removed it, and what is written to it nobody will find.
func (s *series) gone() bool {
	named, err := os.Stat(filepath.Join(s.dir, s.name))
	if err != nil {
		return true
	}
	open, err := s.file.Stat()
	return err == nil && !os.SameFile(named, open)
}

func (s *series) append(line []byte) error {
	if s.file != nil && s.gone() {
		_ = s.file.Close() // what it has is synced
		s.file = nil
	}
	if s.file != nil && s.bytes > 0 && s.bytes+int64(len(line)) > s.maxFileBytes {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	if s.file == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	n, err := s.file.Write(line)
	s.bytes += int64(n)
	if err != nil {
		return err
	}
	return s.file.Sync()
}

// rotate makes room: every file moves up by one, and the oldest is overwritten.
func (s *series) rotate() error {
	f := s.file
	s.file = nil
	if err := f.Close(); err != nil {
		return err
	}
	name := func(n int) string { return filepath.Join(s.dir, numbered(s.name, n)) }
	for n := s.keep - 1; n >= 1; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(name(0), name(1))
}

// numbered is the name of the n-th file of a series, 0 being the newest.
func numbered(name string, n int) string {
	if n == 0 {
		return name
	}
	return fmt.Sprintf("%s.%d", name, n)
}

// warnings says that lines are missing from the file.
func (s *series) warnings() []string {
	if why := s.failing.Load(); why != nil {
		return []string{s.what + " are not written to the audit log, only to this node's own log: " + *why}
	}
	return nil
}

func (s *series) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}
