package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/pflag"

	"tiercel/cmd/tiercel/internal/client"
)

// watch are the flags of a verb that can follow jobs to their end.
type watch struct {
	on    bool
	every time.Duration
}

func (w *watch) addTo(flags *pflag.FlagSet) {
	flags.BoolVarP(&w.on, "watch", "w", false, "follow it to its end: a bar on a terminal, else a line for each change")
	flags.DurationVar(&w.every, "every", time.Second, "with --watch: ask this often")
}

func (w *watch) check() error {
	if w.every < 10*time.Millisecond {
		return &usageError{err: fmt.Errorf("--every %s is too often", w.every)}
	}
	return nil
}

// watchJobs follows one job, or with an empty id all that have not ended, until the
// last has. The error says what was not done.
func (a *app) watchJobs(c *command, r *remote, w *watch, id string) error {
	err := a.followJobs(c, r, w, id)
	if err != nil && c.Context().Err() != nil {
		return errors.New("watch: interrupted; the server goes on with what was watched")
	}
	return err
}

func (a *app) followJobs(c *command, r *remote, w *watch, id string) error {
	conn, err := a.connect(c, r)
	if err != nil {
		return err
	}
	defer conn.Close()
	shown := a.newWatchView(r)
	defer shown.finish()
	watched := map[string]bool{}
	for {
		jobs, raw, err := readJobs(c, conn, id)
		if err != nil {
			return err
		}
		var open, ended []job
		for i := range jobs {
			j := jobs[i]
			if !j.ended() {
				watched[j.ID] = true
				open = append(open, j)
			} else if watched[j.ID] || id != "" {
				ended = append(ended, j)
			}
			if watched[j.ID] || id != "" {
				if err := shown.job(&j, raw[i]); err != nil {
					return err
				}
			}
		}
		if len(open) == 0 {
			shown.finish()
			for i := range ended {
				if err := ended[i].outcome(); err != nil {
					return err
				}
				if next := ended[i].next(); next != "" && r.output != "json" {
					fmt.Fprintln(a.stdout, next)
				}
			}
			return nil
		}
		shown.draw(open)
		pause := time.NewTimer(w.every)
		select {
		case <-pause.C:
		case <-c.Context().Done():
			pause.Stop()
			return c.Context().Err()
		}
	}
}

// readJobs fetches one job, or all, each as a value and as it came.
func readJobs(c *command, conn *client.Client, id string) (jobs []job, raw []json.RawMessage, err error) {
	if id != "" {
		one, err := conn.Job(c.Context(), id)
		if err != nil {
			return nil, nil, err
		}
		raw = []json.RawMessage{one}
	} else {
		answer, err := conn.Jobs(c.Context(), "", "")
		if err != nil {
			return nil, nil, err
		}
		var list struct{ Jobs []json.RawMessage }
		if err := json.Unmarshal(answer, &list); err != nil {
			return nil, nil, unreadableAnswer(err)
		}
		raw = list.Jobs
	}
	jobs = make([]job, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &jobs[i]); err != nil {
			return nil, nil, unreadableAnswer(err)
		}
	}
	return jobs, raw, nil
}

// watchView shows jobs as they go on: a bar on a terminal, else lines.
type watchView struct {
	a    *app
	json bool
	bar  *progressbar.ProgressBar // nil: lines
	said map[string]string        // by job
}

func (a *app) newWatchView(r *remote) *watchView {
	v := &watchView{a: a, json: r.output == "json", said: map[string]string{}}
	if !r.quiet && !v.json && isTerminal(a.stderr) {
		v.bar = newJobBar(a.stderr)
	}
	return v
}

// job says one line for each change; with a bar only when it has ended.
func (v *watchView) job(j *job, raw json.RawMessage) error {
	if v.bar != nil && !j.ended() {
		return nil
	}
	line := j.line()
	if v.said[j.ID] == line {
		return nil
	}
	v.said[j.ID] = line
	if v.json {
		return v.a.printJSON(raw)
	}
	if v.bar != nil {
		_ = v.bar.Clear()
	}
	_, err := fmt.Fprintln(v.a.stdout, line)
	return err
}

// draw shows the sum of the jobs in one bar.
func (v *watchView) draw(jobs []job) {
	if v.bar == nil {
		return
	}
	what := counted(len(jobs), "job")
	if len(jobs) == 1 {
		what = jobs[0].about() + " " + jobs[0].State
	}
	var done, total int64
	for i := range jobs {
		done, total = done+jobs[i].Progress.DoneBytes, total+jobs[i].Progress.TotalBytes
	}
	v.bar.Describe(what)
	v.bar.ChangeMax64(max(total, done) + 1) // never full before finish: a full bar ends itself
	_ = v.bar.Set64(done)
}

func (v *watchView) finish() {
	if v.bar != nil {
		_ = v.bar.Clear()
		v.bar = nil
	}
}
