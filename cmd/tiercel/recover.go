package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tiercel/actors/recovery"
	"tiercel/cluster/model"
)

const recoverHelp = `For a cluster whose voters are all gone or have lost their log/; and, with --worker, for one
node whose log is lost or damaged while the cluster goes on (see below).

It looks at the logs in the directories it is given first, and refuses while there is a way
that misses less:
- a majority of the voters have their logs: start these, and nothing is missing;
- fewer have: 'tiercel takeover' where the log goes furthest knows every change, but gives
  up the other voters with what only their volumes hold. With --discard-log recover does
  it all the same: that keeps the volumes, and knows only what was journaled.

While it runs, a cluster writes checkpoints of its catalog and a journal of all changes
into volumes of tier 1 ('tiercel status' says how far behind they are at most, usually
seconds). recover looks for them in the volumes of the directories it is given, puts
the catalog together, and makes the first directory the only voter of a new log, one
generation higher. Deletes and renames hold as far as the journal goes. Content that was
stored later is named under /lost+found/<generation>/, with its old path in the name and
in X-Meta-Original-Path; never under the old path. What is identical to the file at its path,
in size and checksum, is left out: a put that was repeated.

What was found and does not fit under the limit of its tenant would be lost when volumes are
compacted. So recover --yes refuses, and changes nothing, until --no-quota TENANT takes that
limit away (set it again afterwards: a limit below the usage is allowed) or --leave-out says
that it may be left out. When something was left out, or cannot be read, the status of --yes
is 1.

Stop every node first: one that still serves ends for good when it meets the recovered
cluster. The recovered node calls nobody by itself, the others come to it. Name as many
directories as you can reach from one machine: the journal is spread over volumes on
several workers, and only content that lies in one of these directories comes under
/lost+found. Without --yes nothing is changed: it says what
would happen, so that you can try several and take what goes furthest. The status is then
0 when --yes would do it, 1 when it would refuse.

From a machine whose directory you cannot name, carry the pieces of checkpoint and journal
over: 'tiercel recover --data-dir DIR --export FILE' there changes nothing, and --import
FILE here reads them. Later content that only that machine holds does not come under
/lost+found: volumes that the catalog does not know are set aside in quarantine/ there, and
what lies at the end of others goes when they are compacted.

Afterwards start the first node, then the others with --join. Workers that never voted
need no more than that. On a machine whose directory you could not name, run
  tiercel recover --worker --data-dir DIR --yes
for each node that voted, before it is started: it keeps its volumes and becomes a worker.
Where the log can be read to its end, --discard-log says that you mean it: the cluster was
recovered or restored elsewhere, or the log is not whole. It is not needed once the node has
met that cluster and ended, nor where the log is lost or damaged.

The same command is for a node whose log is lost or damaged in a cluster that goes on: stop
the node, run recover --worker on its directory, and start it with --join. It keeps its id
and its volumes, and learns and votes again under a new Raft id; the old one is replaced.

Nothing is deleted: old logs go to quarantine/recovered-<generation>-<raft id>/.`

func (a *app) recoverCommand() *command {
	var (
		dirs            []string
		catalog, output string
		worker, discard bool
		yes, leaveOut   bool
		unlimited       []string
		export          string
		imports         []string
	)
	cmd := &command{
		Use:   "recover --data-dir DIR [--data-dir DIR…] [--yes]",
		Short: "Make the catalog again when all voters lost their logs, or let one node back in",
		Long:  recoverHelp,
		Example: `  tiercel recover --data-dir /srv/a --data-dir /mnt/b --data-dir /mnt/c
  tiercel recover --data-dir /srv/a --data-dir /mnt/b --data-dir /mnt/c --yes
  tiercel recover --data-dir /srv/a --catalog catalog.backup --yes
  tiercel recover --data-dir /srv/d --export d.pieces
  tiercel recover --data-dir /srv/a --import d.pieces --import e.pieces --yes
  tiercel recover --worker --data-dir /srv/d --yes`,
		Args: wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if err := recoverModes(worker, export, yes, imports, catalog); err != nil {
				return err
			}
			opt := recovery.Options{DiscardLog: discard, Unlimited: unlimited, LeaveOut: leaveOut, Random: rand.Reader, Now: time.Now(), Apply: yes}
			for i, dir := range dirs {
				if slices.ContainsFunc(dirs[:i], func(other string) bool { return sameDir(dir, other) }) {
					return &usageError{err: fmt.Errorf("--data-dir %s is given twice; name each directory once", dir)}
				}
				fs, err := existingDir("recover", dir)
				if err != nil {
					return err
				}
				opt.Dirs = append(opt.Dirs, recovery.Dir{Name: dir, FS: fs})
			}
			if export != "" {
				return a.exportPieces(opt, export)
			}
			for _, name := range imports {
				file, err := fileOf(name)
				if err != nil {
					return err
				}
				opt.Carried = append(opt.Carried, file)
			}
			report, failed := a.recoverOrJoin(opt, catalog, worker)
			if report != nil {
				a.recovered(report, opt.Apply, worker, failed)
				if err := a.reportRecovery(report, output, failed == nil, recoverSteps(report)); err != nil {
					return err
				}
			}
			if failed != nil {
				return failed
			}
			if n := len(report.NotFound); yes && n > 0 {
				return model.Errorf(model.CodeCorrupt, "recover", "the cluster is recovered, without %s of content that were found: see above", counted(n, "piece"))
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&dirs, "data-dir", []string{"./tiercel-data"}, "`DIR` of a stopped node; may be given several times, the first becomes the voter")
	flags.StringVar(&catalog, "catalog", "", "build on this `FILE` of 'tiercel backup' instead of a checkpoint")
	flags.StringVar(&export, "export", "", "only write the pieces of checkpoint and journal found here to this `FILE`")
	flags.StringArrayVar(&imports, "import", nil, "read pieces from this `FILE` of another machine; may be given several times")
	flags.BoolVar(&worker, "worker", false, "only make workers of the directories: the cluster goes on without their logs, or was recovered elsewhere")
	flags.StringArrayVar(&unlimited, "no-quota", nil, "take the limit of this `TENANT` away, so that what was found of it fits; may be given several times")
	flags.BoolVar(&leaveOut, "leave-out", false, "recover although content that was found would not be kept")
	flags.BoolVar(&discard, "discard-log", false, "set a log aside although it can be read to its end")
	flags.BoolVar(&yes, "yes", false, "do it: every node of the cluster is stopped")
	addOutput(flags, &output)
	return cmd
}

func sameDir(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// recoverModes refuses flags that would be ignored: there are three things to do.
func recoverModes(worker bool, export string, yes bool, imports []string, catalog string) error {
	switch {
	case export != "" && (worker || yes || len(imports) > 0 || catalog != ""):
		return &usageError{err: errors.New("--export only writes what is here to a file; it goes without --yes, --worker, --import and --catalog")}
	case worker && (catalog != "" || len(imports) > 0):
		return &usageError{err: errors.New("--worker needs no --catalog and no --import: the catalog is where the cluster was recovered")}
	}
	return nil
}

func (a *app) recoverOrJoin(opt recovery.Options, catalog string, worker bool) (*recovery.Report, error) {
	if worker {
		return recovery.AsWorker(opt)
	}
	if catalog != "" {
		file, err := backupFile("recover", catalog)
		if err != nil {
			return nil, err
		}
		opt.Backup = file
	}
	return recovery.Recover(opt)
}

// exportPieces writes to a temporary file, which gets its name when it is whole and durable.
func (a *app) exportPieces(opt recovery.Options, target string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*.partial")
	if err != nil {
		return model.Errorf(model.CodeUnavailable, "recover", "nothing can be written beside %s: %w", target, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	count, err := recovery.Export(opt, f)
	if err == nil && count == 0 {
		err = model.Errorf(model.CodeNotFound, "recover",
			"there is no piece of a checkpoint or journal in these directories, so nothing was written; export from the directories of other nodes")
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), target); err != nil {
		return model.Errorf(model.CodeUnavailable, "recover", "%s cannot be given its name: %w", target, err)
	}
	_, err = fmt.Fprintf(a.stdout, "%s: %s of checkpoint and journal\n", target, counted(count, "piece"))
	return err
}
