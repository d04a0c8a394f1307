package main

import (
	"errors"

	"tiercel/cmd/tiercel/internal/transfer"
)

func (a *app) getCommand() *command {
	var (
		r     remote
		fsync bool
	)
	cmd := &command{
		Use:   "get SRC DST",
		Short: "Fetch a file, or all files below a path",
		Long: `Fetches the file at the path SRC, or everything below it, to the local DST.

A DST that ends in / (or is . or ..) is a directory: SRC arrives in it under its
own name. Without the / it is the new name; a single file goes into DST if that
is a directory already. A SRC that ends in / has no own name: what is below it
goes directly into DST. The DST "-" is standard output, for a single file.
Directories that are missing on the way to DST, and in it, are made.

A file gets its name only when all of it is there and its checksum is right; an
older file of that name is replaced. An interrupted large download goes on where
it stopped, also in the next run. Nothing is ever written outside of DST.`,
		Example: `  tiercel get /models/model.safetensors .
  tiercel get /datasets/v2 ./v2           # ./v2/…
  tiercel get /datasets/v2 ./data/        # ./data/v2/…
  tiercel get /projects/backup.sql - | psql mydb`,
		Args: wantArgs(2, 2, "SRC and DST"),
		RunE: func(c *command, args []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			if args[1] == "-" && r.output == "json" {
				return &usageError{err: errors.New("standard output cannot take both the file (-) and a result (--output json)")}
			}
			progress, stop := a.watchProgress(r.quiet, "fetching")
			sum, err := transfer.Get(c.Context(), conn, args[0], args[1],
				transfer.GetOptions{Jobs: r.jobs, Fsync: fsync, Progress: progress, Stdout: a.stdout})
			stop()
			if err != nil {
				return err
			}
			if args[1] == "-" {
				r.quiet = true // standard output is the file's alone
			}
			return a.report(&r, "fetched", true, sum)
		},
	}
	r.addTo(cmd.Flags())
	aboutFiles(cmd.Flags())
	r.addJobs(cmd.Flags())
	cmd.Flags().BoolVar(&fsync, "fsync", false, "have every file on the disk before it counts as fetched")
	return cmd
}
