package main

import (
	"fmt"
	"os"
	"time"

	"tiercel/cmd/tiercel/internal/dev"
)

func (a *app) devCommand() *command {
	opt, level, file := dev.Options{}, "", ""
	cmd := &command{
		Use:   "dev",
		Short: "Run a cluster of real processes on this machine",
		Long: `Starts --nodes server processes on loopback, with mixed disk types, racks and
hosts of their own and short heartbeats, prints their ready lines and how to use
them, and stops them all when it is stopped. The same command with the same
--data-dir starts the same cluster again. It runs under a development licence of
--license-level, newly made at each start.

With --tls its nodes want TLS and tokens, of files that are made in --data-dir and used
again: certs/ has the authority and the certificates, admin.token the token of an admin, for
you, and tokens.yaml the tokens that the nodes know, by their hashes. 'tiercel token create
--file DIR/tokens.yaml' makes more of them, 'tiercel token revoke --file' takes them away, and
the nodes see it within seconds.`,
		Example: "  tiercel dev --nodes 5\n  tiercel dev --nodes 3 --data-dir /tmp/three --heartbeat-interval 1s\n  tiercel dev --nodes 2 --license-level standard\n  tiercel dev --tls",
		Args:    wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			switch {
			case opt.Nodes < 1 || opt.Nodes > dev.MaxNodes:
				return &usageError{err: fmt.Errorf("--nodes is %d; it must be 1 to %d", opt.Nodes, dev.MaxNodes)}
			case opt.Heartbeat < 50*time.Millisecond || opt.MasterInterval < 50*time.Millisecond:
				return &usageError{err: fmt.Errorf("the intervals must be at least 50ms")}
			}
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			if opt.License, err = developmentText(level, file); err != nil {
				return err
			}
			opt.Binary, opt.Out = binary, a.stdout
			return dev.Run(c.Context(), opt)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&opt.Nodes, "nodes", 3, "how many nodes")
	flags.StringVar(&opt.Dir, "data-dir", "./tiercel-dev", "`DIR` for data and logs")
	flags.BoolVar(&opt.TLS, "tls", false, "with an authority and certificates (certs/), and tokens (tokens.yaml, the admin's in admin.token), made in --data-dir")
	flags.DurationVar(&opt.Heartbeat, "heartbeat-interval", 500*time.Millisecond, "between workers' heartbeats")
	flags.DurationVar(&opt.MasterInterval, "master-heartbeat-interval", 200*time.Millisecond, "between voters' heartbeats")
	flags.StringVar(&level, "license-level", "enterprise", "`LEVEL` of the development licence: free, standard, professional or enterprise")
	flags.StringVar(&file, "license", "", "`FILE` with a licence to run under instead")
	return cmd
}
