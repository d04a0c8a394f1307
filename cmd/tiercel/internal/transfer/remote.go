package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"strings"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
)

// RemoveOptions are the knobs of Remove.
type RemoveOptions struct {
	Jobs      int
	Recursive bool // everything below each path too
	Force     bool // what is not there is no failure
	All       bool // allows removing "/", which is everything
}

// Remove deletes paths. The error is ErrUsage.
func Remove(ctx context.Context, c *client.Client, paths []string, o RemoveOptions) (Summary, error) {
	for _, p := range paths {
		if err := checkRemote(p); err != nil {
			return Summary{}, err
		}
		switch {
		case strings.HasSuffix(p, "/") && !o.Recursive:
			return Summary{}, usagef("%s is a directory; to remove everything below it, add -r", p)
		case p == "/" && !o.All:
			return Summary{}, usagef("this would remove every file of the tenant; add --all if that is meant")
		}
	}
	run, t := newTally(ctx)
	for _, p := range paths {
		removed, err := removeOne(run, c, p, o, t)
		if err == nil && !removed && !o.Force {
			err = noFile(run, c, "rm", p, o.Recursive)
		}
		if err != nil {
			t.fail(p, err)
		}
	}
	return t.summary(ctx), nil
}

// removeOne removes the file p and, recursively, what is below it. It says
// whether there was anything.
func removeOne(ctx context.Context, c *client.Client, p string, o RemoveOptions, t *tally) (bool, error) {
	anything := false
	if !strings.HasSuffix(p, "/") {
		switch err := c.Delete(ctx, p); {
		case err == nil:
			anything = true
			t.done(0)
		case model.CodeOf(err) != model.CodeNotFound:
			return false, err
		}
	}
	if !o.Recursive {
		return anything, nil
	}
	err := forEach(ctx, o.Jobs, noting(&anything, c.List(ctx, strings.TrimSuffix(p, "/")+"/", "")), func(e client.Entry) {
		switch err := c.Delete(ctx, e.File.Path); {
		case err == nil:
			t.done(0)
		case model.CodeOf(err) != model.CodeNotFound: // another was faster: it is gone
			t.fail(e.File.Path, err)
		}
	})
	return anything, err
}

// noting sets anything once the sequence yields.
func noting(anything *bool, entries iter.Seq2[client.Entry, error]) iter.Seq2[client.Entry, error] {
	return func(yield func(client.Entry, error) bool) {
		for e, err := range entries {
			*anything = *anything || err == nil
			if !yield(e, err) {
				return
			}
		}
	}
}

// noFile is that there is no file p; when a directory is meant that says so.
func noFile(ctx context.Context, c *client.Client, verb, p string, recursive bool) error {
	// An error of this question is none of what was asked: the answer is as good without.
	if holds, err := c.Holds(ctx, p); err == nil && holds && !recursive {
		return model.Errorf(model.CodeNotFound, verb+" "+p, "there is no such file, but there are files below it; -r takes them all")
	}
	return model.Errorf(model.CodeNotFound, verb+" "+p, "there is no such file")
}

// RelocateOptions are the knobs of Relocate.
type RelocateOptions struct {
	Jobs      int
	Recursive bool
	Overwrite bool
	Copy      bool // leave the source
}

// Relocate moves or copies on the server, by the same rule of names as Put and
// Get. Recursively each file is one step of its own. The error is ErrUsage.
func Relocate(ctx context.Context, c *client.Client, from, to string, o RelocateOptions) (Summary, error) {
	if err := errors.Join(checkRemote(from), checkRemote(to)); err != nil {
		return Summary{}, err
	}
	if strings.HasSuffix(from, "/") && !o.Recursive {
		return Summary{}, usagef("%s is a directory; add -r for everything below it", from)
	}
	step := func(ctx context.Context, from, to string, size int64) error {
		if o.Copy {
			return c.Copy(ctx, from, to, size, o.Overwrite)
		}
		return c.Move(ctx, from, to, o.Overwrite)
	}
	target := strings.TrimSuffix(to, "/")
	if strings.HasSuffix(to, "/") && !strings.HasSuffix(from, "/") {
		target = to + path.Base(from)
	}
	run, t := newTally(ctx)
	if !o.Recursive {
		info, err := c.Head(run, from)
		switch {
		case err == nil:
			err = step(run, from, target, info.SizeBytes)
		case model.CodeOf(err) == model.CodeNotFound:
			err = noFile(run, c, "look up", from, false)
		}
		if err != nil {
			t.fail(from, err)
		} else {
			t.done(info.SizeBytes)
		}
		return t.summary(ctx), nil
	}
	prefix := strings.TrimSuffix(from, "/") + "/"
	// A file that arrives below the prefix would be listed and taken again.
	if inside := target + "/"; strings.HasPrefix(inside, prefix) || strings.HasPrefix(prefix, inside) {
		return Summary{}, usagef("of %s and %s one is inside the other; go by way of a third place", prefix, inside)
	}
	anything := false
	err := forEach(run, o.Jobs, noting(&anything, c.List(run, prefix, "")), func(e client.Entry) {
		rest, ok := strings.CutPrefix(e.File.Path, prefix)
		if !ok {
			t.fail(e.File.Path, fmt.Errorf("the server lists it below %q", prefix))
			return
		}
		if err := step(run, e.File.Path, target+"/"+rest, e.File.SizeBytes); err != nil {
			t.fail(e.File.Path, err)
			return
		}
		t.done(e.File.SizeBytes)
	})
	if err == nil && !anything {
		err = model.Errorf(model.CodeNotFound, "list "+prefix, "there is nothing below it")
	}
	if err != nil {
		t.fail(prefix, err)
	}
	return t.summary(ctx), nil
}
