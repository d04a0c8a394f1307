package main

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"
)

// largeFileOptions is what the test of one huge file can be told.
type largeFileOptions struct {
	binary  string
	dataDir string
	size    int64
	tier    int
}

// stream is content of any length that is never held: a random block over and
// over, each time with its number at the front. It sums what was read.
type stream struct {
	block []byte
	at    int64
	sum   hash.Hash32
}

func newStream() *stream {
	s := &stream{block: make([]byte, 1<<20), sum: crc32.New(castagnoli)}
	fillRandom(s.block, 3)
	return s
}

// Read never ends; the caller takes as much as it wants.
func (s *stream) Read(p []byte) (int, error) {
	within := s.at % int64(len(s.block))
	if within == 0 {
		binary.LittleEndian.PutUint64(s.block, uint64(s.at))
	}
	n := copy(p, s.block[within:])
	s.at += int64(n)
	s.sum.Write(p[:n])
	return n, nil
}

// runLargeFile stores one huge file, reads it back, compares checksums and
// reports the server's peak memory in either direction.
func runLargeFile(w io.Writer, o largeFileOptions) error {
	return withServer(o.binary, o.dataDir, func(s *server, _ string) error { return exchangeLargeFile(w, s.http, &s.process, o) })
}

// exchangeLargeFile is runLargeFile on a running server.
func exchangeLargeFile(w io.Writer, addr string, server *process, o largeFileOptions) error {
	c := newConn(addr, time.Hour)
	defer c.close()
	set := fileSet{tier: o.tier}
	const path = filesRoute + "/bench/large.bin"
	sent := newStream()
	err := timed(w, "put", o.size, server, func() error {
		a, err := c.do(request{method: "PUT", path: path, header: set.header(), stream: sent, size: o.size})
		if err == nil && a.status != 201 && a.status != 200 {
			err = fmt.Errorf("put: status %d: %s", a.status, a.body)
		}
		return err
	})
	if err != nil {
		return err
	}
	received := crc32.New(castagnoli)
	err = timed(w, "get", o.size, server, func() error {
		a, err := c.do(request{method: "GET", path: path, sink: received})
		if err == nil && (a.status != 200 || a.length != o.size) {
			err = fmt.Errorf("get: status %d, %d bytes of %d", a.status, a.length, o.size)
		}
		return err
	})
	if err != nil {
		return err
	}
	if sent.sum.Sum32() != received.Sum32() {
		return fmt.Errorf("the file came back with crc32c %08x, not %08x", received.Sum32(), sent.sum.Sum32())
	}
	_, err = fmt.Fprintf(w, "verified: crc32c %08x of %s (%s)\n", received.Sum32(), sizeName(o.size), syncMode(o.tier))
	return err
}

// timed runs one direction and reports its speed and the server's peak memory.
func timed(w io.Writer, name string, size int64, server *process, exchange func() error) error {
	if server != nil {
		server.resetPeak()
	}
	begin := time.Now()
	if err := exchange(); err != nil {
		return err
	}
	seconds := time.Since(begin).Seconds()
	line := fmt.Sprintf("%s %s: %.1f s, %.0f MB/s", name, sizeName(size), seconds, float64(size)/1e6/seconds)
	if server != nil {
		peak, err := server.memory("VmHWM")
		if err != nil {
			return err
		}
		line += fmt.Sprintf(", server peak %d MiB resident", peak>>20)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}
