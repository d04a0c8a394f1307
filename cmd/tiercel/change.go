package main

import (
	"fmt"
	"slices"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/transfer"
)

func (a *app) rmCommand() *command {
	var (
		r remote
		o transfer.RemoveOptions
	)
	cmd := &command{
		Use:   "rm PATH…",
		Short: "Delete files",
		Long: `Deletes files; with -r everything below each PATH too. A path that is not there is
a failure unless --force is given; the others are deleted all the same.`,
		Example: `  tiercel rm /tmp/a /tmp/b
  tiercel rm -r /datasets/v1/`,
		Args: wantArgs(1, -1, "at least one PATH"),
		RunE: func(c *command, args []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			o.Jobs = r.jobs
			sum, err := transfer.Remove(c.Context(), conn, args, o)
			if err != nil {
				return err
			}
			return a.report(&r, "deleted", false, sum)
		},
	}
	r.addTo(cmd.Flags())
	aboutFiles(cmd.Flags())
	r.addJobs(cmd.Flags())
	cmd.Flags().BoolVarP(&o.Recursive, "recursive", "r", false, "everything below each PATH too")
	cmd.Flags().BoolVarP(&o.Force, "force", "f", false, "what is not there is no failure")
	cmd.Flags().BoolVar(&o.All, "all", false, "allow -r /, which deletes every file of the tenant")
	return cmd
}

func (a *app) relocateCommand(isCopy bool) *command {
	var r remote
	o := transfer.RelocateOptions{Copy: isCopy}
	verb, does, third, past := "mv", "Move", "Moves", "moved"
	tier := "The tier stays as it is. "
	if isCopy {
		verb, does, third, past, tier = "cp", "Copy", "Copies", "copied", ""
	}
	cmd := &command{
		Use:   verb + " FROM TO",
		Short: does + " files on the server",
		Long: fmt.Sprintf(`%s the file FROM to the path TO on the server; with -r everything below FROM,
file by file. %sNothing is replaced unless --overwrite is given.

A TO that ends in / is a directory: FROM arrives in it under its own name. With
-r a FROM that ends in / has no own name: what is below it goes directly into TO.`, third, tier),
		Example: fmt.Sprintf(`  tiercel %[1]s /models/a.bin /models/b.bin
  tiercel %[1]s /models/a.bin /projects/x/
  tiercel %[1]s -r /datasets/v1/ /datasets/old`, verb),
		Args: wantArgs(2, 2, "FROM and TO"),
		RunE: func(c *command, args []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			o.Jobs = r.jobs
			sum, err := transfer.Relocate(c.Context(), conn, args[0], args[1], o)
			if err != nil {
				return err
			}
			if !o.Overwrite && r.output != "json" && slices.ContainsFunc(sum.Failed, func(f transfer.Failure) bool { return f.Code == model.CodeConflict }) {
				defer fmt.Fprintln(a.stderr, "tiercel: --overwrite replaces what is at TO")
			}
			return a.report(&r, past, false, sum)
		},
	}
	r.addTo(cmd.Flags())
	aboutFiles(cmd.Flags())
	r.addJobs(cmd.Flags())
	cmd.Flags().BoolVarP(&o.Recursive, "recursive", "r", false, "everything below FROM")
	cmd.Flags().BoolVar(&o.Overwrite, "overwrite", false, "replace what is at TO")
	return cmd
}
