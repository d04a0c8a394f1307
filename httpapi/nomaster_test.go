package httpapi

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

// withoutMaster is a node that knows a catalog and no master.
func withoutMaster(t *testing.T) *world {
	w := inMemory(t, Config{})
	w.gw.notReady = "no master"
	w.gw.status = func() (*messages.ClusterStatusReply, error) {
		return &messages.ClusterStatusReply{
			Cluster: &messages.ClusterRow{ClusterId: "c-1", Generation: 2, Term: 7, Master: "n-1"}, State: "no_master", Unchecked: true,
			WorkerNodes: []string{"n-1", "n-2"}, Workers: []*messages.WorkerRow{{Address: "a:1"}, {Address: "a:2", State: messages.WorkerState_DEGRADED}},
			Volumes:  []*messages.VolumeRow{{Id: 7, Tier: 1, Members: []*messages.VolumeMember{{Node: "n-2", Verified: true}}}},
			Warnings: []string{"this node hears 1 of the 3 voters"},
		}, nil
	}
	return w
}

func TestWithoutMaster_WorkersAreShownAsThisNodeLastKnewThem(t *testing.T) {
	w := withoutMaster(t)
	r := w.do("GET", clusterURL+"/workers", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.Equal(t, "unchecked", r.header.Get("X-Storage-Consistency"))
	body := string(r.body)
	assert.Contains(t, body, `"unchecked":true`)
	assert.Contains(t, body, `"worker_id":"n-2","address":"a:2","state":"degraded"`)
	assert.Contains(t, body, `"role":"unknown","candidate_rank":null`)
	assert.Contains(t, body, `"last_heartbeat_at":null`)
	assert.Contains(t, body, `"lag_bytes":null,"lag_ms":null`)

	r = w.do("GET", clusterURL+"/workers/n-2", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.Contains(t, string(r.body), `"volume_list":[{"volume_id":7,`)
	wantError(t, w.do("GET", clusterURL+"/workers/n-9", nil), 404, "not_found")
	wantError(t, w.do("GET", clusterURL+"/master", nil), 503, "no_master")
}

func TestWithoutMaster_StatusNamesTheLastOneAsTheLast(t *testing.T) {
	r := withoutMaster(t).do("GET", clusterURL+"/status", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	body := string(r.body)
	assert.Contains(t, body, `"state":"no_master","master":null`)
	assert.Contains(t, body, "this node hears 1 of the 3 voters")
	assert.Contains(t, body, "the last master was n-1 at a:1")
	assert.Contains(t, body, `"unknown":["master"`)
	doc, _ := readDocument(t)
	assertDescribed(t, doc, "ClusterStatus", r.body)
}
