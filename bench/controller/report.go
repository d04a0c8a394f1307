package controller

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// line is one row of the table: what, and its figure for each size.
type line struct {
	what   string
	figure func(Result) string
}

var lines = []line{
	{"a heartbeat at the controller, CPU", func(r Result) string { return ns(each(r.Heartbeat.Processor, r.Heartbeat.Count)) }},
	{"baseline: decoding and answering alone, CPU", func(r Result) string { return ns(each(r.Baseline.Processor, r.Baseline.Count)) }},
	{"a heartbeat at the controller, allocations", func(r Result) string { return perTurn(r.Allocs) }},
	{"baseline: allocations", func(r Result) string { return perTurn(r.Baselines) }},
	{"all of the controller, judging included, CPU per worker and interval", func(r Result) string { return ns(r.Controller) }},
	{"coordinator, CPU per worker and interval", func(r Result) string { return ns(r.Coordinator) }},
	{"catalog, CPU per worker and interval", func(r Result) string { return ns(r.Catalog) }},
	{"all actors of the master's node, CPU per worker and interval", func(r Result) string { return ns(r.Node) }},
	{"all join at once: controller, CPU per worker", func(r Result) string { return ns(r.JoinController) }},
	{"all join at once: the master's node, CPU per worker", func(r Result) string { return ns(r.JoinNode) }},
	{"all join at once: virtual time until the last is in", func(r Result) string { return r.JoinTook.Round(time.Millisecond).String() }},
	{"heap of the controller per worker", func(r Result) string { return fmt.Sprintf("%d B", r.ControllerBytes) }},
	{"heap of the coordinator per worker", func(r Result) string { return fmt.Sprintf("%d B", r.CoordinatorBytes) }},
	{"heap of the master's node per worker", func(r Result) string { return fmt.Sprintf("%d B", r.NodeBytes) }},
	{"degraded after (intervals since the last heartbeat)", func(r Result) string { return r.Detected[0].String() }},
	{"unreachable after", func(r Result) string { return r.Detected[1].String() }},
	{"decommissioned after", func(r Result) string { return r.Detected[2].String() }},
	{"transitions of workers that lived", func(r Result) string { return fmt.Sprint(r.False) }},
	{"messages of the master too large to travel", func(r Result) string { return fmt.Sprint(r.Oversize) }},
	{"the run took", func(r Result) string { return r.Took.Round(time.Second).String() }},
}

func ns(d time.Duration) string { return fmt.Sprintf("%d ns", d.Nanoseconds()) }

func perTurn(t turns) string {
	n := uint64(max(1, t.Count))
	return fmt.Sprintf("%d (%d B)", t.Allocs/n, t.Bytes/n)
}

// String is mean and extremes.
func (s span) String() string { return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Mean, s.Least, s.Most) }

// Write tells the results of several sizes side by side, and whether what they cost
// grew with the size.
func Write(out io.Writer, all []Result) error {
	head, rule := "| workers |", "|---|"
	for _, r := range all {
		head += fmt.Sprintf(" %d |", r.Workers)
		rule += "--:|"
	}
	text := []string{head, rule}
	for _, l := range lines {
		row := "| " + l.what + " |"
		for _, r := range all {
			row += " " + l.figure(r) + " |"
		}
		text = append(text, row)
	}
	if len(all) > 1 {
		text = append(text, "", verdict(all[0], all[len(all)-1]))
	}
	_, err := io.WriteString(out, strings.Join(text, "\n")+"\n")
	return err
}

// tolerated is how much dearer one worker may be in the largest cluster than in the
// smallest for the cost to be called linear: caches and sorting are not free.
const tolerated = 2.0

// verdict compares what one worker costs in two clusters. Costs of all workers
// together grow linearly when that of one stays the same.
func verdict(small, large Result) string {
	ratio := func(of func(Result) time.Duration) float64 {
		return float64(of(large)) / float64(max(1, of(small)))
	}
	var parts []string
	linear := true
	for _, p := range []struct {
		what string
		of   func(Result) time.Duration
	}{
		{"a heartbeat", func(r Result) time.Duration { return each(r.Heartbeat.Processor, r.Heartbeat.Count) }},
		{"the controller per worker and interval", func(r Result) time.Duration { return r.Controller }},
		{"the coordinator", func(r Result) time.Duration { return r.Coordinator }},
		{"the master's node", func(r Result) time.Duration { return r.Node }},
		{"joining (controller)", func(r Result) time.Duration { return r.JoinController }},
		{"joining (node)", func(r Result) time.Duration { return r.JoinNode }},
		{"heap", func(r Result) time.Duration { return time.Duration(r.NodeBytes) }},
	} {
		x := ratio(p.of)
		linear = linear && x <= tolerated
		parts = append(parts, fmt.Sprintf("%s ×%.2f", p.what, x))
	}
	word := "linear: with %d times the workers no worker costs more than %.0f times as much"
	if !linear {
		word = "NOT linear: with %d times the workers some cost of a worker is more than %.0f times as much"
	}
	return fmt.Sprintf(word, large.Workers/max(1, small.Workers), tolerated) + " (" + strings.Join(parts, ", ") + ")"
}
