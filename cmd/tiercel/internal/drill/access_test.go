package drill

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"tiercel/internal/procs"
)

// fortress is a cluster of three nodes under TLS and tokens, and what its operator has.
type fortress struct {
	t           *testing.T
	certs       string // directory of the authority and of all certificates
	tokens      string // file
	roots       *x509.CertPool
	admin       string
	acme, other string // read-write tokens of two tenants
	watcher     string // read-only token of the cluster
	// Of the tenant acme, too: who may only read, and its admin.
	reader, boss string
	*procs.Cluster
}

// cli runs a verb; env is NAME=value.
func (f *fortress) cli(env []string, args ...string) (stdout, stderr string, status int) {
	f.t.Helper()
	cmd := exec.Command(build(f.t), args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its status is looked at by the caller
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (f *fortress) must(args ...string) string {
	f.t.Helper()
	out, errs, status := f.cli(nil, args...)
	require.Zero(f.t, status, "%v: %s%s", args, out, errs)
	return strings.TrimSpace(out)
}

// as is the environment of somebody with a token who knows the authority.
func (f *fortress) as(token string, n *procs.Node) []string {
	return []string{"TIERCEL_TOKEN=" + token, "TIERCEL_TLS_CA=" + filepath.Join(f.certs, "ca.crt"), "TIERCEL_SERVER=" + n.Server()}
}

func (f *fortress) argsOf(name string) []string {
	return []string{
		"--tls-ca", filepath.Join(f.certs, "ca.crt"), "--tls-cert", filepath.Join(f.certs, name+".crt"), "--tls-key", filepath.Join(f.certs, name+".key"),
		"--auth-tokens", f.tokens,
	}
}

func newFortress(t *testing.T) *fortress {
	dir := t.TempDir()
	f := &fortress{t: t, certs: filepath.Join(dir, "certs"), tokens: filepath.Join(dir, "tokens.yaml"), roots: x509.NewCertPool()}
	f.must("certs", "init-ca", "--dir", f.certs)
	for i := range 3 {
		f.must("certs", "node", fmt.Sprintf("node-%d", i+1), "--dir", f.certs, "--names", "127.0.0.1")
	}
	ca, err := os.ReadFile(filepath.Join(f.certs, "ca.crt"))
	require.NoError(t, err)
	require.True(t, f.roots.AppendCertsFromPEM(ca))
	create := func(name, role string, bound ...string) string {
		return f.must(append([]string{"token", "create", "--file", f.tokens, "--name", name, "--role", role}, bound...)...)
	}
	f.admin, f.watcher = create("ops", "admin", "--cluster"), create("prometheus", "read-only", "--cluster")
	f.acme, f.other = create("trainer", "read-write", "--tenant", "acme"), create("guest", "read-write", "--tenant", "umbrella")
	f.reader, f.boss = create("reader", "read-only", "--tenant", "acme"), create("boss", "admin", "--tenant", "acme")
	f.Cluster, err = procs.Start(procs.Options{
		Binary: build(t), Dir: dir, Nodes: 3, Token: f.admin, TLS: &tls.Config{RootCAs: f.roots, MinVersion: tls.VersionTLS12},
		Args:   []string{"--heartbeat-interval", "500ms"},
		ArgsOf: func(number int) []string { return f.argsOf(fmt.Sprintf("node-%d", number)) },
	})
	require.NoError(t, err)
	t.Cleanup(f.Kill)
	return f
}

func TestAccess_AClusterUnderTLSAndTokensLetsInWhoMayAndNobodyElse(t *testing.T) {
	began := time.Now()
	f := newFortress(t)
	t.Logf("formed: %v", time.Since(began).Round(time.Millisecond))
	for _, part := range []struct {
		name string
		see  func()
	}{
		{"clients are let in by token and authority", f.clientsAreLetInByTokenAndAuthority},
		{"nobody speaks to a node without a certificate", f.nobodySpeaksToANodeWithoutACertificate},
		{"a node without a certificate of the cluster is kept out", f.aNodeWithoutACertificateOfTheClusterIsKeptOut},
		{"certificates are replaced while it runs", f.certificatesAreReplacedWhileItRuns},
		{"tokens are read again, and a bad file changes nothing", f.tokensAreReadAgainAndABadFileChangesNothing},
		{"management is in the audit log", f.managementIsInTheAuditLog},
		{"who was refused is in the audit log", f.whoWasRefusedIsInTheAuditLog},
	} {
		began = time.Now()
		part.see()
		t.Logf("%s: %v", part.name, time.Since(began).Round(time.Millisecond))
	}
	began = time.Now()
	require.NoError(t, f.Stop())
	t.Logf("stopped: %v", time.Since(began).Round(time.Millisecond))
}

func (f *fortress) clientsAreLetInByTokenAndAuthority() {
	t, first, last := f.t, f.Nodes[0], f.Nodes[2]
	src, dst := filepath.Join(t.TempDir(), "weights"), filepath.Join(t.TempDir(), "back")
	content := bytes.Repeat([]byte("weights "), 400_000)
	require.NoError(t, os.WriteFile(src, content, 0o600))
	for _, c := range []struct {
		name   string
		env    []string
		args   []string
		status int
		says   string
	}{
		{"stored by one node", f.as(f.acme, first), []string{"put", src, "/models/w"}, 0, ""},
		{"read from another", f.as(f.acme, last), []string{"get", "/models/w", dst}, 0, ""},
		{"no token", f.as("", first), []string{"get", "/models/w", "-"}, 1, "unauthenticated"},
		{"a token nobody made", f.as("tiercel_"+strings.Repeat("A", 43), first), []string{"ls", "/"}, 1, "not known to this node"},
		{"another tenant", f.as(f.other, first), []string{"rm", "/models/w"}, 1, "not_found"},
		{"another tenant by name", f.as(f.other, first), []string{"rm", "/models/w", "--tenant", "acme"}, 1, "not_found"},
		{"an admin by name", f.as(f.admin, first), []string{"ls", "/models/", "--tenant", "acme"}, 0, ""},
		{"reading only", f.as(f.watcher, first), []string{"put", src, "/models/x"}, 1, "permission_denied"},
		{"the cluster's state for a tenant", f.as(f.acme, first), []string{"status"}, 1, "permission_denied"},
		{"the cluster's state", f.as(f.watcher, first), []string{"status"}, 0, ""},
		{"an authority that is not known", append(f.as(f.acme, first), "TIERCEL_TLS_CA="), []string{"ls", "/"}, 1, "not trusted"},
		{"without TLS", append(f.as(f.acme, first), "TIERCEL_SERVER=http://"+first.HTTP), []string{"ls", "/"}, 1, "use https://"},
	} {
		out, errs, status := f.cli(c.env, c.args...)
		assert.Equal(t, c.status, status, "%s: %s%s", c.name, out, errs)
		assert.Contains(t, errs, c.says, c.name)
	}
	back, err := os.ReadFile(dst)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(content, back))
}

func (f *fortress) nobodySpeaksToANodeWithoutACertificate() {
	foreign, err := tls.LoadX509KeyPair(f.foreignCertificate())
	require.NoError(f.t, err)
	f.must("certs", "client", "laptop", "--dir", f.certs)
	laptop, err := tls.LoadX509KeyPair(filepath.Join(f.certs, "laptop.crt"), filepath.Join(f.certs, "laptop.key"))
	require.NoError(f.t, err)
	for name, secret := range map[string]credentials.TransportCredentials{
		"plain": insecure.NewCredentials(), "no certificate": credentials.NewTLS(&tls.Config{RootCAs: f.roots, MinVersion: tls.VersionTLS13}),
		"of a client":          credentials.NewTLS(&tls.Config{RootCAs: f.roots, Certificates: []tls.Certificate{laptop}, MinVersion: tls.VersionTLS13}),
		"of another authority": credentials.NewTLS(&tls.Config{RootCAs: f.roots, Certificates: []tls.Certificate{foreign}, MinVersion: tls.VersionTLS13}),
	} {
		conn, err := grpc.NewClient(f.Nodes[0].RPC, grpc.WithTransportCredentials(secret))
		require.NoError(f.t, err)
		_, err = remote.NewRemotingClient(conn).ListProcesses(f.t.Context(), &remote.ListProcessesRequest{})
		assert.Equal(f.t, codes.Unavailable, status.Code(err), "%s: %v", name, err)
		assert.NoError(f.t, conn.Close())
	}
}

// foreignCertificate is one of an authority that is not the cluster's.
func (f *fortress) foreignCertificate() (cert, key string) {
	dir := f.certs + "-foreign"
	if _, err := os.Stat(dir); err != nil {
		f.must("certs", "init-ca", "--dir", dir)
		f.must("certs", "node", "intruder", "--dir", dir, "--names", "127.0.0.1")
	}
	return filepath.Join(dir, "intruder.crt"), filepath.Join(dir, "intruder.key")
}

func (f *fortress) aNodeWithoutACertificateOfTheClusterIsKeptOut() {
	cert, key := f.foreignCertificate()
	for name, args := range map[string][]string{
		"without a certificate": nil,
		"of another cluster":    {"--tls-ca", filepath.Join(filepath.Dir(cert), "ca.crt"), "--tls-cert", cert, "--tls-key", key},
	} {
		args = append([]string{"server", "--data-dir", f.t.TempDir(), "--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0", "--join", f.Nodes[0].RPC}, args...)
		cmd := exec.Command(build(f.t), args...)
		var out bytes.Buffer
		cmd.Stdout = &out
		require.NoError(f.t, cmd.Start())
		f.t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			assert.Empty(f.t, out.String(), "%s: it is not ready", name)
		})
	}
	// One that claims a certificate of ours does not even start with a foreign one.
	_, errs, status := f.cli(nil, "server", "--data-dir", f.t.TempDir(), "--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0",
		"--tls-ca", filepath.Join(f.certs, "ca.crt"), "--tls-cert", cert, "--tls-key", key)
	assert.Equal(f.t, 2, status)
	assert.Contains(f.t, errs, "other nodes would refuse it")
}

// workers is how many the cluster has.
func (f *fortress) workers() int {
	var list struct{ Workers []struct{} }
	require.NoError(f.t, f.Get(f.Nodes[0], "/cluster/workers", &list))
	return len(list.Workers)
}

func (f *fortress) certificatesAreReplacedWhileItRuns() {
	t, second := f.t, f.Nodes[1]
	shown := func() string {
		conn, err := tls.Dial("tcp", second.HTTP, &tls.Config{RootCAs: f.roots, MinVersion: tls.VersionTLS12})
		require.NoError(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := shown()
	for i := range 3 {
		f.must("certs", "node", fmt.Sprintf("node-%d", i+1), "--dir", f.certs, "--names", "127.0.0.1", "--replace")
	}
	require.True(t, procs.Until(procs.Patience, func() bool { return shown() != before }), "%s", f.Logs(20))
	// New connections between nodes, either way.
	require.NoError(t, f.Nodes[2].Stop(procs.Patience))
	require.NoError(t, f.Nodes[2].Start())
	require.NoError(t, f.WaitFormed(procs.Patience), "%s", f.Logs(20))
	assert.Equal(t, 3, f.workers(), "those that were kept out have not joined meanwhile")
}

func (f *fortress) tokensAreReadAgainAndABadFileChangesNothing() {
	t, first := f.t, f.Nodes[0]
	lets := func(token string) bool { _, _, status := f.cli(f.as(token, first), "ls", "/"); return status == 0 }
	warned := func() bool {
		out, _, _ := f.cli(f.as(f.watcher, first), "status", "--output", "json")
		return strings.Contains(out, "token file on disk cannot be used")
	}
	good, err := os.ReadFile(f.tokens)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.tokens, append(bytes.Clone(good), "  - {name: oops}\n"...), 0o600))
	require.True(t, procs.Until(procs.Patience, warned), "%s", f.Logs(20))
	assert.True(t, lets(f.acme), "the tokens read before are in force")
	require.NoError(t, os.WriteFile(f.tokens, good, 0o600))
	require.True(t, procs.Until(procs.Patience, func() bool { return !warned() }))
	f.must("token", "revoke", "guest", "--file", f.tokens)
	first.Hangup()
	require.True(t, procs.Until(procs.Patience, func() bool { return !lets(f.other) }), "%s", f.Logs(20))
	assert.True(t, lets(f.acme))

	_, errs, status := f.cli(nil, "server", "--data-dir", t.TempDir(), "--http", "127.0.0.1:0", "--rpc", "127.0.0.1:0", "--auth-tokens", filepath.Join(f.certs, "ca.crt"))
	assert.Equal(t, 2, status)
	assert.Contains(t, errs, "auth-tokens")
}

func TestAccess_AServerThatAsksClientsForCertificatesServesNobodyWithout(t *testing.T) {
	f := &fortress{t: t, certs: t.TempDir()}
	f.must("certs", "init-ca", "--dir", f.certs)
	f.must("certs", "node", "node-1", "--dir", f.certs)
	f.must("certs", "client", "laptop", "--dir", f.certs)
	file := func(name string) string { return filepath.Join(f.certs, name) }
	require.NoError(t, os.Chmod(file("node-1.key"), 0o644))
	s := start(t, t.TempDir(), "--tls-ca", file("ca.crt"), "--tls-cert", file("node-1.crt"), "--tls-key", file("node-1.key"), "--tls-client-auth", "require")
	warned := "anybody on this machine can read the key " + file("node-1.key")
	assert.True(t, procs.Until(procs.Patience, func() bool { return strings.Contains(s.logs.String(), warned) }), "whoever starts it is told: %s", s.logs)
	address := strings.TrimSuffix(strings.TrimPrefix(s.base, "http://"), "/api/v1/storage")
	env := []string{"TIERCEL_SERVER=https://" + address, "TIERCEL_TLS_CA=" + file("ca.crt")}
	stdout, errs, status := f.cli(append(env, "TIERCEL_TLS_CERT="+file("laptop.crt"), "TIERCEL_TLS_KEY="+file("laptop.key")), "workers")
	assert.Zero(t, status, errs)
	assert.Contains(t, stdout, "healthy")
	_, errs, status = f.cli(env, "workers")
	assert.Equal(t, 1, status)
	assert.Contains(t, errs, "see --tls-cert and --tls-key")
}

func TestAccess_ALocalClusterUnderTLSIsUsedAsItSays(t *testing.T) {
	dir := t.TempDir()
	f := &fortress{t: t}
	for range 2 { // the same command starts the same cluster again
		cmd := exec.Command(build(t), "dev", "--nodes", "3", "--tls", "--data-dir", dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		said := bufio.NewScanner(out)
		var server string
		for server == "" && said.Scan() {
			if url, ok := strings.CutPrefix(strings.TrimSpace(said.Text()), "export TIERCEL_SERVER="); ok {
				server = url
			}
		}
		require.NotEmpty(t, server, "it is up")
		go func() { _, _ = io.Copy(io.Discard, out) }()
		token, err := os.ReadFile(filepath.Join(dir, "admin.token"))
		require.NoError(t, err)
		env := []string{"TIERCEL_SERVER=" + server, "TIERCEL_TLS_CA=" + filepath.Join(dir, "certs", "ca.crt"), "TIERCEL_TOKEN=" + strings.TrimSpace(string(token))}
		stdout, errs, status := f.cli(env, "workers")
		assert.Zero(t, status, errs)
		assert.Contains(t, stdout, "healthy")
		_, errs, status = f.cli(env[:2], "workers")
		assert.Equal(t, 1, status)
		assert.Contains(t, errs, "unauthenticated")
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		assert.NoError(t, cmd.Wait())
	}
}

func (f *fortress) managementIsInTheAuditLog() {
	t, first := f.t, f.Nodes[0]
	_, errs, status := f.cli(f.as(f.admin, first), "scrub")
	require.Zero(t, status, errs)
	_, _, status = f.cli(f.as(f.watcher, first), "scrub")
	require.Equal(t, 1, status)
	text, err := os.ReadFile(filepath.Join(first.Dir(), "audit", "audit.log"))
	require.NoError(t, err)
	for _, line := range []string{
		`"token":"ops","role":"admin",.*"route":"/api/v1/storage/cluster/scrub",.*"outcome":"done","status":202`,
		`"token":"prometheus","role":"read-only",.*"route":"/api/v1/storage/cluster/scrub",.*"outcome":"permission_denied","status":403`,
		`"token":"node","route":"reload tokens",.*"outcome":"invalid_argument","detail":".*oops`,
		`"token":"node","route":"reload certificates",.*"outcome":"done"`,
	} {
		assert.Regexp(t, line, string(text))
	}
	for _, secret := range []string{f.admin, f.watcher, f.acme} {
		assert.NotContains(t, string(text)+f.Logs(10_000), secret, "no token is ever written down")
	}
}

// Of what the parts above were refused by the first node; the log is read as its operator
// would, with the node running.
func (f *fortress) whoWasRefusedIsInTheAuditLog() {
	t, first := f.t, f.Nodes[0]
	type line struct {
		Node, Token, Role, Tenant, Remote, Method, Route, Outcome, Detail string
		Status                                                            int
	}
	show := func(args ...string) (lines []line, text string) {
		text = f.must(append([]string{"audit", "--data-dir", first.Dir(), "--limit", "0", "--output", "json"}, args...)...)
		var all struct{ Lines []line }
		require.NoError(t, json.Unmarshal([]byte(text), &all))
		return all.Lines, text
	}
	const files, api = "/api/v1/storage/files/{path}", "/api/v1/storage"
	_, _, status := f.cli(f.as("tiercel_"+strings.Repeat("B", 43), first), "ls", "/")
	require.Equal(t, 1, status)
	for name, want := range map[string]func(line) bool{
		"a token that nobody made, or that was revoked": func(l line) bool {
			return l.Status == 401 && l.Outcome == "unauthenticated" && l.Token == "" && strings.HasPrefix(l.Remote, "127.0.0.1:")
		},
		"who may only watch and stored a file": func(l line) bool {
			return l.Status == 403 && l.Token == "prometheus" && l.Method == "PUT" && l.Route == files && l.Outcome == "permission_denied"
		},
		"a tenant that asked for the state of the cluster": func(l line) bool {
			return l.Status == 403 && l.Token == "trainer" && l.Tenant == "acme" && l.Route == api+"/cluster/status"
		},
		"a tenant that asked for another one": func(l line) bool {
			return l.Status == 404 && l.Token == "guest" && strings.Contains(l.Detail, `"acme"`)
		},
		"which token was revoked": func(l line) bool {
			return l.Token == "node" && l.Route == "reload tokens" && l.Outcome == "done" && l.Detail == "revoked guest"
		},
	} {
		there := func() bool {
			lines, _ := show()
			return slices.ContainsFunc(lines, func(l line) bool { return l.Node != "" && want(l) })
		}
		assert.True(t, procs.Until(procs.Patience, there), "%s is not in the audit log", name)
	}
	_, text := show()
	for _, secret := range []string{f.admin, f.watcher, f.acme, f.other, "BBBBBBBB"} {
		assert.NotContains(t, text, secret, "no token is ever written down")
	}
	assert.Contains(t, f.must("audit", "--data-dir", first.Dir(), "--outcome", "unauthenticated"), "unauthenticated")
}
