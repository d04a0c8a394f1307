package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestMain makes the test binary play the bench's own child (echo) and, as
// `server`, a small stand-in for Tiercel.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "license" {
		os.Exit(1) // like a binary from before there were licences
	}
	if len(os.Args) > 1 && (os.Args[1] == "echo" || os.Args[1] == "server") {
		if err := playChild(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func playChild(arguments []string) error {
	if arguments[0] == "echo" {
		return run(context.Background(), os.Stdout, arguments)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	dir := arguments[slices.Index(arguments, "--data-dir")+1]
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: fake{dir: dir}}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Println("starting")
	fmt.Printf("ready http=%s rpc=127.0.0.1:1 node=n-1\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// fake keeps each file under its escaped path in a directory, and fails on demand.
type fake struct {
	dir      string
	corrupt  bool // flip a byte of every answer
	overload bool // refuse every write
}

func (f fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, filesRoute)
	file := filepath.Join(f.dir, url.PathEscape(name))
	switch {
	case r.Method == "GET" && name == "":
		f.list(w, r.URL.Query().Get("prefix"))
	case r.Method == "GET":
		f.get(w, file)
	case f.overload:
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"error":{"code":"overloaded","message":"later"}}`)
	case r.Method == "PUT":
		f.put(w, r, file)
	case r.Method == "DELETE" && os.Remove(file) == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (f fake) put(w http.ResponseWriter, r *http.Request, file string) {
	content, err := io.ReadAll(r.Body)
	if err != nil || os.WriteFile(file, content, 0o644) != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, `{"path":"x"}`)
}

func (f fake) get(w http.ResponseWriter, file string) {
	content, err := os.ReadFile(file)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"code":"not_found"}}`)
		return
	}
	if f.corrupt {
		content[len(content)-1]++
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	_, _ = w.Write(content)
}

// list answers in two flushed pieces, so that the answer is chunked.
func (f fake) list(w http.ResponseWriter, prefix string) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, `{"files":[`)
	w.(http.Flusher).Flush()
	for _, e := range entries {
		if name, err := url.PathUnescape(e.Name()); err == nil && strings.HasPrefix(name, prefix) {
			fmt.Fprintf(w, `{"path":%q}`, name)
		}
	}
	fmt.Fprint(w, `]}`)
}
