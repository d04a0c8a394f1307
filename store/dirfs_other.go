//go:build !linux

package store

import "golang.org/x/sys/unix"

// fdatasync where there is none: the whole fsync.
func fdatasync(fd int) error { return unix.Fsync(fd) }
