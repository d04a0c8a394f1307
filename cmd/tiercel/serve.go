package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"tiercel/cmd/tiercel/internal/config"
)

// ServerConfig is everything `tiercel server` was asked for, checked.
type ServerConfig = config.Server

func (a *app) serverCommand() *command {
	var check bool
	var output string
	cmd := &command{
		Use:   "server",
		Short: "Run a node",
		Long: `Runs one node until SIGTERM or SIGINT ends it cleanly; a second signal ends it at
once. When it can serve it prints one line to standard output:

  ready http=<host:port> rpc=<host:port> node=<id>

Logs go to standard error. Every flag is also an environment variable
(--data-dir is TIERCEL_DATA_DIR) and a key of the YAML file named by --config
(data-dir: /srv/tiercel); 'tiercel config example' prints such a file. A flag wins
over the environment, the environment over the file, the file over the default.
Unknown names are refused, and all problems are told at once. With --check nothing
is started: the settings and the files that they name are checked, and the settings
shown with where each comes from.

` + auditIs + `

Exit status: 0 ended as asked, or --check found nothing wrong; 1 failed; 2 the
settings are wrong.`,
		Example: `  tiercel server
  tiercel server --data-dir /srv/tiercel --disk-type nvme --capacity 500GiB
  tiercel server --rpc 127.0.0.1:8893 --http 127.0.0.1:8881 --data-dir ./second --join 127.0.0.1:8892
  tiercel server --http 10.0.0.12:8880 --rpc 10.0.0.12:8892 --auth-tokens tokens.yaml --tls-ca ca.crt --tls-cert node-2.crt --tls-key node-2.key
  TIERCEL_HTTP=127.0.0.1:9000 tiercel server --config /etc/tiercel.yaml
  tiercel server --config /etc/tiercel.yaml --check`,
		Args: wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			cfg, err := config.Load(c.Flags(), a.environ)
			err = errors.Join(err, checkFiles(cfg))
			switch {
			case err != nil:
				return &usageError{err: err}
			case check:
				return a.explainServer(c, output)
			}
			return a.serve(c.Context(), cfg)
		},
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&check, "check", false, "only check the settings, and show each with where it comes from")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORM` of what --check shows: table or json")
	cmd.Flags().SortFlags = false
	cmd.SetFlagErrorFunc(func(c *command, err error) error {
		return config.WithFlagError(explainFlag(c, err), c.Flags(), a.environ)
	})
	return cmd
}

// serve runs a node with profiles beside it if they are wanted. An end that
// was asked for is no failure.
func (a *app) serve(ctx context.Context, cfg ServerConfig) error {
	log := newLogger(cfg, a.stderr)
	for _, w := range cfg.Warnings() {
		log.Warn("this node is open to more than its tokens say", "warning", w)
	}
	if cfg.Pprof != "" {
		stop, err := serveProfiles(cfg.Pprof, log)
		if err != nil {
			return err
		}
		defer stop()
	}
	err := runServer(ctx, cfg, a.stdout, a.stderr)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// newLogger writes records of the configured level and format to w.
func newLogger(cfg ServerConfig, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// serveProfiles serves /debug/pprof/ at address, apart from the API.
func serveProfiles(address string, log *slog.Logger) (stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on --pprof %s: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Info("profiles are served", "address", listener.Addr().String())
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("profiles ended", "error", err)
		}
	}()
	return func() {
		if err := server.Close(); err != nil {
			log.Warn("profiles did not end cleanly", "error", err)
		}
	}, nil
}
