package main

import (
	"fmt"
	"strings"
	"time"

	"tiercel/actors/recovery"
	"tiercel/cmd/tiercel/internal/config"
)

// shownWorkers bounds how many are named; JSON has all.
const shownWorkers = 8

// reportRecovery prints what was found, and with well what was done or could be. steps
// are what to do next, in order.
func (a *app) reportRecovery(r *recovery.Report, output string, well bool, steps []string) error {
	if output == "json" {
		return a.printJSON(r)
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("cluster", "%s", r.ClusterID)
	if r.Generation != 0 {
		a.reportCatalog(r, row)
	}
	for _, d := range r.Dirs {
		what := "a worker that holds no log"
		if d.Founder {
			what = "the only voter of the new log"
		}
		row("directory", "%s: node %s with %s, %s", d.Name, d.Node, counted(d.Volumes, "volume"), what)
		if d.Aside != "" {
			row("", "its old log lies in %s", d.Aside)
		}
	}
	for _, note := range r.Notes {
		row("note", "%s", note)
	}
	switch {
	case !well:
	case r.Done:
		name := "done, next"
		for i, step := range steps {
			row(name, "%d. %s", i+1, strings.ReplaceAll(step, "\n", "\n"+strings.Repeat(" ", 15)))
			name = ""
		}
	case r.Generation == 0:
		row("next", "nothing was changed; repeat with --yes when this node is stopped, and its cluster goes on without it, or was recovered or restored elsewhere")
	default:
		row("next", "nothing was changed; repeat with --yes when every node of the cluster is stopped")
	}
	return nil
}

func (a *app) reportCatalog(r *recovery.Report, row func(name, format string, args ...any)) {
	source := "checkpoint"
	if r.Backup {
		source = "backup"
	}
	row("catalog", "%s at log index %d, with the journal up to %d", source, r.Checkpoint, r.JournalTo)
	if !r.LastWritten.IsZero() {
		row("last change", "%s, by the clock of the node that took it", r.LastWritten.UTC().Format(time.RFC3339))
	}
	row("generation", "%d", r.Generation)
	row("files", "%s", countedFiles(r.Files, r.Tenants, r.Bytes, r.OwnFiles))
	if r.Elsewhere > 0 {
		row("elsewhere", "%s of which a part is in none of these directories, such as %s", counted(int(r.Elsewhere), "file"), r.Missing[0])
	}
	if len(r.Absent) > 0 {
		row("absent", "%s of the catalog in none of these directories: %s", counted(len(r.Absent), "worker"), absent(r))
		if !r.Backup {
			row("", "name their directories, too, where there still are any: with the logs of a majority of the voters there is nothing to recover,")
			row("", "and what was changed since the journal ends would not be given up")
		}
	}
	for _, f := range r.Found[:min(shownFound, len(r.Found))] {
		row("lost+found", "%s: %s", f.Tenant, f.Path)
	}
	if more := len(r.Found) - shownFound; more > 0 {
		row("lost+found", "and %d more; --output json has all of them", more)
	}
	if r.Identical > 0 {
		row("identical", "%s not put there: the same content lies at the path, in a put that was repeated", counted(int(r.Identical), "record"))
	}
	for _, f := range r.NotFound {
		row("not kept", "%s: %s, %d bytes: %s", f.Tenant, f.Original, f.Bytes, f.Reason)
	}
}

// countedFiles says how many files there are, in the same words wherever a directory is
// looked at. Those of Tiercel itself are the checkpoints and the journal of its catalog.
func countedFiles(files int64, tenants int, bytes, own int64) string {
	return fmt.Sprintf("%d of %s with %s; and %d of Tiercel itself", files, counted(tenants, "tenant"), config.FormatBytes(bytes), own)
}

func absent(r *recovery.Report) string {
	shown := make([]string, 0, shownWorkers)
	for _, node := range r.Absent[:min(shownWorkers, len(r.Absent))] {
		shown = append(shown, string(node))
	}
	if more := len(r.Absent) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(shown, ", ")
}

// dirNames lists directories of a report, of which none comes before another.
func dirNames(dirs []recovery.DirReport) string {
	all := make([]string, 0, len(dirs))
	for _, d := range dirs {
		all = append(all, d.Name)
	}
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1] + " (in any order)"
}

// shownFound is how many files under /lost+found a person is shown.
const shownFound = 20

// neverAgain is the last step wherever workers of the catalog may be gone.
const neverAgain = "a worker of the catalog that never comes back: 'tiercel workers remove WORKER'. While it is away, what only it\n" +
	"holds answers 503 and comes back with it; with --force that is lost. New, empty nodes may join at any time"

// recoverSteps is in which order to start which nodes.
func recoverSteps(r *recovery.Report) []string {
	if r.Generation == 0 {
		return workerSteps(r)
	}
	steps := []string{fmt.Sprintf("start %s first, as before; it votes alone until the others are there", r.Dirs[0].Name)}
	if others := r.Dirs[1:]; len(others) > 0 {
		steps = append(steps, fmt.Sprintf("when it is ready, start %s with --join HOST:PORT, the rpc address of the first", dirNames(others)))
	}
	if len(r.Absent) > 0 {
		steps = append(steps,
			"start the workers that were not named here with --join HOST:PORT, too. One that voted needs before:\n"+oldVoter,
			neverAgain)
	}
	return steps
}

// workerSteps is for nodes whose cluster goes on, or was recovered elsewhere: they make none.
func workerSteps(r *recovery.Report) []string {
	return []string{
		"see that the first node of the recovered or restored cluster runs, or the cluster that goes on without this one",
		fmt.Sprintf("start %s with --join HOST:PORT, the rpc address of a node there", dirNames(r.Dirs)),
	}
}

// oldVoter is what makes a node that voted in a life before a worker of the next.
const oldVoter = "tiercel recover --worker --discard-log --data-dir ITS-DIR --yes"

func restoreSteps(r *recovery.Report) []string {
	steps := []string{fmt.Sprintf("start this node: tiercel server --data-dir %s, without --join; it votes alone, and holds no content yet", r.Dirs[0].Name)}
	if len(r.Absent) == 0 {
		return steps
	}
	return append(steps,
		"start the workers of the old cluster, with their volumes, with --join HOST:PORT, the rpc address of this node.\n"+
			"One that voted needs before, or its volumes are set aside:\n"+oldVoter,
		neverAgain)
}
