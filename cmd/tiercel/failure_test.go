package main

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/client/clienttest"
)

func TestGet_WhatIsNotThereIsNoWrongUsage(t *testing.T) {
	c := newCLI(t)
	c.server.Store("/dir/x", "1")
	for _, missing := range []string{"/nope", "/nope/"} {
		o := c.run("get", missing, "-")
		assert.Equal(t, exitFailed, o.status)
		assert.Equal(t, "tiercel: get "+missing+": there is no file of this name, and none below it (not_found)\n", o.stderr)
		assert.Empty(t, o.stdout)
	}
	o := c.run("get", "/dir", "-")
	assert.Equal(t, exitUsage, o.status)
	assert.Contains(t, o.stderr, "only a single file can go to standard output (-), and /dir is a directory")
}

func TestGet_OfWhoIsNotLetInSaysWhatToGive(t *testing.T) {
	c := newCLI(t)
	c.server.Fault = func(*http.Request) clienttest.Fault { return clienttest.Fault{Status: 401, Code: "unauthenticated"} }
	for want, verbs := range map[string][][]string{
		"a token is needed; give one with --token, or in TIERCEL_TOKEN (unauthenticated)\n":                                   {{"get", "/x", "-"}, {"mv", "/x", "/y"}},
		"the token given (--token, or TIERCEL_TOKEN) is not one that the server knows, or it has expired (unauthenticated)\n": {{"get", "/x", "-", "--token", "t"}},
	} {
		for _, verb := range verbs {
			o := c.run(verb...)
			assert.Equal(t, exitFailed, o.status)
			assert.True(t, strings.HasSuffix(o.stderr, want), o.stderr)
		}
	}
}

// failure is what a script reads of one.
type failure struct {
	Error struct {
		Code, Message string
		RequestID     string `json:"request_id"`
		Details       map[string]string
	}
}

func TestFailures_WithOutputJSONAreJSON(t *testing.T) {
	c := newCLI(t)
	c.server.Store("/there", "x")
	missing := filepath.Join(t.TempDir(), "missing")
	var refused clienttest.Fault
	c.server.Fault = func(*http.Request) clienttest.Fault { return refused }
	full := clienttest.Fault{Status: 507, Code: "quota_exceeded"}
	for _, k := range []struct {
		line   string
		fault  clienttest.Fault
		status int
		want   failure
	}{
		{"get /nothing . -o json", clienttest.Fault{}, exitFailed, failureOf("not_found", "get /nothing: there is no file of this name, and none below it")},
		{"status --output=json", full, exitFailed, failureOf("quota_exceeded", "status: injected")},
		{"rm /there /nothing -ojson", clienttest.Fault{}, exitFailed, failureOf("not_found", "/nothing: there is no such file (not_found)")},
		{"put " + missing + " " + missing + "2 /d/ -o json", clienttest.Fault{}, exitFailed, failureOf("internal", "2 files failed; the first: ")},
		{"tier set 9 -o json", clienttest.Fault{}, exitUsage, failureOf("invalid_argument", `TIER "9" is not 1`)},
		{"put --teir 1 a /b -o json", clienttest.Fault{}, exitUsage, failureOf("invalid_argument", "unknown flag: --teir; did you mean --tier?")},
		{"frobnicate --output json", clienttest.Fault{}, exitUsage, failureOf("invalid_argument", `unknown command "frobnicate"`)},
		{"fsck -o json --data-dir " + t.TempDir(), clienttest.Fault{}, exitFailed, failureOf("", "this is no data directory")},
	} {
		refused = k.fault
		o := c.run(strings.Fields(k.line)...)
		assert.Equal(t, k.status, o.status, k.line)
		var got failure
		dec := json.NewDecoder(strings.NewReader(o.stderr))
		require.NoError(t, dec.Decode(&got), "%s: %s", k.line, o.stderr)
		assert.ErrorIs(t, dec.Decode(&got), io.EOF, "%s: one line, and nothing else: %s", k.line, o.stderr)
		assert.Contains(t, got.Error.Message, k.want.Error.Message, k.line)
		if k.want.Error.Code != "" {
			assert.Equal(t, k.want.Error.Code, got.Error.Code, k.line)
		}
		assert.Equal(t, k.status == exitUsage, strings.HasSuffix(got.Error.Details["hint"], "--help'."), k.line)
	}
	refused = full
	c.environ = append(c.environ, "TIERCEL_OUTPUT=json")
	assert.JSONEq(t, `{"error":{"code":"quota_exceeded","message":"status: injected","request_id":"r-1","details":{"limit_bytes":"5"}}}`, c.run("status").stderr)
	assert.Contains(t, c.run("status", "-o", "table").stderr, "tiercel: status: injected (quota_exceeded")
	assert.Contains(t, c.run("version", "--output", "xml").stderr, "tiercel: --output", "of a verb that asks nobody the environment says nothing")
}

func failureOf(code, message string) (f failure) {
	f.Error.Code, f.Error.Message = code, message
	return f
}
