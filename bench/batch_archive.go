package main

import (
	"archive/tar"
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
)

// archive writes the files from first on as a tar archive.
func (s *fileSet) archive(w io.Writer, first uint64, items int) error {
	out := tar.NewWriter(w)
	content := append([]byte(nil), s.block...)
	for n := first; n < first+uint64(items); n++ {
		s.stamp(content, n)
		name := s.prefix[1:] + "d" + strconv.FormatUint(n%uint64(s.spread), 10) + "/f" + strconv.FormatUint(n, 10)
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(s.size)}); err != nil {
			return err
		}
		if _, err := out.Write(content); err != nil {
			return err
		}
	}
	return out.Close()
}

// syncCall is the beginning of a call in strace's output; its end may come on a line of
// its own.
var syncCall = regexp.MustCompile(`\b(fdatasync|fsync)\(`)

// traceSyncs has strace write the syncs of a process and its threads to a file; count says
// how many there were, stop lets the process go.
func traceSyncs(pid int, file string) (count func() int, stop func(), err error) {
	cmd := exec.Command("strace", "-f", "-e", "trace=fdatasync,fsync", "-o", file, "-p", strconv.Itoa(pid))
	said, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start strace: %w", err)
	}
	lines := bufio.NewReader(said)
	first, err := lines.ReadString('\n') // "Process 1 attached", or why not
	if err == nil && !regexp.MustCompile(`attached`).MatchString(first) {
		err = fmt.Errorf("strace: %s", first)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines) // until it ends
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it detaches
		<-drained
		_ = cmd.Wait() // its status is that of the signal
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return func() int {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0
		}
		return len(syncCall.FindAllIndex(text, -1))
	}, stop, nil
}
