package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/audit"
	"tiercel/httpapi"
)

const someAPI = "/api/v1/storage"

// someLog is the data directory of a node with an audit log.
func someLog(t *testing.T, node string) string {
	t.Helper()
	dir := t.TempDir()
	now := time.Now()
	l := audit.Open(dir, node, slog.New(slog.DiscardHandler))
	l.Write(httpapi.Action{At: now.Add(-48 * time.Hour), Name: "ops", Role: "admin", Remote: "10.0.0.7:4711", Method: "PUT", Route: someAPI + "/cluster/config", Subject: someAPI + "/cluster/config", Body: "{\"a\":\x1b[31m1}", Outcome: httpapi.Done, Status: 200})
	l.Write(httpapi.Action{At: now.Add(-time.Minute), Name: "node", Route: "reload tokens", Subject: "/etc/tokens.yaml", Outcome: httpapi.Done, Detail: "revoked guest"})
	for i := range 3 {
		l.Refuse(httpapi.Action{At: now.Add(time.Duration(i-5) * time.Second), Remote: "10.0.0.9:80", Method: "GET", Route: someAPI + "/files/{path}", Outcome: "unauthenticated", Status: 401, Detail: "the token is not known"})
	}
	require.NoError(t, l.Close())
	return dir
}

func TestAudit_ShowsTheNewestLinesLastAndWhatIsWrongWithTheLog(t *testing.T) {
	c := newCLI(t)
	dir := someLog(t, "n-1")
	lines := strings.Split(strings.TrimSpace(c.must("audit", "--data-dir", dir)), "\n")
	require.Len(t, lines, 5)
	assert.Regexp(t, `^TIME +TOKEN +FROM +OUTCOME +WHAT$`, lines[0])
	assert.Regexp(t, `^20\S+Z +ops +10\.0\.0\.7:4711 +done +PUT /cluster/config {"a":·\[31m1}$`, lines[1])
	assert.Regexp(t, `^20\S+Z +node +- +done +reload tokens /etc/tokens.yaml  \(revoked guest\)$`, lines[2])
	assert.Regexp(t, `^20\S+Z +- +10\.0\.0\.9:80 +unauthenticated +GET /files/{path}  \(the token is not known\)$`, lines[3])
	assert.Regexp(t, `^20\S+Z +- +10\.0\.0\.9:80 +unauthenticated +GET /files/{path}  ×2 until 20\S+Z  \(the token is not known\)$`, lines[4])

	assert.Equal(t, 1+3, strings.Count(c.must("audit", "--data-dir", dir, "--since", "1h"), "\n"))
	assert.Contains(t, c.must("audit", "--data-dir", dir, "--since", "3d"), "PUT /cluster/config")
	assert.Contains(t, c.must("audit", "--data-dir", dir, "--since", "2020-01-01"), "PUT /cluster/config")
	assert.Equal(t, 1+1, strings.Count(c.must("audit", "--data-dir", dir, "--action", "RELOAD"), "\n"))
	assert.Equal(t, 1+2, strings.Count(c.must("audit", filepath.Join(dir, "audit", "refused.log"), "--outcome", "unauthenticated"), "\n"))
	for line, want := range map[string]string{
		"--since soon": "nor how long ago", "--since -1h": "nor how long ago", "--limit -1": "less than nothing", "--output xml": "neither table nor json",
	} {
		o := c.run(append([]string{"audit", "--data-dir", dir}, strings.Fields(line)...)...)
		assert.Equal(t, exitUsage, o.status, line)
		assert.Contains(t, o.stderr, want, line)
	}

	f, err := os.OpenFile(filepath.Join(dir, "audit", "audit.log"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("garbage\n{\"at\":\"20")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	o := c.run("audit", "--data-dir", dir, "-n", "1")
	assert.Equal(t, exitDone, o.status)
	assert.Regexp(t, `(?m)^note: earlier lines that are not shown .*: 3$`, o.stderr)
	assert.Regexp(t, `(?m)^note: lines that cannot be read .*: 1$`, o.stderr)
	assert.Regexp(t, `(?m)^note: files that end in the middle of a line .*: 1$`, o.stderr)

	o = c.run("audit", "--data-dir", t.TempDir())
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "not_found")
	assert.Empty(t, c.server.Requests, "no server is asked")
}

func TestAudit_JSONIsOneObjectAndSeveralNodesAreTold(t *testing.T) {
	c := newCLI(t)
	first, second := someLog(t, "n-1"), someLog(t, "n-2")
	type answer struct {
		Lines      []httpapi.Action `json:"lines"`
		Earlier    int64            `json:"earlier_lines"`
		Unreadable int64            `json:"unreadable_lines"`
		Torn       *int64           `json:"torn_lines"`
	}
	read := func(args ...string) (all answer) {
		require.NoError(t, json.Unmarshal([]byte(c.must(append([]string{"audit", "-o", "json"}, args...)...)), &all))
		require.NotNil(t, all.Torn)
		require.NotNil(t, all.Lines)
		return all
	}
	all := read("--data-dir", first, "--data-dir", second, "--limit", "7")
	require.Len(t, all.Lines, 7)
	assert.Equal(t, int64(1), all.Earlier)
	assert.Equal(t, int64(2), all.Lines[6].Repeated)
	assert.Len(t, read("--data-dir", first, "--limit", "1").Lines, 1)
	assert.Empty(t, read("--data-dir", first, "--action", "no such").Lines)

	table := c.must("audit", "--data-dir", first, "--data-dir", second)
	assert.Regexp(t, `(?m)^NODE +TIME `, table)
	assert.Regexp(t, `(?m)^n-2 +20\S+Z +ops `, table)
	table = c.must("audit", "--data-dir", first, "--data-dir", second, "--since", "1h", "--action", "reload", "-n", "1")
	assert.Regexp(t, `(?m)^NODE +TIME `, table, "of more than one directory each line names its node, also where all are of one")

	// The same directory, under whatever name, counts once.
	assert.Equal(t, c.must("audit", "--data-dir", first), c.must("audit", "--data-dir", first, "--data-dir", first+"/.", "--data-dir", filepath.Join(first, "audit")))
}

// Operators know what --help says and what ls shows.
func TestAudit_WhatItIsIsSaidWhereOperatorsLook(t *testing.T) {
	c := newCLI(t)
	const mib = 1 << 20
	for _, verb := range []string{"server", "token", "audit"} {
		help := c.must(verb, "--help")
		for _, say := range []string{
			"audit/", "audit.log", "refused.log", "one JSON object a line", "Each node", "'tiercel audit'", "(401)", "(403)", "added, revoked or changed", "full disk",
			fmt.Sprintf("full file of %d MiB becomes audit.log.1 (up to .%d)", audit.MaxFileBytes/mib, audit.Keep),
			fmt.Sprintf("%d MiB at most", (audit.Keep+1+audit.KeepRefused+1)*audit.MaxFileBytes/mib),
		} {
			assert.Contains(t, help, say, verb)
		}
		for _, line := range strings.Split(auditIs, "\n") {
			assert.LessOrEqual(t, len(line), 100, line)
		}
	}
	assert.Equal(t, 1, audit.KeepRefused, "the help has one full file of refusals")
	assert.Equal(t, time.Minute, audit.Window)
	assert.Contains(t, c.must("config", "--help"), "audit/audit.log")
}
