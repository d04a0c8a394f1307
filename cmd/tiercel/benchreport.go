package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/cmd/tiercel/internal/load"
)

// printBench prints what a load came to, and failures on standard error, like those of
// other verbs.
func (a *app) printBench(r *remote, server string, kept bool, report *load.Report) error {
	if r.output == "json" {
		return a.printJSON(struct {
			Server string `json:"server"`
			Kept   bool   `json:"kept"`
			*load.Report
		}{server, kept, report})
	}
	for _, w := range report.Workloads {
		for _, f := range w.Errors {
			a.complain(fmt.Sprintf("%s: %s ×%d, the first: %s", w.Workload, f.Code, f.Count, f.First))
		}
	}
	if report.Stopped != "" {
		a.complain(report.Stopped)
	}
	if len(report.Workloads) == 0 {
		return nil
	}
	fmt.Fprintf(a.stdout, "%s, %s of %s each\n\n", server, counted(report.Connections, "connection"), config.FormatBytes(report.SizeBytes))
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WORKLOAD\tSECONDS\tREQUESTS\tERRORS\tRETRIED\tREQ/S\tMB/S\tP50 MS\tP90 MS\tP99 MS\tP99.9 MS\tMAX MS")
	for _, w := range report.Workloads {
		benchRow(t, string(w.Workload), strconv.FormatFloat(w.Seconds, 'f', 1, 64), &w.Figures)
		for _, p := range w.Parts {
			benchRow(t, "  "+p.Operation, "", &p.Figures)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	for _, w := range report.Workloads {
		for _, line := range benchLines(&w) {
			fmt.Fprintf(a.stdout, "%s: %s\n", w.Workload, line)
		}
	}
	if kept {
		fmt.Fprintln(a.stdout, "kept: "+report.Directory)
	}
	return nil
}

func benchRow(t *tabwriter.Writer, name, seconds string, f *load.Figures) {
	latency := "-\t-\t-\t-\t-"
	if l := f.LatencyMs; f.Requests > 0 {
		latency = fmt.Sprintf("%.2f\t%.2f\t%.2f\t%.2f\t%.2f", l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%.0f\t%.1f\t%s\n", name, seconds, f.Requests, sumOf(f.Errors), sumOf(f.Retried),
		f.RequestsPerSecond, f.BytesPerSecond/1e6, latency)
}

func sumOf(list []load.Failure) (n uint64) {
	for _, f := range list {
		n += f.Count
	}
	return n
}

// benchLines are what a row has no room for.
func benchLines(w *load.Result) []string {
	var out []string
	for _, d := range w.Durability {
		out = append(out, durabilityLine(d))
	}
	if w.VerifiedReads > 0 {
		out = append(out, fmt.Sprintf("all %d reads verified against the checksum of what was written", w.VerifiedReads))
	}
	if len(w.Errors) > 0 {
		out = append(out, "errors: "+failureList(w.Errors))
	}
	if len(w.Retried) > 0 {
		out = append(out, fmt.Sprintf("tried again: %s; %.1f s waited on all connections together, which counts as latency", failureList(w.Retried), w.WaitedSeconds))
	}
	if w.UnfinishedCount > 0 {
		out = append(out, counted(int(w.UnfinishedCount), "request")+" cut off, neither counted nor an error")
	}
	if w.Note != "" {
		out = append(out, w.Note)
	}
	return out
}

// durabilityLine says what an acknowledged write was worth when it was acknowledged.
func durabilityLine(d load.Durability) string {
	line := fmt.Sprintf("%d writes in tier %d: %d of %d copies durable when acknowledged", d.Writes, d.TierAchieved, d.CopiesDurable, d.CopiesWanted)
	switch {
	case d.CopiesDurable == 0:
		line += "; synced after the answer, so a loss of power may take the last ones"
	case d.LimitedBy == "license":
		line += "; more are not licensed"
	case d.CopiesDurable < d.CopiesWanted:
		line += "; the others were not, or are not there"
	}
	if d.TierAsked != d.TierAchieved {
		line += fmt.Sprintf(" (tier %d was asked for)", d.TierAsked)
	}
	return line
}

func failureList(list []load.Failure) string {
	var out []string
	for _, f := range list {
		out = append(out, fmt.Sprintf("%s ×%d", f.Code, f.Count))
	}
	return strings.Join(out, ", ")
}

// benchOutcome is errReported unless all went well, with the code of the first failure.
func benchOutcome(report *load.Report) error {
	for _, w := range report.Workloads {
		if len(w.Errors) > 0 {
			f := w.Errors[0]
			return reported(f.Code, "%s: %s ×%d, the first: %s", w.Workload, f.Code, f.Count, f.First)
		}
	}
	if report.OK() {
		return nil
	}
	why := report.Stopped
	if why == "" {
		why = counted(int(report.Unfinished()), "request") + " cut off"
	}
	return reported(model.CodeOutcomeUnknown, "%s", why)
}
