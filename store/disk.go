package store

import (
	"errors"
	"path"
	"syscall"
)

// IsDiskFailure reports whether an error comes from a disk that does not work, and
// not from one that is full, from damaged bytes, or from a file that is not there.
func IsDiskFailure(err error) bool {
	for _, failure := range []error{syscall.EIO, syscall.EROFS, syscall.ENXIO, syscall.ENODEV, syscall.ESTALE} {
		if errors.Is(err, failure) {
			return true
		}
	}
	return false
}

// ProbeDisk writes a small file, makes it durable and removes it.
func ProbeDisk(fsys FS) error {
	name := path.Join(dirTmp, "probe")
	if err := writeTmp(fsys, name, []byte("is this disk writable?\n")); err != nil {
		return err
	}
	return errors.Join(fsys.SyncDir(dirTmp), fsys.Remove(name))
}
