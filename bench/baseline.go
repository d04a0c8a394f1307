package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// The baselines say what the machine gives at best, in the same run: HTTP
// without storage, and storage without HTTP.

// startEcho starts this program again as a bare HTTP server.
func startEcho() (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the bench itself: %w", err)
	}
	s, err := startChild(exec.Command(self, "echo"))
	if err != nil {
		return nil, fmt.Errorf("start the echo server: %w", err)
	}
	return s, nil
}

// serveEcho answers PUT with 201 and GET with the body last put, and keeps nothing else.
func serveEcho(ready func(address string)) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	ready(l.Addr().String())
	return (&fasthttp.Server{Handler: echo, MaxRequestBodySize: 64 << 20}).Serve(l)
}

func echo(ctx *fasthttp.RequestCtx) {
	if ctx.IsPut() {
		ctx.SetStatusCode(fasthttp.StatusCreated)
		ctx.SetBodyString(fmt.Sprintf(`{"size_bytes":%d}`, len(ctx.PostBody())))
		return
	}
	ctx.SetBodyString("ok")
}

// appender is bare group commit: all that has queued while the last batch was
// being synced is written and synced at once.
type appender struct {
	file    *os.File
	mu      sync.Mutex
	queued  []byte
	waiting []chan error
	wake    chan struct{}
}

// append returns when the record is durable.
func (a *appender) append(record []byte) error {
	done := make(chan error, 1)
	a.mu.Lock()
	a.queued = append(a.queued, record...)
	a.waiting = append(a.waiting, done)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
	return <-done
}

// commit writes and syncs batches until wake is closed.
func (a *appender) commit() {
	var spare []byte
	for range a.wake {
		a.mu.Lock()
		batch, waiting := a.queued, a.waiting
		a.queued, a.waiting = spare[:0], nil
		a.mu.Unlock()
		if len(waiting) == 0 {
			spare = batch
			continue
		}
		_, err := a.file.Write(batch)
		if err == nil {
			err = datasync(a.file)
		}
		for _, done := range waiting {
			done <- err
		}
		spare = batch
	}
}

// runAppender measures group commit of records by as many writers as a loop has
// connections, in a file of dir.
func runAppender(dir string, size, writers int, warmUp, duration time.Duration) (m measurement, err error) {
	file, err := os.Create(filepath.Join(dir, "appender"))
	if err != nil {
		return m, fmt.Errorf("create the baseline's file: %w", err)
	}
	defer func() {
		if closeErr := file.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close the baseline's file: %w", closeErr)
		}
	}()
	a := &appender{file: file, wake: make(chan struct{}, 1)}
	var committer sync.WaitGroup
	committer.Go(a.commit)
	record := make([]byte, size)
	fillRandom(record, 2)
	m, err = loop{
		name:        fmt.Sprintf("baseline: group commit alone, %s", sizeName(int64(size))),
		connections: writers, warmUp: warmUp, duration: duration, sync: "fdatasync a batch",
		op: func(*worker, uint64) (int64, string) {
			if a.append(record) != nil {
				return 0, codeNoAnswer
			}
			return int64(size), ""
		},
	}.run()
	close(a.wake)
	committer.Wait()
	return m, err
}
