package serve

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/audit"
	"tiercel/cmd/tiercel/internal/certs"
	"tiercel/cmd/tiercel/internal/tokens"
	"tiercel/cmd/tiercel/internal/watch"
	"tiercel/httpapi"
)

// lookEvery is how often the files of tokens and certificates are looked at.
const lookEvery = 2 * time.Second

// secrets are who may speak to this node, and how it shows who it is.
type secrets struct {
	tokens *tokens.Live // nil: anybody may do anything
	certs  *certs.Live  // nil: plain TCP
	audit  *audit.Log
	paths  []string
	hangup chan os.Signal
	stop   context.CancelFunc
	ended  chan struct{}
}

// openSecrets reads the files; the error lists everything that is wrong with all of them.
func (s *serving) openSecrets() error {
	var problems []error
	if path := s.cfg.AuthTokens; path != "" {
		s.secrets.paths = append(s.secrets.paths, path)
	}
	files := certs.Files{Cert: s.cfg.TLSCert, Key: s.cfg.TLSKey, CA: s.cfg.TLSCA, Clients: s.cfg.TLSClients == "require"}
	s.secrets.paths = append(s.secrets.paths, files.Paths()...)
	s.watchSecrets()
	if s.cfg.AuthTokens != "" {
		live, err := tokens.Open(s.cfg.AuthTokens)
		problems = append(problems, err)
		s.secrets.tokens = live
	}
	if s.cfg.TLSCert != "" {
		live, err := certs.Open(files, time.Now)
		problems = append(problems, err)
		s.secrets.certs = live
	}
	if err := errors.Join(problems...); err != nil {
		return model.Errorf(model.CodeInvalidArgument, "read tokens and certificates", "%w", err)
	}
	return nil
}

// watchSecrets begins to look for changes, before anything is read. Only where there is
// something to read again does a hangup no longer end the process.
func (s *serving) watchSecrets() {
	if len(s.secrets.paths) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.secrets.stop, s.secrets.ended, s.secrets.hangup = cancel, make(chan struct{}), make(chan os.Signal, 1)
	signal.Notify(s.secrets.hangup, syscall.SIGHUP)
	run := watch.Files(ctx, lookEvery, s.secrets.hangup, s.secrets.paths, s.reloadSecrets)
	started := s.secretsRead
	go func() {
		defer close(s.secrets.ended)
		select {
		case <-started:
			run()
		case <-ctx.Done():
		}
	}()
}

// reloadSecrets reads all files again. What cannot be used changes nothing.
func (s *serving) reloadSecrets() {
	if t := s.secrets.tokens; t != nil {
		err := t.Reload()
		s.tellReload("reload tokens", s.cfg.AuthTokens, err)
		if err == nil {
			s.log.Info("token file read again", "path", s.cfg.AuthTokens, "tokens", t.Count())
		}
	}
	if c := s.secrets.certs; c != nil {
		err := c.Reload()
		s.tellReload("reload certificates", s.cfg.TLSCert, err)
		if err == nil {
			s.log.Info("certificates read again", "path", s.cfg.TLSCert)
		}
	}
}

func (s *serving) tellReload(what, path string, err error) {
	a := httpapi.Action{At: time.Now().UTC(), Name: "node", Route: what, Subject: path, Outcome: httpapi.Done}
	if err != nil {
		s.log.Error("a file was changed and cannot be used; what was read before is in force", "path", path, "error", err)
		a.Outcome, a.Detail = string(model.CodeInvalidArgument), err.Error()
	}
	s.secrets.audit.Write(a)
}

// guard adds to the configuration of HTTP who is let in, and how.
func (s *serving) guard(cfg httpapi.Config) httpapi.Config {
	if s.secrets.tokens != nil {
		cfg.Tokens = s.secrets.tokens
	}
	if s.secrets.certs != nil {
		cfg.TLS = s.secrets.certs.HTTP()
	}
	cfg.Audit, cfg.Warnings = s.secrets.audit.Write, s.secretWarnings
	return cfg
}

// secretWarnings are for /cluster/status of this node.
func (s *serving) secretWarnings() []string {
	var out []string
	if t := s.secrets.tokens; t != nil {
		out = append(out, t.Warnings()...)
	}
	if c := s.secrets.certs; c != nil {
		out = append(out, c.Warnings()...)
	}
	return append(out, s.secrets.audit.Warnings()...)
}

// closeSecrets ends the watch, then the audit log that it writes to.
func (s *serving) closeSecrets() error {
	if s.secrets.stop != nil {
		signal.Stop(s.secrets.hangup)
		s.secrets.stop()
		<-s.secrets.ended
	}
	if s.secrets.audit == nil {
		return nil
	}
	return s.secrets.audit.Close()
}
