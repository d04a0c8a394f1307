package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"tiercel/cluster/model"
)

// warnBefore is how long before its end a certificate is warned of.
const warnBefore = 21 * 24 * time.Hour

// Files says where the certificates of a node are. Without CA there is none for other
// nodes, only one for HTTP.
type Files struct {
	Cert, Key, CA string
	// Clients: those of HTTP show a certificate of CA, too.
	Clients bool
}

// Paths lists the files that are named.
func (f Files) Paths() []string {
	return slices.DeleteFunc([]string{f.Cert, f.Key, f.CA}, func(path string) bool { return path == "" })
}

// loaded is one reading of the files; it never changes.
type loaded struct {
	cert  tls.Certificate
	roots *x509.CertPool // nil without CA
}

// Live holds what was last read and could be used. It is for any goroutine.
type Live struct {
	files   Files
	now     func() time.Time
	current atomic.Pointer[loaded]
	problem atomic.Pointer[string]
}

// Open reads the files; the error lists all that is wrong with them.
func Open(files Files, now func() time.Time) (*Live, error) {
	l := &Live{files: files, now: now}
	read, problems := load(files, now())
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	l.current.Store(read)
	return l, nil
}

// Reload reads the files again. On an error what was in force stays.
func (l *Live) Reload() error {
	read, problems := load(l.files, l.now())
	if len(problems) > 0 {
		err := errors.Join(problems...)
		text := err.Error()
		l.problem.Store(&text)
		return err
	}
	l.current.Store(read)
	l.problem.Store(nil)
	return nil
}

// Warnings says what an operator should know of the certificates in force.
func (l *Live) Warnings() []string {
	var out []string
	if p := l.problem.Load(); p != nil {
		out = append(out, "the certificate files on disk cannot be used, and the ones read before are in force: "+*p)
	}
	if info, err := os.Stat(l.files.Key); err == nil && info.Mode().Perm()&0o004 != 0 {
		out = append(out, fmt.Sprintf("anybody on this machine can read the key %s (%#o) and be this node with it; chmod o-r it", l.files.Key, info.Mode().Perm()))
	}
	leaf := l.current.Load().cert.Leaf
	switch left := leaf.NotAfter.Sub(l.now()); {
	case left <= 0:
		out = append(out, fmt.Sprintf("the certificate of this node has expired at %s; replace %s and %s", leaf.NotAfter.UTC().Format(time.RFC3339), l.files.Cert, l.files.Key))
	case left < warnBefore:
		out = append(out, fmt.Sprintf("the certificate of this node expires at %s; replace %s and %s before", leaf.NotAfter.UTC().Format(time.RFC3339), l.files.Cert, l.files.Key))
	}
	return out
}

// load reads and checks the files.
func load(files Files, now time.Time) (*loaded, []error) {
	var problems []error
	read := &loaded{}
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		problems = append(problems, fmt.Errorf("tls-cert %s and tls-key %s: %w", files.Cert, files.Key, err))
	}
	if files.CA != "" {
		if read.roots, err = Authorities(files.CA); err != nil {
			problems = append(problems, fmt.Errorf("tls-ca %s: %w", files.CA, err))
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	read.cert = cert
	return read, read.check(files, now)
}

// ReadPair reads a certificate with its key, for a client.
func ReadPair(pair Pair) (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, model.Errorf(model.CodeInvalidArgument, "read a certificate", "%s and %s cannot be used: %w", pair.Cert, pair.Key, err)
	}
	return &cert, nil
}

// Authorities reads the certificates that a file holds.
func Authorities(path string) (*x509.CertPool, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, model.Errorf(model.CodeInvalidArgument, "read a certificate", "%s holds no certificate in PEM form", path)
	}
	return pool, nil
}

// check finds out now what the other nodes would say of the certificate.
func (l *loaded) check(files Files, now time.Time) (problems []error) {
	leaf := l.cert.Leaf
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return []error{fmt.Errorf("tls-cert %s: it is valid from %s to %s, and now it is %s; make another one with 'tiercel certs node', or set the clock",
			files.Cert, leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))}
	}
	if l.roots == nil {
		return nil
	}
	between := x509.NewCertPool()
	for _, der := range l.cert.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: l.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			problems = append(problems, fmt.Errorf("tls-cert %s: other nodes would refuse it as a certificate of tls-ca %s: %w", files.Cert, files.CA, err))
			break
		}
	}
	if err := checkMark(leaf); err != nil {
		problems = append(problems, fmt.Errorf("tls-cert %s: %w", files.Cert, err))
	}
	return problems
}

// checkMark refuses a certificate that is not a node's.
func checkMark(leaf *x509.Certificate) error {
	for _, uri := range leaf.URIs {
		if uri.String() == NodeURI {
			return nil
		}
	}
	return fmt.Errorf("%q is not the certificate of a node: it lacks the alternative name URI:%s that 'tiercel certs node' gives", leaf.Subject.CommonName, NodeURI)
}

// verifyNode implements tls.Config.VerifyConnection, after the chain was verified.
func verifyNode(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return model.Errorf(model.CodeUnauthenticated, "verify a peer", "it has no certificate")
	}
	return checkMark(state.PeerCertificates[0])
}

// HTTP is for the API: TLS 1.2 and later, with forward secrecy and authenticated
// encryption only, and whichever certificate is in force when a client comes.
func (l *Live) HTTP() *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert := l.current.Load().cert
			return &cert, nil
		},
	}
	if !l.files.Clients {
		return config
	}
	strict := config.Clone()
	strict.ClientAuth = tls.RequireAndVerifyClientCert
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := strict.Clone()
		now.ClientCAs = l.current.Load().roots
		return now, nil
	}
	return config
}

// Nodes returns the settings of connections between nodes, either way, as they are now;
// nil without CA, and of nothing. The servers of this project are the only ones there, so TLS 1.3 it is.
func (l *Live) Nodes() func() *tls.Config {
	if l == nil || l.files.CA == "" {
		return nil
	}
	return func() *tls.Config {
		now := l.current.Load()
		return &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{now.cert}, RootCAs: now.roots, ClientCAs: now.roots,
			ClientAuth: tls.RequireAndVerifyClientCert, VerifyConnection: verifyNode,
		}
	}
}
