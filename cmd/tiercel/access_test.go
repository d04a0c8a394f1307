package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/tokens"
)

func TestToken_IsShownOnceKeptAsAHashAndRevoked(t *testing.T) {
	c := newCLI(t)
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	o := c.run("token", "create", "--file", file, "--name", "ops", "--role", "admin", "--cluster")
	require.Equal(t, exitDone, o.status, o.stderr)
	assert.Regexp(t, `^tiercel_[A-Za-z0-9_-]{43}\n$`, o.stdout, "nothing but the token, so that a shell can take it")
	assert.Contains(t, o.stderr, "it is not shown again")
	ops := strings.TrimSpace(o.stdout)

	var made struct{ Token, Tenant string }
	require.NoError(t, json.Unmarshal([]byte(c.must("token", "create", "--file", file, "--name", "ci", "--role", "read-only", "--tenant", "acme", "--expires", "90d", "-o", "json")), &made))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(text), ops)
	assert.NotContains(t, string(text), made.Token)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	live, err := tokens.Open(file)
	require.NoError(t, err)
	who, err := live.Identify(made.Token, time.Now())
	require.NoError(t, err)
	assert.Equal(t, model.Principal{Name: "ci", Role: model.RoleReadOnly, Tenant: "acme"}, *who)
	_, err = live.Identify(made.Token, time.Now().AddDate(0, 0, 91))
	assert.ErrorContains(t, err, "has expired")

	list := c.must("token", "list", "--file", file)
	assert.Regexp(t, `ops +admin +the cluster +never\n`, list)
	assert.Regexp(t, `ci +read-only +tenant acme +20\d\d-`, list)
	c.stdin = ops + "\n"
	assert.Contains(t, string(text), strings.TrimSpace(c.must("token", "hash")))

	o = c.run("token", "create", "--file", file, "--name", "ops", "--role", "admin", "--cluster")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, `has a token "ops" already; give the new one another name, or replace it: 'tiercel token revoke ops --file `+file+"'")
	assert.Empty(t, o.stdout, "a token that is in no file is not shown")
	for say, args := range map[string][]string{
		"--name":              {"--role", "admin", "--cluster"},
		"either --tenant":     {"--name", "x", "--role", "read-only"},
		"or --cluster":        {"--name", "x", "--role", "admin", "--cluster", "--tenant", "acme"},
		"choose another":      {"--name", "node", "--role", "admin", "--cluster"},
		"one of read-only":    {"--name", "x", "--role", "root", "--cluster"},
		"a caller without a ": {"--name", "anybody", "--role", "admin", "--cluster"},
	} {
		o = c.run(append([]string{"token", "create", "--file", file}, args...)...)
		assert.Equal(t, exitUsage, o.status, "%v", args)
		assert.Contains(t, o.stderr, say)
	}

	o = c.run("token", "revoke", "ops", "--file", file)
	assert.Equal(t, exitDone, o.status)
	assert.Equal(t, "revoked ops in "+file+"\n", o.stdout)
	assert.Contains(t, o.stderr, "'tiercel token list --file "+file+"'")
	_, err = live.Reload()
	require.NoError(t, err)
	_, err = live.Identify(ops, time.Now())
	assert.Equal(t, model.CodeUnauthenticated, model.CodeOf(err))
	assert.Equal(t, exitFailed, c.run("token", "revoke", "ops", "--file", file).status)
	assert.Equal(t, exitFailed, c.run("token", "list", "--file", file+".gone").status)
}

// It is let in as before, and whoever makes or lists it is told how far that goes.
func TestToken_AnAdminOfATenantIsToldToManageNothing(t *testing.T) {
	c := newCLI(t)
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	const says = "tiercel: note: boss: bound to a tenant, an admin may do what read-write may and no more"
	o := c.run("token", "create", "--file", file, "--name", "boss", "--role", "admin", "--tenant", "acme")
	require.Equal(t, exitDone, o.status, o.stderr)
	assert.Contains(t, o.stderr, says)
	assert.Regexp(t, `^tiercel_[A-Za-z0-9_-]{43}\n$`, o.stdout, "nothing but the token")
	live, err := tokens.Open(file)
	require.NoError(t, err)
	who, err := live.Identify(strings.TrimSpace(o.stdout), time.Now())
	require.NoError(t, err)
	assert.Equal(t, model.Principal{Name: "boss", Role: model.RoleAdmin, Tenant: "acme"}, *who)

	o = c.run("token", "list", "--file", file)
	assert.Contains(t, o.stderr, says)
	assert.Contains(t, c.must("token", "list", "--file", file, "-o", "json"), `"remark":"bound to a tenant,`)
	for name, bound := range map[string][]string{"ops": {"--role", "admin", "--cluster"}, "ci": {"--role", "read-write", "--tenant", "acme"}} {
		o = c.run(append([]string{"token", "create", "--file", file, "--name", name}, bound...)...)
		assert.NotContains(t, o.stderr, "note:", name)
	}
	for _, verb := range [][]string{{"token"}, {"token", "create"}} {
		assert.Contains(t, c.must(append(verb, "--help")...), "read-write", verb)
	}
}

func TestCerts_MakesAnAuthorityAndNodesAndOverwritesNothing(t *testing.T) {
	c := newCLI(t)
	dir := filepath.Join(t.TempDir(), "certs")
	o := c.run("certs", "node", "n-1", "--dir", dir)
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "certs init-ca")
	assert.Equal(t, filepath.Join(dir, "ca.crt")+"\n"+filepath.Join(dir, "ca.key")+"\n", c.must("certs", "init-ca", "--dir", dir))
	c.must("certs", "node", "n-1", "--dir", dir)
	before := map[string]string{}
	for _, name := range []string{"ca.crt", "ca.key", "n-1.crt", "n-1.key"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		before[name] = string(text)
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		if strings.HasSuffix(name, ".key") {
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
		}
	}
	for _, again := range [][]string{{"certs", "init-ca", "--dir", dir}, {"certs", "node", "n-1", "--dir", dir}} {
		o := c.run(again...)
		assert.Equal(t, exitFailed, o.status)
		assert.Contains(t, o.stderr, "is there already and is not overwritten")
	}
	for name, text := range before {
		now, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, text, string(now), name)
	}
	c.must("certs", "node", "n-1", "--dir", dir, "--replace")
	now, err := os.ReadFile(filepath.Join(dir, "n-1.key"))
	require.NoError(t, err)
	assert.NotEqual(t, before["n-1.key"], string(now))
}

func TestVerbs_SendTheTokenAndTheFlagWinsOverTheEnvironment(t *testing.T) {
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	c := &cli{t: t, environ: []string{"TIERCEL_SERVER=" + server.URL}}
	assert.Equal(t, exitFailed, c.run("status").status)
	c.environ = append(c.environ, "TIERCEL_TOKEN=from-environment\n")
	c.run("status")
	c.run("status", "--token", "from-flag")
	for _, impossible := range []string{"ab\ncd", "a b", "a\x00b", "tiercel_ä"} {
		o := c.run("status", "--token", impossible)
		assert.Equal(t, exitUsage, o.status, "%q: %s", impossible, o.stderr)
		assert.Contains(t, o.stderr, "can be in no token")
	}
	assert.Equal(t, []string{"", "Bearer from-environment", "Bearer from-flag"}, sent, "once each: who is not let in does not ask again")
}

func TestToken_IsInClearOnlyWhereItLeavesTheMachineWithoutTLS(t *testing.T) {
	for server, want := range map[string]bool{
		"http://127.0.0.1:8880": false, "http://[::1]:8880": false, "http://localhost:8880": false, "https://10.0.0.1:8880": false,
		"http://10.0.0.1:8880": true, "http://node-1.example:8880": true, "10.0.0.1:8880": true, "127.0.0.1:8880": false,
	} {
		assert.Equal(t, want, inClear(server), server)
	}
}

func TestToken_InTheClearToAnotherMachineIsWarnedOf(t *testing.T) {
	for server, warned := range map[string]bool{
		"http://192.0.2.1:1": true, "192.0.2.1:1": true, "http://storage.example:1": true,
		"https://192.0.2.1:1": false, "http://127.0.0.1:1": false, "http://[::1]:1": false, "http://localhost:1": false,
	} {
		for _, how := range []string{"--token", "TIERCEL_TOKEN"} {
			for _, quiet := range []bool{false, true} {
				var environ []string
				args := []string{"quota", "list", "--server", server, "--timeout", "1ms"}
				if how == "--token" {
					args = append(args, "--token", "x")
				} else {
					environ = []string{"TIERCEL_TOKEN=x"}
				}
				if quiet {
					args = append(args, "--quiet")
				}
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				var stdout, stderr bytes.Buffer
				(&app{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, environ: environ}).run(ctx, args)
				cancel()
				assert.Equal(t, warned && !quiet, strings.Contains(stderr.String(), "without TLS, and others on the way can read it"), "%s by %s: %s", server, how, stderr.String())
				assert.Empty(t, stdout.String())
			}
		}
	}
}
