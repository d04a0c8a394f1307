package transfer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
)

// resumeBytes is the size from which on an interrupted download is kept for
// the next run, under a name that says which version of which file it is.
const resumeBytes = 8 << 20

// part is the temporary file of one download. It has the final name only when
// all of it is there and verified.
type part struct {
	root    *os.Root
	name    string
	file    *os.File
	keep    bool // worth keeping when interrupted
	resume  client.Resume
	written bool
}

// file fetches one file to name below root.
func (g *getter) file(ctx context.Context, root *os.Root, file client.File, name string) {
	p, err := newPart(root, file, filepath.Dir(name))
	if err != nil {
		g.tally.fail(file.Path, err)
		return
	}
	info, err := g.c.Get(ctx, file.Path, p, p.resume, g.o.Progress.Moved)
	if err == nil {
		err = p.finish(name, g.o.Fsync)
	} else {
		err = errors.Join(err, p.abandon(model.CodeOf(err)))
	}
	g.count(file.Path, info, err)
}

func newPart(root *os.Root, file client.File, dir string) (*part, error) {
	if err := root.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("cannot make the directory %s: %w", shown(dir), plain(err))
	}
	if file.SizeBytes >= resumeBytes && file.ETag != "" {
		p, err := reopenPart(root, file, dir)
		if p != nil || err != nil {
			return p, err
		}
	}
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	p := &part{root: root, name: partName(dir, random)}
	var err error
	if p.file, err = root.OpenFile(p.name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666); err != nil {
		return nil, fmt.Errorf("cannot make a file in %s: %w", shown(filepath.Join(root.Name(), dir)), plain(err))
	}
	return p, nil
}

func partName(dir string, id []byte) string {
	return filepath.Join(dir, ".tiercel-"+hex.EncodeToString(id[:8])+".part")
}

// reopenPart continues what an earlier run has left of the same version, or
// begins it. Nil: another process is at it.
func reopenPart(root *os.Root, file client.File, dir string) (*part, error) {
	id := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", file.Path, file.ETag, file.SizeBytes))
	p := &part{root: root, name: partName(dir, id[:]), keep: true}
	var err error
	if p.file, err = root.OpenFile(p.name, os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", shown(filepath.Join(root.Name(), p.name)), plain(err))
	}
	mine, err := p.lock()
	if err == nil && mine {
		err = p.measure(file)
	}
	if err != nil || !mine {
		return nil, errors.Join(err, p.file.Close())
	}
	return p, nil
}

// lock makes sure that this process alone writes the part, and that it still
// has its name: another may have finished it meanwhile.
func (p *part) lock() (bool, error) {
	if ok, err := lockFile(p.file); err != nil || !ok {
		return false, err
	}
	held, err := p.file.Stat()
	if err != nil {
		return false, err
	}
	named, err := p.root.Lstat(p.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, named), err
}

// measure reads what is there: its length and checksum, on which the rest builds.
func (p *part) measure(file client.File) error {
	buffer := make([]byte, 256<<10)
	for {
		n, err := p.file.Read(buffer)
		p.resume.Bytes += int64(n)
		p.resume.CRC = client.UpdateChecksum(p.resume.CRC, buffer[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	// The whole but not its name: the run ended in between. Nothing is left to ask
	// for, so begin anew; the same when it is no part of this file at all.
	if p.resume.Bytes >= file.SizeBytes {
		p.resume = client.Resume{}
		return p.truncate()
	}
	if p.resume.Bytes > 0 {
		p.resume.ETag = file.ETag
	}
	return nil
}

// Write implements client.Sink.
func (p *part) Write(b []byte) (int, error) {
	p.written = true
	n, err := p.file.Write(b)
	if err != nil {
		err = fmt.Errorf("cannot write to %s: %w", shown(p.root.Name()), plain(err))
	}
	return n, err
}

// Restart implements client.Sink. What follows is another version than the
// name of the part says, so it is not worth keeping.
func (p *part) Restart() error {
	p.keep = false
	return p.truncate()
}

func (p *part) truncate() error {
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}

// finish gives the verified content its name, which replaces an older file.
func (p *part) finish(name string, fsync bool) error {
	var err error
	if fsync {
		err = p.file.Sync()
	}
	// The name first: closing gives up the lock.
	if err == nil {
		err = p.root.Rename(p.name, name)
	}
	if errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		err = errors.New("there is a directory of this name")
	}
	if err == nil && fsync {
		err = syncDir(p.root, filepath.Dir(name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", shown(filepath.Join(p.root.Name(), name)), plain(err)), p.remove())
	}
	return p.file.Close()
}

func syncDir(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// abandon removes the part, or keeps it for the next run if it is sound so far.
func (p *part) abandon(code model.Code) error {
	sound := code != model.CodeCorrupt && code != model.CodeNotFound
	if p.keep && sound && (p.written || p.resume.Bytes > 0) {
		return p.file.Close()
	}
	return p.remove()
}

func (p *part) remove() error {
	err := p.root.Remove(p.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, p.file.Close())
}
