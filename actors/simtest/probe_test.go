package simtest

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/actors/runtime"
	"tiercel/actors/runtime/sim"
	"tiercel/messages"
)

// probe is a scripted conversation with one node: ask, look, break, ask again.
type probe struct {
	t     *testing.T
	story *story
	host  *host // whose actors are asked
	rt    runtime.Runtime
	pid   *actor.PID
	got   []proto.Message
	next  uint64
}

// listener hands every message to the probe.
type listener struct{ probe *probe }

func (l *listener) Receive(ctx *runtime.Context, msg any) {
	switch m := msg.(type) {
	case proto.Message:
		if _, lifecycle := msg.(interface{ AutoReceiveMessage() }); !lifecycle {
			l.probe.got = append(l.probe.got, m)
		}
	case outgoing:
		ctx.Request(m.to, m.msg)
	}
}

// newProbe boots a node without clients and waits until it serves.
func newProbe(t *testing.T, seed uint64) *probe { return newClusterProbe(t, seed, 1) }

// newClusterProbe makes a cluster that serves.
func newClusterProbe(t *testing.T, seed uint64, nodes int) *probe {
	t.Helper()
	return newProbeOf(t, Params{Seed: seed, Nodes: nodes})
}

// newProbeOf makes the cluster of params; without failover two nodes hold the log.
func newProbeOf(t *testing.T, params Params) *probe {
	t.Helper()
	params.Log, params.Trace = replayLog(), replayTrace()
	seed, nodes := params.Seed, params.Nodes
	t.Cleanup(sim.DeterministicRand(seed))
	s := newStory(params)
	for range nodes {
		s.addHost()
	}
	s.keepWatch()
	p := &probe{t: t, story: s, host: s.hosts[0], rt: s.world.Client("probe").Runtime()}
	pid, err := p.rt.SpawnRoot("listener", func() runtime.Actor { return &listener{probe: p} })
	require.NoError(t, err)
	p.pid = pid
	require.True(t, s.world.RunUntil(func() bool { return s.serving() && (nodes == 1 || s.formed(nodes)) }, 2*time.Minute), "the cluster does not serve: %s", s.state())
	// The voters' followers hear of the newest change with the next heartbeat.
	s.world.Run(3 * masterHeartbeatInterval)
	return p
}

// inside is a probe that is an actor of the host itself: some questions no other node may ask.
func (p *probe) inside() *probe {
	p.t.Helper()
	q := &probe{t: p.t, story: p.story, host: p.host, rt: p.host.node.Runtime()}
	pid, err := q.rt.SpawnRoot("inside", func() runtime.Actor { return &listener{probe: q} })
	require.NoError(p.t, err)
	q.pid = pid
	return q
}

func (p *probe) waitReady() {
	p.t.Helper()
	require.True(p.t, p.story.world.RunUntil(func() bool { return p.host.ready && p.host.node.Up() }, time.Minute), "the node does not serve: %s", p.story.state())
}

// send puts a request on its way to a path of the node.
func (p *probe) send(path string, msg proto.Message) {
	to := p.rt.Peer(p.host.name, path)
	p.rt.(runtime.Host).System().Root.Send(p.pid, outgoing{to: to, msg: msg})
}

// ask sends msg and waits for the first reply of type R.
func ask[R proto.Message](p *probe, path string, msg proto.Message) R {
	p.t.Helper()
	p.got = nil
	p.send(path, msg)
	var reply R
	found := p.story.world.RunUntil(func() bool {
		for _, m := range p.got {
			if r, ok := m.(R); ok {
				reply = r
				return true
			}
		}
		return false
	}, time.Minute)
	require.True(p.t, found, "no %T to %T", reply, msg)
	return reply
}

func (p *probe) header() *messages.Header {
	p.next++
	return &messages.Header{Request: p.next}
}

// put stores a value under a path; cond may be nil.
func (p *probe) put(path, value string, cond *messages.Conditions) *messages.PutReply {
	p.t.Helper()
	content := blob(value, 100)
	p.story.values.add(value, content)
	return ask[*messages.PutReply](p, gatewayPath, &messages.Put{Header: p.header(), Body: content, File: &messages.FileAttributes{
		Tenant: clientTenant, Path: path, SizeBytes: 100, Crc32C: crcOf(content), Conditions: cond,
	}})
}

// value reads which value a path holds; empty when there is none. Its bytes are
// checked on the way.
func (p *probe) value(path string) string {
	p.t.Helper()
	r := ask[*messages.StatReply](p, gatewayPath, &messages.Stat{Header: p.header(), Tenant: clientTenant, Path: path})
	if r.Row == nil {
		require.Equal(p.t, "not_found", r.GetError().GetCode())
		return ""
	}
	value, ok := p.story.values.find(r.Row.Crc32C, r.Row.SizeBytes)
	require.True(p.t, ok, "unknown content at %s", path)
	p.story.checkBytes(p.story.catalogAt(r.Row.Version), path, r.Row)
	require.Empty(p.t, p.story.bad)
	return value
}
