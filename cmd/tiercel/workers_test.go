package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cmd/tiercel/internal/client/clienttest"
)

func TestWorkers_ThoseThatLeftAreShownWhenAskedFor(t *testing.T) {
	const list = `{"workers":[{"worker_id":"n-1","state":"healthy"},{"worker_id":"n-2","state":"left"}]}`
	c := newCLI(t)
	c.server.Say("GET /cluster/workers", said(list))
	out := c.must("workers")
	assert.NotContains(t, out, "n-2")
	assert.Contains(t, out, "1 worker that left the cluster for good: --all shows them, too")
	assert.Contains(t, c.must("workers", "--all"), "n-2")
	assert.Contains(t, c.must("workers", "--output", "json"), "n-2")
}

func TestWorkersRemove_SaysWhatTheClusterCannotGiveWithoutIt(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/workers/n-1", said(`{"worker_id":"n-1","state":"healthy"}`), said(`{"worker_id":"n-1","state":"left"}`))
	c.server.Say("GET /cluster/status", said(`{"warnings":["old"]}`), said(`{"warnings":["old","two stay"]}`))
	c.server.Say("DELETE /cluster/workers/n-1", clienttest.Answer{Status: 204})
	assert.Equal(t, "n-1 is out of the cluster for good\nwarning: two stay\n", c.must("workers", "remove", "n-1"))
	assert.JSONEq(t, `{"worker_id":"n-1","removed":true,"already":true,"warnings":[]}`, c.must("workers", "remove", "n-1", "--output", "json"))
}

func TestWorkersRemove_ByForceSaysWhatIsLost(t *testing.T) {
	c := newCLI(t)
	c.server.Say("DELETE /cluster/workers/n-1", clienttest.Answer{Status: 409, Body: "conflict"}, clienttest.Answer{Status: 204}, clienttest.Answer{Status: 204})
	assert.Equal(t, "n-1 is out of the cluster for good\nwarning: forced although remove n-1: refused by the test (conflict)\n", c.must("workers", "remove", "n-1", "--force"))
	assert.Equal(t, "n-1 is out of the cluster for good\n", c.must("workers", "remove", "n-1", "--force"), "nothing was in the way")
	var deletes []string
	for _, a := range c.server.Asked {
		if strings.HasPrefix(a.Line, "DELETE") {
			deletes = append(deletes, a.Line)
		}
	}
	assert.Equal(t, []string{"DELETE /cluster/workers/n-1", "DELETE /cluster/workers/n-1?force=true", "DELETE /cluster/workers/n-1"}, deletes)
}

func TestMaster_SaysThatAnOperatorPromotedIt(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/master", said(`{"worker_id":"n-1","epoch":"1.3","since":"then","promoted":true}`))
	assert.Contains(t, c.must("master"), "promoted   by an operator")
}

func TestPromote_EndsWhenTheWorkerLeads(t *testing.T) {
	c := newCLI(t)
	c.server.Say("POST /cluster/master/promote", said(`{"worker_id":"n-2","epoch":"1.3","already":false}`), said(`{"worker_id":"n-2","epoch":"1.3","already":true}`))
	c.server.Say("GET /cluster/master", said(`{"worker_id":"n-1","epoch":"1.2"}`), said(`{"worker_id":"n-2","epoch":"1.3","since":"then"}`))
	assert.Equal(t, "n-2 leads, epoch 1.3 since then\n", c.must("master", "promote", "n-2"))
	assert.Equal(t, "n-2 was the master before, and stays it\n", c.must("master", "promote", "n-2"))
}
