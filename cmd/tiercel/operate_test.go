package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cmd/tiercel/internal/client/clienttest"
)

func said(body string) clienttest.Answer { return clienttest.Answer{Body: body} }

// aJob is a job's document.
func aJob(state, done string) string {
	blockers := `["n-2 is full"]`
	if state == "done" {
		blockers = "[]"
	}
	return `{"job_id":"9","kind":"drain","state":"` + state + `","subject":"n-1","cause":"asked for by an operator","progress":{"done_bytes":` + done + `,"total_bytes":4096,"done_items":1,"total_items":2,"percent":25},
	 "eta_seconds":4.2,"bytes_per_second":2048,"blockers":` + blockers + `,"quarantined":[],"moves":[{"volume_id":3,"from":"n-1","to":"n-2","bytes":200,"why":"n-1 drains"}]}`
}

const aPlan = `{"dry_run":true,"plan":[{"volume_id":3,"from":"n-1","to":"n-2","bytes":2048,"why":"n-1 is fuller"}],"plan_bytes":1048576,"plan_items":3,"estimate_seconds":61,"blockers":["n-3 is away"]}`

// lines collapses runs of spaces, so that tests do not count them.
func lines(text string) string {
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(out, "\n")
}

func TestRebalance_StartsOrSaysWhatItWouldDo(t *testing.T) {
	c := newCLI(t)
	c.server.Say("POST /cluster/rebalance", said(aPlan), clienttest.Answer{Status: 202, Body: aJob("running", "1024")})
	assert.Equal(t, `VOLUME FROM TO SIZE WHY
3 n-1 n-2 2.0 KiB n-1 is fuller
and 2 more
in the way: n-3 is away
3 volume moves planned, 1.0 MiB, in about 1m1s`, lines(c.must("rebalance", "--dry-run")))
	assert.Equal(t, `drain 9 of n-1: running, 25.0 %, 1.0 KiB of 4.0 KiB, 2.0 KiB/s, 4s left; waits: n-2 is full
'tiercel jobs 9 --watch' shows how it goes on`, lines(c.must("rebalance", "--limit", "50MiB/s")))
	assert.JSONEq(t, `{"dry_run":true}`, c.server.Asked[0].Body)
	assert.JSONEq(t, `{"dry_run":false,"bandwidth_limit_bytes_per_second":52428800}`, c.server.Asked[1].Body)

	c.server.Say("POST /cluster/rebalance", said(`{"plan":[],"plan_items":0,"blockers":[],"warnings":["two stay"]}`), clienttest.Answer{Status: 409, Body: "conflict"})
	assert.Equal(t, "nothing would move\nwarning: two stay\n", c.must("rebalance"))
	o := c.run("rebalance")
	assert.Equal(t, exitFailed, o.status)
	assert.Equal(t, "tiercel: rebalance: refused by the test (conflict)\n", o.stderr)
}

func TestWatch_FollowsAJobToItsEndWithALineForEachChange(t *testing.T) {
	c := newCLI(t)
	c.server.Say("POST /cluster/workers/n-1/drain", clienttest.Answer{Status: 202, Body: aJob("running", "0")})
	c.server.Say("GET /cluster/jobs/9", said(aJob("running", "0")), said(aJob("running", "0")), said(aJob("paused", "1024")), said(aJob("done", "4096")))
	assert.Equal(t, `drain 9 of n-1: running, 25.0 %, 0 B of 4.0 KiB, 2.0 KiB/s, 4s left; waits: n-2 is full
drain 9 of n-1: paused, 25.0 %, 1.0 KiB of 4.0 KiB; waits: n-2 is full
drain 9 of n-1: done, 25.0 %, 4.0 KiB of 4.0 KiB
n-1 holds nothing any more: 'tiercel workers remove n-1' takes it out of the cluster, 'tiercel drain n-1 --cancel' gives it new content again`, lines(c.must("drain", "n-1", "--watch", "--every", "10ms")))

	c.server.Say("GET /cluster/jobs/9", said(aJob("running", "0")), said(aJob("cancelled", "1024")))
	o := c.run("jobs", "9", "--watch", "--every", "10ms", "--output", "json")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "drain 9 of n-1: it was cancelled")
	var states []string
	for dec := json.NewDecoder(strings.NewReader(o.stdout)); dec.More(); {
		var j job
		require.NoError(t, dec.Decode(&j))
		states = append(states, j.State)
	}
	assert.Equal(t, []string{"running", "cancelled"}, states, "one document a change")
}

func TestWatch_AJobThatLeavesSomethingIsNoSuccess(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/jobs/9", said(`{"job_id":"9","kind":"scrub","state":"done","blockers":["1 damaged copies were found on n-1"]}`))
	o := c.run("jobs", "9", "--watch")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stderr, "scrub 9: it has ended, and leaves: 1 damaged copies were found on n-1")
}

// stopper ends a context at the first byte that is written.
type stopper func()

func (stop stopper) Write(p []byte) (int, error) {
	stop()
	return len(p), nil
}

func TestWatch_StoppedSaysThatTheJobGoesOn(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/jobs/9", said(aJob("running", "0")))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stderr bytes.Buffer
	a := &app{stdout: stopper(stop), stderr: &stderr, environ: c.environ}
	assert.Equal(t, exitFailed, a.run(ctx, []string{"jobs", "9", "--watch", "--every", "1h"}))
	assert.Equal(t, "tiercel: watch: interrupted; the server goes on with what was watched\n", stderr.String())
}

func TestWatch_WithoutAnIDFollowsAllThatHaveNotEnded(t *testing.T) {
	c := newCLI(t)
	list := func(jobs ...string) clienttest.Answer { return said(`{"jobs":[` + strings.Join(jobs, ",") + `]}`) }
	old := `{"job_id":"1","kind":"repair","state":"cancelled"}`
	c.server.Say("GET /cluster/jobs", list(aJob("running", "1"), old), list(strings.Replace(aJob("done", "4096"), `"quarantined":[]`, `"quarantined":[{"volume_id":5,"reason":"damaged"}]`, 1), old))
	o := c.run("jobs", "--watch", "--every", "10ms")
	assert.Equal(t, exitFailed, o.status, "something was set aside")
	assert.Contains(t, o.stderr, "1 item could not be done")
	assert.NotContains(t, o.stdout, "repair", "it had ended before")
	assert.Contains(t, o.stdout, "drain 9 of n-1: done")

	c.server.Say("GET /cluster/jobs", list(old))
	assert.Equal(t, outcome{}, c.run("jobs", "--watch"))
}

func TestJobBar_ShowsTheSumOfTheJobs(t *testing.T) {
	var out lockedBuffer
	v := &watchView{a: &app{stdout: &out}, bar: newJobBar(&out), said: map[string]string{}}
	var j job
	require.NoError(t, json.Unmarshal([]byte(aJob("running", "1024")), &j))
	require.NoError(t, v.job(&j, nil))
	v.draw([]job{j})
	assert.Contains(t, out.String(), "drain 9 of n-1 running")
	assert.Contains(t, out.String(), "1.0/4.0 KiB")
	v.draw([]job{j, j})
	assert.Contains(t, out.String(), "2 jobs")
	j.State = "done"
	require.NoError(t, v.job(&j, nil))
	v.finish()
	assert.Contains(t, out.String(), "drain 9 of n-1: done")
}

func TestJobs_AreListedShownAndSteered(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/jobs", said(`{"jobs":[`+aJob("running", "1024")+`,{"job_id":"7","kind":"adapt","state":"done","tier":2,"cause":"copies changed"}]}`))
	c.server.Say("GET /cluster/jobs/9", said(aJob("running", "1024")))
	c.server.Say("POST /cluster/jobs/9/pause", said(aJob("paused", "1024")))
	c.server.Say("GET /cluster/jobs/8", clienttest.Answer{Status: 404, Body: "not_found"})
	assert.Equal(t, `JOB KIND STATE OF PROGRESS SPEED LEFT CAUSE
9 drain running n-1 25.0 %, 1.0 KiB of 4.0 KiB 2.0 KiB/s 4s asked for by an operator
7 adapt done tier 2 nothing was left to do copies changed`, lines(c.must("jobs", "--kind", "drain", "--state", "running")))
	assert.Equal(t, "GET /cluster/jobs?kind=drain&state=running", c.server.Asked[0].Line)
	shown := lines(c.must("jobs", "9"))
	assert.Contains(t, shown, "waits: n-2 is full")
	assert.Contains(t, shown, "3 n-1 n-2 200 B n-1 drains")
	assert.Contains(t, c.must("jobs", "pause", "9"), "paused")
	assert.JSONEq(t, aJob("running", "1024"), c.must("jobs", "9", "-o", "json"))
	assert.Equal(t, exitFailed, c.run("jobs", "8").status)
}

func TestDrain_IsCancelledWithOrWithoutAJob(t *testing.T) {
	c := newCLI(t)
	c.server.Say("DELETE /cluster/workers/n-1/drain", clienttest.Answer{Status: 204})
	assert.Equal(t, "n-1 takes new content again\n", c.must("drain", "n-1", "--cancel"))
	assert.JSONEq(t, `{"worker_id":"n-1","draining":false}`, c.must("drain", "n-1", "--cancel", "-o", "json"))
	c.server.Say("DELETE /cluster/workers/n-1/drain", said(aJob("cancelled", "1")))
	assert.JSONEq(t, aJob("cancelled", "1"), c.must("drain", "n-1", "--cancel", "-o", "json"))
	c.server.Say("POST /cluster/workers/n-1/drain", said(aPlan))
	assert.Contains(t, c.must("drain", "n-1", "--dry-run"), "in the way: n-3 is away")
	c.server.Say("POST /cluster/scrub", clienttest.Answer{Status: 202, Body: aJob("running", "1")})
	assert.Contains(t, c.must("scrub", "--limit", "1KiB"), "'tiercel jobs 9 --watch'")
	asked := c.server.Asked
	assert.Equal(t, "POST /cluster/workers/n-1/drain?dry_run=true", asked[len(asked)-2].Line)
	assert.JSONEq(t, `{"bandwidth_limit_bytes_per_second":1024}`, asked[len(asked)-1].Body)
}
