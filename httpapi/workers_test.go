package httpapi

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

const clusterURL = "http://tiercel/api/v1/storage/cluster"

func TestWorkers_AreShownAsTheContractNamesThem(t *testing.T) {
	w := inMemory(t, Config{})
	r := w.do("GET", clusterURL+"/workers", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, `{"workers":[
	 {"worker_id":"n-1","address":"a:1","state":"healthy","missed_heartbeats":0,"last_heartbeat_at":"1970-01-01T00:00:00.001Z","disk_type":"ssd","disk_error":null,
	  "dc":"d","rack":"r","host":"h","total_bytes":10,"used_bytes":4,"free_bytes":6,"io_load":0.5,"latency_ms":null,"lag_bytes":0,"lag_ms":0,"volumes":3,"role":"master",
	  "candidate_rank":0,"draining":false,"version":"v"},
	 {"worker_id":"n-2","address":"","state":"degraded","missed_heartbeats":3,"last_heartbeat_at":null,"disk_type":"","disk_error":null,"dc":"","rack":"","host":"",
	  "total_bytes":null,"used_bytes":null,"free_bytes":null,"io_load":null,"latency_ms":null,"lag_bytes":4096,"lag_ms":250,"volumes":0,"role":"voter","candidate_rank":null,
	  "draining":false,"version":""}]}`, string(r.body))

	r = w.do("GET", clusterURL+"/workers/n-2", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.Contains(t, string(r.body), `"volume_list":[{"volume_id":7,"tier":1,"state":"sealed","primary":false,"verified":true,"live_bytes":0,"total_bytes":9}]`)
	assert.Contains(t, string(r.body), `"transitions":[{"from":"healthy","to":"degraded","missed_heartbeats":3,"cause":"3 heartbeats missed","at":"1970-01-01T00:00:00.001Z"}]`)
}

func TestWorkers_ADiskThatTakesNothingNewSaysWhy(t *testing.T) {
	a := newWorkerAnswer(&messages.WorkerInfo{Node: "n-1", Capacity: &messages.CapacityReport{Failing: "it hangs"}}, false)
	require.NotNil(t, a.DiskError)
	assert.Equal(t, "it hangs", *a.DiskError)
}

func TestMaster_IsShownWithItsCandidates(t *testing.T) {
	r := inMemory(t, Config{}).do("GET", clusterURL+"/master", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, `{"worker_id":"n-1","address":"a:1","epoch":"1.2","since":"1970-01-01T00:00:00.001Z","promoted":true,"candidates":[
	 {"worker_id":"n-1","rank":0,"score":1,"terms":{"health":1}},{"worker_id":"n-2","rank":1,"score":0,"terms":null,"refusal":"it does not vote"}]}`, string(r.body))
}

func TestManagement_EveryWayToAskWrongly(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		notReady           bool
		status             int
		code               string
	}{
		{"GET", "/workers?x=1", "", false, 400, "invalid_argument"},
		{"GET", "/workers", "", true, 503, "no_master"},
		{"POST", "/workers", "", false, 405, "method_not_allowed"},
		{"GET", "/workers/n-9", "", false, 404, "not_found"},
		{"GET", "/workers/" + strings.Repeat("x", 200), "", false, 400, "invalid_argument"},
		{"GET", "/workers/n-1", "", true, 503, "no_master"},
		{"DELETE", "/workers/n-2", "", false, 409, "conflict"},
		{"DELETE", "/workers/n-2?force=yes", "", false, 400, "invalid_argument"},
		{"DELETE", "/workers/n-9?force=true", "", false, 404, "not_found"},
		{"DELETE", "/workers/n-2", "", true, 503, "no_master"},
		{"GET", "/master", "", true, 503, "no_master"},
		{"DELETE", "/master", "", false, 405, "method_not_allowed"},
		{"POST", "/master/promote", `{"worker":"n-1"}`, false, 400, "invalid_argument"},
		{"POST", "/master/promote", `{"worker_id":""}`, false, 400, "invalid_argument"},
		{"POST", "/master/promote", `{"worker_id":7}`, false, 400, "invalid_argument"},
		{"POST", "/master/promote", `not json`, false, 400, "invalid_argument"},
		{"POST", "/master/promote", `{"worker_id":"n-2"}`, false, 409, "conflict"},
		{"POST", "/master/promote", `{"worker_id":"n-9"}`, false, 404, "not_found"},
		{"POST", "/master/promote", `{"worker_id":"n-1"}`, true, 503, "no_master"},
		{"POST", "/storm-brake/release", "", true, 503, "no_master"},
		{"GET", "/storm-brake/release", "", false, 405, "method_not_allowed"},
	} {
		w := inMemory(t, Config{})
		if c.notReady {
			w.gw.notReady = "no master"
			w.gw.status = func() (*messages.ClusterStatusReply, error) { return nil, errNoMaster }
		}
		var body io.Reader
		if c.body != "" {
			body = strings.NewReader(c.body)
		}
		wantError(t, w.do(c.method, clusterURL+c.path, body), c.status, c.code)
	}
}

func TestManagement_WhatSucceeds(t *testing.T) {
	w := inMemory(t, Config{})
	r := w.do("POST", clusterURL+"/master/promote", strings.NewReader(`{"worker_id":"n-1"}`))
	assert.Equal(t, 200, r.status)
	assert.JSONEq(t, `{"worker_id":"n-1","epoch":"1.3","already":true}`, string(r.body))
	assert.Equal(t, 204, w.do("DELETE", clusterURL+"/workers/n-2?force=true", nil).status)
	assert.Equal(t, 204, w.do("POST", clusterURL+"/storm-brake/release", nil).status)
}

func TestGet_SaysWhenNoQuorumWasAsked(t *testing.T) {
	w := inMemory(t, Config{})
	require.Equal(t, 201, w.do("PUT", "http://tiercel/api/v1/storage/files/models/a", strings.NewReader("x")).status)
	for _, unchecked := range []bool{false, true} {
		w.gw.unchecked = unchecked
		for _, method := range []string{"GET", "HEAD"} {
			r := w.do(method, "http://tiercel/api/v1/storage/files/models/a", nil)
			require.Equal(t, 200, r.status)
			assert.Equal(t, unchecked, r.header.Get("X-Storage-Consistency") == "unchecked", method)
		}
	}
}
