package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tiercel/actors/recovery"
	"tiercel/cluster/model"
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
one in the backup FILE, one generation higher. Then:
1. start that node, without --join;
2. start the workers of the old cluster with --join and its rpc address. One that voted
   needs before, or its volumes are set aside:
     tiercel recover --worker --discard-log --data-dir ITS-DIR --yes
   What they hold is matched with the catalog;
3. take workers out that never come back: 'tiercel workers remove WORKER', with --force
   when what only they hold is to be given up. New, empty nodes may join at any time.

The catalog is as it was when the backup was made. Of what has changed since:
- files written later are not in it; their volumes are set aside in quarantine/ of the
  workers, never deleted ('tiercel recover --catalog FILE' finds them by the journal);
- files deleted or moved later are there again, under their old names. If their content
  is gone from every worker they are listed, and reading one answers 503, naming the
  workers that should have it, or 500 when it is known to be lost: never other bytes.
  'tiercel replication' counts such volumes as stranded or lost, and 'tiercel replication
  files' lists what is in them.
The restored cluster is the same cluster at a higher generation, so do not let it meet one
that still serves. The new node calls no old one by itself; as long as no old node is told
to --join it, it does not find the new one with --join or --discovery, and both go on,
apart from each other. But whoever of the old log hears of the higher generation ends for
good, as after a take-over: so one old worker that joins ends the whole old cluster. To only
look at a backup, start the node where no old node can reach it, without --join and
--discovery, and discard its directory afterwards.`,
		Example: `  tiercel restore catalog.backup --data-dir /srv/tiercel
  tiercel restore catalog.backup --data-dir /srv/tiercel && tiercel server --data-dir /srv/tiercel`,
		Args: wantArgs(1, 1, "one FILE"),
		RunE: func(_ *command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			file, err := backupFile("restore", args[0])
			if err != nil {
				return err
			}
			_, missing := os.Stat(dir)
			fs, err := store.NewDirFS(dir)
			if err != nil {
				return err
			}
			report, err := recovery.Restore(recovery.Options{
				Dirs: []recovery.Dir{{Name: dir, FS: fs}}, Backup: file, Generation: generation, Random: rand.Reader, Now: time.Now(),
			})
			if err != nil {
				if os.IsNotExist(missing) {
					_ = os.Remove(dir) // it was made here; if something is in it, it stays
				}
				return err
			}
			a.actedOn(report, "restore", nil)
			if err := a.reportRecovery(report, output, true, restoreSteps(report)); err != nil || output == "json" {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, restoreWarning)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "data-dir", "./tiercel-data", "`DIR` of the new node, empty or absent")
	flags.Uint64Var(&generation, "generation", 0, "`N`, if workers have seen a higher generation than the backup's next")
	addOutput(flags, &output)
	return cmd
}

const restoreWarning = `warning     the old cluster, if it still serves, is left alone. Join its nodes to this one only when it is
            given up: the first that comes ends all that voted in it.`

// backupFile names a file of which a catalog can be read, as far as its first bytes tell.
func backupFile(op, name string) (recovery.Dir, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return recovery.Dir{}, model.Errorf(model.CodeNotFound, op, "%s cannot be read: %w; name a file that 'tiercel backup' has written", name, err)
	case !info.Mode().IsRegular():
		return recovery.Dir{}, model.Errorf(model.CodeInvalidArgument, op, "%s is not a file; name one that 'tiercel backup' has written", name)
	}
	file, err := fileOf(name)
	if err != nil {
		return file, err
	}
	if !store.IsSnapshotFile(file.FS, file.Name) {
		return file, model.Errorf(model.CodeInvalidArgument, op, "%s is no backup of a catalog; name a file that 'tiercel backup' has written", name)
	}
	return file, nil
}

// fileOf names a file within its directory.
func fileOf(name string) (recovery.Dir, error) {
	fs, err := store.NewDirFS(filepath.Dir(name))
	return recovery.Dir{Name: filepath.Base(name), FS: fs}, err
}
