package main

import (
	"fmt"
	"runtime"

	"tiercel/cmd/tiercel/internal/config"
	"tiercel/cmd/tiercel/internal/fsck"
	"tiercel/cmd/tiercel/internal/transfer"
)

func (a *app) fsckCommand() *command {
	var (
		dir, output  string
		quick, quiet bool
		jobs         int
	)
	cmd := &command{
		Use:   "fsck --data-dir DIR",
		Short: "Check a data directory while its node is stopped",
		Long: `Checks a node's data directory and changes nothing in it: snapshots, log, catalog,
volumes, and the checksum of every file's content. The node must be stopped.

That the log is lost is told before the rest, with what to do. A worker that never
voted, or was made by 'tiercel recover --worker', holds no log: of it the volumes are
checked, record by record; which files those belong to, the voters know.

Exit status: 0 all is well, 1 something is wrong (or could not be checked).
Orphaned bytes are no fault: they are what deletes and replacements leave behind.`,
		Example: `  tiercel fsck --data-dir /srv/tiercel
  tiercel fsck --data-dir /srv/tiercel --quick --output json`,
		Args: wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if jobs < 1 || jobs > maxJobs {
				return &usageError{err: fmt.Errorf("--jobs %d is not between 1 and %d", jobs, maxJobs)}
			}
			var watch fsck.Watch = transfer.Silent{}
			stop := func() {}
			if !quick {
				watch, stop = a.watchProgress(quiet, "checking")
			}
			report, err := fsck.Check(c.Context(), dir, fsck.Options{Jobs: jobs, Quick: quick, Watch: watch})
			stop()
			if err != nil {
				return err
			}
			return a.reportFsck(report, output, quiet)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "data-dir", "./tiercel-data", "`DIR` of the node")
	flags.BoolVar(&quick, "quick", false, "do not read the content of files")
	flags.IntVarP(&jobs, "jobs", "j", 2*runtime.GOMAXPROCS(0), "how many files at a time, `N` from 1 to 1024")
	flags.BoolVarP(&quiet, "quiet", "q", false, "no progress; only what is wrong")
	addOutput(flags, &output)
	return cmd
}

// reportFsck prints a report; the error is errReported unless all is well.
func (a *app) reportFsck(r *fsck.Report, output string, quiet bool) error {
	if output == "json" {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		for _, p := range r.Problems {
			fmt.Fprintln(a.stdout, p)
		}
		if more := r.ProblemsCounted - int64(len(r.Problems)); more > 0 {
			fmt.Fprintf(a.stdout, "and %d more problems\n", more)
		}
		if !quiet {
			a.fsckTable(r)
		}
	}
	if !r.Clean() {
		return errReported
	}
	return nil
}

func fsckCatalog(r *fsck.Report) string {
	switch {
	case !r.HoldsLog:
		return "none: a worker that holds no log; which files there are, the voters know"
	case !withCatalog(r):
		return "none that can be read"
	case r.LogLast < r.LogFirst || r.LogLast == 0:
		return fmt.Sprintf("snapshot at %d, nothing in the log behind it, checked at %d", r.Snapshot, r.Applied)
	}
	return fmt.Sprintf("snapshot at %d, log %d to %d, checked at %d", r.Snapshot, r.LogFirst, r.LogLast, r.Applied)
}

// withCatalog: a check that had none has no snapshot either.
func withCatalog(r *fsck.Report) bool { return r.HoldsLog && (r.Incomplete == "" || r.Snapshot != 0) }

func fsckFiles(r *fsck.Report) string {
	switch {
	case !withCatalog(r) && r.Quick:
		return "not looked at one by one; the records of the volumes were not read (--quick)"
	case !withCatalog(r):
		return "not looked at one by one; every record of the volumes was read"
	}
	read := "all of it read"
	if r.Quick {
		read = "not read (--quick)"
	} else if r.CheckedBytes < r.FileBytes+r.OwnBytes {
		read = config.FormatBytes(r.CheckedBytes) + " of it read"
	}
	return countedFiles(r.Files, r.Tenants, r.FileBytes, r.OwnFiles) + "; " + read
}

func (a *app) fsckTable(r *fsck.Report) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("node", "%s of cluster %s", r.NodeID, r.ClusterID)
	row("catalog", "%s", fsckCatalog(r))
	orphaned := ""
	if withCatalog(r) {
		orphaned = config.FormatBytes(r.OrphanedBytes) + " of it orphaned, "
	}
	row("volumes", "%d with %s, %s%s behind the last record", r.Volumes, config.FormatBytes(r.VolumeBytes), orphaned, config.FormatBytes(r.TailBytes))
	row("files", "%s", fsckFiles(r))
	if r.ElsewhereFiles+r.OwnElsewhere > 0 {
		row("elsewhere", "%s, and %d of Tiercel itself, have content on other nodes only", counted(int(r.ElsewhereFiles), "file"), r.OwnElsewhere)
	}
	switch {
	case r.Incomplete != "" && r.ProblemsCounted == 0:
		row("result", "incomplete: %s", r.Incomplete)
	case r.ProblemsCounted > 0:
		row("result", "%d problems: %s", r.ProblemsCounted, r.Counts())
	default:
		row("result", "clean")
	}
}
