package main

import (
	"fmt"
	"os"
	"path/filepath"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/store"
)

func (a *app) backupCommand() *command {
	var r remote
	cmd := &command{
		Use:   "backup FILE",
		Short: "Write the catalog as it is now to a file",
		Long: `Writes the whole catalog at one point in time to FILE, while writes go on: names,
versions, settings, and where the content of each file lies. Not the content: that is in
the volumes of the workers. The file is verified before it gets its name, and FILE is
replaced only then.

'tiercel restore' makes a new cluster of it, which the workers of the old one join with
their volumes; 'tiercel recover --catalog FILE' does that in a node's own directory. What
was written after the backup is found by neither, unless by the commit journal that
'tiercel recover' reads as well.`,
		Example: `  tiercel backup /backups/catalog-2026-12-31
  tiercel backup --server http://10.0.0.5:8880 --output json catalog.backup`,
		Args: wantArgs(1, 1, "one FILE"),
		RunE: func(c *command, args []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			made, err := a.backup(c, conn, args[0])
			if err != nil {
				return err
			}
			if r.output == "json" {
				return a.printJSON(map[string]any{
					"file": args[0], "index": made.Index, "generation": made.Generation, "cluster_id": made.ClusterID, "bytes": made.Bytes,
				})
			}
			_, err = fmt.Fprintf(a.stdout, "%s: the catalog of cluster %s at log index %d, generation %d, %s\n",
				args[0], made.ClusterID, made.Index, made.Generation, config.FormatBytes(made.Bytes))
			return err
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

// backup writes to a temporary file beside its target, makes it durable, reads it
// back, and only then gives it its name.
func (a *app) backup(c *command, conn *client.Client, target string) (made client.Backup, err error) {
	const op = "backup"
	dir := filepath.Dir(target)
	f, err := os.CreateTemp(dir, "."+filepath.Base(target)+".*.partial")
	if err != nil {
		return made, model.Errorf(model.CodeUnavailable, op, "nothing can be written beside %s: %w", target, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	made, err = conn.Backup(c.Context(), partial{f}, func(int64) {})
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return made, err
	}
	fs, err := store.NewDirFS(dir)
	if err != nil {
		return made, err
	}
	meta, err := store.LoadSnapshotFile(fs, filepath.Base(f.Name()), func([]store.Pair) error { return nil })
	if err == nil && meta.Index != made.Index {
		err = model.Errorf(model.CodeCorrupt, op, "what came is of log index %d, not %d", meta.Index, made.Index)
	}
	if err != nil {
		return made, err
	}
	if err := fs.Rename(filepath.Base(f.Name()), filepath.Base(target)); err != nil {
		return made, model.Errorf(model.CodeUnavailable, op, "%s cannot be given its name: %w", target, err)
	}
	return made, fs.SyncDir(".")
}

// partial is a file that a download can begin anew.
type partial struct{ *os.File }

// Restart implements client.Sink.
func (p partial) Restart() error {
	if err := p.Truncate(0); err != nil {
		return err
	}
	_, err := p.Seek(0, 0)
	return err
}
