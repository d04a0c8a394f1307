package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/client/clienttest"
)

// What the API says by its own names is said by those of the command line.
func TestRefusals_NameVerbsAndFlags(t *testing.T) {
	c := newCLI(t)
	refusal := func(line string, status int, code, message string) {
		c.server.Say(line, clienttest.Answer{Status: status, Body: code, Message: message})
	}
	refusal("POST /cluster/workers/n-x/drain", 404, "not_found", "there is no worker n-x; /cluster/workers lists them")
	assert.Contains(t, c.run("drain", "n-x").stderr, "there is no worker n-x; 'tiercel workers' lists them")
	refusal("GET /cluster/jobs/7", 404, "not_found", "there is no job 7; /cluster/jobs lists them")
	assert.Contains(t, c.run("jobs", "7").stderr, "there is no job 7; 'tiercel jobs' lists them")
	refusal("GET /files", 404, "not_found", `there is no tenant "acme" for this token; leave X-Tenant-ID out, or use a token of that tenant`)
	assert.Contains(t, c.run("ls", "/", "--tenant", "acme").stderr, "leave --tenant (or TIERCEL_TENANT) out, or use a token of that tenant")

	const noWorker = "tiercel: --from \"n-x\" is no worker of this cluster; 'tiercel workers' lists them\n"
	for _, message := range []string{`there is no worker "n-x" to look from; /cluster/workers lists them`, `the worker "n-x" does not exist; /cluster/workers lists them`} {
		refusal("GET /cluster/placement/explain", 404, "not_found", message)
		o := c.run("explain", "/a", "--from", "n-x")
		assert.Equal(t, exitUsage, o.status)
		assert.True(t, strings.HasPrefix(o.stderr, noWorker), o.stderr)
	}
	refusal("GET /cluster/placement/explain", 404, "not_found", "there is no tenant")
	assert.Equal(t, exitFailed, c.run("explain", "/a", "--from", "n-x").status)
}

func TestExplain_ToATokenOfOneTenantSaysWhatItIsNotTold(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/placement/explain", said(`{"path":"/a","tier":1,"tier_reason":"asked for","copies":2,"min_copies":1,"workers":[],"choice":["n-1","n-2"],"open_volumes":[],"current":null}`))
	assert.Equal(t, `tier 1: asked for
copies 2 wanted, 1 at least

a new volume would go to n-1, n-2
the scores of the workers and the open volumes are not shown: how full and how busy they are
is the sum over all tenants, and the token given (--token, TIERCEL_TOKEN) is bound to one

there is no file at /a`, lines(c.must("explain", "/a")))
}

func TestExplain_SaysWhatASuspectIs(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/placement/explain", said(`{"path":"/a","tier":1,"workers":[{"worker_id":"n-1","refusal":"suspect","detail":"it did not open a volume in time"}],"current":null}`))
	assert.Contains(t, lines(c.must("explain", "/a")), "no: suspect, it did not open a volume in time; it gets nothing new for some seconds, until it has reported again")
}

func TestReleaseBrake_WhereNoneHoldsSaysSo(t *testing.T) {
	c := newCLI(t)
	for status, released := range map[string]bool{`{"storm_brake":{"engaged":false}}`: false, `{"storm_brake":{"engaged":true}}`: true, `{"storm_brake":{"engaged":null}}`: true, `{}`: true} {
		c.server.Say("GET /cluster/status", said(status))
		c.server.Say("POST /cluster/storm-brake/release", said(`{}`))
		before := c.server.Count("POST ")
		assert.Equal(t, !released, strings.HasPrefix(c.must("workers", "release-brake"), "no brake holds"), status)
		assert.Equal(t, released, c.server.Count("POST ") > before, status)
		var said struct{ Released bool }
		require.NoError(t, json.Unmarshal([]byte(c.must("workers", "release-brake", "-o", "json")), &said))
		assert.Equal(t, released, said.Released, status)
	}
}

func TestLicense_AFileThatIsNoneIsToldWithItsSize(t *testing.T) {
	c := newCLI(t)
	file := filepath.Join(t.TempDir(), "big")
	require.NoError(t, os.WriteFile(file, make([]byte, 3<<20), 0o600))
	for _, verb := range []string{"install", "verify"} {
		assert.Contains(t, c.run("license", verb, file).stderr, "big has 3145728 bytes; a licence has at most 4096")
	}
	c.stdin = strings.Repeat("x", 10_000)
	assert.Contains(t, c.run("license", "install", "-").stderr, "- has more than 4096 bytes")
	assert.Empty(t, c.server.Requests)
}

func TestLicense_VerifySaysNothingOfWorkersThatItCannotKnow(t *testing.T) {
	c := newCLI(t)
	text := c.must("license", "issue", "--level", "standard")
	file := filepath.Join(t.TempDir(), "l")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	var doc map[string]any
	require.NoError(t, json.Unmarshal([]byte(c.must("license", "verify", file, "-o", "json")), &doc))
	assert.NotContains(t, doc, "workers")
	assert.IsType(t, []any{}, doc["warnings"])
}
