package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tiercel/cmd/tiercel/internal/client"
	"tiercel/messages"
)

func (a *app) jobsCommand() *command {
	var (
		r           remote
		w           watch
		kind, state string
	)
	cmd := &command{
		Use:   "jobs [ID]",
		Short: "Show what the cluster does in the background, and steer it",
		Long: `Lists the jobs that have not ended and the newest that have, or shows one with what
it waits for, what it had to set aside, and the moves under way.

With --watch it follows the job ID, or all jobs that have not ended, to their end; the
exit status is 1 when one was cancelled or had to leave something out.`,
		Example: `  tiercel jobs
  tiercel jobs --kind repair --state running
  tiercel jobs 4711 --watch
  tiercel jobs pause 4711
  tiercel jobs --output json | jq '.jobs[].progress.percent'`,
		Args: wantArgs(0, 1, "one ID"),
		RunE: func(c *command, args []string) error {
			if err := w.check(); err != nil {
				return err
			}
			id := ""
			if len(args) == 1 {
				id = args[0]
			}
			if (w.on || id != "") && kind+state != "" {
				return &usageError{err: errors.New("--kind and --state choose from the list; they go with neither an ID nor --watch")}
			}
			if id != "" {
				if err := checkJobID(id); err != nil {
					return err
				}
			}
			if err := errors.Join(oneOf("kind", kind, messages.JobKind_value, messages.JobKind_name), oneOf("state", state, messages.JobState_value, messages.JobState_name)); err != nil {
				return &usageError{err: err}
			}
			switch {
			case w.on:
				return a.watchJobs(c, &r, &w, id)
			case id != "":
				return a.showJob(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.Job(c.Context(), id) })
			}
			return a.listJobs(c, &r, kind, state)
		},
	}
	r.addTo(cmd.Flags())
	w.addTo(cmd.Flags())
	cmd.Flags().StringVar(&kind, "kind", "", "only of this `KIND`: repair, evacuation, drain, rebalance, compaction, scrub or adapt")
	cmd.Flags().StringVar(&state, "state", "", "only in this `STATE`: running, paused, done or cancelled")
	cmd.AddCommand(
		a.changeJobCommand("pause", "Let a job rest; 'jobs resume' lets it go on"),
		a.changeJobCommand("resume", "Let a paused job go on"),
		a.changeJobCommand("cancel", "End a job; what it has done stays done"),
	)
	return cmd
}

func (a *app) listJobs(c *command, r *remote, kind, state string) error {
	answer, err := a.fetch(c, r, func(conn *client.Client) (json.RawMessage, error) { return conn.Jobs(c.Context(), kind, state) })
	if err != nil || r.output == "json" {
		return a.orJSON(answer, err)
	}
	var list struct{ Jobs []job }
	if err := json.Unmarshal(answer, &list); err != nil {
		return unreadableAnswer(err)
	}
	return printJobs(a.stdout, list.Jobs)
}

// showJob prints the one job that is the answer.
func (a *app) showJob(c *command, r *remote, ask func(*client.Client) (json.RawMessage, error)) error {
	answer, err := a.fetch(c, r, ask)
	if err != nil || r.output == "json" {
		return a.orJSON(answer, err)
	}
	var j job
	if err := json.Unmarshal(answer, &j); err != nil {
		return unreadableAnswer(err)
	}
	return j.print(a.stdout)
}

func (a *app) changeJobCommand(verb, short string) *command {
	var r remote
	cmd := &command{
		Use:     verb + " ID",
		Short:   short,
		Long:    short + ".\n'tiercel jobs' lists the IDs.",
		Example: "  tiercel jobs " + verb + " 4711",
		Args:    wantArgs(1, 1, "one ID"),
		RunE: func(c *command, args []string) error {
			if err := checkJobID(args[0]); err != nil {
				return err
			}
			return a.showJob(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.ChangeJob(c.Context(), args[0], verb) })
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

func checkJobID(id string) error {
	if n, err := strconv.ParseUint(id, 10, 64); err != nil || n == 0 {
		return &usageError{err: fmt.Errorf("the ID %q is not the number of a job; 'tiercel jobs' lists them", id)}
	}
	return nil
}

// oneOf checks a flag that takes a name of an enumeration in lower case, or nothing.
func oneOf(flag, text string, values map[string]int32, names map[int32]string) error {
	if text == "" || values[strings.ToUpper(text)] != 0 && text == strings.ToLower(text) {
		return nil
	}
	var known []string
	for i := int32(1); names[i] != ""; i++ {
		known = append(known, strings.ToLower(names[i]))
	}
	return fmt.Errorf("--%s %q is none of %s", flag, text, strings.Join(known, ", "))
}
