package main

import (
	"context"
	"io"

	"tiercel/cmd/tiercel/internal/serve"
)

// runServer runs one node until ctx ends. It prints the ready line to stdout,
// logs to stderr, and returns nil after a clean end.
func runServer(ctx context.Context, cfg ServerConfig, stdout, stderr io.Writer) error {
	return serve.Run(ctx, cfg, newLogger(cfg, stderr), stdout)
}

// checkFiles reads the files that the settings name.
func checkFiles(cfg ServerConfig) error { return serve.CheckFiles(cfg) }
