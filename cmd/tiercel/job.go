package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/config"
)

// job is what a person is shown of one of /cluster/jobs.
type job struct {
	ID       string `json:"job_id"`
	Kind     string `json:"kind"`
	State    string `json:"state"`
	Subject  string `json:"subject"`
	Tier     int    `json:"tier"`
	Cause    string `json:"cause"`
	Progress struct {
		DoneBytes  int64   `json:"done_bytes"`
		TotalBytes int64   `json:"total_bytes"`
		DoneItems  int64   `json:"done_items"`
		TotalItems int64   `json:"total_items"`
		Percent    float64 `json:"percent"`
	} `json:"progress"`
	Eta         *float64 `json:"eta_seconds"`
	Speed       float64  `json:"bytes_per_second"`
	Blockers    []string `json:"blockers"`
	Quarantined []struct {
		Volume uint64 `json:"volume_id"`
		Reason string `json:"reason"`
	} `json:"quarantined"`
	Moves   []move  `json:"moves"`
	Created *string `json:"created_at"`
	Ended   *string `json:"ended_at"`

	Warnings []string `json:"warnings"` // of the answer that started it
}

type move struct {
	Volume   uint64 `json:"volume_id"`
	From, To string
	Bytes    int64
	Why      string
}

// goesOn reports whether it is at work, so that a speed means something.
func (j *job) goesOn() bool { return !j.ended() && j.State != "paused" }

func (j *job) ended() bool { return j.State == "done" || j.State == "cancelled" }

// about is the job in a few words: "drain 9 of n-1".
func (j *job) about() string {
	out := j.Kind + " " + j.ID
	if j.Tier != 0 {
		out += fmt.Sprintf(" of tier %d", j.Tier)
	}
	if j.Subject != "" {
		out += " of " + j.Subject
	}
	return out
}

// line is the job's progress for a person: "drain 9 of n-1: running, 33.3 %, …".
func (j *job) line() string {
	out := j.about() + ": " + j.State + ", " + j.amount()
	if j.Speed > 0 && j.goesOn() {
		out += ", " + config.FormatBytes(int64(j.Speed)) + "/s"
	}
	if j.Eta != nil && j.goesOn() {
		out += ", " + seconds(*j.Eta) + " left"
	}
	if len(j.Blockers) > 0 && !j.ended() {
		out += "; waits: " + strings.Join(j.Blockers, ", ")
	}
	return out
}

func (j *job) amount() string {
	p := &j.Progress
	switch {
	case p.TotalBytes > 0:
		return fmt.Sprintf("%.1f %%, %s of %s", p.Percent, config.FormatBytes(p.DoneBytes), config.FormatBytes(p.TotalBytes))
	case p.TotalItems > 0:
		return fmt.Sprintf("%.1f %%, %d of %d items", p.Percent, p.DoneItems, p.TotalItems)
	case j.State == "done":
		return "nothing was left to do"
	}
	return "not planned yet"
}

// seconds is a duration for a person.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

func printJobs(out io.Writer, jobs []job) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "JOB\tKIND\tSTATE\tOF\tPROGRESS\tSPEED\tLEFT\tCAUSE")
	for _, j := range jobs {
		of, speed, left := j.Subject, "", ""
		if j.Tier != 0 {
			of = fmt.Sprintf("tier %d", j.Tier)
		}
		if j.goesOn() {
			speed, left = config.FormatBytes(int64(j.Speed))+"/s", "unknown"
			if j.Eta != nil {
				left = seconds(*j.Eta)
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", j.ID, j.Kind, j.State, of, j.amount(), speed, left, j.Cause)
	}
	return t.Flush()
}

// print shows one job with all that is known of it.
func (j *job) print(out io.Writer) error {
	if err := printJobs(out, []job{*j}); err != nil {
		return err
	}
	waits := "waits: "
	if j.ended() {
		waits = "left: "
	}
	for _, b := range j.Blockers {
		fmt.Fprintln(out, waits+b)
	}
	for _, q := range j.Quarantined {
		fmt.Fprintf(out, "set aside: volume %d: %s\n", q.Volume, q.Reason)
	}
	if next := j.next(); next != "" {
		fmt.Fprintln(out, next)
	}
	if len(j.Moves) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	return printMoves(out, j.Moves)
}

// next is what is usually done after a job that has ended; empty: nothing.
func (j *job) next() string {
	if j.Kind != "drain" || j.State != "done" || len(j.Quarantined) > 0 {
		return ""
	}
	return fmt.Sprintf("%s holds nothing any more: 'tiercel workers remove %s' takes it out of the cluster, 'tiercel drain %s --cancel' gives it new content again",
		j.Subject, j.Subject, j.Subject)
}

func printMoves(out io.Writer, moves []move) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "VOLUME\tFROM\tTO\tSIZE\tWHY")
	for _, m := range moves {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", m.Volume, orDash(m.From), orDash(m.To), config.FormatBytes(m.Bytes), m.Why)
	}
	return t.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// plan is what would be done.
type plan struct {
	Moves    []move   `json:"plan"`
	Bytes    int64    `json:"plan_bytes"`
	Items    int64    `json:"plan_items"`
	Estimate *float64 `json:"estimate_seconds"`
	Blockers []string `json:"blockers"`
	Warnings []string `json:"warnings"`
}

func (p *plan) print(out io.Writer) error {
	defer printWarnings(out, p.Warnings)
	if len(p.Moves) > 0 {
		if err := printMoves(out, p.Moves); err != nil {
			return err
		}
	}
	if more := p.Items - int64(len(p.Moves)); more > 0 {
		fmt.Fprintf(out, "and %d more\n", more)
	}
	for _, b := range p.Blockers {
		fmt.Fprintln(out, "in the way: "+b)
	}
	if p.Items == 0 {
		_, err := fmt.Fprintln(out, "nothing would move")
		return err
	}
	took := ""
	if p.Estimate != nil {
		took = ", in about " + seconds(*p.Estimate)
	}
	_, err := fmt.Fprintf(out, "%s planned, %s%s\n", counted(int(p.Items), "volume move"), config.FormatBytes(p.Bytes), took)
	return err
}

// printWarnings prints what the cluster cannot give after a change, a line each.
func printWarnings(out io.Writer, warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(out, "warning: "+w)
	}
}

// started prints the answer of a request that starts a job, and watches that if asked to.
func (a *app) started(c *command, r *remote, w *watch, answer json.RawMessage) error {
	var j job
	if err := json.Unmarshal(answer, &j); err != nil {
		return unreadableAnswer(err)
	}
	switch {
	case j.ID != "" && w.on:
		if r.output != "json" {
			printWarnings(a.stdout, j.Warnings)
		}
		return a.watchJobs(c, r, w, j.ID)
	case r.output == "json":
		return a.printJSON(answer)
	case j.ID != "":
		fmt.Fprintf(a.stdout, "%s\n'tiercel jobs %s --watch' shows how it goes on\n", j.line(), j.ID)
		printWarnings(a.stdout, j.Warnings)
		return nil
	}
	var p plan
	if err := json.Unmarshal(answer, &p); err != nil {
		return unreadableAnswer(err)
	}
	return p.print(a.stdout)
}

// parseRate reads a limit such as 50MiB/s; empty is 0, no limit of its own.
func parseRate(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := config.ParseRate(text)
	if err != nil {
		return 0, &usageError{err: fmt.Errorf("--%s: %w", flag, err)}
	}
	if n == 0 {
		return 0, &usageError{err: fmt.Errorf("--%s must be more than nothing; leave it out for the cluster's own limit", flag)}
	}
	return n, nil
}

// outcome is nil when a watched job has done all that it was for.
func (j *job) outcome() error {
	switch {
	case j.State == "cancelled":
		return model.Errorf(model.CodeConflict, j.about(), "it was cancelled: %s", j.Cause)
	case len(j.Quarantined) > 0:
		return model.Errorf(model.CodeUnavailable, j.about(), "%s could not be done; 'tiercel jobs %s' says why", counted(len(j.Quarantined), "item"), j.ID)
	case j.State == "done" && len(j.Blockers) > 0:
		return model.Errorf(model.CodeUnavailable, j.about(), "it has ended, and leaves: %s", strings.Join(j.Blockers, "; "))
	}
	return nil
}
