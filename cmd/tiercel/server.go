package main

import (
	"context"
	"io"

	"tiercel/cluster/model"
)

// runServer runs one node until ctx ends. It prints the ready line to stdout,
// logs to stderr, and returns nil after a clean end.
func runServer(ctx context.Context, cfg ServerConfig, stdout, stderr io.Writer) error {
	log := newLogger(cfg, stderr)
	log.Debug("starting", "data_dir", cfg.DataDir, "http", cfg.HTTP, "rpc", cfg.RPC)
	return model.Errorf(model.CodeUnavailable, "start the node", "this build has no node in it")
}
