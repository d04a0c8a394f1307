package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"tiercel/actors/simtest"
)

// simFlags of the simulation.
type simFlags struct {
	seed    uint64
	runs    uint64
	nodes   int
	clients int
	ops     int
	count   int
	faults  []string
	horizon time.Duration
	log     bool
	trace   bool
	output  string
}

func (a *app) simCommand() *command {
	f := &simFlags{}
	c := &command{
		Use:   "sim",
		Short: "Run a whole cluster in the deterministic simulation and check it",
		Long: `Runs the same actors as the server in one thread, in virtual time, with clients
and faults that are all drawn from the seed, and checks what must never break:
durability, linearizability, one master per epoch, health timing, agreement of
the catalogs, progress. The same seed gives the same run and the same hash on
every machine; each seed is run twice to prove it.

Kinds of faults (--faults takes parts of these names, default all):
  ` + strings.Join(simtest.FaultNames(), "\n  "),
		Example: `  tiercel sim --seed 7 --nodes 5
  tiercel sim --seed 1 --runs 100 --nodes 3 --faults kill,cut
  tiercel sim --seed 42 --nodes 5 --log 2>run.log`,
		Args: wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			if err := checkOutput(f.output); err != nil {
				return err
			}
			return a.simulate(f)
		},
	}
	flags := c.Flags()
	flags.Uint64Var(&f.seed, "seed", 1, "seed of the first run")
	flags.Uint64Var(&f.runs, "runs", 1, "how many seeds, one after the other")
	flags.IntVar(&f.nodes, "nodes", 3, "nodes of the cluster, 1 to 50")
	flags.IntVar(&f.clients, "clients", 4, "clients that write and read")
	flags.IntVar(&f.ops, "operations", 25, "operations of each client")
	flags.IntVar(&f.count, "fault-count", 5, "faults of one run")
	flags.StringSliceVar(&f.faults, "faults", nil, "kinds of faults, by parts of their names")
	flags.DurationVar(&f.horizon, "horizon", 12*time.Second, "virtual time in which faults happen")
	flags.BoolVar(&f.log, "log", false, "write what the nodes log to standard error")
	flags.BoolVar(&f.trace, "trace", false, "write every event to standard error")
	addOutput(flags, &f.output)
	return c
}

// The limits of a simulation: beyond them it only takes longer.
const (
	maxSimNodes   = 50
	maxSimClients = 64
	maxSimOps     = 10_000
)

func (f *simFlags) params(a *app) (simtest.Params, error) {
	switch {
	case f.nodes < 1 || f.nodes > maxSimNodes:
		return simtest.Params{}, fmt.Errorf("--nodes is %d; it must be 1 to %d", f.nodes, maxSimNodes)
	case f.clients < 1 || f.clients > maxSimClients:
		return simtest.Params{}, fmt.Errorf("--clients is %d; it must be 1 to %d", f.clients, maxSimClients)
	case f.ops < 1 || f.ops > maxSimOps:
		return simtest.Params{}, fmt.Errorf("--operations is %d; it must be 1 to %d", f.ops, maxSimOps)
	case f.runs < 1 || f.count < 0 || f.horizon <= 0:
		return simtest.Params{}, errors.New("--runs and --horizon must be positive, --fault-count not negative")
	}
	faults, err := simtest.FaultsNamed(f.faults, f.nodes)
	p := simtest.Params{
		Nodes: f.nodes, Clients: f.clients, Operations: f.ops, Horizon: f.horizon, Faults: faults, FaultCount: f.count,
	}
	if f.log {
		p.Log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if f.trace {
		p.Trace = a.stderr
	}
	return p, err
}

// simulate plays the seeds, each twice, and stops at the first violation.
func (a *app) simulate(f *simFlags) error {
	p, err := f.params(a)
	if err != nil {
		return &usageError{err: err}
	}
	for n := range f.runs {
		p.Seed = f.seed + n
		out := simtest.Run(p)
		quiet := p
		quiet.Log, quiet.Trace = nil, nil
		again := simtest.Run(quiet)
		if f.output == "json" {
			if err := a.simulatedJSON(p.Seed, &out, again.Hash == out.Hash); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(a.stdout, "seed %d: hash %016x, %d events in %v of virtual time, %d operations; faults: %s\n",
			p.Seed, out.Hash, out.Events, out.Elapsed.Round(time.Millisecond), len(out.History), orNone(simtest.DescribeFired(out.Fired)))
		if again.Hash != out.Hash {
			fmt.Fprintf(a.stdout, "  the second run has hash %016x: something is not deterministic\n", again.Hash)
		}
		for _, v := range out.Violations {
			fmt.Fprintln(a.stdout, "  violation "+v)
		}
		if len(out.Violations) > 0 || again.Hash != out.Hash {
			f.replay(a.stdout, p.Seed)
			return errReported
		}
	}
	return nil
}

// simulatedJSON writes one object for a seed, on a line of its own.
func (a *app) simulatedJSON(seed uint64, out *simtest.Outcome, same bool) error {
	err := a.printJSON(map[string]any{
		"seed": seed, "hash": fmt.Sprintf("%016x", out.Hash), "deterministic": same, "events": out.Events,
		"virtual_ms": out.Elapsed.Milliseconds(), "operations": len(out.History), "faults": out.Fired, "violations": append([]string{}, out.Violations...),
	})
	if err == nil && (len(out.Violations) > 0 || !same) {
		err = errReported
	}
	return err
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// replay prints the one command that shows the same run again.
func (f *simFlags) replay(out io.Writer, seed uint64) {
	command := fmt.Sprintf("tiercel sim --seed %d --nodes %d --clients %d --operations %d --fault-count %d --horizon %v",
		seed, f.nodes, f.clients, f.ops, f.count, f.horizon)
	if len(f.faults) > 0 {
		command += fmt.Sprintf(" --faults %q", strings.Join(f.faults, ","))
	}
	fmt.Fprintln(out, "replay with: "+command+" --log")
}
