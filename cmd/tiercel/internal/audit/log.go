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

	"tiercel/httpapi"
)

// Limits of the log on disk, 128 MiB in all.
const (
	MaxFileBytes = 16 << 20
	Keep         = 7 // full files beside the one that is written
)

const fileName = "audit.log"

// Log is the audit log of one node. It is for any goroutine.
type Log struct {
	dir          string
	log          *slog.Logger
	maxFileBytes int64

	mu      sync.Mutex
	file    *os.File // nil after a failure: it is opened again
	bytes   int64
	failing string // why the newest line was not written; empty: it was
}

// Open opens the log below a data directory. When it cannot be opened that is told like
// a line that cannot be written, and tried again with the next one.
func Open(dataDir string, log *slog.Logger) *Log {
	l := &Log{dir: filepath.Join(dataDir, "audit"), log: log, maxFileBytes: MaxFileBytes}
	if err := l.open(); err != nil {
		l.failing = err.Error()
		log.Error("the audit log cannot be opened; management actions will be in this log instead", "error", err)
	}
	return l
}

func (l *Log) open() error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(l.dir, fileName), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		l.file, l.bytes = f, info.Size()
		err = l.endTornLine()
	}
	if err != nil {
		l.file = nil
		return errors.Join(err, f.Close())
	}
	return nil
}

// endTornLine keeps the next line whole after one that a crash cut short.
func (l *Log) endTornLine() error {
	if l.bytes == 0 {
		return nil
	}
	var last [1]byte
	if _, err := l.file.ReadAt(last[:], l.bytes-1); err != nil || last[0] == '\n' {
		return err
	}
	n, err := l.file.WriteString("\n")
	l.bytes += int64(n)
	return err
}

// Write appends one action.
func (l *Log) Write(a httpapi.Action) {
	text, err := json.Marshal(a)
	if err != nil {
		l.log.Error("audit line cannot be encoded", "error", err, "route", a.Route, "token", a.Name, "outcome", a.Outcome)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.append(append(text, '\n')); err != nil {
		if l.file != nil {
			_ = l.file.Close() // it failed already
			l.file = nil
		}
		l.failing = err.Error()
		l.log.Error("audit line not written; it is here instead", "error", err, "line", string(text))
		return
	}
	l.failing = ""
}

// gone reports whether the file that is written has no longer its name: somebody moved or
// removed it, and what is written to it nobody will find.
func (l *Log) gone() bool {
	named, err := os.Stat(filepath.Join(l.dir, fileName))
	if err != nil {
		return true
	}
	open, err := l.file.Stat()
	return err == nil && !os.SameFile(named, open)
}

func (l *Log) append(line []byte) error {
	if l.file != nil && l.gone() {
		_ = l.file.Close() // what it has is synced
		l.file = nil
	}
	if l.file != nil && l.bytes > 0 && l.bytes+int64(len(line)) > l.maxFileBytes {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(line)
	l.bytes += int64(n)
	if err != nil {
		return err
	}
	return l.file.Sync()
}

// rotate makes room: every file moves up by one, and the oldest is overwritten.
func (l *Log) rotate() error {
	f := l.file
	l.file = nil
	if err := f.Close(); err != nil {
		return err
	}
	name := func(n int) string { return filepath.Join(l.dir, fmt.Sprintf("%s.%d", fileName, n)) }
	for n := Keep - 1; n >= 1; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(filepath.Join(l.dir, fileName), name(1))
}

// Warnings says that lines are missing from the log.
func (l *Log) Warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing == "" {
		return nil
	}
	return []string{"management actions are not written to the audit log, only to this node's own log: " + l.failing}
}

// Close closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	return f.Close()
}
