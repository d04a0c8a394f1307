package main

import (
	"fmt"
	"strings"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/transfer"
)

func (a *app) putCommand() *command {
	var (
		r      remote
		tier   string
		meta   []string
		follow bool
	)
	cmd := &command{
		Use:   "put SRC… DST",
		Short: "Store files and whole directories",
		Long: `Stores local files, or directories with everything below them, at the path DST.

A DST that ends in / is a directory: each SRC arrives in it under its own name.
Without the / it is the new name of the one SRC. A SRC that ends in / has no own
name: its contents go directly into DST. The SRC "-" is standard input.

Every file is verified by its checksum, and tried again when the server is busy
or the connection breaks, without being applied twice. Symlinks are skipped
unless they are named as SRC or --follow is given; pipes, sockets and devices
are skipped; empty directories leave nothing, because only files have paths.`,
		Example: `  tiercel put model.safetensors /models/
  tiercel put dataset /datasets/          # becomes /datasets/dataset/…
  tiercel put dataset/ /datasets/v2       # its contents become /datasets/v2/…
  pg_dump mydb | tiercel put - /projects/backup.sql --tier 1 --meta host=db1`,
		Args: wantArgs(2, -1, "SRC and DST"),
		RunE: func(c *command, args []string) error {
			conn, err := a.connect(c, &r)
			if err != nil {
				return err
			}
			defer conn.Close()
			o := transfer.PutOptions{Jobs: r.jobs, Follow: follow, Stdin: a.stdin}
			if o.Tier, err = parseTier(tier); err != nil {
				return err
			}
			if o.Meta, err = parseMeta(meta); err != nil {
				return err
			}
			progress, stop := a.watchProgress(r.quiet, "storing")
			o.Progress = progress
			sum, err := transfer.Put(c.Context(), conn, args[:len(args)-1], args[len(args)-1], o)
			stop()
			if err != nil {
				return err
			}
			return a.report(&r, "stored", true, sum)
		},
	}
	flags := cmd.Flags()
	r.addTo(flags)
	aboutFiles(flags)
	r.addJobs(flags)
	flags.StringVar(&tier, "tier", "", "`TIER` of the files: 1 critical, 2 important, 3 rebuildable (default: by path)")
	flags.StringArrayVar(&meta, "meta", nil, "`NAME=VALUE` kept with every file; may be repeated")
	flags.BoolVar(&follow, "follow", false, "store what symlinks point to")
	return cmd
}

// parseMeta reads name=value pairs within the limits of the API.
func parseMeta(pairs []string) (map[string]string, error) {
	meta := make(map[string]string, len(pairs))
	total := 0
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || !isMetaName(name) {
			return nil, &usageError{err: fmt.Errorf("--meta %q is not NAME=VALUE with a name of letters, digits, - and _", pair)}
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, &usageError{err: fmt.Errorf("--meta %s: the value may have printable ASCII only", name)}
		}
		name = strings.ToLower(name)
		if _, twice := meta[name]; twice {
			return nil, &usageError{err: fmt.Errorf("--meta %s is given twice", name)}
		}
		meta[name] = value
		total += len(name) + len(value)
	}
	if len(meta) > model.MaxMetaEntries || total > model.MaxMetaBytes {
		return nil, &usageError{err: fmt.Errorf("--meta: at most %d entries of %d bytes together are kept", model.MaxMetaEntries, model.MaxMetaBytes)}
	}
	return meta, nil
}

func isMetaName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}
