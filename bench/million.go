package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// millionOptions is what the test of many small files can be told.
type millionOptions struct {
	binary      string
	dataDir     string
	files       uint64
	size        int
	connections int
	tier        int
}

// runMillion stores many small files, then reports what each costs in memory
// and on disk, and how long the server takes to come back: after a clean end
// and after a kill.
func runMillion(w io.Writer, o millionOptions) (err error) {
	dir, err := os.MkdirTemp(o.dataDir, "tiercel-bench-")
	if err != nil {
		return fmt.Errorf("make a data directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	data := filepath.Join(dir, "data")
	s, err := startServer(o.binary, data, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop(syscall.SIGKILL)) }() // s is whichever runs last
	empty, err := s.memory("VmRSS")
	if err != nil {
		return err
	}
	set := newFileSet("/bench/million/", o.size, o.tier, 1000)
	m, err := loop{
		name: fmt.Sprintf("put %d files of %s", o.files, sizeName(int64(o.size))), sync: syncMode(o.tier), addr: s.http,
		connections: o.connections, count: o.files, timeout: time.Minute, op: put(set), server: &s.process,
	}.run()
	if err != nil {
		return err
	}
	if err := table(w, []measurement{m}); err != nil {
		return err
	}
	stored := uint64(len(m.stored))
	if stored == 0 {
		return errors.New("nothing was stored")
	}
	resident, err := s.memory("VmRSS")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nstored: %d files, %d failed\n", stored, m.failed())
	fmt.Fprintf(w, "server memory: %d MiB empty, %d MiB after, %d B a file\n", empty>>20, resident>>20, (resident-empty)/int64(stored))
	for _, way := range []struct {
		name   string
		signal syscall.Signal
	}{{"a clean end", syscall.SIGTERM}, {"a kill", syscall.SIGKILL}} {
		if s, err = restart(w, s, o, data, way.name, way.signal, set, m.stored, empty); err != nil {
			return err
		}
	}
	return nil
}

// restart ends the server, measures the disk, starts it again and reads a
// sample of the files back.
func restart(w io.Writer, s *server, o millionOptions, data, way string, signal syscall.Signal,
	set *fileSet, stored []uint64, empty int64,
) (*server, error) {
	if err := s.stop(signal); err != nil {
		return s, err
	}
	allocated, apparent, err := diskUsage(data)
	if err != nil {
		return s, err
	}
	n := int64(len(stored))
	fmt.Fprintf(w, "disk after %s: %d MiB allocated, %d B a file; %d MiB of file lengths, %d B a file\n",
		way, allocated>>20, allocated/n, apparent>>20, apparent/n)
	again, err := startServer(o.binary, data, false)
	if err != nil {
		return s, err
	}
	resident, err := again.memory("VmRSS")
	if err != nil {
		return again, err
	}
	fmt.Fprintf(w, "restart after %s: ready in %.2f s, %d MiB resident, %d B a file\n",
		way, again.started.Seconds(), resident>>20, (resident-empty)/n)
	sample, err := loop{
		name: "get", addr: again.http, connections: 16, count: min(uint64(n), 10_000), timeout: time.Minute, op: get(set, stored, 1),
	}.run()
	if err == nil && sample.failed() > 0 {
		err = fmt.Errorf("after %s stored files do not come back right: %s", way, sample.failureList())
	}
	if err == nil {
		fmt.Fprintf(w, "verified after %s: %d files\n", way, sample.Operations)
	}
	return again, err
}
