package main

import (
	"os"
	"syscall"
)

// datasync makes contents and size durable.
func datasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
