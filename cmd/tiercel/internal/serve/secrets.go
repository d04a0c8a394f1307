package serve

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/audit"
	"tiercel/cmd/tiercel/internal/certs"
	"tiercel/cmd/tiercel/internal/config"
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

	base    context.Context // of the watches; ended by stop
	stop    context.CancelFunc
	watches sync.WaitGroup
}

// openSecrets reads the files; the error lists everything that is wrong with all of them.
func (s *serving) openSecrets() error {
	sec := &s.secrets
	sec.base, sec.stop = context.WithCancel(context.Background())
	var problems []error
	var err error
	if path := s.cfg.AuthTokens; path != "" {
		files := watch.Files(path)
		sec.tokens, err = tokens.Open(path)
		problems = append(problems, err)
		s.watch(files, "tokens", path, func() (string, error) {
			changes, err := sec.tokens.Reload()
			return changes.String(), err
		})
	}
	if s.cfg.TLSCert != "" {
		f := certFiles(s.cfg)
		files := watch.Files(f.Paths()...)
		sec.certs, err = certs.Open(f, time.Now)
		problems = append(problems, err)
		s.watch(files, "certificates", f.Cert, func() (string, error) { return "", sec.certs.Reload() })
	}
	if err := errors.Join(problems...); err != nil {
		return model.Errorf(model.CodeInvalidArgument, "read tokens and certificates", "%w", err)
	}
	return nil
}

// CheckFiles reads every file that the settings name, and lists what is wrong with all of
// them. Nothing is kept open.
func CheckFiles(cfg config.Server) error {
	_, err := readLicense(cfg.License)
	var coded *model.Error
	if errors.As(err, &coded) {
		err = errors.New(coded.Message)
	}
	problems := []error{err}
	if cfg.AuthTokens != "" {
		_, err = tokens.Open(cfg.AuthTokens)
		problems = append(problems, err)
	}
	if cfg.TLSCert != "" && cfg.TLSKey != "" { // one of them alone is told already
		_, err = certs.Open(certFiles(cfg), time.Now)
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func certFiles(cfg config.Server) certs.Files {
	return certs.Files{Cert: cfg.TLSCert, Key: cfg.TLSKey, CA: cfg.TLSCA, Clients: cfg.TLSClients == "require"}
}

// watch reads files again when they change, and on a hangup. Only where there is something
// to read again does a hangup no longer end the process. reload may say what it changed.
func (s *serving) watch(files *watch.Watch, what, path string, reload func() (changes string, err error)) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	s.secrets.watches.Go(func() {
		defer signal.Stop(hangup)
		select {
		case <-s.secretsRead:
			files.Run(s.secrets.base, lookEvery, hangup, func() {
				changes, err := reload()
				s.readAgain(what, path, changes, err)
			})
		case <-s.secrets.base.Done():
		}
	})
}

// readAgain tells what came of it. What cannot be used changes nothing.
func (s *serving) readAgain(what, path, changes string, err error) {
	a := httpapi.Action{At: time.Now().UTC(), Name: "node", Route: "reload " + what, Subject: path, Outcome: httpapi.Done, Detail: changes}
	if err != nil {
		s.log.Error("a file was changed and cannot be used; what was read before is in force", "path", path, "error", err)
		a.Outcome, a.Detail = string(model.CodeInvalidArgument), err.Error()
	} else {
		s.log.Info("a file was read again", "what", what, "path", path, "changes", changes)
	}
	s.secrets.audit.Write(a)
}

// openAudit opens the audit log and has it written.
func (s *serving) openAudit() {
	s.secrets.audit = audit.Open(s.cfg.DataDir, string(s.data.Dir.Identity().NodeID), s.log)
	s.secrets.watches.Go(func() { s.secrets.audit.Run(s.secrets.base, time.Now) })
}

// guard adds to the configuration of HTTP who is let in, and how.
func (s *serving) guard(cfg httpapi.Config) httpapi.Config {
	if s.secrets.tokens != nil {
		cfg.Tokens = s.secrets.tokens
	}
	if s.secrets.certs != nil {
		cfg.TLS = s.secrets.certs.HTTP()
	}
	cfg.Audit, cfg.Refused, cfg.Warnings = s.secrets.audit.Write, s.secrets.audit.Refuse, s.secretWarnings
	return cfg
}

// secretWarnings are for /cluster/status of this node.
func (s *serving) secretWarnings() []string {
	out := s.cfg.Warnings()
	if t := s.secrets.tokens; t != nil {
		out = append(out, t.Warnings()...)
	}
	if c := s.secrets.certs; c != nil {
		out = append(out, c.Warnings()...)
	}
	return append(out, s.secrets.audit.Warnings()...)
}

// closeSecrets ends the watches, then the audit log that they write to.
func (s *serving) closeSecrets() error {
	if s.secrets.stop != nil {
		s.secrets.stop()
		s.secrets.watches.Wait()
	}
	if s.secrets.audit == nil {
		return nil
	}
	return s.secrets.audit.Close()
}
