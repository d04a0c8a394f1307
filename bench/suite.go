package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// suiteOptions is what the standard set can be told.
type suiteOptions struct {
	binary   string
	dataDir  string // holds temporary directories; "" is the system's
	duration time.Duration
	warmUp   time.Duration
	profiles string // directory for CPU profiles of the server; "" for none
}

// suite runs the standard set in one go: baselines first, then each workload on
// the same server.
type suite struct {
	options suiteOptions
	server  *server
	results []measurement
}

// runSuite returns all measurements, also those before an error.
func runSuite(ctx context.Context, options suiteOptions) (results []measurement, err error) {
	dir, err := os.MkdirTemp(options.dataDir, "tiercel-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a data directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &suite{options: options}
	if err := s.baselines(dir); err != nil {
		return s.results, err
	}
	s.server, err = startServer(options.binary, filepath.Join(dir, "data"), options.profiles != "")
	if err != nil {
		return s.results, err
	}
	defer func() { err = errors.Join(err, s.server.stop(syscall.SIGTERM)) }()
	for _, step := range []func(context.Context) error{s.small, s.large} {
		if err := step(ctx); err != nil {
			return s.results, err
		}
	}
	return s.results, nil
}

// baselines measures the machine without Tiercel.
func (s *suite) baselines(dir string) error {
	echoServer, err := startEcho()
	if err != nil {
		return err
	}
	set := newFileSet("/bench/echo/", 4<<10, 0, 64)
	m, err := loop{
		name: "baseline: HTTP alone (fasthttp), 4 KiB", sync: "none", addr: echoServer.http, connections: 64,
		warmUp: s.options.warmUp, duration: s.options.duration, timeout: time.Minute, op: put(set), server: &echoServer.process,
	}.run()
	// It has nothing to lose, and SIGTERM has no handler there.
	if err := errors.Join(err, echoServer.stop(syscall.SIGKILL)); err != nil {
		return err
	}
	s.add(m)
	m, err = runAppender(dir, 4<<10, 64, s.options.warmUp, s.options.duration)
	if err != nil {
		return err
	}
	s.add(m)
	return nil
}

// small measures everything about files of 4 KiB.
func (s *suite) small(ctx context.Context) error {
	var kept measurement
	var keptSet *fileSet
	for _, c := range []struct{ tier, connections int }{{1, 16}, {1, 64}, {1, 256}, {3, 64}} {
		set := newFileSet(fmt.Sprintf("/bench/t%dc%d/", c.tier, c.connections), 4<<10, c.tier, 64)
		m, err := s.run(ctx, loop{
			name: "put 4 KiB", sync: syncMode(c.tier), connections: c.connections,
			warmUp: s.options.warmUp, duration: s.options.duration, op: put(set),
		})
		if err != nil {
			return err
		}
		if c.tier == 1 && c.connections == 64 {
			kept, keptSet = m, set
		}
	}
	if len(kept.stored) == 0 {
		return errors.New("nothing was stored, so there is nothing to read")
	}
	for _, l := range []loop{
		{name: "get 4 KiB", sync: "–", op: get(keptSet, kept.stored, 16)},
		{name: "mixed 3 get : 1 put, 4 KiB", sync: syncMode(1), op: mixed(keptSet, kept.stored, 16), first: 1 << 40},
		{name: "list, pages of 100", sync: "–", op: list(keptSet, kept.stored)},
	} {
		l.connections, l.warmUp, l.duration = 64, s.options.warmUp, s.options.duration
		if _, err := s.run(ctx, l); err != nil {
			return err
		}
	}
	_, err := s.run(ctx, loop{
		name: "delete 4 KiB", sync: "log fsynced", connections: 64, op: remove(keptSet, kept.stored), count: uint64(len(kept.stored)),
	})
	return err
}

// large measures files of 8 MiB.
func (s *suite) large(ctx context.Context) error {
	set := newFileSet("/bench/large/", 8<<20, 1, 4)
	m, err := s.run(ctx, loop{
		name: "put 8 MiB", sync: syncMode(1), connections: 4,
		warmUp: s.options.warmUp, duration: s.options.duration, op: put(set),
	})
	if err != nil {
		return err
	}
	if len(m.stored) == 0 {
		return errors.New("nothing was stored, so there is nothing to read")
	}
	_, err = s.run(ctx, loop{
		name: "get 8 MiB", sync: "–", connections: 4,
		warmUp: s.options.warmUp, duration: s.options.duration, op: get(set, m.stored, 16),
	})
	return err
}

// run runs one loop on the server, with a profile when wanted.
func (s *suite) run(ctx context.Context, l loop) (measurement, error) {
	if err := ctx.Err(); err != nil {
		return measurement{}, err
	}
	l.addr, l.server, l.timeout = s.server.http, &s.server.process, time.Minute
	profile := ""
	if s.options.profiles != "" {
		name := strings.NewReplacer(" ", "-", ",", "", ":", "to").Replace(l.name)
		profile = filepath.Join(s.options.profiles, fmt.Sprintf("%02d-%s-c%d.pprof", len(s.results), name, l.connections))
	}
	m, err := l.runProfiled(ctx, s.server.pprof, profile)
	if err != nil {
		return m, err
	}
	s.add(m)
	return m, nil
}

func (s *suite) add(m measurement) {
	operations, _ := m.throughput()
	fmt.Fprintf(os.Stderr, "%s, %d connections: %.0f/s, errors %s\n", m.Name, m.Connections, operations, m.failureList())
	s.results = append(s.results, m)
}

// runProfiled runs the loop and, when profile names a file, fetches a CPU
// profile of its measured part meanwhile.
func (l loop) runProfiled(ctx context.Context, pprof, profile string) (measurement, error) {
	if profile == "" || l.duration == 0 {
		return l.run()
	}
	fetched := make(chan error, 1)
	l.onMeasuring = func() { go func() { fetched <- fetchProfile(ctx, pprof, l.duration, profile) }() }
	m, err := l.run()
	if err != nil {
		return m, err
	}
	return m, <-fetched
}
