package config

import (
	"errors"
	"fmt"
	"strings"
)

func parsePath(dst *string, v string) error {
	if strings.ContainsRune(v, 0) {
		return errors.New("must not contain a NUL byte")
	}
	*dst = v
	return nil
}

// checkAccess finds settings of access that make no sense without others.
func checkAccess(s *Server) []error {
	var problems []error
	if (s.TLSCert == "") != (s.TLSKey == "") {
		problems = append(problems, errors.New("tls-cert and tls-key: give both or none; 'tiercel certs node' makes them"))
	}
	if s.TLSCA != "" && s.TLSCert == "" && s.TLSKey == "" {
		problems = append(problems, errors.New("tls-ca: other nodes want to see a certificate of this one; give --tls-cert and --tls-key, made by 'tiercel certs node'"))
	}
	if s.TLSClients == "require" && s.TLSCA == "" {
		problems = append(problems, errors.New("tls-client-auth: require needs --tls-ca, the authority of the clients' certificates"))
	}
	return append(problems, checkExposure(s)...)
}

// What is missing, and how to get it.
const (
	lacksTokens = "authentication (--auth-tokens FILE, made by 'tiercel token create')"
	lacksTLS    = "TLS (--tls-cert and --tls-key FILE, made by 'tiercel certs init-ca' and 'tiercel certs node')"
	lacksMutual = "mutual TLS (--tls-cert, --tls-key and --tls-ca FILE, made by 'tiercel certs init-ca' and 'tiercel certs node')"
)

// checkExposure applies the rule that nothing is served beyond loopback without both
// authentication and TLS unless the operator says so. Between nodes the certificate is
// the authentication.
func checkExposure(s *Server) []error {
	if s.Insecure {
		return nil
	}
	var http, rpc []string
	if s.AuthTokens == "" {
		http = append(http, lacksTokens)
	}
	if s.TLSCert == "" {
		http = append(http, lacksTLS)
	}
	if s.TLSCA == "" || s.TLSCert == "" {
		rpc = append(rpc, lacksMutual)
	}
	var problems []error
	for _, l := range []struct {
		name, address string
		lacks         []string
	}{{"http", s.HTTP, http}, {"rpc", s.RPC, rpc}} {
		host, _, err := splitAddress(l.address)
		if err != nil || isLoopback(host) || len(l.lacks) == 0 {
			continue
		}
		problems = append(problems, fmt.Errorf("%s: %s can be reached from other machines, without %s; add what is missing, listen on 127.0.0.1, "+
			"or add --insecure if this network is trusted", l.name, l.address, strings.Join(l.lacks, " and without ")))
	}
	return problems
}

// Warnings are what an operator should know of who may speak to the node, as long as it
// runs with these settings.
func (s *Server) Warnings() []string {
	var out []string
	if missing := s.Exposed(); s.Insecure && missing != "" {
		out = append(out, "other machines can reach this node unprotected, as --insecure allows: "+missing)
	}
	if host, _, err := splitAddress(s.RPC); err == nil && isLoopback(host) && s.AuthTokens != "" && (s.TLSCA == "" || s.TLSCert == "") {
		out = append(out, "tokens guard --http only: every process of this machine can speak to --rpc as if it were a node, without a token; "+
			"to keep them out, add "+lacksMutual)
	}
	return out
}

// Exposed names what --insecure leaves out on a listener that other machines reach; empty: nothing.
func (s *Server) Exposed() string {
	bare := *s
	bare.Insecure = false
	var out []string
	for _, err := range checkExposure(&bare) {
		out = append(out, err.Error())
	}
	return strings.Join(out, "; ")
}
