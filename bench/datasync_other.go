//go:build !linux

package main

import "os"

// datasync makes contents and size durable.
func datasync(f *os.File) error { return f.Sync() }
