package dev

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tiercel/cluster/access"
	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/certs"
	"tiercel/cmd/tiercel/internal/tokens"
)

// secured are the files of a local cluster under TLS and tokens. They are made once, and
// used again by later runs on the same directory.
type secured struct {
	certs  string // directory
	tokens string // of the servers
	admin  string // a file with one token, for the person at the terminal
}

// secure makes what is not there yet for n nodes.
func secure(dir string, n int) (*secured, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &secured{certs: filepath.Join(dir, "certs"), tokens: filepath.Join(dir, "tokens.yaml"), admin: filepath.Join(dir, "admin.token")}
	now := time.Now()
	if _, err := certs.InitCA(s.certs, now); err != nil && model.CodeOf(err) != model.CodeConflict {
		return nil, err
	}
	for i := range n {
		_, err := certs.Issue(certs.Request{Dir: s.certs, Name: nodeName(i), Names: []string{"127.0.0.1", "localhost"}, Days: certs.NodeDays}, now)
		if err != nil && model.CodeOf(err) != model.CodeConflict {
			return nil, err
		}
	}
	return s, s.admit()
}

// admit makes the token of the person at the terminal, and lets it in. Its own file comes
// first: what a start that was cut short has left behind, the next one finishes.
func (s *secured) admit() error {
	const op = "start local cluster"
	_, err := os.Stat(s.tokens)
	known := err == nil
	text, err := os.ReadFile(s.admin)
	switch {
	case known && err == nil:
		return nil
	case known && errors.Is(err, os.ErrNotExist):
		return model.Errorf(model.CodeConflict, op, "%s is gone, and %s knows no secret, only its hash: "+
			"'tiercel token create --file %[2]s --name me --role admin' prints another one, to be written to %[1]s", s.admin, s.tokens)
	case errors.Is(err, os.ErrNotExist):
		secret, err := access.NewSecret(rand.Reader)
		if err != nil {
			return err
		}
		text = []byte(secret + "\n")
		if err := os.WriteFile(s.admin, text, 0o600); err != nil {
			return model.Errorf(model.CodeUnavailable, op, "%s cannot be written: %w", s.admin, err)
		}
	case err != nil:
		return model.Errorf(model.CodeUnavailable, op, "%s cannot be read: %w", s.admin, err)
	}
	hash, err := access.HashOf(strings.TrimSpace(string(text)))
	if err != nil {
		return model.Errorf(model.CodeInvalidArgument, op, "%s holds no token; remove it, and another one is made: %w", s.admin, err)
	}
	return tokens.Add(s.tokens, access.Entry{Name: "admin", Hash: hash, Role: model.RoleAdmin, Cluster: true})
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i+1) }

// args are the flags of the i-th node.
func (s *secured) args(i int) []string {
	pair := certs.PairOf(s.certs, nodeName(i))
	return []string{"--auth-tokens", s.tokens, "--tls-cert", pair.Cert, "--tls-key", pair.Key, "--tls-ca", s.ca()}
}

func (s *secured) ca() string { return filepath.Join(s.certs, "ca.crt") }

// environment tells a shell how to be let in, and curl is the same for curl.
func (s *secured) environment() string {
	return fmt.Sprintf("\n  export TIERCEL_TLS_CA=%s\n  export TIERCEL_TOKEN=$(cat %s)", s.ca(), s.admin)
}

// more says how others than the admin are let in.
func (s *secured) more() string {
	return fmt.Sprintf(`
The tokens that all nodes know are in %[1]s; make, see and revoke others:

  tiercel token create --file %[1]s --name me --role read-write --tenant acme
  tiercel token list --file %[1]s
  tiercel token revoke me --file %[1]s
`, s.tokens)
}

func (s *secured) curl() string {
	return `--cacert $TIERCEL_TLS_CA -H "Authorization: Bearer $TIERCEL_TOKEN" `
}
