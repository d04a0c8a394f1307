package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/transfer"
)

func (a *app) lsCommand() *command {
	var (
		r               remote
		long, recursive bool
		limit           int64
	)
	cmd := &command{
		Use:   "ls [PATH]",
		Short: "List files",
		Long: `Lists the file PATH and what is in the directory PATH, in byte order; without
PATH what is in the root. Directories, which exist by the files below them, end
in /. A PATH that ends in * lists what begins with the rest.

With --output json there is one object on each line: {"path":…,"size_bytes":…}
for a file, {"prefix":…} for a directory.`,
		Example: `  tiercel ls /models
  tiercel ls -l '/datasets/2026-*'
  tiercel ls -r --output json / | jq .size_bytes`,
		Args: wantArgs(0, 1, "one PATH"),
		RunE: func(c *command, args []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			if limit < 0 {
				return &usageError{err: fmt.Errorf("--limit %d is less than nothing", limit)}
			}
			l := lister{conn: conn, long: long, json: r.output == "json", limit: limit, out: bufio.NewWriter(a.stdout)}
			path := "/"
			if len(args) == 1 {
				path = args[0]
			}
			entries, err := l.choose(c, path, recursive)
			if err != nil {
				return err
			}
			return errors.Join(l.print(entries), l.out.Flush())
		},
	}
	r.addTo(cmd.Flags())
	aboutFiles(cmd.Flags())
	cmd.Flags().BoolVarP(&long, "long", "l", false, "tier, size, time and version too")
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "everything below, not only the next level")
	cmd.Flags().Int64Var(&limit, "limit", 0, "end after `N` entries; 0: all")
	return cmd
}

type lister struct {
	conn       *client.Client
	out        *bufio.Writer
	long, json bool
	limit      int64
}

// choose finds what path means and returns its entries.
func (l *lister) choose(c *command, path string, recursive bool) (iter.Seq2[client.Entry, error], error) {
	prefix, starred := strings.CutSuffix(path, "*")
	if err := model.CheckPrefix(prefix); err != nil || prefix == "" {
		return nil, fmt.Errorf("%w: %q is no path: it must start with / and have no empty, . or .. part", transfer.ErrUsage, path)
	}
	delimiter := "/"
	if recursive {
		delimiter = ""
	}
	if starred || strings.HasSuffix(prefix, "/") {
		return l.conn.List(c.Context(), prefix, delimiter), nil
	}
	file, found, err := l.conn.Find(c.Context(), prefix)
	if err != nil {
		return nil, err
	}
	below := l.conn.List(c.Context(), prefix+"/", delimiter)
	return func(yield func(client.Entry, error) bool) {
		if found && !yield(client.Entry{File: file}, nil) {
			return
		}
		something := found
		for e, err := range below {
			something = something || err == nil
			if !yield(e, err) || err != nil {
				return
			}
		}
		if !something {
			yield(client.Entry{}, model.Errorf(model.CodeNotFound, "ls "+path, "there is no file of this name, and none below it"))
		}
	}, nil
}

// print writes entries as they come.
func (l *lister) print(entries iter.Seq2[client.Entry, error]) error {
	n := int64(0)
	for e, err := range entries {
		if err != nil {
			return err
		}
		if err := l.line(e); err != nil {
			return fmt.Errorf("cannot write the listing: %w", err)
		}
		if n++; n == l.limit {
			break
		}
	}
	return nil
}

func (l *lister) line(e client.Entry) error {
	switch {
	case l.json && e.Prefix != "":
		return json.NewEncoder(l.out).Encode(map[string]string{"prefix": e.Prefix})
	case l.json:
		return json.NewEncoder(l.out).Encode(e.File)
	}
	name := e.Prefix + e.File.Path
	if l.long {
		facts := []any{"-", "-", "-", "-"}
		if e.Prefix == "" {
			facts = []any{e.File.Tier, e.File.SizeBytes, e.File.ModifiedAt.UTC().Format(time.DateTime), e.File.Version}
		}
		name = fmt.Sprintf("%1v %14v %19v %10v  %s", append(facts, name)...)
	}
	_, err := fmt.Fprintln(l.out, name)
	return err
}
