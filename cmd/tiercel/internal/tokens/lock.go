package tokens

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockSuffix names the file that is locked: the token file itself is replaced by an edit,
// and a lock on the old one would keep nobody out.
const lockSuffix = ".lock"

// lock waits until nobody else edits the token file. The lock ends with the process, so a
// lock file that is left behind means nothing.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+lockSuffix, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // it holds nothing but the lock
}

// behind follows links to the file that they mean, which need not be there when the path
// is no link.
func behind(path string) (string, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s is a link to a file that is not there; make that file or remove the link", path)
	}
	return target, err
}
