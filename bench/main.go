package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `usage: bench <command> [flags]

  suite      the standard set, side by side, on a server of its own
  put get mixed delete list
             one workload on a running server (--server)
  million    many small files: memory and disk per file, time to restart
  largefile  one huge file in and out: speed and peak memory
  controller what thousands of simulated workers cost the master

bench <command> -h lists the flags.
`

// errUsage ends the program with status 2.
var errUsage = errors.New("wrong usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Stdout, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "bench: %v\n%s", err, usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("%w: name a command", errUsage)
	}
	name, rest := arguments[0], arguments[1:]
	switch name {
	case "suite":
		return suiteCommand(ctx, w, rest)
	case "put", "get", "mixed", "delete", "list":
		return workloadCommand(ctx, w, name, rest)
	case "million":
		return millionCommand(w, rest)
	case "largefile":
		return largeFileCommand(w, rest)
	case "batch":
		return batchCommand(w, rest)
	case "controller":
		return controllerCommand(ctx, w, rest)
	case "echo": // the baseline's child
		return serveEcho(func(address string) { fmt.Fprintf(w, "ready http=%s\n", address) })
	}
	return fmt.Errorf("%w: there is no command %q", errUsage, name)
}

// newFlags makes a flag set that leaves messages to main.
func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parse reads flags and refuses what is left over.
func parse(flags *flag.FlagSet, arguments []string) error {
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(os.Stdout)
			flags.Usage()
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%w: unexpected argument %q", errUsage, flags.Arg(0))
	}
	return nil
}

// positive refuses figures that a run cannot begin with.
func positive(flags map[string]int64) error {
	for name, value := range flags {
		if value <= 0 {
			return fmt.Errorf("%w: --%s must be above zero", errUsage, name)
		}
	}
	return nil
}

func suiteCommand(ctx context.Context, w io.Writer, arguments []string) error {
	var o suiteOptions
	flags := newFlags("suite")
	flags.StringVar(&o.binary, "binary", "bin/tiercel", "the server `program`")
	flags.StringVar(&o.dataDir, "data-dir", "", "where to put temporary data `directory`s (the disk that is measured)")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "of each workload")
	flags.DurationVar(&o.warmUp, "warm-up", 2*time.Second, "of each workload, not measured")
	flags.StringVar(&o.profiles, "profile", "", "`directory` for CPU profiles of the server, one a workload")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	if err := positive(map[string]int64{"duration": int64(o.duration)}); err != nil {
		return err
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o755); err != nil {
			return fmt.Errorf("make the directory for profiles: %w", err)
		}
	}
	results, err := runSuite(ctx, o)
	fmt.Fprintf(w, "%s\n", machine())
	return errors.Join(err, table(w, results))
}

func millionCommand(w io.Writer, arguments []string) error {
	o := millionOptions{}
	size := byteSize(1 << 10)
	flags := newFlags("million")
	flags.StringVar(&o.binary, "binary", "bin/tiercel", "the server `program`")
	flags.StringVar(&o.dataDir, "data-dir", "", "where to put the temporary data `directory`")
	flags.Uint64Var(&o.files, "files", 1_000_000, "how many")
	flags.Var(&size, "size", "of each")
	flags.IntVar(&o.connections, "connections", 256, "that store them")
	flags.IntVar(&o.tier, "tier", 1, "1, 2 or 3")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	if o.size = int(size); o.files == 0 || o.connections <= 0 {
		return fmt.Errorf("%w: --files and --connections must be above zero", errUsage)
	}
	if _, err := io.WriteString(w, machine()+"\n"); err != nil {
		return err
	}
	return runMillion(w, o)
}

func largeFileCommand(w io.Writer, arguments []string) error {
	o := largeFileOptions{}
	size := byteSize(5 << 30)
	flags := newFlags("largefile")
	flags.StringVar(&o.binary, "binary", "bin/tiercel", "the server `program`")
	flags.StringVar(&o.dataDir, "data-dir", "", "where to put the temporary data `directory`")
	flags.Var(&size, "size", "of the file")
	flags.IntVar(&o.tier, "tier", 1, "1, 2 or 3")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	o.size = int64(size)
	if _, err := io.WriteString(w, machine()+"\n"); err != nil {
		return err
	}
	return runLargeFile(w, o)
}
