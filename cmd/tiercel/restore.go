package main

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"time"

	"tiercel/actors/recovery"
	"tiercel/store"
)

func (a *app) restoreCommand() *command {
	var (
		dir, output string
		generation  uint64
	)
	cmd := &command{
		Use:   "restore FILE --data-dir DIR",
		Short: "Make a new node of a backup of the catalog",
		Long: `Makes DIR, which must be empty or absent, the directory of a node whose cluster is the
one in the backup FILE, one generation higher. Start that node, then start the workers of
the old cluster with --join; those that voted need 'tiercel recover --worker' first. What
they hold is matched with the catalog.

The catalog is as it was when the backup was made. Of what has changed since:
- files written later are not in it; their volumes are set aside in quarantine/ of the
  workers, never deleted ('tiercel recover --catalog FILE' finds them by the journal);
- files deleted or moved later are there again, under their old names. If their content
  is gone from every worker they are listed, and reading one answers 503, naming the
  workers that should have it, or 500 when it is known to be lost: never other bytes.
  'tiercel replication' counts such volumes as stranded or lost.
Workers of the old cluster that still serve it stop serving it when they join.`,
		Example: `  tiercel restore catalog.backup --data-dir /srv/tiercel
  tiercel restore catalog.backup --data-dir /srv/tiercel && tiercel server --data-dir /srv/tiercel`,
		Args: wantArgs(1, 1, "one FILE"),
		RunE: func(_ *command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			file, err := fileOf(args[0])
			if err != nil {
				return err
			}
			fs, err := store.NewDirFS(dir)
			if err != nil {
				return err
			}
			report, err := recovery.Restore(recovery.Options{
				Dirs: []recovery.Dir{{Name: dir, FS: fs}}, Backup: file, Generation: generation, Random: rand.Reader, Now: time.Now(),
			})
			if err != nil {
				return err
			}
			return a.reportRecovery(report, output, true)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "data-dir", "./tiercel-data", "`DIR` of the new node, empty or absent")
	flags.Uint64Var(&generation, "generation", 0, "`N`, if workers have seen a higher generation than the backup's next")
	addOutput(flags, &output)
	return cmd
}

// fileOf names a file within its directory.
func fileOf(name string) (recovery.Dir, error) {
	fs, err := store.NewDirFS(filepath.Dir(name))
	return recovery.Dir{Name: filepath.Base(name), FS: fs}, err
}

// reportRecovery prints what was found and done.
func (a *app) reportRecovery(r *recovery.Report, output string, done bool) error {
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
	if done {
		row("done", "start the nodes now, the first of them first, the others with --join")
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
	row("files", "%d with %d bytes", r.Files, r.Bytes)
	if r.Elsewhere > 0 {
		row("elsewhere", "%s of which a part is in none of these directories, such as %s", counted(int(r.Elsewhere), "file"), r.Missing[0])
	}
	for _, f := range r.Found {
		row("lost+found", "%s: %s", f.Tenant, f.Path)
	}
	for _, f := range r.NotFound {
		row("not kept", "%s: %s, %d bytes: %s", f.Tenant, f.Original, f.Bytes, f.Reason)
	}
}
