package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"tiercel/cmd/tiercel/internal/client"
)

func (a *app) rebalanceCommand() *command {
	var (
		r      remote
		w      watch
		dryRun bool
		limit  string
	)
	cmd := &command{
		Use:   "rebalance",
		Short: "Even out the workers, or say what would move",
		Long: `Moves copies from fuller to emptier workers. It goes on in the background and gives
way to clients; 'tiercel jobs' shows, pauses and cancels it.`,
		Example: `  tiercel rebalance --dry-run
  tiercel rebalance --limit 50MiB/s --watch`,
		Args: wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			if err := w.check(); err != nil {
				return err
			}
			if dryRun && w.on {
				return &usageError{err: errors.New("--dry-run starts nothing that --watch could follow")}
			}
			rate, err := parseRate("limit", limit)
			if err != nil {
				return err
			}
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.Rebalance(c.Context(), dryRun, rate) })
			if err != nil {
				return err
			}
			return a.started(c, &r, &w, answer)
		},
	}
	r.addTo(cmd.Flags())
	w.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would move")
	addLimit(cmd, &limit)
	return cmd
}

func addLimit(cmd *command, limit *string) {
	cmd.Flags().StringVar(limit, "limit", "", "at most this `RATE`, such as 50MiB/s, below the cluster's own limit; a job that runs already gets it")
}

func (a *app) scrubCommand() *command {
	var (
		r     remote
		w     watch
		limit string
	)
	cmd := &command{
		Use:   "scrub",
		Short: "Check every copy against its digest now",
		Long: `Reads every copy on every worker and compares it with the digest in the log. A copy
that differs is set aside, and a good one takes its place, where there is one; what it
found is at the job, and with --watch the exit status is 1 then. Each worker reads its own
copies, so --limit is for each of them.`,
		Example: `  tiercel scrub
  tiercel scrub --limit 20MiB/s --watch`,
		Args: wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			if err := w.check(); err != nil {
				return err
			}
			rate, err := parseRate("limit", limit)
			if err != nil {
				return err
			}
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.Scrub(c.Context(), rate) })
			if err != nil {
				return err
			}
			return a.started(c, &r, &w, answer)
		},
	}
	r.addTo(cmd.Flags())
	w.addTo(cmd.Flags())
	addLimit(cmd, &limit)
	return cmd
}

func (a *app) drainCommand() *command {
	var (
		r              remote
		w              watch
		dryRun, cancel bool
	)
	cmd := &command{
		Use:   "drain WORKER",
		Short: "Empty a worker, so that it can be taken away",
		Long: `The worker gets nothing new, and what it holds is copied elsewhere before its own
copies go. When it is empty 'tiercel workers remove' takes it out for good.
--cancel lets it take new content again; what has moved stays where it is.`,
		Example: `  tiercel drain n-0123456789abcdef --dry-run
  tiercel drain n-0123456789abcdef --watch
  tiercel drain n-0123456789abcdef --cancel`,
		Args: wantArgs(1, 1, "one WORKER"),
		RunE: func(c *command, args []string) error {
			if err := w.check(); err != nil {
				return err
			}
			if dryRun && cancel || (dryRun || cancel) && w.on {
				return &usageError{err: errors.New("only one of --dry-run, --cancel and --watch can be meant")}
			}
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) {
				if cancel {
					return conn.CancelDrain(c.Context(), args[0])
				}
				return conn.Drain(c.Context(), args[0], dryRun)
			})
			switch {
			case err != nil:
				return err
			case !cancel:
				return a.started(c, &r, &w, answer)
			case r.output == "json" && answer != nil:
				return a.printJSON(answer)
			case r.output == "json":
				return a.printJSON(map[string]any{"worker_id": args[0], "draining": false})
			}
			_, err = fmt.Fprintf(a.stdout, "%s takes new content again\n", args[0])
			return err
		},
	}
	r.addTo(cmd.Flags())
	w.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would move, and what is in the way")
	cmd.Flags().BoolVar(&cancel, "cancel", false, "let it take new content again")
	return cmd
}
