package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tiercel/internal/procs"
)

// server is a child process that printed a ready line.
type server struct {
	process
	cmd     *exec.Cmd
	http    string // host:port
	pprof   string // host:port, or nothing
	started time.Duration
	drained chan struct{} // closed when its output has ended
	ended   bool
}

// readyTimeout is how long a server may take to load a large catalog.
const readyTimeout = 5 * time.Minute

// withServer runs fn on a server that it starts in a new directory below dataDir, which is
// removed afterwards with everything in it.
func withServer(binary, dataDir string, fn func(s *server, dir string) error) (err error) {
	dir, err := os.MkdirTemp(dataDir, "tiercel-bench-")
	if err != nil {
		return fmt.Errorf("make a data directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := startServer(binary, filepath.Join(dir, "data"), false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop(syscall.SIGTERM)) }()
	return fn(s, dir)
}

// startServer starts binary on a data directory and waits until it can serve.
// With profiles it also asks it to serve net/http/pprof.
func startServer(binary, dataDir string, profiles bool) (*server, error) {
	arguments := []string{"server", "--data-dir", dataDir, "--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0", "--log-level", "warn"}
	// Tiers are asked for by name, which a node without a licence does not take; a binary
	// from before there were licences takes everything.
	license := filepath.Join(filepath.Dir(dataDir), "license.txt")
	if err := procs.IssueLicense(binary, "enterprise", license); err == nil {
		arguments = append(arguments, "--license", license)
	}
	pprof := ""
	if profiles {
		var err error
		if pprof, err = freeAddress(); err != nil {
			return nil, err
		}
		arguments = append(arguments, "--pprof", pprof)
	}
	s, err := startChild(exec.Command(binary, arguments...))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	s.pprof = pprof
	return s, nil
}

// startChild runs a command and waits for its line "ready http=<host:port> …".
func startChild(cmd *exec.Cmd) (*server, error) {
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{process: process{pid: cmd.Process.Pid}, cmd: cmd, drained: make(chan struct{})}
	lines := bufio.NewReader(output)
	ready := make(chan error, 1)
	go func() {
		defer close(s.drained)
		address, err := readReady(lines)
		s.http = address
		ready <- err
		_, _ = io.Copy(io.Discard, lines) // until the process ends
	}()
	select {
	case err = <-ready:
	case <-time.After(readyTimeout):
		err = fmt.Errorf("not ready after %s", readyTimeout)
	}
	s.started = time.Since(begin)
	if err != nil {
		return nil, errors.Join(err, s.stop(syscall.SIGKILL))
	}
	return s, nil
}

// readReady waits for the ready line and returns the HTTP address in it.
func readReady(lines *bufio.Reader) (string, error) {
	for {
		line, err := lines.ReadString('\n')
		if address, ok := parseReady(line); ok {
			return address, nil
		}
		if err != nil {
			return "", fmt.Errorf("the process ended before its ready line: %w", err)
		}
	}
}

// parseReady finds http=<host:port> in a ready line.
func parseReady(line string) (string, bool) {
	fields := strings.Fields(line)
	if len(fields) == 0 || fields[0] != "ready" {
		return "", false
	}
	for _, field := range fields[1:] {
		if address, ok := strings.CutPrefix(field, "http="); ok && address != "" {
			return address, true
		}
	}
	return "", false
}

// stop sends a signal and waits for the end. After SIGTERM the status must be 0.
// Stopping once more does nothing.
func (s *server) stop(signal syscall.Signal) error {
	if s.ended {
		return nil
	}
	s.ended = true
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the server: %w", err)
	}
	<-s.drained
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if signal == syscall.SIGKILL && errors.As(err, &exit) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the server did not end cleanly: %w", err)
	}
	return nil
}

// freeAddress finds a loopback port that nobody uses at the moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return address, nil
}

// fetchProfile writes a CPU profile of the next seconds to a file.
func fetchProfile(ctx context.Context, pprof string, length time.Duration, name string) error {
	if pprof == "" {
		return errors.New("a profile needs --pprof host:port, as the server was started with")
	}
	c := newConn(pprof, length+30*time.Second)
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	seconds := max(1, int(length.Seconds()))
	a, err := c.do(request{method: "GET", path: fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds)})
	if err != nil {
		return fmt.Errorf("fetch a CPU profile from %s: %w", pprof, err)
	}
	if a.status != 200 {
		return fmt.Errorf("fetch a CPU profile from %s: status %d: %s", pprof, a.status, a.body)
	}
	if err := os.WriteFile(name, a.body, 0o644); err != nil {
		return fmt.Errorf("write the CPU profile: %w", err)
	}
	return nil
}
