package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"tiercel/bench/controller"
)

// sizes is a list of numbers as a flag.
type sizes []int

// String implements flag.Value.
func (s *sizes) String() string {
	var words []string
	for _, n := range *s {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ",")
}

// Set implements flag.Value.
func (s *sizes) Set(text string) error {
	*s = nil
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not a number of workers", word)
		}
		*s = append(*s, n)
	}
	return nil
}

// controllerCommand measures the master's actors with thousands of simulated
// workers, no server and no disk.
func controllerCommand(ctx context.Context, w io.Writer, arguments []string) error {
	workers := sizes{1000, 2500, 5000, 10000}
	var o controller.Options
	var profiles string
	flags := newFlags("controller")
	flags.Var(&workers, "workers", "`sizes` of cluster, one run each")
	flags.Uint64Var(&o.Seed, "seed", 1, "of all chance in the simulation")
	flags.DurationVar(&o.Interval, "interval", 30*time.Second, "of the workers' heartbeats, in virtual time")
	flags.IntVar(&o.Killed, "killed", 20, "workers that fall silent")
	flags.StringVar(&profiles, "profile", "", "`directory` for CPU profiles, two for each size: joining, then everyday")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	if err := positive(map[string]int64{"interval": int64(o.Interval), "killed": int64(o.Killed)}); err != nil {
		return err
	}
	if profiles != "" {
		if err := os.MkdirAll(profiles, 0o755); err != nil {
			return fmt.Errorf("make the directory for profiles: %w", err)
		}
		o.Measuring = func(part string) func() {
			return profile(filepath.Join(profiles, fmt.Sprintf("%d-%s.pprof", o.Workers, part)))
		}
	}
	var all []controller.Result
	var failed error
	for _, n := range workers {
		if failed = ctx.Err(); failed != nil {
			break
		}
		o.Workers = n
		if o.Killed*10 > n {
			failed = fmt.Errorf("%w: with --killed %d of %d workers the storm brake would be what is measured", errUsage, o.Killed, n)
			break
		}
		r, err := controller.Run(o)
		if err != nil {
			failed = fmt.Errorf("%d workers: %w", n, err)
			break
		}
		fmt.Fprintf(os.Stderr, "%d workers: %s\n", n, r.Took.Round(time.Second))
		all = append(all, r)
	}
	fmt.Fprintf(w, "%s\n", machine())
	return errors.Join(failed, controller.Write(w, all))
}

// profile writes a CPU profile until it is told that it is over.
func profile(path string) (done func()) {
	f, err := os.Create(path)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: no profile:", err)
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: the profile is not whole:", err)
		}
	}
}
