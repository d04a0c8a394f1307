package store

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"syscall"

	"tiercel/cluster/model"
)

// Directories of the data directory, as API.md "Directory layout" names them.
const (
	dirLog        = "log"
	dirSnapshots  = "snapshots"
	dirVolumes    = "volumes"
	dirQuarantine = "quarantine"
	dirTmp        = "tmp"
)

// replaceFile puts data at name atomically: a file in tmp/, fsync, rename,
// fsync of the directory. When it returns nil the content is durable; when it
// fails, the old content or the new is there, whole.
func replaceFile(fsys FS, name string, data []byte) error {
	tmp := path.Join(dirTmp, path.Base(name))
	if err := writeTmp(fsys, tmp, data); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

// writeTmp makes a synced file in tmp/, in place of what an earlier, failed try
// may have left there.
func writeTmp(fsys FS, tmp string, data []byte) error {
	f, err := createTmp(fsys, tmp)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		// Space matters more than the leftover's error: it is removed at the next start anyway.
		return errors.Join(err, ignoreMissing(fsys.Remove(tmp)))
	}
	return nil
}

func createTmp(fsys FS, tmp string) (File, error) {
	f, err := fsys.Create(tmp)
	if errors.Is(err, fs.ErrExist) {
		if err := fsys.Remove(tmp); err != nil {
			return nil, err
		}
		f, err = fsys.Create(tmp)
	}
	return f, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// readFile reads a whole file of at most limit bytes.
func readFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.OpenReadOnly(name)
	if err != nil {
		return nil, err
	}
	data, err := readAll(f, limit)
	return data, errors.Join(err, f.Close())
}

func readAll(f File, limit int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, errTooLong
	}
	data := make([]byte, size)
	if err := readFull(f, data, 0); err != nil {
		return nil, err
	}
	return data, nil
}

var errTooLong = errors.New("the file is longer than it may be")

// readFull reads all of p; io.ErrUnexpectedEOF when the file is too short.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == io.EOF || err == nil:
		return io.ErrUnexpectedEOF
	}
	return err
}

// failed turns an error of the file system into a coded one: cluster_full when
// the disk is full, else the code given. The message says what was being done;
// the cause, which may name paths of this machine, is kept beside it for logs.
func failed(code model.Code, op, what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return because(err, model.CodeClusterFull, op, "%s: the disk is full; free space in the data directory or add a worker", what)
	}
	return because(err, code, op, "%s", what)
}

// because is model.Errorf with the cause kept out of the message.
func because(err error, code model.Code, op, format string, args ...any) *model.Error {
	e := model.Errorf(code, op, format, args...)
	e.Err = err
	return e
}
