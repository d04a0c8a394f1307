package simtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/affected"
	"tiercel/messages"
)

// affected asks for all files that nobody can read: "/path state".
func (p *probe) affected() (out []string) {
	p.t.Helper()
	g := affected.Gathering{Limit: 10_000}
	for after, more := "", true; more; {
		r := ask[*messages.FindAffectedReply](p, gatewayPath, &messages.FindAffected{Header: p.header(), After: after, Rows: 7, Limit: 3})
		require.Nil(p.t, r.Error)
		within, room := g.Add(affected.Page{Files: r.Files, Next: r.Next, Within: r.Within})
		after, more = r.Next, within || room
	}
	for _, f := range g.Files {
		require.Equal(p.t, clientTenant, f.Tenant)
		out = append(out, fmt.Sprint(f.Path, " ", f.State))
	}
	return out
}

// onlyOn lists the files of filled with a piece in a volume that nobody but one host holds.
func (p *probe) onlyOn(h *host) (paths []string) {
	p.t.Helper()
	sole := make(map[uint64]bool)
	for _, row := range p.catalogRows() {
		sole[row.Id] = len(row.Members) == 1 && memberOn(row, h) != nil
	}
	files, _, next := p.story.master().catalog.List(clientTenant, "", "", "", 1000)
	require.Empty(p.t, next)
	for _, f := range files {
		require.Zero(p.t, f.Row.Manifest)
		if slices.ContainsFunc(f.Row.Extents, func(e *messages.Extent) bool { return sole[e.Volume] }) {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

func each(paths []string, state messages.ContentState) (out []string) {
	for _, path := range paths {
		out = append(out, fmt.Sprint(path, " ", state))
	}
	return out
}

func TestStory_TheFilesOfWhichTheOnlyHolderIsAwayAreNamedAndThoseOfWhichItIsGone(t *testing.T) {
	p := filled(t, 41, 4)
	m := p.story.master()
	p.host = m
	for n := range 60 { // beyond what the first node holds alone since it was alone
		p.large(fmt.Sprintf("/cache/late-%d", n), fmt.Sprint("late ", n), 4000)
	}
	p.wholeAgain("after more of tier 3")
	require.Empty(t, p.affected())
	var victim *host
	for _, h := range p.story.hosts {
		if h != m && len(p.onlyOn(h)) > 0 {
			victim = h
		}
	}
	require.NotNil(t, victim, "nobody but the master is alone with something")
	paths := p.onlyOn(victim)
	require.Less(t, len(paths), 90, "others hold the rest of tier 3")

	victim.turnOff(false)
	require.True(t, p.story.world.RunUntil(func() bool { return p.stateOf(victim) == messages.WorkerState_UNREACHABLE }, time.Minute))
	assert.Equal(t, each(paths, messages.ContentState_CONTENT_STRANDED), p.affected())

	r := ask[*messages.RemoveNodeReply](p, gatewayPath, &messages.RemoveNode{Header: p.header(), Node: string(victim.name), Forced: true})
	require.Nil(t, r.Error)
	assert.Equal(t, each(paths, messages.ContentState_CONTENT_LOST), p.affected())
	assert.Equal(t, paths[:1], p.lostPaths(paths[:1]), "deleted, it is named no more")
	assert.Equal(t, each(paths[1:], messages.ContentState_CONTENT_LOST), p.affected())
}

// lostPaths deletes files and returns those that were there.
func (p *probe) lostPaths(paths []string) (deleted []string) {
	for _, path := range paths {
		if r := ask[*messages.MutationReply](p, gatewayPath, &messages.Delete{Header: p.header(), Tenant: clientTenant, Path: path}); r.Error == nil {
			deleted = append(deleted, path)
		}
	}
	return deleted
}
