package simtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// A disk that hangs fails nothing and answers nothing, and its process goes on sending
// heartbeats. Found with a frozen file system under a real node: tier 1 stood still.
func TestStory_WritesGoOnWhileADiskHangs(t *testing.T) {
	const hang = 18 * time.Second
	for i := range 4 {
		t.Run(fmt.Sprint("node ", i+1), func(t *testing.T) {
			p := newProbeOf(t, Params{Seed: 1200, Nodes: 4, Still: true})
			p.story.world.Run(25 * heartbeatInterval) // the lead has gone to the best candidate
			stored := map[string]string{}
			slowest := time.Duration(0)
			through := func(h *host, round int) {
				p.host = h
				for _, dir := range []string{"/models", "/sessions", "/cache"} {
					path, value := fmt.Sprintf("%s/%s-%d", dir, h.name, round), fmt.Sprintf("%s %s %d", dir, h.name, round)
					began := p.story.world.Elapsed()
					reply := p.put(path, value, nil)
					require.Nil(t, reply.Error, "%s through %s", path, h.name)
					slowest = max(slowest, p.story.world.Elapsed()-began)
					stored[path] = value
				}
			}
			for _, h := range p.story.hosts {
				through(h, 0)
			}
			hung := p.story.hosts[i]
			hung.node.HangDisk(hang)
			ends := p.story.world.Elapsed() + hang
			round := 1
			for ; p.story.world.Elapsed() < ends-8*time.Second; round++ {
				for _, h := range p.story.hosts {
					through(h, round)
				}
			}
			assert.Less(t, slowest, 3*time.Second)
			status := ask[*messages.ClusterStatusReply](p, gatewayPath, &messages.ClusterStatus{Header: p.header()})
			assert.Contains(t, strings.Join(status.Warnings, "\n"), "the disk of "+string(hung.name)+" (it has not answered since ")
			assert.Equal(t, "degraded", status.State)
			assert.Greater(t, round, 30, "the disk is left alone while it hangs")
			p.story.world.Run(hang)
			for path, value := range stored {
				assert.Equal(t, value, p.value(path))
			}
			through(hung, round)
			status = ask[*messages.ClusterStatusReply](p, gatewayPath, &messages.ClusterStatus{Header: p.header()})
			assert.NotContains(t, strings.Join(status.Warnings, "\n"), "has not answered")
			assert.Equal(t, "healthy", status.State)
			assert.Empty(t, p.story.bad)
			t.Logf("slowest %v, %d rounds", slowest, round)
		})
	}
}

// Where there is nobody else, a disk that answers late is waited for.
func TestStory_AWriteToALoneDiskWaitsForIt(t *testing.T) {
	for _, hang := range []time.Duration{3 * time.Second, 12 * time.Second} {
		p := newProbeOf(t, Params{Seed: 1210, Nodes: 1, Still: true})
		for _, dir := range []string{"/models", "/sessions", "/cache"} {
			require.Nil(t, p.put(dir+"/before", "before "+dir, nil).Error)
		}
		p.host.node.HangDisk(hang)
		began := p.story.world.Elapsed()
		for _, dir := range []string{"/models", "/sessions", "/cache"} {
			require.Nil(t, p.put(dir+"/while", "while "+dir, nil).Error)
			assert.Less(t, p.story.world.Elapsed()-began, hang+6*time.Second)
		}
		assert.Equal(t, "while /models", p.value("/models/while"))
		assert.Empty(t, p.story.bad)
	}
}

func TestStory_ALoneDiskThatNeverAnswersIsTheReasonOfTheRefusal(t *testing.T) {
	p := newProbeOf(t, Params{Seed: 1211, Nodes: 1, Still: true})
	p.host.node.HangDisk(time.Hour)
	reply := p.put("/models/a", "a", nil)
	require.NotNil(t, reply.Error)
	assert.Equal(t, string(model.CodeInsufficientReplicas), reply.Error.Code)
	assert.Contains(t, reply.Error.Message, "no disk takes new content; that of "+string(p.host.name)+": it has not answered since ")
}
