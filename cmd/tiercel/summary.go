package main

import (
	"fmt"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/cmd/tiercel/internal/transfer"
)

// maxShown bounds how many failures a person is shown.
const maxShown = 50

// report prints what a transfer came to; the error is errReported unless all
// went well. Verb is past tense: "stored". moved: bytes and speed mean something.
func (a *app) report(r *remote, verb string, moved bool, s transfer.Summary) error {
	if r.output != "json" { // which has them in the result
		a.showFailures(s)
	}
	if !r.quiet {
		a.notes(s)
	}
	var err error
	if r.output == "json" {
		err = a.printJSON(s)
	} else if !r.quiet {
		_, err = fmt.Fprintln(a.stdout, sentence(verb, moved, s))
	}
	if err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	return outcomeOf(s)
}

func (a *app) showFailures(s transfer.Summary) {
	for i, f := range s.Failed {
		if i == maxShown {
			break
		}
		fmt.Fprintf(a.stderr, "tiercel: %s: %s\n", f.Path, f.Error)
	}
	if more := s.FailedFiles - int64(min(len(s.Failed), maxShown)); more > 0 && s.Stopped == "" {
		fmt.Fprintf(a.stderr, "tiercel: and %d more failed\n", more)
	}
	if s.Stopped != "" {
		a.complain(s.Stopped)
	}
}

// outcomeOf is errReported unless all went well, with the code of the first failure.
func outcomeOf(s transfer.Summary) error {
	switch {
	case s.OK():
		return nil
	case len(s.Failed) == 0:
		return reported(model.CodeUnavailable, "%s", s.Stopped)
	case s.FailedFiles == 1:
		return reported(s.Failed[0].Code, "%s: %s", s.Failed[0].Path, s.Failed[0].Error)
	}
	return reported(s.Failed[0].Code, "%d files failed; the first: %s: %s", s.FailedFiles, s.Failed[0].Path, s.Failed[0].Error)
}

func (a *app) notes(s transfer.Summary) {
	if s.SkippedSymlinks > 0 {
		fmt.Fprintf(a.stderr, "tiercel: skipped %s; --follow stores what they point to\n", counted(int(s.SkippedSymlinks), "symlink"))
	}
	if s.SkippedSpecial > 0 {
		fmt.Fprintf(a.stderr, "tiercel: skipped %s (pipes, sockets, devices)\n", counted(int(s.SkippedSpecial), "special file"))
	}
}

// sentence is the summary for a person: "stored 3 files, 1.5 MiB in 0.2s (7.5 MB/s)".
func sentence(verb string, moved bool, s transfer.Summary) string {
	out := verb + " " + counted(int(s.Files), "file")
	if moved {
		out += ", " + config.FormatBytes(s.Bytes)
	}
	elapsed := time.Duration(s.Seconds * float64(time.Second))
	out += " in " + elapsed.Round(time.Millisecond).String()
	if moved && s.Seconds > 0 && s.Bytes > 0 {
		out += fmt.Sprintf(" (%.1f MB/s)", float64(s.Bytes)/1e6/s.Seconds)
	}
	if s.FailedFiles > 0 {
		out += fmt.Sprintf(", %d failed", s.FailedFiles)
	}
	return out
}
