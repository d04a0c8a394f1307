package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestReplicationFiles_FollowsThePagesToTheirEnd(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/replication/files",
		said(`{"files":[],"next_cursor":"one"}`),
		said(`{"files":[{"tenant":"acme","path":"/a b","version":7,"size_bytes":2048,"state":"lost","volume_ids":[3,4]}],"next_cursor":"two"}`),
		said(`{"files":[{"tenant":"zeta","path":"/c","version":9,"size_bytes":1,"state":"damaged","volume_ids":[6]}],"next_cursor":""}`))
	assert.Equal(t, `STATE SIZE VERSION VOLUMES TENANT PATH
lost 2.0 KiB 7 3,4 acme /a b
damaged 1 B 9 6 zeta /c`, lines(c.must("replication", "files")))
	var asked []string
	for _, q := range c.server.Asked {
		asked = append(asked, q.Line)
	}
	assert.Equal(t, []string{"GET /cluster/replication/files", "GET /cluster/replication/files?cursor=one", "GET /cluster/replication/files?cursor=two"}, asked)
}

func TestReplicationFiles_AsJSONIsOneObjectOnEachLine(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/replication/files", said(`{"files":[{"tenant":"acme","path":"/a","version":7,"size_bytes":5,"state":"lost","volume_ids":[3]},
	 {"tenant":"acme","path":"/b","version":8,"size_bytes":6,"state":"lost","volume_ids":[3]}],"next_cursor":""}`), said(`{"files":[],"next_cursor":""}`))
	t.Setenv("TIERCEL_TENANT", "zeta")
	assert.Equal(t, `{"tenant":"acme","path":"/a","version":7,"size_bytes":5,"state":"lost","volume_ids":[3]}
{"tenant":"acme","path":"/b","version":8,"size_bytes":6,"state":"lost","volume_ids":[3]}
`, c.must("replication", "files", "--output", "json", "--state", "lost", "--tenant", "acme"))
	assert.Equal(t, "GET /cluster/replication/files?state=lost&tenant=acme", c.server.Asked[0].Line)
	assert.Empty(t, c.must("replication", "files", "--output", "json"))
	assert.Equal(t, "GET /cluster/replication/files", c.server.Asked[1].Line, "the tenant of the environment is for files of one")
}

func TestReplicationFiles_SaysThatThereAreNone(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /cluster/replication/files", said(`{"files":[],"next_cursor":""}`), said(`{"files":[],"next_cursor":""}`))
	assert.Equal(t, "no file is stranded, damaged or lost\n", c.must("replication", "files"))
	assert.Equal(t, "no file is lost\n", c.must("replication", "files", "--state", "lost"))
}

func TestReplicationFiles_RefusesWhatItDoesNotKnow(t *testing.T) {
	for _, args := range [][]string{{"--state", "gone"}, {"--state", "LOST"}, {"--tenant", "A B"}, {"more"}} {
		c := newCLI(t)
		o := c.run(append([]string{"replication", "files"}, args...)...)
		assert.Equal(t, exitUsage, o.status, "%v: %s", args, o.stderr)
		assert.Empty(t, c.server.Asked)
	}
}

func TestReplicationFiles_CompletesTheState(t *testing.T) {
	words, _ := newCLI(t).offered("replication files --state ")
	assert.Equal(t, "stranded damaged lost", words)
	words, _ = newCLI(t).offered("jobs --state ")
	assert.Equal(t, "running paused done cancelled", words)
}
