//go:build unix

package transfer

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes an exclusive lock that ends with the file handle; false when
// another process holds it.
func lockFile(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
