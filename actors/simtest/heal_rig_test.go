package simtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

// filled writes files of every tier into a cluster that serves, so that some volumes
// are sealed, and waits until every copy is where it should be.
func filled(t *testing.T, seed uint64, nodes int) *probe {
	t.Helper()
	p := newProbeOf(t, Params{Seed: seed, Nodes: nodes, Still: true})
	for n := range 30 {
		for _, dir := range []string{"models", "sessions", "cache"} {
			p.large(fmt.Sprintf("/%s/%d", dir, n), fmt.Sprintf("value %s %d", dir, n), 4000)
		}
	}
	p.wholeAgain("after the first writes")
	return p
}

// large stores a value of so many bytes.
func (p *probe) large(path, value string, size int) {
	p.t.Helper()
	content := blob(value, size)
	p.story.values.add(value, content)
	r := ask[*messages.PutReply](p, gatewayPath, &messages.Put{Header: p.header(), Body: content, File: &messages.FileAttributes{
		Tenant: clientTenant, Path: path, SizeBytes: uint64(size), Crc32C: crcOf(content),
	}})
	require.Nil(p.t, r.Error, "%s", path)
}

// wholeAgain waits until every volume has the copies it should.
func (p *probe) wholeAgain(when string) {
	p.t.Helper()
	reason := ""
	require.True(p.t, p.story.world.RunUntil(func() bool {
		var ok bool
		ok, reason = p.story.whole()
		return ok
	}, 5*time.Minute), "%s: %s", when, reason)
	require.Empty(p.t, p.story.bad)
}

// readBack reads every file of filled.
func (p *probe) readBack() {
	p.t.Helper()
	for n := range 30 {
		for _, dir := range []string{"models", "sessions", "cache"} {
			require.Equal(p.t, fmt.Sprintf("value %s %d", dir, n), p.value(fmt.Sprintf("/%s/%d", dir, n)))
		}
	}
}

// other is a host that holds sealed volumes and is neither the master nor the one whose
// gateway the probe uses.
func (p *probe) other() *host {
	p.t.Helper()
	m := p.story.master()
	p.host = m
	for _, h := range p.story.hosts {
		if h != m && !h.gone && len(p.holds(h)) > 0 {
			return h
		}
	}
	require.Fail(p.t, "nobody but the master holds anything")
	return nil
}

func (p *probe) catalogRows() []*messages.VolumeRow {
	m := p.story.master()
	require.NotNil(p.t, m)
	return m.catalog.Volumes()
}

// holds lists the sealed volumes of which a host is a member.
func (p *probe) holds(h *host) (out []uint64) {
	for _, row := range p.catalogRows() {
		if row.State == messages.VolumeState_SEALED && memberOn(row, h) != nil {
			out = append(out, row.Id)
		}
	}
	return out
}

// bringing lists the copies that a job has begun and that are not whole yet.
func (p *probe) bringing(job uint64) (out []string) {
	for _, row := range p.catalogRows() {
		for _, m := range row.Members {
			if m.Job == job && !m.Verified {
				out = append(out, fmt.Sprint(row.Id, " on ", m.Node))
			}
		}
	}
	return out
}

func (p *probe) jobs(kind messages.JobKind) (out []*messages.JobRow) {
	for _, j := range p.story.master().catalog.Jobs() {
		if j.Kind == kind {
			out = append(out, j)
		}
	}
	return out
}

func (p *probe) stateOf(h *host) messages.WorkerState {
	row, _ := p.story.master().catalog.Worker(string(h.name))
	return row.GetState()
}

// unevenness is what each move of a rebalance lowers: the sum of size × used share².
func (p *probe) unevenness() (sum float64) {
	for _, h := range p.story.living() {
		size := float64(h.options(nil).CapacityBytes)
		share := float64(h.data.Volumes.Bytes()) / size
		sum += size * share * share
	}
	return sum
}
