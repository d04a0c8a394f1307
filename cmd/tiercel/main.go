package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"tiercel/cmd/tiercel/internal/transfer"
)

// Exit statuses of every verb.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// app is what a verb may touch of the world around it.
type app struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	environ []string // as of os.Environ
}

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx := stopOnSignal(signals, os.Stderr, os.Exit)
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ()}
	os.Exit(a.run(ctx, os.Args[1:]))
}

// stopOnSignal returns a context that the first signal ends; the second ends
// the process at once.
func stopOnSignal(signals <-chan os.Signal, stderr io.Writer, exit func(int)) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-signals
		cancel()
		<-signals
		fmt.Fprintln(stderr, "tiercel: stopped at once by a second signal")
		exit(exitFailed)
	}()
	return ctx
}

// run executes one command line and returns the exit status.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	began := false
	root.PersistentPreRun = func(c *command, _ []string) { began = true }
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	var usage *usageError
	hint := fmt.Sprintf("See '%s --help'.", cmd.CommandPath())
	if errors.As(err, &usage) && usage.hint != "" {
		hint = usage.hint
	}
	return a.fail(err, !began || usage != nil || errors.Is(err, transfer.ErrUsage), hint, a.wantsJSON(cmd, args))
}

func (a *app) complain(message string) {
	fmt.Fprintln(a.stderr, "tiercel: "+strings.TrimSpace(message))
}
