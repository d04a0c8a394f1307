package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// single is one workload on a server that runs already.
type single struct {
	name        string
	server      string
	pid         int
	size        byteSize
	tier        int
	spread      int
	prefix      string
	connections int
	duration    time.Duration
	warmUp      time.Duration
	count       uint64
	prepare     uint64 // files stored before anything else than put
	verifyEvery uint64
	pprof       string
	profile     string
	output      string
}

func workloadCommand(ctx context.Context, w io.Writer, name string, arguments []string) error {
	s := single{name: name, size: 4 << 10}
	flags := newFlags(name)
	flags.StringVar(&s.server, "server", "http://127.0.0.1:8880", "`URL` of the server")
	flags.IntVar(&s.pid, "pid", 0, "process id of the server (0: found by its port)")
	flags.Var(&s.size, "size", "of each file: 4096, 4KiB, 8MiB")
	flags.IntVar(&s.tier, "tier", 1, "1, 2 or 3; 0: as the path says")
	flags.IntVar(&s.spread, "spread", 64, "directories that the files are spread over")
	flags.StringVar(&s.prefix, "prefix", "", "`path` of the files (default: /bench/ and the time)")
	flags.IntVar(&s.connections, "connections", 64, "each with one request under way")
	flags.DurationVar(&s.duration, "duration", 10*time.Second, "of the measurement")
	flags.DurationVar(&s.warmUp, "warm-up", 2*time.Second, "before it")
	flags.Uint64Var(&s.count, "count", 0, "operations, instead of --duration")
	flags.Uint64Var(&s.prepare, "prepare", 10_000, "files to store first, for get, mixed, delete and list")
	flags.Uint64Var(&s.verifyEvery, "verify-every", 16, "compare the content of every n-th read")
	flags.StringVar(&s.pprof, "pprof", "", "`host:port` where the server serves profiles")
	flags.StringVar(&s.profile, "profile", "", "`file` for a CPU profile of the server")
	flags.StringVar(&s.output, "output", "table", "table or json")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	m, err := s.measure(ctx)
	if err != nil {
		return err
	}
	if s.output == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(m)
	}
	if _, err := io.WriteString(w, machine()+"\n"); err != nil {
		return err
	}
	return table(w, []measurement{m})
}

func (s *single) check() error {
	addr, ok := strings.CutPrefix(strings.TrimSuffix(s.server, "/"), "http://")
	if !ok || addr == "" || strings.Contains(addr, "/") {
		return fmt.Errorf("%w: --server is http://host:port, not %q", errUsage, s.server)
	}
	s.server = addr
	if s.tier < 0 || s.tier > 3 {
		return fmt.Errorf("%w: --tier is 0 to 3", errUsage)
	}
	if s.output != "table" && s.output != "json" {
		return fmt.Errorf("%w: --output is table or json", errUsage)
	}
	if s.prefix == "" {
		s.prefix = fmt.Sprintf("/bench/%x/", time.Now().UnixNano())
	}
	if s.prefix[0] != '/' {
		return fmt.Errorf("%w: --prefix begins with a slash", errUsage)
	}
	if !strings.HasSuffix(s.prefix, "/") {
		s.prefix += "/"
	}
	if s.count > 0 || s.name == "delete" { // count ends it
		s.duration, s.warmUp = 0, 0
	} else if s.duration <= 0 {
		return fmt.Errorf("%w: --duration must be above zero", errUsage)
	}
	return positive(map[string]int64{
		"connections": int64(s.connections), "prepare": int64(s.prepare), "verify-every": int64(s.verifyEvery), "spread": int64(s.spread),
	})
}

// measure stores what the workload needs and runs it.
func (s *single) measure(ctx context.Context) (measurement, error) {
	set := newFileSet(s.prefix, int(s.size), s.tier, s.spread)
	base := loop{addr: s.server, connections: s.connections, timeout: time.Minute, server: findListener(s.server), sync: syncMode(s.tier)}
	if s.pid != 0 {
		base.server = &process{pid: s.pid}
	}
	var stored []uint64
	if s.name != "put" {
		fill := base
		fill.name, fill.count, fill.op = "prepare", s.prepare, put(set)
		m, err := fill.run()
		if err != nil {
			return m, err
		}
		if stored = m.stored; len(stored) == 0 {
			return m, fmt.Errorf("nothing could be stored first: %s", m.failureList())
		}
	}
	l := base
	l.name = fmt.Sprintf("%s %s", s.name, sizeName(int64(s.size)))
	l.warmUp, l.duration, l.count = s.warmUp, s.duration, s.count
	switch s.name {
	case "put":
		l.op = put(set)
	case "get":
		l.op, l.sync = get(set, stored, s.verifyEvery), "–"
	case "mixed":
		l.op, l.first = mixed(set, stored, s.verifyEvery), 1<<40
	case "list":
		l.op, l.sync = list(set, stored), "–"
	case "delete":
		l.op, l.sync, l.count = remove(set, stored), "log fsynced", uint64(len(stored))
	default:
		return measurement{}, errors.New("no such workload: " + s.name)
	}
	return l.runProfiled(ctx, s.pprof, s.profile)
}
