package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
)

// bufferedInput is how much of standard input is held so that an upload of it
// can be tried again: all of it when it is no longer.
const bufferedInput = 8 << 20

// PutOptions are the knobs of Put.
type PutOptions struct {
	Jobs     int
	Follow   bool // symlinks below a source too, not only sources themselves
	Tier     model.Tier
	Meta     map[string]string
	Progress Progress
	Stdin    io.Reader // for the source "-"
}

// Put stores sources, files and whole directories, at dst. The error is
// ErrUsage; whatever goes wrong with a file is in the summary.
func Put(ctx context.Context, c *client.Client, sources []string, dst string, o PutOptions) (Summary, error) {
	if err := checkSources(sources, dst); err != nil {
		return Summary{}, err
	}
	run, t := newTally(ctx)
	p := putter{c: c, o: o, tally: t}
	if sources[0] == "-" {
		p.stdin(run, dst)
		return t.summary(ctx), nil
	}
	w := &walker{follow: o.Follow, tally: t}
	found := func(yield func(local, error) bool) {
		for item, err := range w.all(sources, dst) {
			o.Progress.Found(1, item.size)
			if !yield(item, err) {
				return
			}
		}
	}
	// The walk notes its own failures and yields no error.
	_ = forEach(run, o.Jobs, found, func(item local) {
		p.file(run, item)
		o.Progress.Done()
	})
	return t.summary(ctx), nil
}

type putter struct {
	c     *client.Client
	o     PutOptions
	tally *tally
}

// file stores one file. One that changes while it is read fails: what is
// stored then may never have existed.
func (p *putter) file(ctx context.Context, item local) {
	if err := model.CheckPath(item.target); err != nil {
		var e *model.Error
		if errors.As(err, &e) {
			err = &model.Error{Code: e.Code, Message: "its name cannot be stored: " + e.Message}
		}
		p.tally.fail(item.name, err)
		return
	}
	before, err := os.Stat(item.name)
	if err != nil {
		p.tally.fail(item.name, plain(err))
		return
	}
	src := client.Source{Size: before.Size(), Open: func() (io.ReadCloser, error) {
		f, err := os.Open(item.name)
		if err != nil {
			return nil, plain(err)
		}
		return f, nil
	}}
	receipt, err := p.c.Put(ctx, item.target, src, p.options())
	if err != nil {
		p.tally.fail(item.name, err)
		return
	}
	if after, err := os.Stat(item.name); err != nil || changed(before, after) {
		p.tally.fail(item.name, errors.New("it changed while it was read; what is stored may be a mixture: put it again"))
		return
	}
	p.stored(receipt)
}

func changed(before, after fs.FileInfo) bool {
	return before.Size() != after.Size() || !before.ModTime().Equal(after.ModTime())
}

func (p *putter) options() client.PutOptions {
	return client.PutOptions{Tier: p.o.Tier, Meta: p.o.Meta, Progress: p.o.Progress.Moved}
}

// stored counts a file, and keeps the receipt while there is only one.
func (p *putter) stored(r client.Receipt) {
	p.tally.done(r.SizeBytes)
	p.tally.mu.Lock()
	defer p.tally.mu.Unlock()
	if p.tally.sum.Receipt = &r; p.tally.sum.Files > 1 {
		p.tally.sum.Receipt = nil
	}
}

// stdin stores standard input. Its length is unknown unless it is short.
func (p *putter) stdin(ctx context.Context, dst string) {
	const name = "standard input"
	head, err := io.ReadAll(io.LimitReader(p.o.Stdin, bufferedInput+1))
	if err != nil {
		p.tally.fail(name, plain(err))
		return
	}
	src := client.BytesSource(head)
	size := int64(len(head))
	if size > bufferedInput {
		rest := &onceReader{head: head, rest: p.o.Stdin}
		src, size = client.Source{Size: -1, Open: rest.open, Spent: rest.spent.Load}, 0
	}
	p.o.Progress.Found(1, size)
	receipt, err := p.c.Put(ctx, dst, src, p.options())
	if err != nil {
		p.tally.fail(name, err)
		return
	}
	p.stored(receipt)
	p.o.Progress.Done()
}

// onceReader can be opened again as long as nothing beyond head was read.
type onceReader struct {
	head  []byte
	rest  io.Reader
	spent atomic.Bool // an attempt that failed may still be reading
}

func (o *onceReader) open() (io.ReadCloser, error) {
	if o.spent.Load() {
		return nil, client.ErrReadOnce
	}
	tail := readerFunc(func(p []byte) (int, error) {
		o.spent.Store(true)
		return o.rest.Read(p)
	})
	return io.NopCloser(io.MultiReader(bytes.NewReader(o.head), tail)), nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
