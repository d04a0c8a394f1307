package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
)

// GetOptions are the knobs of Get.
type GetOptions struct {
	Jobs     int
	Fsync    bool // make files and their directories durable
	Progress Progress
	Stdout   io.Writer // for the target "-"
}

// Get fetches the file at source, or all files below it, to the local dst. The
// error is ErrUsage, or that there is nothing at source or it cannot be
// looked up, or that dst cannot be made; the rest is in the summary.
func Get(ctx context.Context, c *client.Client, source, dst string, o GetOptions) (Summary, error) {
	if err := checkRemote(source); err != nil {
		return Summary{}, err
	}
	if dst == "" {
		return Summary{}, usagef("an empty name is no target")
	}
	run, t := newTally(ctx)
	defer t.stop(nil)
	g := getter{c: c, o: o, tally: t}
	var err error
	if strings.HasSuffix(source, "/") {
		err = g.tree(run, source, dst)
	} else {
		var info client.Info
		info, err = c.Head(run, source)
		switch {
		case err == nil:
			err = g.single(run, client.File{Path: source, SizeBytes: info.SizeBytes, ETag: info.ETag}, dst)
		case model.CodeOf(err) == model.CodeNotFound:
			err = g.tree(run, source, dst)
		}
	}
	if err != nil {
		return Summary{}, err
	}
	return t.summary(ctx), nil
}

type getter struct {
	c     *client.Client
	o     GetOptions
	tally *tally
}

// single fetches one file.
func (g *getter) single(ctx context.Context, file client.File, dst string) error {
	g.o.Progress.Found(1, file.SizeBytes)
	defer g.o.Progress.Done()
	if dst == "-" {
		sink := &streamSink{w: g.o.Stdout}
		info, err := g.c.Get(ctx, file.Path, sink, client.Resume{}, g.o.Progress.Moved)
		g.count(file.Path, info, err)
		return nil
	}
	info, err := os.Stat(dst)
	dir, name := localTarget(file.Path, dst, err == nil && info.IsDir())
	root, err := openRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	g.file(ctx, root, file, name)
	return nil
}

// tree fetches all files below source.
func (g *getter) tree(ctx context.Context, source, dst string) error {
	prefix := strings.TrimSuffix(source, "/") + "/"
	next, stop := iter.Pull2(g.c.List(ctx, prefix, ""))
	defer stop()
	first, err, exists := next()
	switch {
	case !exists:
		return model.Errorf(model.CodeNotFound, "get "+source, "there is no file of this name, and none below it")
	case err != nil:
		return err
	case dst == "-":
		return usagef("only a single file can go to standard output (-), and %s is a directory", source)
	}
	root, err := openRoot(localDirectory(source, dst))
	if err != nil {
		return err
	}
	defer root.Close()
	entries := func(yield func(client.Entry, error) bool) {
		for e, err, ok := first, error(nil), true; ok; e, err, ok = next() {
			g.o.Progress.Found(1, e.File.SizeBytes)
			if !yield(e, err) {
				return
			}
		}
	}
	err = forEach(ctx, g.o.Jobs, entries, func(e client.Entry) {
		defer g.o.Progress.Done()
		name, err := localName(prefix, e.File.Path)
		if err != nil {
			g.tally.fail(e.File.Path, err)
			return
		}
		g.file(ctx, root, e.File, name)
	})
	if err != nil {
		g.tally.fail(prefix, fmt.Errorf("the listing broke off: %w", err))
	}
	return nil
}

func (g *getter) count(path string, info client.Info, err error) {
	if err != nil {
		g.tally.fail(path, err)
		return
	}
	g.tally.done(info.SizeBytes)
}

// openRoot makes and opens the directory that nothing is written outside of.
func openRoot(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("cannot make the directory %s: %w", shown(dir), plain(err))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the directory %s: %w", shown(dir), plain(err))
	}
	return root, nil
}

// streamSink is standard output: what is written cannot be taken back.
type streamSink struct {
	w       io.Writer
	written bool
}

// Write implements client.Sink.
func (s *streamSink) Write(p []byte) (int, error) {
	s.written = s.written || len(p) > 0
	return s.w.Write(p)
}

// Restart implements client.Sink.
func (s *streamSink) Restart() error {
	if s.written {
		return errors.New("a part of the old version has been written to standard output already")
	}
	return nil
}
