package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/cmd/tiercel/internal/load"
	"tiercel/cmd/tiercel/internal/transfer"
)

const (
	// benchPrefix is for what nobody misses: tier 3.
	benchPrefix   = "/tmp/bench/"
	benchDuration = 10 * time.Second
	// benchGrace is how long requests under way may go on after Ctrl-C.
	benchGrace = time.Second
	// What is stored beforehand unless --files says how much: enough that reads are
	// spread, and within a while that one waits for.
	benchFiles, fewestBenchFiles = 10_000, 4
	benchFilesBytes              = 256 << 20
)

// benchFlags of the load generator.
type benchFlags struct {
	size, tier, prefix string
	connections        int
	duration           time.Duration
	requests, files    int64
	keep               bool
}

func (a *app) benchCommand() *command {
	var (
		r remote
		f benchFlags
	)
	cmd := &command{
		Use:   "bench [WORKLOAD…]",
		Short: "Put a server under load and measure it",
		Long: `Runs workloads against a server or cluster, one after the other: put, get, mixed
(three reads for each write) and delete; without WORKLOAD, all of them. Each lasts
--duration, or --requests. What get, mixed and delete need is stored first and not
measured.

Each connection sends its next request when the last one was answered. A request
counts when its answer was right; every read is compared with the checksum of what
was written. Where the server refuses for a while (429, 503) Retry-After is
honoured: these are counted by code, and the wait is part of the latency, as for any
client. Latency is measured by this client, the network included, and by one that
shares a machine with the server takes processor time from it.

How durable writes were when they were acknowledged is reported from their receipts.
It depends on the tier, which the path decides: below the default --prefix it is
tier 3, whose writes are acknowledged before they are synced. --tier asks for another
one, and so does a --prefix whose directory has it, such as /projects/.

Files go into a new directory below --prefix, which is removed at the end unless
--keep says not to. Ctrl-C ends the load: what was measured so far is printed, the
directory removed.`,
		Example: `  tiercel bench
  tiercel bench put --tier 1 --connections 64 --duration 30s
  tiercel bench put get --size 8MiB --connections 4 --requests 200
  tiercel bench mixed --prefix /projects/load --tenant acme --output json > result.json`,
		Args: benchWorkloads,
		RunE: func(c *command, args []string) error {
			o, err := f.options(c)
			if err != nil {
				return err
			}
			base, err := a.clientOptions(c, &r)
			if err != nil {
				return err
			}
			return a.bench(c.Context(), &r, &f, base, args, o)
		},
	}
	flags := cmd.Flags()
	r.addTo(flags)
	aboutFiles(flags)
	flags.StringVar(&f.size, "size", "4KiB", "`SIZE` of each file, such as 4KiB or 8MiB")
	flags.IntVar(&f.connections, "connections", 16, "connections, each with one request under way, `N` from 1 to 1024")
	flags.DurationVar(&f.duration, "duration", benchDuration, "how long each workload lasts")
	flags.Int64Var(&f.requests, "requests", 0, "`N` requests in each workload, however long they take, instead of --duration")
	flags.Int64Var(&f.files, "files", 0, "`N` files stored first for get, mixed and delete (default: 256 MiB of them, at most 10000)")
	flags.StringVar(&f.tier, "tier", "", "`TIER` of the files: 1 critical, 2 important, 3 rebuildable (default: by path)")
	flags.StringVar(&f.prefix, "prefix", benchPrefix, "`DIR` in which a new directory is made for the files")
	flags.BoolVar(&f.keep, "keep", false, "leave the files where they are")
	return cmd
}

// benchWorkloads checks the names of workloads.
func benchWorkloads(_ *command, args []string) error {
	var known []string
	for _, w := range load.Workloads() {
		known = append(known, string(w))
	}
	for _, arg := range args {
		if !slices.Contains(known, arg) {
			hint := "there are " + strings.Join(known, ", ")
			if near := config.Nearest(arg, known); near != "" {
				hint = "did you mean " + near + "?"
			}
			return fmt.Errorf("%q is no workload; %s", arg, hint)
		}
	}
	return nil
}

// options checks what the flags say of the load.
func (f *benchFlags) options(c *command) (load.Options, error) {
	wrong := func(format string, args ...any) (load.Options, error) {
		return load.Options{}, &usageError{err: fmt.Errorf(format, args...)}
	}
	size, err := config.ParseBytes(f.size)
	if err != nil {
		return wrong("--size: %w", err)
	}
	tier, err := parseTier(f.tier)
	if err != nil {
		return load.Options{}, err
	}
	given := c.Flags().Changed
	switch {
	case size > model.MaxContentBytes:
		return wrong("--size %s is more than a file may have, 5 TiB", f.size)
	case f.connections < 1 || f.connections > maxJobs:
		return wrong("--connections %d is not between 1 and %d", f.connections, maxJobs)
	case given("duration") && given("requests"):
		return wrong("only one of --duration and --requests can end a workload")
	case f.duration <= 0:
		return wrong("--duration %s must be more than nothing", f.duration)
	case given("requests") && f.requests < 1:
		return wrong("--requests %d must be at least 1", f.requests)
	case given("files") && f.files < 1:
		return wrong("--files %d must be at least 1", f.files)
	}
	o := load.Options{SizeBytes: size, Connections: f.connections, Tier: tier, Requests: f.requests, Files: f.files, Grace: benchGrace}
	if f.requests == 0 {
		o.Duration = f.duration
	}
	if f.files == 0 {
		o.Files = min(benchFiles, max(fewestBenchFiles, benchFilesBytes/max(1, size)))
		if f.requests > 0 {
			o.Files = min(o.Files, f.requests)
		}
	}
	o.Dir, err = f.directory()
	return o, err
}

// directory is a new name below the prefix, so that nothing of anybody else is in it.
func (f *benchFlags) directory() (string, error) {
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("cannot draw a name for the files' directory: %w", err)
	}
	dir := strings.TrimSuffix(f.prefix, "/") + "/" + time.Now().UTC().Format("20060102-150405") + "-" + hex.EncodeToString(random) + "/"
	// With room for the names of files below it.
	if err := model.CheckPath(dir + strings.Repeat("f", 24)); err != nil {
		var e *model.Error
		if errors.As(err, &e) {
			return "", &usageError{err: fmt.Errorf("--prefix %q is no directory: %s", f.prefix, e.Message)}
		}
		return "", err
	}
	return dir, nil
}

// bench runs the load, prints the report and then cleans up, so that a second Ctrl-C
// costs the cleaning at most.
func (a *app) bench(ctx context.Context, r *remote, f *benchFlags, base client.Options, args []string, o load.Options) error {
	conn, err := newClient(base)
	if err != nil {
		return err
	}
	defer conn.Close()
	o.Connect = func(onRetry func(error, time.Duration)) (*client.Client, error) {
		one := base
		one.Conns, one.OnRetry = 1, onRetry
		return newClient(one)
	}
	if !r.quiet {
		o.Note = func(text string) { a.complain(text) }
	}
	workloads := load.Workloads()
	if len(args) > 0 {
		workloads = nil
		for _, arg := range args {
			workloads = append(workloads, load.Workload(arg))
		}
	}
	// Nothing is begun where nobody answers, or does not let us in.
	if _, _, err := conn.Find(ctx, o.Dir+"nothing"); err != nil {
		return err
	}
	report := load.Run(ctx, workloads, o)
	printed := a.printBench(r, conn.Server(), f.keep, &report)
	cleaned := error(nil)
	if !f.keep {
		cleaned = a.removeBench(ctx, r, conn, &report)
	}
	switch {
	case printed != nil:
		return fmt.Errorf("cannot write the result: %w", printed)
	case cleaned != nil:
		return cleaned
	}
	return benchOutcome(&report)
}

// cleaningPasses bounds how often the directory is looked at again: a write that was
// cut off can arrive behind the first look.
const cleaningPasses = 5

// removeBench removes what was stored. An interruption that has ended the load does not
// end this; one that comes now does.
func (a *app) removeBench(ctx context.Context, r *remote, conn *client.Client, report *load.Report) error {
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	dir := report.Directory
	if !r.quiet {
		a.complain("removing " + dir)
	}
	for range cleaningPasses {
		sum, err := transfer.Remove(ctx, conn, []string{dir}, transfer.RemoveOptions{Jobs: report.Connections, Recursive: true, Force: true})
		switch {
		case err != nil:
			return err
		case !sum.OK():
			why := sum.Stopped
			if len(sum.Failed) > 0 {
				why = sum.Failed[0].Path + ": " + sum.Failed[0].Error
			}
			return model.Errorf(model.CodeUnavailable, "", "%s could not be removed: %s; later, 'tiercel rm -r %s' does it", dir, why, dir)
		case sum.Files == 0:
			if n := report.Unfinished(); n > 0 {
				a.complain(fmt.Sprintf("%s cut off; should one take effect later, 'tiercel rm -r %s' removes what it stored", counted(int(n), "request"), dir))
			}
			return nil
		}
	}
	return nil
}
