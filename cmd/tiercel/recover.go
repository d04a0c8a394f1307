package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tiercel/actors/recovery"
	"tiercel/cluster/model"
	"tiercel/store"
)

const recoverHelp = `For a cluster whose voters are all gone or have lost their log/. If one of them still
has its log, use 'tiercel takeover' there: it misses nothing.

While it runs, a cluster writes checkpoints of its catalog and a journal of all changes
into volumes of tier 1 ('tiercel status' says how far behind they are at most, usually
seconds). recover looks for them in the volumes of the directories it is given, puts
the catalog together, and makes the first directory the only voter of a new log, one
generation higher. Deletes and renames hold as far as the journal goes. Content that was
stored later is named under /lost+found/<generation>/, with its old path in the name and
in X-Meta-Original-Path; never under the old path.

Stop every node first. Name as many directories as you can reach from one machine: the
journal is spread over volumes on several workers, and only content that lies in one of
these directories comes under /lost+found. Without --yes it says what would happen, so
that you can try several and take what goes furthest.

From a machine whose directory you cannot name, carry the pieces of checkpoint and journal
over: 'tiercel recover --data-dir DIR --export FILE' there changes nothing, and --import
FILE here reads them. Later content that only that machine holds does not come under
/lost+found: volumes that the catalog does not know are set aside in quarantine/ there, and
what lies at the end of others goes when they are compacted.

Afterwards start the first node, then the others with --join. Workers that never voted
need nothing. On a machine whose directory you could not name, run
  tiercel recover --worker --data-dir DIR --yes
for each node that voted: it keeps its volumes and becomes a worker.

Nothing is deleted: old logs go to quarantine/recovered-<generation>-<raft id>/.`

func (a *app) recoverCommand() *command {
	var (
		dirs            []string
		catalog, output string
		worker, discard bool
		yes             bool
		export          string
		imports         []string
	)
	cmd := &command{
		Use:   "recover --data-dir DIR [--data-dir DIR…] [--yes]",
		Short: "Make the catalog again when the logs of all voters are lost",
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
			if worker && catalog != "" {
				return &usageError{err: errors.New("--worker needs no --catalog: the catalog is where the cluster was recovered")}
			}
			opt := recovery.Options{DiscardLog: discard, Random: rand.Reader, Now: time.Now(), Apply: yes}
			for _, dir := range dirs {
				fs, err := existingDir(dir)
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
			report, err := a.recoverOrJoin(opt, catalog, worker)
			if err != nil {
				return err
			}
			if err := a.reportRecovery(report, output, yes); err != nil {
				return err
			}
			if !yes {
				return &usageError{err: errors.New("nothing was changed; repeat with --yes when every node of the cluster is stopped")}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&dirs, "data-dir", []string{"./tiercel-data"}, "`DIR` of a stopped node; may be given several times, the first becomes the voter")
	flags.StringVar(&catalog, "catalog", "", "build on this `FILE` of 'tiercel backup' instead of a checkpoint")
	flags.StringVar(&export, "export", "", "only write the pieces of checkpoint and journal found here to this `FILE`")
	flags.StringArrayVar(&imports, "import", nil, "read pieces from this `FILE` of another machine; may be given several times")
	flags.BoolVar(&worker, "worker", false, "only make workers of the directories: the cluster was recovered elsewhere")
	flags.BoolVar(&discard, "discard-log", false, "set a log aside although it is intact")
	flags.BoolVar(&yes, "yes", false, "do it: every node of the cluster is stopped")
	addOutput(flags, &output)
	return cmd
}

func (a *app) recoverOrJoin(opt recovery.Options, catalog string, worker bool) (*recovery.Report, error) {
	if worker {
		return recovery.AsWorker(opt)
	}
	if catalog != "" {
		file, err := fileOf(catalog)
		if err != nil {
			return nil, err
		}
		if _, err := file.FS.(*store.DirFS).Stat(file.Name); err != nil {
			return nil, model.Errorf(model.CodeNotFound, "recover", "%s cannot be read: %w", catalog, err)
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
