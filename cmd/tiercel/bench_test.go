package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/client/clienttest"
	"tiercel/cmd/tiercel/internal/load"
)

// benched is what --output json says.
type benched struct {
	Server string
	Kept   bool
	load.Report
}

// onPut has the server answer each upload by its number, from 1.
func onPut(s *clienttest.Server, answer func(n int) clienttest.Fault) {
	n := 0
	s.Fault = func(r *http.Request) clienttest.Fault {
		if r.Method != http.MethodPut {
			return clienttest.Fault{}
		}
		n++
		return answer(n)
	}
}

func TestBench_MeasuresEveryWorkloadAndLeavesNothing(t *testing.T) {
	c := newCLI(t)
	c.server.Store("/tmp/bench/mine", "x")
	o := c.run("bench", "--requests", "30", "--size", "2KiB", "--connections", "3")
	require.Equal(t, exitDone, o.status, o.stderr)
	out := lines(o.stdout)
	assert.Contains(t, out, c.server.URL+", 3 connections of 2.0 KiB each")
	assert.Contains(t, out, "WORKLOAD SECONDS REQUESTS ERRORS RETRIED REQ/S MB/S P50 MS P90 MS P99 MS P99.9 MS MAX MS")
	for _, w := range []string{"put", "get", "mixed", "delete"} {
		assert.Regexp(t, `(?m)^`+w+` [0-9.]+ 30 0 0 `, out)
	}
	assert.Regexp(t, `(?m)^put: 30 writes in tier 1: 1 of 2 copies durable when acknowledged; the others were not, or are not there$`, out)
	assert.Contains(t, out, "get: all 30 reads verified against the checksum of what was written")
	assert.Regexp(t, `(?m)^tiercel: removing /tmp/bench/[0-9]{8}-[0-9]{6}-[0-9a-f]{8}/$`, o.stderr)
	assert.Equal(t, map[string]string{"/tmp/bench/mine": "x"}, c.server.Files(), "what was there is left alone")
}

func TestBench_JSONHasTheSameFiguresAndKeepLeavesTheFiles(t *testing.T) {
	c := newCLI(t)
	o := c.run("bench", "put", "--requests", "12", "--tier", "3", "--tenant", "acme", "--prefix", "/cache/load/", "--keep", "--quiet", "-o", "json")
	require.Equal(t, exitDone, o.status, o.stderr)
	assert.Empty(t, o.stderr, "quiet means quiet")
	var b benched
	d := json.NewDecoder(strings.NewReader(o.stdout))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&b))
	assert.True(t, b.Kept)
	assert.Equal(t, c.server.URL, b.Server)
	assert.Equal(t, int64(4096), b.SizeBytes)
	require.Len(t, b.Workloads, 1)
	w := b.Workloads[0]
	assert.Equal(t, load.Put, w.Workload)
	assert.Equal(t, uint64(12), w.Requests)
	assert.Equal(t, int64(12*4096), w.MovedBytes)
	assert.NotZero(t, w.LatencyMs.P999)
	assert.Equal(t, []load.Durability{{TierAsked: 3, TierAchieved: 3, CopiesWanted: 2, CopiesDurable: 1, Writes: 12}}, w.Durability)
	for _, list := range []string{`"errors":[]`, `"retried":[]`} {
		assert.Contains(t, o.stdout, list, "lists are never null")
	}
	files := c.server.Tenants["acme"]
	assert.Len(t, files, 12)
	for path, f := range files {
		assert.True(t, strings.HasPrefix(path, b.Directory) && strings.HasPrefix(path, "/cache/load/"), path)
		assert.Equal(t, "3", f.Tier)
	}
}

func TestBench_FailuresAreSaidAndEndWithStatus1(t *testing.T) {
	c := newCLI(t)
	onPut(c.server, func(n int) clienttest.Fault {
		if n <= 5 {
			return clienttest.Fault{Status: 507, Code: "quota_exceeded"}
		}
		return clienttest.Fault{}
	})
	o := c.run("bench", "put", "--requests", "20")
	assert.Equal(t, exitFailed, o.status)
	assert.Regexp(t, `tiercel: put: quota_exceeded ×5, the first: put /tmp/bench/\S+: injected \(quota_exceeded, request r-1\)`, o.stderr)
	assert.Regexp(t, `(?m)^put [0-9.]+ 15 5 0 `, lines(o.stdout))
	assert.Contains(t, o.stdout, "put: errors: quota_exceeded ×5\n")
	assert.Empty(t, c.server.Files())
}

func TestBench_RefusalsThatWereRepeatedAreShownAndAreNoFailure(t *testing.T) {
	c := newCLI(t)
	onPut(c.server, func(n int) clienttest.Fault {
		if n <= 2 {
			return clienttest.Fault{Status: 429, Code: "overloaded"}
		}
		return clienttest.Fault{}
	})
	o := c.run("bench", "put", "--requests", "20")
	assert.Equal(t, exitDone, o.status, o.stderr)
	assert.Regexp(t, `(?m)^put [0-9.]+ 20 0 2 `, lines(o.stdout))
	assert.Regexp(t, `put: tried again: overloaded ×2; [0-9.]+ s waited`, o.stdout)
}

func TestBench_WhereNobodyAnswersNothingIsMeasured(t *testing.T) {
	c := newCLI(t)
	o := c.run("bench", "--server", "http://127.0.0.1:1")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "nothing listens at http://127.0.0.1:1; is the server running, and is --server right?")
	assert.Empty(t, o.stdout)

	c.server.Fault = func(*http.Request) clienttest.Fault { return clienttest.Fault{Status: 401, Code: "unauthenticated"} }
	o = c.run("bench")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "(unauthenticated)")
	assert.Empty(t, o.stdout)
	assert.Zero(t, c.server.Count("PUT "))
}

func TestBench_AfterCtrlCItReportsAndCleansUp(t *testing.T) {
	for output, said := range map[string]string{
		"table": "tiercel: interrupted; what was measured until then is reported\n",
		"json":  `{"error":{"code":"outcome_unknown","message":"interrupted; what was measured until then is reported"}}` + "\n",
	} {
		c := newCLI(t)
		ctx, interrupt := context.WithCancel(t.Context())
		onPut(c.server, func(n int) clienttest.Fault {
			if n == 25 {
				interrupt()
			}
			return clienttest.Fault{}
		})
		var stdout, stderr bytes.Buffer
		a := &app{stdout: &stdout, stderr: &stderr, environ: c.environ}
		status := a.run(ctx, []string{"bench", "put", "get", "--duration", "1h", "--output", output})
		assert.Equal(t, exitFailed, status, "not all of it was done")
		assert.Contains(t, stderr.String(), said)
		if output == "json" {
			var b benched
			require.NoError(t, json.Unmarshal(stdout.Bytes(), &b))
			require.Len(t, b.Workloads, 1)
			assert.NotZero(t, b.Workloads[0].Requests)
			assert.Contains(t, b.Stopped, "interrupted")
		} else {
			assert.Regexp(t, `(?m)^put +[0-9.]+ +[1-9][0-9]* +0 +0 `, stdout.String())
		}
		assert.Empty(t, c.server.Files(), "removed all the same")
	}
}

func TestBench_WhatItCouldNotRemoveIsSaid(t *testing.T) {
	c := newCLI(t)
	c.server.Fault = func(r *http.Request) clienttest.Fault {
		if r.Method == http.MethodDelete {
			return clienttest.Fault{Status: 403, Code: "permission_denied"}
		}
		return clienttest.Fault{}
	}
	o := c.run("bench", "put", "--requests", "5")
	assert.Equal(t, exitFailed, o.status)
	assert.Regexp(t, `/tmp/bench/\S+/ could not be removed: /tmp/bench/\S+: injected \(permission_denied.*; later, 'tiercel rm -r /tmp/bench/\S+/' does it`, o.stderr)
	assert.Contains(t, o.stdout, "put: 5 writes", "the report is there all the same")
}

func TestDurabilityLine_SaysWhatAWriteWasWorth(t *testing.T) {
	for want, d := range map[string]load.Durability{
		"7 writes in tier 1: 3 of 3 copies durable when acknowledged":                                                                     {TierAsked: 1, TierAchieved: 1, CopiesWanted: 3, CopiesDurable: 3, Writes: 7},
		"7 writes in tier 2: 1 of 2 copies durable when acknowledged; the others were not, or are not there":                              {TierAsked: 2, TierAchieved: 2, CopiesWanted: 2, CopiesDurable: 1, Writes: 7},
		"7 writes in tier 1: 1 of 3 copies durable when acknowledged; more are not licensed":                                              {TierAsked: 1, TierAchieved: 1, CopiesWanted: 3, CopiesDurable: 1, LimitedBy: "license", Writes: 7},
		"7 writes in tier 2: 2 of 2 copies durable when acknowledged (tier 1 was asked for)":                                              {TierAsked: 1, TierAchieved: 2, CopiesWanted: 2, CopiesDurable: 2, Writes: 7},
		"7 writes in tier 3: 0 of 1 copies durable when acknowledged; synced after the answer, so a loss of power may take the last ones": {TierAsked: 3, TierAchieved: 3, CopiesWanted: 1, Writes: 7},
	} {
		assert.Equal(t, want, durabilityLine(d))
	}
}
