package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running process as Linux tells about it. Elsewhere all figures
// about the server are unknown.
type process struct{ pid int }

// clockTicks per second in /proc/<pid>/stat; 100 on every Linux that Go runs on.
const clockTicks = 100

// cpu is the processor time used since the process began, user and system.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0, fmt.Errorf("read the server's CPU time: %w", err)
	}
	return parseStat(text)
}

// parseStat finds utime and stime, fields 14 and 15. The name in field 2 may
// hold spaces and brackets, so counting begins after its last bracket.
func parseStat(text []byte) (time.Duration, error) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("not a process state: %q", text)
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("not a process state: %q", text)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}

// memory reads one size of /proc/<pid>/status in bytes: VmRSS now, VmHWM at most.
func (p *process) memory(name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return 0, fmt.Errorf("read the server's memory: %w", err)
	}
	return parseStatus(string(text), name)
}

func parseStatus(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			fields := strings.Fields(rest)
			if len(fields) == 2 && fields[1] == "kB" {
				n, err := strconv.ParseInt(fields[0], 10, 64)
				return n << 10, err
			}
		}
	}
	return 0, fmt.Errorf("the process status has no %s", name)
}

// resetPeak begins a new VmHWM. Where that is not permitted the peak is that of
// the process's life, which is never too low.
func (p *process) resetPeak() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid), []byte("5"), 0)
}

// ownCPU is the processor time of this process.
func ownCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// findListener finds the process that listens on addr, or nil when it is not
// ours to see (another user's, another machine's).
func findListener(addr string) *process {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil
	}
	inodes := make(map[string]bool)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if text, err := os.ReadFile(table); err == nil {
			listeningInodes(string(text), uint16(number), inodes)
		}
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !inodes[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
			return &process{pid: pid}
		}
	}
	return nil
}

// listeningInodes adds the sockets of a /proc/net/tcp table that listen on port.
func listeningInodes(table string, port uint16, inodes map[string]bool) {
	const listening = "0A"
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > 9 && fields[3] == listening && strings.HasSuffix(fields[1], suffix) {
			inodes[fields[9]] = true
		}
	}
}

// diskUsage sums what the files under dir occupy and what they claim to hold.
func diskUsage(dir string) (allocated, apparent int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			allocated += stat.Blocks * 512
		}
		if !entry.IsDir() {
			apparent += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("measure the data directory: %w", err)
	}
	return allocated, apparent, nil
}
