package httpapi

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

const storageURL = "http://tiercel/api/v1/storage"

// bodyOf is the reader of a request's body, nil for none.
func bodyOf(text string) io.Reader {
	if text == "" {
		return nil
	}
	return strings.NewReader(text)
}

const rebalanceJob = `{"job_id":"9","kind":"rebalance","state":"running","subject":"","cause":"asked for by an operator",
 "progress":{"done_bytes":100,"total_bytes":300,"done_items":1,"total_items":3,"percent":33.3},"eta_seconds":4,"bytes_per_second":50,
 "bandwidth_limit_bytes_per_second":50,"blockers":["n-2 is full"],"quarantined":[{"volume_id":4,"reason":"damaged","since":"1970-01-01T00:00:00.001Z"}],
 "moves":[{"volume_id":3,"from":"n-1","to":"n-2","bytes":200,"why":"n-1 is fuller"}],
 "created_at":"1970-01-01T00:00:00.001Z","changed_at":"1970-01-01T00:00:00.002Z","ended_at":null}`

func TestJobs_AreShownAsTheContractNamesThem(t *testing.T) {
	w := inMemory(t, Config{})
	doc, _ := readDocument(t)
	r := w.do("GET", clusterURL+"/jobs/9", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, rebalanceJob, string(r.body))
	assertDescribed(t, doc, "Job", r.body)

	ids := func(query string) string {
		r := w.do("GET", clusterURL+query, nil)
		require.Equal(t, 200, r.status, "%s", r.body)
		var out []string
		for _, piece := range strings.Split(string(r.body), `{"job_id":"`)[1:] {
			id, _, _ := strings.Cut(piece, `"`)
			out = append(out, id)
		}
		return strings.Join(out, " ")
	}
	assert.Equal(t, "9 8 7", ids("/jobs"), "the newest first")
	assert.Equal(t, "7", ids("/jobs?kind=repair"))
	assert.Equal(t, "8", ids("/jobs?state=cancelled"))
	assert.Equal(t, "", ids("/jobs?kind=repair&state=running"))
	assert.Equal(t, "9 9 8", ids("/rebalance"), "the current one, and all")
	assertDescribed(t, doc, "JobList", w.do("GET", clusterURL+"/jobs", nil).body)
}

func TestPercent_CountsBytesElseItemsAndIsWholeOnlyAtTheEnd(t *testing.T) {
	const running, done = messages.JobState_RUNNING, messages.JobState_DONE
	for _, c := range []struct {
		row  *messages.JobRow
		want float64
	}{
		{&messages.JobRow{State: running}, 0},
		{&messages.JobRow{State: running, DoneItems: 1, TotalItems: 3}, 33.3},
		{&messages.JobRow{State: running, DoneBytes: 1, TotalBytes: 4, DoneItems: 3, TotalItems: 3}, 25},
		{&messages.JobRow{State: running, DoneBytes: 1 << 63, TotalBytes: 1 << 63}, 99.9},
		{&messages.JobRow{State: running, DoneBytes: 9, TotalBytes: 4}, 99.9},
		{&messages.JobRow{State: done, DoneBytes: 1, TotalBytes: 4}, 100},
		{&messages.JobRow{State: done}, 100},
	} {
		assert.InDelta(t, c.want, percent(c.row), 1e-9, c.row)
	}
}

func TestJobs_TakeTheirOrders(t *testing.T) {
	w := inMemory(t, Config{})
	for order, state := range map[string]string{"pause": "paused", "resume": "running", "cancel": "cancelled"} {
		r := w.do("POST", clusterURL+"/jobs/9/"+order, nil)
		require.Equal(t, 200, r.status, "%s", r.body)
		assert.Contains(t, string(r.body), `"state":"`+state+`"`)
	}
}

func TestOperations_StartJobsOrSayWhatTheyWouldDo(t *testing.T) {
	const plan = `{"dry_run":true,"plan":[{"volume_id":3,"from":"n-1","to":"n-2","bytes":200,"why":"n-1 is fuller"}],"plan_bytes":200,"plan_items":1,"estimate_seconds":2,"blockers":["n-3 is away"],"warnings":["two stay"]}`
	for _, c := range []struct {
		method, path, body string
		status             int
		limit              uint64
		want               string
	}{
		{"POST", "/rebalance", "", 202, 0, `"job_id":"11","kind":"rebalance"`},
		{"POST", "/rebalance", "{}", 202, 0, `"job_id":"11","kind":"rebalance"`},
		{"POST", "/rebalance", `{"bandwidth_limit_bytes_per_second":1000,"dry_run":false}`, 202, 1000, `"kind":"rebalance"`},
		{"POST", "/rebalance", `{"dry_run":true}`, 200, 0, plan},
		{"POST", "/scrub", "", 202, 0, `"job_id":"11","kind":"scrub"`},
		{"POST", "/scrub", `{"bandwidth_limit_bytes_per_second":5}`, 202, 5, `"kind":"scrub"`},
		{"POST", "/workers/n-1/drain", "", 202, 0, `"kind":"drain","state":"running","subject":"n-1"`},
		{"POST", "/workers/n-1/drain?dry_run=true", "", 200, 0, plan},
		{"POST", "/workers/n-1/drain?dry_run=false", "", 202, 0, `"warnings":["two stay"]}`},
		{"DELETE", "/workers/n-3/drain", "", 200, 0, `"kind":"drain","state":"cancelled"`},
		{"DELETE", "/workers/n-2/drain", "", 204, 0, ""},
	} {
		w := inMemory(t, Config{})
		r := w.do(c.method, clusterURL+c.path, bodyOf(c.body))
		assert.Equal(t, c.status, r.status, "%s %s", c.path, r.body)
		assert.Contains(t, string(r.body), c.want, c.path)
		assert.Equal(t, c.limit, w.gw.limit, c.path)
	}
}

func TestReplication_IsShownByTier(t *testing.T) {
	r := inMemory(t, Config{}).do("GET", clusterURL+"/replication", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, `{"pending_operations":2,"tiers":[
	 {"tier":1,"name":"critical","volumes":{"open":1,"sealed":2,"retiring":0,"degraded":1,"stranded":0,"lost":0},"debt_bytes":64,"oldest_debt_seconds":7.5,"followers":[]},
	 {"tier":2,"name":"important","volumes":{"open":1,"sealed":0,"retiring":0,"degraded":0,"stranded":0,"lost":0},"debt_bytes":0,"oldest_debt_seconds":0,"followers":[{"worker_id":"n-2","lag_bytes":5,"lag_ms":6}]},
	 {"tier":3,"name":"rebuildable","volumes":{"open":0,"sealed":0,"retiring":0,"degraded":0,"stranded":0,"lost":0},"debt_bytes":0,"oldest_debt_seconds":0,"followers":[]}]}`, string(r.body))
}

func TestOperations_EveryWayToAskWrongly(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		status             int
		code, message      string
	}{
		{"GET", "/jobs/99", "", 404, "not_found", "there is no job 99"},
		{"GET", "/jobs/0", "", 400, "invalid_argument", "not a number from 1"},
		{"GET", "/jobs/x", "", 400, "invalid_argument", "not a number from 1"},
		{"GET", "/jobs/+9", "", 400, "invalid_argument", "not a number from 1"},
		{"GET", "/jobs/09", "", 400, "invalid_argument", "not a number from 1"},
		{"GET", "/jobs/18446744073709551616", "", 400, "invalid_argument", "not a number from 1"},
		{"GET", "/jobs/9?x=1", "", 400, "invalid_argument", "unknown query parameter"},
		{"GET", "/jobs?kind=rebalnce", "", 400, "invalid_argument", `did you mean \"rebalance\"?`},
		{"GET", "/jobs?kind=REPAIR", "", 400, "invalid_argument", "is not known"},
		{"GET", "/jobs?kind=job_kind_unspecified", "", 400, "invalid_argument", "is not known"},
		{"GET", "/jobs?state=finished", "", 400, "invalid_argument", "running, paused, done, cancelled"},
		{"PUT", "/jobs", "", 405, "method_not_allowed", "allowed are GET"},
		{"POST", "/jobs/99/pause", "", 404, "not_found", "there is no job 99"},
		{"POST", "/jobs/7/cancel", "", 409, "conflict", "job 7 has ended"},
		{"POST", "/jobs/x/resume", "", 400, "invalid_argument", "not a number"},
		{"GET", "/jobs/9/pause", "", 405, "method_not_allowed", "allowed are POST"},
		{"POST", "/jobs/9/stop", "", 404, "not_found", "there is nothing at"},
		{"POST", "/rebalance", `{"dryrun":true}`, 400, "invalid_argument", `did you mean \"dry_run\"?`},
		{"POST", "/rebalance", `{"dry_run":"yes"}`, 400, "invalid_argument", "must be true or false"},
		{"POST", "/rebalance", `{"bandwidth_limit_bytes_per_second":-1}`, 400, "invalid_argument", "whole number"},
		{"POST", "/rebalance", `{"bandwidth_limit_bytes_per_second":1.5}`, 400, "invalid_argument", "whole number"},
		{"POST", "/rebalance", `{"bandwidth_limit_bytes_per_second":"5"}`, 400, "invalid_argument", "whole number"},
		{"POST", "/rebalance", `[]`, 400, "invalid_argument", "one JSON object"},
		{"GET", "/rebalance?all=1", "", 400, "invalid_argument", "unknown query parameter"},
		{"DELETE", "/rebalance", "", 405, "method_not_allowed", "allowed are POST, GET"},
		{"POST", "/scrub", `{"dry_run":true}`, 400, "invalid_argument", "unknown field"},
		{"POST", "/workers/w-9/drain", "", 404, "not_found", "there is no worker w-9"},
		{"POST", "/workers/n-1/drain?dry_run=perhaps", "", 400, "invalid_argument", "takes true or false"},
		{"POST", "/workers/n-1/drain?dryrun=true", "", 400, "invalid_argument", "did you mean"},
		{"POST", "/workers/" + strings.Repeat("x", 200) + "/drain", "", 400, "invalid_argument", "is not valid"},
		{"DELETE", "/workers/n-1/drain", "", 409, "conflict", "not being drained"},
		{"GET", "/workers/n-1/drain", "", 405, "method_not_allowed", "allowed are POST, DELETE"},
		{"GET", "/replication?tier=1", "", 400, "invalid_argument", "none are taken here"},
	} {
		e := wantError(t, inMemory(t, Config{}).do(c.method, clusterURL+c.path, bodyOf(c.body)), c.status, c.code)
		assert.Contains(t, e.Error.Message, strings.ReplaceAll(c.message, `\"`, `"`), c.path)
	}
}

func TestOperations_SayWhenThereIsNoMaster(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.notReady = "an election is under way"
	for _, line := range []string{
		"GET /cluster/jobs", "GET /cluster/jobs/9", "POST /cluster/jobs/9/pause", "POST /cluster/rebalance", "GET /cluster/rebalance", "POST /cluster/scrub",
		"POST /cluster/workers/n-1/drain", "DELETE /cluster/workers/n-1/drain", "GET /cluster/replication", "GET /cluster/placement/explain?tier=1",
		"GET /cluster/config", "GET /tiers",
	} {
		method, path, _ := strings.Cut(line, " ")
		r := w.do(method, storageURL+path, nil)
		wantError(t, r, 503, "no_master")
		assert.NotEmpty(t, r.header.Get("Retry-After"), line)
	}
	wantError(t, w.do("PUT", storageURL+"/tiers/1/config", strings.NewReader("{}")), 503, "no_master")
	wantError(t, w.do("PUT", clusterURL+"/config", strings.NewReader("{}"), "If-Match: 12"), 503, "no_master")
}
